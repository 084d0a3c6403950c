#include "base/crash_marks.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace perdure::base {
namespace {
constexpr std::size_t kBytes = 3 * sizeof(std::uint64_t);
}

Result<std::unique_ptr<CrashMarks>> CrashMarks::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail(Code::kUnavailable, "open " + path + ": " + std::strerror(errno));
  void* place = MAP_FAILED;
  if (::ftruncate(descriptor, kBytes) == 0) {
    place = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  }
  const int error = errno;
  ::close(descriptor);
  if (place == MAP_FAILED) return fail(Code::kUnavailable, "map " + path + ": " + std::strerror(error));
  return std::unique_ptr<CrashMarks>(new CrashMarks(static_cast<std::uint64_t*>(place)));
}

CrashMarks::~CrashMarks() {
  ::munmap(counters_, kBytes);
}

void CrashMarks::set(int which, std::uint64_t number) {
  std::atomic_ref<std::uint64_t> counter(counters_[which]);
  std::uint64_t seen = counter.load(std::memory_order_relaxed);
  while (seen < number && !counter.compare_exchange_weak(seen, number, std::memory_order_release)) {
  }
}

}  // namespace perdure::base
