#include "tests/sim/disk.h"

#include <memory>
#include <utility>

namespace perdure::sim {
namespace {

class TracedFile : public base::File {
 public:
  TracedFile(std::unique_ptr<base::File> file, std::string path, std::shared_ptr<const DiskHooks> hooks)
      : file_(std::move(file)), path_(std::move(path)), hooks_(std::move(hooks)) {}

  base::Result<std::size_t> read_into(std::uint64_t offset, std::span<char> out) override {
    return file_->read_into(offset, out);
  }
  base::Status write(std::uint64_t offset, std::string_view bytes) override {
    hooks_->trace->note("write", path_ + " at " + std::to_string(offset), bytes);
    return file_->write(offset, bytes);
  }
  base::Status sync() override {
    hooks_->trace->note("sync", path_);
    return file_->sync();
  }
  void sync_then(std::move_only_function<void(base::Status)> done) override {
    const base::Duration takes = hooks_->sync_takes();
    if (takes == base::Duration(0)) return done(sync());
    hooks_->trace->note("sync", path_ + " takes time");
    // The file may be closed meanwhile: then nobody waits.
    hooks_->later(takes, [weak = std::weak_ptr(file_), done = std::move(done)]() mutable {
      if (const auto file = weak.lock()) done(file->sync());
    });
  }
  base::Result<std::uint64_t> size() override { return file_->size(); }
  base::Status truncate(std::uint64_t size) override {
    hooks_->trace->note("truncate", path_ + " to " + std::to_string(size));
    return file_->truncate(size);
  }
  base::Status allocate(std::uint64_t size) override {
    hooks_->trace->note("allocate", path_ + " to " + std::to_string(size));
    return file_->allocate(size);
  }

 private:
  std::shared_ptr<base::File> file_;
  const std::string path_;
  std::shared_ptr<const DiskHooks> hooks_;
};

class TracedDisk : public base::Disk {
 public:
  TracedDisk(base::SimDisk& disk, DiskHooks hooks)
      : disk_(disk), hooks_(std::make_shared<const DiskHooks>(std::move(hooks))) {}

  base::Result<std::unique_ptr<base::File>> open(const std::string& path, base::OpenMode mode) override {
    hooks_->trace->note("open", path);
    TRY(auto file, disk_.open(path, mode));
    return std::make_unique<TracedFile>(std::move(file), path, hooks_);
  }
  base::Result<std::vector<std::string>> list(const std::string& directory) override {
    return disk_.list(directory);
  }
  bool exists(const std::string& path) override { return disk_.exists(path); }
  base::Status make_directory(const std::string& path) override {
    hooks_->trace->note("mkdir", path);
    return disk_.make_directory(path);
  }
  base::Status rename(const std::string& from, const std::string& to) override {
    hooks_->trace->note("rename", from + " to " + to);
    return disk_.rename(from, to);
  }
  base::Status remove(const std::string& path) override {
    hooks_->trace->note("remove", path);
    return disk_.remove(path);
  }
  base::Status sync_directory(const std::string& path) override {
    hooks_->trace->note("syncdir", path);
    return disk_.sync_directory(path);
  }
  base::Result<std::unique_ptr<base::File>> lock(const std::string& path) override {
    return disk_.lock(path);
  }
  base::Result<std::uint64_t> free_bytes(const std::string& path) override { return disk_.free_bytes(path); }
  std::string network_file_system(const std::string& path) override {
    return disk_.network_file_system(path);
  }
  void pause(base::Duration) override {}

 private:
  base::SimDisk& disk_;
  std::shared_ptr<const DiskHooks> hooks_;
};

}  // namespace

std::unique_ptr<base::Disk> make_traced_disk(base::SimDisk& disk, DiskHooks hooks) {
  return std::make_unique<TracedDisk>(disk, std::move(hooks));
}

}  // namespace perdure::sim
