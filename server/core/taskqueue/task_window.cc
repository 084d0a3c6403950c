#include "server/core/taskqueue/task_window.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace perdure::core {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFirstPause = 100ms, kLongestPause = 10s;                   // between starts that fail
constexpr Duration kFirstAgain = 1s, kLongestAgain = std::chrono::minutes(1);  // between second looks

// The order of the index (store.h): priority, age, then the key.
auto place(const TaskReference& task) {
  return std::tie(task.priority, task.time, task.unit_kind, task.unit_id, task.run_id, task.task_id);
}

Duration pause(int failures) {
  return failures > 7 ? kLongestPause : std::min(kLongestPause, kFirstPause * (1 << (failures - 1)));
}

}  // namespace

bool TaskWindow::Order::operator()(const Held& a, const Held& b) const {
  if (by_due && a.due != b.due) return a.due < b.due;
  return place(a.task) < place(b.task);
}

std::size_t TaskWindow::KeyHash::operator()(const Key& key) const {
  return std::hash<std::string_view>()(key.run_id) * 31 + static_cast<std::size_t>(key.task_id);
}

TaskWindow::TaskWindow(Bounds bounds, std::optional<Time> lost) : bounds_(bounds), lost_at_(lost) {
  if (lost_at_) again_pause_ = kFirstAgain;
}

bool TaskWindow::in_head(const TaskReference& task) const {
  return complete_ || (mark_ && place(task) <= place(*mark_));
}

TaskWindow::Set::node_type TaskWindow::make(TaskReference task, Time now) {
  Set one{Order{false}};
  one.insert(Held{.task = std::move(task), .offered = now});
  return one.extract(one.begin());
}

// A node that is in no set goes where it belongs: ready, or later when its time has not come.
void TaskWindow::insert(Set::node_type node, Time now) {
  if (node.value().task.time > now) {
    const Time due = node.value().task.time;
    wait_later(std::move(node), due);
    return;
  }
  const auto [at, inserted, rest] = ready_.insert(std::move(node));
  CHECK(inserted);
  index_[key_of(at->task)] = {Where::kReady, at};
  ++counts_[at->task.priority].ready;
  if (in_head(at->task)) ++head_;
}

void TaskWindow::wait_later(Set::node_type node, Time due) {
  node.value().due = due;
  const auto [at, inserted, rest] = later_.insert(std::move(node));
  CHECK(inserted);
  index_[key_of(at->task)] = {Where::kLater, at};
}

// Takes the node out of its set and out of the index.
TaskWindow::Set::node_type TaskWindow::remove(Entry entry) {
  index_.erase(key_of(entry.at->task));
  if (entry.where == Where::kLater) return later_.extract(entry.at);
  if (entry.where == Where::kUnderWay) return under_way_.extract(entry.at);
  const int priority = entry.at->task.priority;
  Count& count = counts_[priority];
  if (--count.ready == 0 && count.beyond == 0) counts_.erase(priority);
  if (in_head(entry.at->task)) --head_;
  return ready_.extract(entry.at);
}

TaskWindow::Added TaskWindow::add(TaskReference task, Time now) {
  const auto found = index_.find(key_of(task));
  if (found == index_.end()) {
    insert(make(std::move(task), now), now);
    bound(now);
    return Added::kNew;
  }
  const Held& held = *found->second.at;
  if (found->second.where == Where::kUnderWay) {
    const bool same = held.again && held.again->attempt == task.attempt;
    held.again = std::make_unique<TaskReference>(std::move(task));
    return same ? Added::kRepeated : Added::kReplaced;
  }
  const TaskReference& waits = held.task;
  if (task.attempt == waits.attempt && task.priority == waits.priority && task.time == waits.time)
    return Added::kRepeated;
  const bool new_attempt = task.attempt != waits.attempt && waits.attempt != 0;
  remove(found->second);
  insert(make(std::move(task), now), now);
  bound(now);
  return new_attempt ? Added::kReplaced : Added::kRepeated;
}

void TaskWindow::promote(Time now) {
  while (!later_.empty() && later_.begin()->due <= now) {
    const Entry entry{Where::kLater, later_.begin()};
    insert(remove(entry), now);
  }
}

const TaskReference* TaskWindow::next(Time now) {
  promote(now);
  if (ready_.empty() || !in_head(ready_.begin()->task)) return nullptr;
  return &ready_.begin()->task;
}

const TaskReference& TaskWindow::take() {
  CHECK(!ready_.empty() && head_ > 0);
  const auto [at, inserted, rest] = under_way_.insert(remove({Where::kReady, ready_.begin()}));
  CHECK(inserted);
  index_[key_of(at->task)] = {Where::kUnderWay, at};
  return at->task;
}

const TaskReference* TaskWindow::find_under_way(const TaskIdentity& task) const {
  const auto found = index_.find({task.run_id, task.task_id});
  return found != index_.end() && found->second.where == Where::kUnderWay ? &found->second.at->task : nullptr;
}

void TaskWindow::finished(const TaskIdentity& task, bool obsolete, Time now) {
  const auto found = index_.find({task.run_id, task.task_id});
  CHECK(found != index_.end() && found->second.where == Where::kUnderWay);
  const Set::node_type node = remove(found->second);
  const std::unique_ptr<TaskReference> again = std::move(node.value().again);
  if (again && (obsolete || again->attempt != node.value().task.attempt)) add(std::move(*again), now);
}

void TaskWindow::failed(const TaskIdentity& task, Time now) {
  const auto found = index_.find({task.run_id, task.task_id});
  CHECK(found != index_.end() && found->second.where == Where::kUnderWay);
  Set::node_type node = remove(found->second);
  if (node.value().again && node.value().again->attempt != node.value().task.attempt) {
    add(std::move(*node.value().again), now);
    return;
  }
  node.value().again.reset();
  const int failures = ++node.value().task.failures;
  wait_later(std::move(node), base::add(now, pause(failures)));
}

std::vector<TaskReference> TaskWindow::take_waiting() {
  std::vector<TaskReference> taken;
  taken.reserve(ready_.size() + later_.size());
  while (!ready_.empty()) taken.push_back(std::move(remove({Where::kReady, ready_.begin()}).value().task));
  while (!later_.empty()) taken.push_back(std::move(remove({Where::kLater, later_.begin()}).value().task));
  return taken;
}

// ---- bounds ---------------------------------------------------------------------------------------------------------------------

void TaskWindow::bound(Time now) {
  // A complete window that fills becomes head only, so that what comes behind it may be dropped without a gap in the order.
  if (complete_ && ready_.size() > bounds_.held / 2) {
    complete_ = false;
    mark_ = ready_.rbegin()->task;
  }
  shrink(bounds_.held, now);
}

void TaskWindow::shrink(std::size_t most, Time now) {
  while (waiting() > most) drop_one(now);
}

void TaskWindow::forget(Time now) {
  take_waiting();
  complete_ = false;
  mark_.reset();
  head_ = 0;
  counts_.clear();
  from_start_ = true;
  doubt_since(now);
}

// The least loss: the oldest of the tail, which is most surely in the index; without a tail, the end of the head.
void TaskWindow::drop_one(Time now) {
  if (ready_.empty()) {  // nothing but tasks that pause or are not due; a second look finds them
    remove({Where::kLater, std::prev(later_.end())});
    doubt_since(now);
    return;
  }
  if (head_ == ready_.size()) {
    const auto last = std::prev(ready_.end());
    complete_ = false;
    mark_ = last == ready_.begin() ? std::nullopt : std::optional(std::prev(last)->task);
    --head_;
  }
  const auto victim = mark_ ? ready_.upper_bound(Held{.task = *mark_}) : ready_.begin();
  CHECK(victim != ready_.end());
  ++counts_[victim->task.priority].beyond;
  if (victim->offered + bounds_.settle > now) doubt_since(now);
  remove({Where::kReady, victim});
}

void TaskWindow::doubt_since(Time now) {
  lost_at_ = now;
  again_pause_ = kFirstAgain;
  again_at_ = std::min(again_at_, base::add(now, again_pause_));
}

void TaskWindow::set_mark(std::optional<TaskReference> mark) {
  if (!mark) {
    complete_ = true;
    head_ = ready_.size();
    for (auto& [priority, count] : counts_) count.beyond = 0;
    std::erase_if(counts_, [](const auto& entry) { return entry.second.ready == 0; });
  } else {
    const bool forward = !complete_ && mark_ && place(*mark_) <= place(*mark);
    auto from = forward ? ready_.upper_bound(Held{.task = *mark_}) : ready_.begin();
    if (!forward) head_ = 0;
    for (; from != ready_.end() && place(from->task) <= place(*mark); ++from) ++head_;
    complete_ = false;
  }
  mark_ = std::move(mark);
}

// ---- pages ----------------------------------------------------------------------------------------------------------------------

std::optional<TaskWindow::Page> TaskWindow::wanted_page(Time now) {
  if (loading_ || now < load_not_before_) return std::nullopt;
  const std::size_t limit = std::clamp<std::size_t>(bounds_.held / 2, 1, bounds_.page);
  const std::size_t low = std::max<std::size_t>(1, std::min(bounds_.held / 4, limit));
  if (from_start_ || (!complete_ && head_ < low)) {
    loading_ = Loading{.after = from_start_ ? std::nullopt : mark_, .limit = limit, .begun = now};
  } else if (lost_at_ && again_at_ <= now) {
    loading_ = Loading{.again = true, .limit = limit, .begun = now};
  } else {
    return std::nullopt;
  }
  return Page{loading_->after, limit};
}

void TaskWindow::add_row(TaskReference row, Time now) {
  const auto counted = counts_.find(row.priority);
  if (index_.contains(key_of(row))) return;
  if (counted != counts_.end() && counted->second.beyond > 0) --counted->second.beyond;
  row.attempt = 0;
  Set::node_type node = make(std::move(row), now);
  node.value().offered = now - bounds_.settle;  // it is in the index
  insert(std::move(node), now);
}

void TaskWindow::loaded(std::vector<TaskReference> rows, Time now) {
  CHECK(loading_);
  const Loading loading = *std::exchange(loading_, std::nullopt);
  load_failures_ = 0;
  const std::size_t count = rows.size();
  const std::optional<TaskReference> last = rows.empty() ? std::nullopt : std::optional(rows.back());
  for (TaskReference& row : rows) add_row(std::move(row), now);
  if (loading.again) {
    finish_again(loading, count, last);
  } else if (from_start_ || (loading.after == mark_ && !complete_)) {  // else the mark moved back
    from_start_ = false;
    set_mark(count < loading.limit ? std::nullopt : last);
    if (complete_ && lost_at_ && again_at_ == base::kNever) again_at_ = base::add(now, again_pause_);
  }
  bound(now);
}

void TaskWindow::finish_again(const Loading& loading, std::size_t rows,
                              const std::optional<TaskReference>& last) {
  if (rows == loading.limit && complete_) set_mark(last);  // more than expected: go on from there in order
  if (loading.begun >= base::add(*lost_at_, bounds_.doubt)) {
    lost_at_.reset();
    again_at_ = base::kNever;
    return;
  }
  again_at_ = base::add(loading.begun, again_pause_);
  again_pause_ = std::min(again_pause_ * 2, kLongestAgain);
}

void TaskWindow::load_failed(Time now) {
  CHECK(loading_);
  loading_.reset();
  load_not_before_ = base::add(now, pause(++load_failures_));
  // Better out of order than not at all: what is held is dispatched until the index can be read.
  if (complete_ || head_ > 0 || ready_.empty()) return;
  set_mark(ready_.rbegin()->task);
  from_start_ = true;
}

Time TaskWindow::next_look() const {
  Time next = later_.empty() ? base::kNever : later_.begin()->due;
  if (loading_) return next;
  if (lost_at_) next = std::min(next, std::max(again_at_, load_not_before_));
  if (load_failures_ > 0 && (from_start_ || !complete_)) next = std::min(next, load_not_before_);
  return next;
}

// ---- figures --------------------------------------------------------------------------------------------------------------------

std::map<int, TaskWindow::Backlog> TaskWindow::backlog() const {
  std::map<int, Backlog> found;
  for (const auto& [priority, count] : counts_) {
    Backlog& backlog = found[priority];
    backlog.count = count.ready + count.beyond;
    const auto first = ready_.lower_bound(Held{.task = {.priority = priority, .time = Time::min()}});
    if (first != ready_.end() && first->task.priority == priority) backlog.oldest = first->task.time;
  }
  return found;
}

std::int64_t TaskWindow::backlog_count() const {
  std::int64_t total = 0;
  for (const auto& [priority, count] : counts_) total += count.ready + count.beyond;
  return total;
}

Time TaskWindow::oldest() const {
  Time oldest = base::kNever;
  for (const auto& [priority, backlog] : backlog()) oldest = std::min(oldest, backlog.oldest);
  return oldest;
}

}  // namespace perdure::core
