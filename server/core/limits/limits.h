// Every limit of the engine in one place, with Temporal's defaults (semantics sheet ER-06). Bytes unless the name says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace perdure::core {

struct Limits {
  // workflow id, type, task queue, request id, signal name, activity id, timer id …
  std::size_t id_length = 1000;
  std::size_t blob_size = 2 << 20;  // one payload field
  std::size_t memo_size = 2 << 20;
  std::size_t search_attribute_value_size = 2 << 10;
  std::size_t search_attributes_size = 40 << 10;
  std::size_t search_attributes_count = 100;
  std::size_t activity_failure_in_state = 4 << 10;
  std::size_t pending_activities = 2000;
  std::size_t pending_signals = 2000;  // external signals of one run in flight
  std::size_t pending_cancels = 2000;
  std::int32_t signals_per_run = 10'000;
  std::int64_t history_events = 51'200;
  std::int64_t history_size = 50 << 20;
  std::int64_t history_events_suggest = 4096;
  std::int64_t history_size_suggest = 4 << 20;
  std::size_t buffered_events = 100;
  std::size_t buffered_bytes = 2 << 20;
  std::size_t buffered_queries = 1;  // per run
  std::size_t links = 10;
  std::size_t link_size = 4000;
  std::size_t user_metadata_summary = 400;
  std::size_t user_metadata_details = 20'000;
  int auto_reset_points = 20;
  base::Duration default_task_timeout = std::chrono::seconds(10);
  base::Duration max_task_timeout = std::chrono::seconds(120);
  base::Duration max_task_heartbeat = std::chrono::minutes(30);
  base::Duration max_task_retry_interval = std::chrono::minutes(10);
  base::Duration continue_as_new_floor = std::chrono::seconds(1);
};

}  // namespace perdure::core
