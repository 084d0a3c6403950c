// Where a worker's log goes: apart from log.h, so that workflow files do not pay for its header.
#pragma once

#include <functional>

#include <perdure/log.h>

namespace perdure {
inline namespace v1 {

using LogSink = std::function<void(const LogRecord&)>;

}  // namespace v1
}  // namespace perdure
