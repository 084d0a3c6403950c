#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "base/disk.h"

namespace perdure::base {
namespace {

std::unexpected<Error> failed(const char* what, const std::string& path, int error) {
  Code code = Code::kUnavailable;
  if (error == ENOENT || error == ENOTDIR) code = Code::kNotFound;
  if (error == EEXIST) code = Code::kAlreadyExists;
  if (error == EACCES || error == EPERM || error == EROFS) code = Code::kPermissionDenied;
  if (error == ENOSPC || error == EDQUOT) code = Code::kResourceExhausted;
  return fail(code, std::string(what) + " " + path + ": " + std::strerror(error));
}

class PosixFile : public File {
 public:
  PosixFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  ~PosixFile() override { ::close(descriptor_); }

  Result<std::size_t> read_into(std::uint64_t offset, std::span<char> out) override {
    std::size_t got = 0;
    while (got < out.size()) {
      const ssize_t n =
          ::pread(descriptor_, out.data() + got, out.size() - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("read", path_, errno);
      if (n == 0) break;
      got += static_cast<std::size_t>(n);
    }
    return got;
  }

  Status write(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("write", path_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  // Never repeated after an error: the kernel may have dropped the pages and report success the second time.
  Status sync() override {
    if (::fdatasync(descriptor_) != 0) return failed("sync", path_, errno);
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat info;
    if (::fstat(descriptor_, &info) != 0) return failed("stat", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

  Status truncate(std::uint64_t size) override {
    if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return failed("truncate", path_, errno);
    return {};
  }

  Status allocate(std::uint64_t size) override {
    if (size == 0) return {};
    // posix_fallocate writes zeros itself where the file system cannot reserve.
    if (const int error = ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size)); error != 0) {
      return failed("allocate", path_, error);
    }
    return {};
  }

 private:
  const std::string path_;
  const int descriptor_;
};

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead: return O_RDONLY;
    case OpenMode::kReadWrite: return O_RDWR;
    case OpenMode::kCreate: return O_RDWR | O_CREAT;
    case OpenMode::kCreateNew: return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

std::string network_name(std::uint64_t magic) {
  static constexpr std::pair<std::uint64_t, const char*> kNames[] = {
      {NFS_SUPER_MAGIC, "nfs"},   {SMB_SUPER_MAGIC, "smb"},     {CIFS_SUPER_MAGIC, "cifs"},
      {SMB2_SUPER_MAGIC, "smb2"}, {CODA_SUPER_MAGIC, "coda"},   {AFS_SUPER_MAGIC, "afs"},
      {CEPH_SUPER_MAGIC, "ceph"}, {OCFS2_SUPER_MAGIC, "ocfs2"}, {NCP_SUPER_MAGIC, "ncp"},
      {0x0BD00BD0, "lustre"},     {0x01161970, "gfs2"},         {0x47504653, "gpfs"}};
  for (const auto& [number, name] : kNames) {
    if (number == magic) return name;
  }
  return "";
}

class PosixDisk : public Disk {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    TRY(const int descriptor, open_descriptor(path, open_flags(mode)));
    return std::make_unique<PosixFile>(path, descriptor);
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    DIR* stream = ::opendir(directory.c_str());
    if (stream == nullptr) return failed("list", directory, errno);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    ::closedir(stream);
    std::ranges::sort(names);
    return names;
  }

  bool exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

  Status make_directory(const std::string& path) override {
    if (::mkdir(path.c_str(), 0700) == 0) return {};
    const int error = errno;
    struct stat info;
    if (error == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return failed("make directory", path, error);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename", from, errno);
    return {};
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return failed("remove", path, errno);
    return {};
  }

  Status sync_directory(const std::string& path) override {
    TRY(const int descriptor, open_descriptor(path, O_RDONLY | O_DIRECTORY));
    const int result = ::fsync(descriptor);
    const int error = errno;
    ::close(descriptor);
    if (result != 0) return failed("sync", path, error);
    return {};
  }

  Result<std::unique_ptr<File>> lock(const std::string& path) override {
    TRY(const int descriptor, open_descriptor(path, O_RDWR | O_CREAT));
    auto file = std::make_unique<PosixFile>(path, descriptor);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return failed("lock", path, errno);
      TRY(std::string owner, file->read(0, 32));
      owner.erase(std::ranges::find_if_not(owner, [](char c) { return c >= '0' && c <= '9'; }), owner.end());
      return fail(Code::kFailedPrecondition,
                  path + " is locked by process " + (owner.empty() ? "unknown" : owner));
    }
    TRY_VOID(file->truncate(0));
    TRY_VOID(file->write(0, std::to_string(::getpid()) + "\n"));
    return file;
  }

  Result<std::uint64_t> free_bytes(const std::string& path) override {
    struct statvfs info;
    if (::statvfs(path.c_str(), &info) != 0) return failed("stat", path, errno);
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  }

  void pause(Duration how_long) override { std::this_thread::sleep_for(how_long); }

  std::string network_file_system(const std::string& path) override {
    struct statfs info;
    if (::statfs(path.c_str(), &info) != 0) return "";
    return network_name(static_cast<std::uint32_t>(info.f_type));
  }

 private:
  static Result<int> open_descriptor(const std::string& path, int flags) {
    for (;;) {
      const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
      if (descriptor >= 0) return descriptor;
      if (errno != EINTR) return failed("open", path, errno);
    }
  }
};

}  // namespace

Disk& posix_disk() {
  static PosixDisk disk;
  return disk;
}

}  // namespace perdure::base
