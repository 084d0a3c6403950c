// The data directory that format 1 is frozen by (rule E14): how it was made, how it is loaded, and what it says.
//
// tests/engine/testdata/format-1 was written once by make_golden_directory and must load for ever, to the same digest. A later
// format gets a directory of its own beside it.
#pragma once

#include <memory>
#include <string>

#include "base/sim_disk.h"
#include "tests/engine/world.h"

namespace perdure::engine {

// when the directory was left
inline constexpr base::Time kGoldenTime{std::chrono::milliseconds(1'700'000'002'200)};

// Lives a life that leaves something of everything behind: in the projection, and in the log above it.
void live_golden_life(World& world);
// Of everything that the server tells about the executions of that life: histories, descriptions, the listing, namespaces.
std::string golden_digest(World& world);

// Between a simulated disk's "data" and a folder.
void save_directory(base::SimDisk& disk, const std::string& folder);
std::shared_ptr<base::SimDisk> load_directory(const std::string& folder);

}  // namespace perdure::engine
