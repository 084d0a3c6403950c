#include "server/main/data_directory.h"

#include "base/clock.h"
#include "base/executor.h"
#include "server/store/memory/memory_store.h"

namespace perdure::server {
namespace {

class Memory : public DataDirectory {
 public:
  Memory() : io_(base::make_thread_executor("io", base::system_clock())), store_(*io_) {}
  store::Store& store() override { return store_; }
  const std::string& path() const override { return path_; }
  bool temporary() const override { return true; }
  void close() override { store_.close(); }

 private:
  std::unique_ptr<base::Executor> io_;
  store::MemoryStore store_;
  std::string path_ = "(memory)";
};

}  // namespace

base::Result<std::unique_ptr<DataDirectory>> DataDirectory::open(const ServerOptions& options) {
  if (!options.dev || !options.db_filename.empty()) {
    return base::fail(
        base::Code::kUnimplemented,
        "the local store is not part of this build yet: only start-dev without --db-filename works");
  }
  return std::make_unique<Memory>();
}

}  // namespace perdure::server
