// Requests: several, one after another, to one server. An input is a row of steps: a byte that picks the method (255: time
// passes instead), two bytes of length, the request.
#include <vector>

#include "tests/fuzz/input.h"
#include "tests/fuzz/random_message.h"
#include "tests/fuzz/server.h"

namespace perdure::fuzz {
namespace {

constexpr std::uint8_t kTimePasses = 255;
constexpr std::size_t kMostSteps = 24;

struct Step {
  std::uint8_t method = 0;
  std::string request;
};

std::vector<Step> read(Input input) {
  std::vector<Step> steps;
  while (!input.empty() && steps.size() < kMostSteps) {
    Step& step = steps.emplace_back();
    step.method = input.byte();
    const std::size_t size = input.number(2);
    step.request = input.take(size);
  }
  return steps;
}

std::string write(const std::vector<Step>& steps) {
  std::string bytes;
  for (const Step& step : steps) {
    const std::string request = step.request.substr(0, 0xffff);
    bytes.push_back(static_cast<char>(step.method));
    bytes.push_back(static_cast<char>(request.size()));
    bytes.push_back(static_cast<char>(request.size() >> 8));
    bytes += request;
  }
  return bytes;
}

std::size_t give(const std::vector<Step>& steps, std::uint8_t* out, std::size_t most) {
  const std::string bytes = write(steps).substr(0, most);
  std::ranges::copy(bytes, out);
  return bytes.size();
}

void change(std::vector<Step>& steps, base::Random& random) {
  const std::size_t at = steps.empty() ? 0 : random.below(steps.size());
  const auto place = steps.begin() + static_cast<std::ptrdiff_t>(at);
  const std::uint64_t choice = steps.empty() ? 0 : random.below(16);
  if (choice == 0) {
    steps.insert(place, {static_cast<std::uint8_t>(random.next()), {}});
    steps[at].request = changed(*method_of(steps[at].method).input_type(), "", random.next());
  } else if (choice == 1) {
    steps.erase(place);
  } else if (choice == 2) {
    steps.insert(place, Step(*place));
  } else if (choice == 3) {
    std::swap(*place, steps[random.below(steps.size())]);
  } else if (choice == 4) {
    steps.insert(place, {kTimePasses, std::string(1 + random.below(2), static_cast<char>(random.next()))});
  } else if (place->method != kTimePasses) {
    place->request = changed(*method_of(place->method).input_type(), place->request, random.next());
  }
}

}  // namespace
}  // namespace perdure::fuzz

using namespace perdure;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Server server;
  for (const fuzz::Step& step : fuzz::read({data, size})) {
    if (step.method == fuzz::kTimePasses) {
      server.pass(std::chrono::seconds(fuzz::Input(step.request).number(2)));
    } else {
      server.send(fuzz::method_of(step.method), step.request);
    }
  }
  server.end();
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  base::Random random(seed);
  auto steps = fuzz::read({data, size});
  fuzz::change(steps, random);
  return fuzz::give(steps, data, most);
}

// The beginning of one, then the end of the other.
extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* one, std::size_t one_size,
                                                 const std::uint8_t* other, std::size_t other_size,
                                                 std::uint8_t* out, std::size_t most, unsigned seed) {
  base::Random random(seed);
  auto steps = fuzz::read({one, one_size});
  const auto more = fuzz::read({other, other_size});
  steps.resize(random.below(steps.size() + 1));
  const auto begin = more.begin() + static_cast<std::ptrdiff_t>(random.below(more.size() + 1));
  steps.insert(steps.end(), begin, more.end());
  return fuzz::give(steps, out, most);
}
