// Stream: the one ordered stream of groups of this process (rule E2). Lives on one executor; the others post to it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/executor.h"
#include "server/store/store.h"

namespace perdure::history {

// What became of a group: its number once it is durable, or why the stream has ended.
using Appended = std::move_only_function<void(base::Result<store::GroupNumber>)>;

class Stream {
 public:
  // `last`: number of the stream's last group.
  Stream(base::Executor& home, store::Store& store, store::GroupNumber last)
      : home_(home), store_(store), last_(last) {}

  // Any thread. Groups of one caller keep their order; a group that was caused by another one comes after it. `done` runs on a
  // thread of the store, or at once when the stream has ended.
  void append(std::string bytes, Appended done);

  // The newest group that is durable.
  store::GroupNumber durable() const { return durable_->load(std::memory_order_acquire); }

 private:
  void append_here(std::string bytes, Appended done);

  base::Executor& home_;
  store::Store& store_;
  store::GroupNumber last_;  // home executor only
  std::shared_ptr<std::atomic<store::GroupNumber>> durable_ =
      std::make_shared<std::atomic<store::GroupNumber>>(last_);
};

}  // namespace perdure::history
