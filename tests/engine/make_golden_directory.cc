// make_golden_directory FOLDER: writes a golden data directory of the present format there, and its digest to FOLDER.digest. For
// the day on which a format is frozen; what is frozen is never written again.
#include <cstdio>
#include <fstream>

#include "tests/engine/golden_directory.h"

int main(int count, char** arguments) {
  using namespace perdure::engine;
  if (count != 2) {
    std::fprintf(stderr, "usage: make_golden_directory FOLDER\n");
    return 2;
  }
  const std::string folder = arguments[1];
  World world({.local = true, .segment_bytes = 32 << 10, .checkpoint_bytes = 1});
  live_golden_life(world);
  // the directory would be loaded at another time than it was left
  if (world.clock.now() != kGoldenTime) return 1;
  const std::string digest = golden_digest(world);
  world.die(perdure::base::Crash::kKeepAll);
  save_directory(world.disk(), folder);
  std::ofstream(folder + ".digest") << digest << "\n";
  std::printf("%s\n", digest.c_str());
  return 0;
}
