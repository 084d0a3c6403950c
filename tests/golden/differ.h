// Compares the outcomes of a run with a recording, and shows where they part (README.md, "A recording").
#pragma once

#include <string>
#include <vector>

#include "tests/golden/json.h"

namespace perdure::golden {

// Lines that show the first two differing steps as unified diffs (- recorded, + now), at most `limit` lines.
// Empty: they agree.
// "<unstable>" in the recording matches anything; texts of errors count only when `strict`.
std::vector<std::string> differences(const Json& recorded, const Json& actual, bool strict,
                                     std::size_t limit = 60);

// The lines of a unified diff with two lines of context, without the two file headings.
std::vector<std::string> unified_diff(const std::vector<std::string>& before,
                                      const std::vector<std::string>& after);

}  // namespace perdure::golden
