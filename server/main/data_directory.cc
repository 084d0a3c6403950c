#include "server/main/data_directory.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/clock.h"
#include "base/disk.h"
#include "base/executor.h"
#include "base/random.h"
#include "server/store/local/local_store.h"

namespace perdure::server {
namespace {

// A directory of its own below the machine's folder for temporary files.
base::Result<std::string> make_temporary() {
  std::string path = (std::filesystem::temp_directory_path() / "perdure-XXXXXX").string();
  if (!mkdtemp(path.data()))
    return base::fail(base::Code::kUnavailable, "cannot make a temporary directory " + path);
  return path;
}

base::Result<std::string> choose_directory(const ServerOptions& options) {
  if (!options.dev) return options.data;
  if (options.db_filename.empty()) return make_temporary();
  std::error_code error;
  if (std::filesystem::is_regular_file(options.db_filename, error)) {
    return base::fail(base::Code::kFailedPrecondition,
                      "--db-filename " + options.db_filename +
                          " is a file; Perdure keeps its data in a directory: give another name");
  }
  return options.db_filename;
}

class Local : public DataDirectory {
 public:
  Local(std::string path, bool temporary)
      : path_(std::move(path)),
        temporary_(temporary),
        log_(base::make_thread_executor("log", base::system_clock())),
        projection_(base::make_thread_executor("projection", base::system_clock())),
        reads_(base::make_thread_executor("reads", base::system_clock())),
        lists_(base::make_thread_executor("lists", base::system_clock())) {}
  ~Local() override { close(); }

  base::Status open_store() {
    store::LocalStoreOptions options;
    options.disk = &base::posix_disk();
    options.directory = path_;
    options.log = log_.get();
    options.projection = projection_.get();
    options.reads = reads_.get();
    options.lists = lists_.get();
    options.clock = &base::system_clock();
    options.seed = base::random_seed();
    if (const char* marks = std::getenv("PERDURE_CRASH_MARKS")) options.marks_file = marks;
    TRY(store_, store::LocalStore::open(std::move(options)));
    return {};
  }

  store::Store& store() override { return *store_; }
  const std::string& path() const override { return path_; }
  bool temporary() const override { return temporary_; }
  std::uint64_t wakes() const override {
    return log_->wakes() + projection_->wakes() + reads_->wakes() + lists_->wakes();
  }
  void close() override {
    if (store_) store_->close();
    store_.reset();
    abandon();
  }
  // Under another name first: then nobody makes a new file in it but who is in the middle of that.
  void abandon() override {
    if (!temporary_) return;
    std::error_code ignored;
    const std::string ended = path_ + "-ended";
    std::filesystem::rename(path_, ended, ignored);
    for (int i = 0; i < 10 && std::filesystem::exists(ended, ignored); ++i)
      std::filesystem::remove_all(ended, ignored);
  }

 private:
  const std::string path_;
  const bool temporary_;
  std::unique_ptr<base::Executor> log_, projection_, reads_, lists_;
  std::unique_ptr<store::LocalStore> store_;
};

}  // namespace

base::Result<std::unique_ptr<DataDirectory>> DataDirectory::open(const ServerOptions& options) {
  TRY(std::string path, choose_directory(options));
  auto directory = std::make_unique<Local>(std::move(path), options.dev && options.db_filename.empty());
  TRY_VOID(directory->open_store());
  return directory;
}

}  // namespace perdure::server
