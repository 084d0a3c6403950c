#include "base/disk.h"

namespace perdure::base {

Result<std::string> File::read(std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  TRY(const std::size_t got, read_into(offset, bytes));
  bytes.resize(got);
  return bytes;
}

Status replace_file(Disk& disk, const std::string& directory, const std::string& name,
                    std::string_view bytes) {
  const std::string path = directory + "/" + name;
  {
    TRY(auto file, disk.open(path + ".new", OpenMode::kCreate));
    TRY_VOID(file->truncate(0));
    TRY_VOID(file->write(0, bytes));
    TRY_VOID(file->sync());
  }
  TRY_VOID(disk.rename(path + ".new", path));
  return disk.sync_directory(directory);
}

Result<std::string> read_file(Disk& disk, const std::string& path) {
  TRY(auto file, disk.open(path, OpenMode::kRead));
  TRY(const std::uint64_t size, file->size());
  return file->read(0, size);
}

}  // namespace perdure::base
