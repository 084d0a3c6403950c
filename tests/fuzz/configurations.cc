// temporal.toml and the TEMPORAL_* variables, as the SDK's clients read them: lines TEMPORAL_NAME=value, then the file.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include <perdure/client.h>

#include "base/check.h"
#include "tests/fuzz/input.h"

namespace {

// Takes the variables from the front of `text` and sets them; files are only read where the TOML says so.
std::vector<std::string> set_variables(std::string_view& text) {
  std::vector<std::string> names;
  while (text.starts_with("TEMPORAL_")) {
    const std::string line(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    const std::string name = line.substr(0, equals);
    if (equals == line.npos || name == "TEMPORAL_CONFIG_FILE" || name.find('\0') != name.npos) continue;
    CHECK(setenv(name.c_str(), line.substr(equals + 1).c_str(), 1) == 0);
    names.push_back(name);
  }
  return names;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto names = set_variables(text);
  const int file = memfd_create("temporal.toml", MFD_CLOEXEC);
  CHECK(file >= 0);
  CHECK(write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  perdure::ProfileOptions options;
  options.file = "/proc/self/fd/" + std::to_string(file);
  try {
    (void)perdure::ClientOptions::from_profile(options);
  } catch (const perdure::Error& error) {
    CHECK(error.what()[0] != '\0');
  }
  close(file);
  for (const std::string& name : names) unsetenv(name.c_str());
  return 0;
}
