// The data directory of a server process: locked, recovered, and gone at the end when it is a temporary one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/main/options.h"
#include "server/store/store.h"

namespace perdure::server {

class DataDirectory {
 public:
  static base::Result<std::unique_ptr<DataDirectory>> open(const ServerOptions& options);
  virtual ~DataDirectory() = default;

  virtual store::Store& store() = 0;
  virtual const std::string& path() const = 0;
  virtual bool temporary() const = 0;
  // How often its executors were woken (rule E15). Any thread.
  virtual std::uint64_t wakes() const = 0;
  // Syncs and unlocks; removes a temporary directory. The last call.
  virtual void close() = 0;
  // In place of close(), for a process that ends at once: removes a temporary directory in which the store may be
  // writing just now. Any thread.
  virtual void abandon() = 0;
};

}  // namespace perdure::server
