// What History counts, for the metrics: values, made by its loops and added up.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace perdure::history {

struct HistoryFigures {
  static constexpr std::size_t kStatuses = 8;  // of WorkflowExecutionStatus; 7 is TimedOut

  // Runs that closed since the start, by namespace id, then by WorkflowExecutionStatus.
  std::map<std::string, std::array<std::uint64_t, kStatuses>> closed;
  std::uint64_t executions = 0, cached_bytes = 0;  // in memory
  std::uint64_t history_waiters = 0, queries = 0;  // calls that wait for an event, for a worker
  std::uint64_t mailbox_bytes = 0;                 // requests that wait for their executor
  // Requests refused beyond a bound: of a mailbox, of what is not projected, of the disk, of an execution.
  std::uint64_t refused_mailbox = 0, refused_unprojected = 0, refused_low_space = 0, refused_execution = 0;

  void add(const HistoryFigures& other);
};

}  // namespace perdure::history
