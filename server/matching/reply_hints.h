// What matching adds to a reply that History has serialized: fields of its own, appended as protobuf allows.
#pragma once

#include <string>

#include "server/core/state.h"
#include "server/core/taskqueue/task_queue.h"

namespace perdure::matching {

// `response`: a serialized PollWorkflowTaskQueueResponse or PollActivityTaskQueueResponse, by `kind`. Adds
// poller_scaling_decision (MA-11) and, for workflow tasks, backlog_count_hint.
void append_hints(std::string& response, core::TaskKind kind, const core::ReplyHints& hints);

}  // namespace perdure::matching
