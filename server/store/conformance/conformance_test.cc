// What every store promises (server/store/store.h), on each driver.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "server/store/conformance/drivers.h"

namespace perdure::store::conformance {
namespace {

using namespace std::chrono_literals;

constexpr const char* kRun = "11111111-2222-4333-8444-555555555555";

Time at(std::int64_t seconds) {
  return Time(std::chrono::seconds(seconds));
}
UnitKey unit(const std::string& id, const std::string& ns = "ns") {
  return {ns, Kind::kWorkflow, id};
}
StoredEvent event(std::int64_t id, std::string bytes = "") {
  return {id, std::make_shared<const std::string>(bytes.empty() ? "event " + std::to_string(id) : bytes)};
}

template <class Driver>
class StoreTest : public testing::Test {
 protected:
  Store& store() { return driver_.store(); }

  // Appends the next group; what was answered.
  Status append(std::string bytes = "group") {
    auto answer =
        driver_.template ask<void>([&](Done<void> done) { store().append(++last_, bytes, std::move(done)); });
    return answer ? *answer : base::fail(base::Code::kDeadlineExceeded, "no answer");
  }
  Status project(Projection projection) {
    return *driver_.template ask<void>(
        [&](Done<void> done) { store().project(std::move(projection), std::move(done)); });
  }
  Status project(UnitUpdate update) {
    return project(Projection{.position = update.position, .units = {std::move(update)}});
  }
  Status show(VisibilityFlush flush) {
    return *driver_.template ask<void>(
        [&](Done<void> done) { store().project_visibility(std::move(flush), std::move(done)); });
  }
  std::vector<std::string> replayed(GroupNumber expected_last) {
    std::vector<std::string> groups;
    GroupNumber next = store().cursor();
    EXPECT_EQ(store().replay([&](GroupNumber number, std::string_view bytes) {
      EXPECT_EQ(number, ++next);
      groups.emplace_back(bytes);
    }),
              expected_last);
    return groups;
  }
  auto head(const UnitKey& key) {
    return **driver_.template ask<std::optional<StoredHead>>(
        [&](auto done) { store().read_head(key, std::move(done)); });
  }
  auto run(const UnitKey& key, const std::string& run_id) {
    return **driver_.template ask<std::optional<StoredRun>>(
        [&](auto done) { store().read_run(key, run_id, std::move(done)); });
  }
  std::vector<std::int64_t> events(const UnitKey& key, std::int64_t first, std::int64_t last,
                                   std::size_t bytes = 1 << 20) {
    const auto found = **driver_.template ask<std::vector<StoredEvent>>(
        [&](auto done) { store().read_events(key, kRun, first, last, bytes, std::move(done)); });
    std::vector<std::int64_t> ids;
    for (const StoredEvent& each : found) ids.push_back(each.event_id);
    return ids;
  }
  auto wake(Time until, std::optional<WakeEntry> after = {}, std::size_t limit = 100) {
    return **driver_.template ask<std::vector<WakeEntry>>(
        [&](auto done) { store().scan_wake(until, after, limit, std::move(done)); });
  }
  auto ready(const std::string& queue, std::optional<ReadyEntry> after = {}, std::size_t limit = 100) {
    return **driver_.template ask<std::vector<ReadyEntry>>(
        [&](auto done) { store().scan_ready(queue, after, limit, std::move(done)); });
  }
  auto list(VisibilityQuery query) {
    return **driver_.template ask<std::vector<VisibilityRow>>(
        [&](auto done) { store().list(query, std::move(done)); });
  }
  std::int64_t count(VisibilityFilter filter) {
    return **driver_.template ask<std::int64_t>([&](auto done) { store().count(filter, std::move(done)); });
  }
  static std::vector<std::string> run_ids(const std::vector<VisibilityRow>& rows) {
    std::vector<std::string> ids;
    for (const VisibilityRow& row : rows) ids.push_back(row.run_id);
    return ids;
  }

  Driver driver_;
  GroupNumber last_ = 0;
};
using Drivers = testing::Types<MemoryDriver, LocalDriver>;
TYPED_TEST_SUITE(StoreTest, Drivers);

// ---- the stream -----------------------------------------------------------------------------------------------------------------

TYPED_TEST(StoreTest, GroupsComeBackInOrder) {  // E2
  EXPECT_EQ(this->replayed(0), std::vector<std::string>{});
  for (int n = 1; n <= 50; ++n) ASSERT_TRUE(this->append("group " + std::to_string(n)));
  this->driver_.crash();
  const auto groups = this->replayed(50);
  ASSERT_EQ(groups.size(), 50u);
  EXPECT_EQ(groups.front(), "group 1");
  EXPECT_EQ(groups.back(), "group 50");
  this->last_ = 50;
  ASSERT_TRUE(this->append("after"));
  this->driver_.crash();
  EXPECT_EQ(this->replayed(51).back(), "after");
}

TYPED_TEST(StoreTest, ManyInFlightAreAnsweredInOrder) {  // E2
  std::vector<int> answered;
  for (int n = 1; n <= 20; ++n) {
    this->store().append(static_cast<GroupNumber>(n), std::string(static_cast<std::size_t>(n), 'x'),
                         [&answered, n](Status status) {
                           EXPECT_TRUE(status);
                           answered.push_back(n);
                         });
  }
  this->driver_.run();
  EXPECT_EQ(answered.size(), 20u);
  EXPECT_TRUE(std::ranges::is_sorted(answered));
  const Statistics statistics = this->store().statistics();
  EXPECT_EQ(statistics.log_groups, 20u);
  EXPECT_GE(statistics.log_bytes, 210u);
  EXPECT_EQ(statistics.unprojected_bytes, 210u);
}

TYPED_TEST(StoreTest, NothingIsAnsweredBeforeItsSync) {  // E1
  this->driver_.hold_syncs();
  EXPECT_EQ(this->append().error().code, base::Code::kDeadlineExceeded);
  EXPECT_EQ(this->append().error().code, base::Code::kDeadlineExceeded);
  this->driver_.crash();
  EXPECT_EQ(this->replayed(0), std::vector<std::string>{});
}

TYPED_TEST(StoreTest, FailedSyncEndsTheStream) {  // E2, E9
  ASSERT_TRUE(this->append("good"));
  this->driver_.fail_next_sync();
  EXPECT_EQ(this->append("bad").error().code, base::Code::kUnavailable);
  EXPECT_EQ(this->append("later").error().code, base::Code::kUnavailable);
  const auto open =
      this->driver_.template ask<void>([&](Done<void> done) { this->store().check_open(std::move(done)); });
  EXPECT_EQ(open->error().code, base::Code::kUnavailable);
  this->driver_.crash();
  EXPECT_EQ(this->replayed(1), std::vector<std::string>{"good"});
}

TYPED_TEST(StoreTest, OpenStreamSaysSo) {  // E8
  EXPECT_TRUE(
      *this->driver_.template ask<void>([&](Done<void> done) { this->store().check_open(std::move(done)); }));
}

TYPED_TEST(StoreTest, LargeAndEmptyGroups) {
  ASSERT_TRUE(this->append(std::string(100'000, 'x')));
  ASSERT_TRUE(this->append(std::string()));
  ASSERT_TRUE(this->append(std::string(40'000, 'y')));
  this->driver_.crash();
  const auto groups = this->replayed(3);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0].size(), 100'000u);
  EXPECT_EQ(groups[1], "");
  EXPECT_EQ(groups[2], std::string(40'000, 'y'));
}

// ---- projection -----------------------------------------------------------------------------------------------------------------

TYPED_TEST(StoreTest, CursorFollowsDurableProjections) {  // E10
  for (int n = 0; n < 5; ++n) ASSERT_TRUE(this->append("12345"));
  EXPECT_EQ(this->project(Projection{.position = 6}).error().code, base::Code::kInvalidArgument);
  ASSERT_TRUE(this->show({.position = 4}));
  ASSERT_TRUE(this->project(Projection{.position = 3}));
  EXPECT_EQ(this->store().cursor(), 3u);
  EXPECT_EQ(this->store().visibility_cursor(), 4u);
  EXPECT_EQ(this->store().statistics().unprojected_bytes, 10u);
  ASSERT_TRUE(this->project(Projection{.position = 2}));  // never back
  EXPECT_EQ(this->store().cursor(), 3u);
}

TYPED_TEST(StoreTest, ReadsSeeWhatWasProjected) {
  ASSERT_TRUE(this->append());
  EXPECT_FALSE(this->head(unit("a")));
  UnitUpdate update{.key = unit("a"), .shard = 7, .position = 1, .head = "head"};
  update.runs.push_back(
      {.run_id = kRun, .snapshot = "snapshot", .records = {"r1", ""}, .events = {event(1), event(2)}});
  ASSERT_TRUE(this->project(update));
  ASSERT_TRUE(this->head(unit("a")));
  EXPECT_EQ(this->head(unit("a"))->head, "head");
  EXPECT_EQ(this->head(unit("a"))->position, 1u);
  EXPECT_FALSE(this->head(unit("a", "other")));
  EXPECT_FALSE(this->head(unit("b")));
  ASSERT_TRUE(this->run(unit("a"), kRun));
  EXPECT_EQ(this->run(unit("a"), kRun)->snapshot, "snapshot");
  EXPECT_EQ(this->run(unit("a"), kRun)->records, (std::vector<std::string>{"r1", ""}));
  EXPECT_FALSE(this->run(unit("a"), "other"));
  EXPECT_EQ(this->events(unit("a"), 1, 9), (std::vector<std::int64_t>{1, 2}));
}

TYPED_TEST(StoreTest, RepeatedProjectionChangesNothing) {  // E3
  ASSERT_TRUE(this->append());
  ASSERT_TRUE(this->append());
  UnitUpdate first{.key = unit("a"), .position = 1, .head = "h1"};
  first.runs.push_back({.run_id = kRun, .snapshot = "s", .records = {"r1"}, .events = {event(1), event(2)}});
  UnitUpdate second{.key = unit("a"), .position = 2};
  second.runs.push_back({.run_id = kRun, .records = {"r2"}, .events = {event(2), event(3)}});
  ASSERT_TRUE(this->project(first));
  for (int n = 0; n < 2; ++n) ASSERT_TRUE(this->project(second));
  ASSERT_TRUE(this->project(first));  // older than what is stored
  EXPECT_EQ(this->run(unit("a"), kRun)->records, (std::vector<std::string>{"r1", "r2"}));
  EXPECT_EQ(this->head(unit("a"))->head, "h1");
  EXPECT_EQ(this->head(unit("a"))->position, 2u);
  EXPECT_EQ(this->events(unit("a"), 1, 9), (std::vector<std::int64_t>{1, 2, 3}));

  UnitUpdate third{.key = unit("a"), .position = 2};
  third.runs.push_back({.run_id = kRun, .snapshot = "s2"});
  ASSERT_TRUE(this->project(third));
  EXPECT_EQ(this->run(unit("a"), kRun)->snapshot, "s2");
  EXPECT_EQ(this->run(unit("a"), kRun)->records, std::vector<std::string>{});
}

TYPED_TEST(StoreTest, EventsByPage) {
  ASSERT_TRUE(this->append());
  for (std::int64_t id = 1; id <= 9; id += 3) {
    ASSERT_TRUE(this->append());
    UnitUpdate update{.key = unit("a"), .position = this->last_};
    update.runs.push_back(
        {.run_id = kRun, .events = {event(id, "12345"), event(id + 1, "12345"), event(id + 2, "12345")}});
    ASSERT_TRUE(this->project(update));
  }
  EXPECT_EQ(this->events(unit("a"), 2, 5), (std::vector<std::int64_t>{2, 3, 4, 5}));
  EXPECT_EQ(this->events(unit("a"), 5, 100, 10), (std::vector<std::int64_t>{5, 6}));
  EXPECT_EQ(this->events(unit("a"), 9, 100, 1), (std::vector<std::int64_t>{9}));
  EXPECT_EQ(this->events(unit("a"), 10, 100), std::vector<std::int64_t>{});
  EXPECT_EQ(this->events(unit("b"), 1, 100), std::vector<std::int64_t>{});
  EXPECT_EQ(this->events(unit("a"), 5, 4), std::vector<std::int64_t>{});
}

TYPED_TEST(StoreTest, DeletionLeavesNothing) {
  ASSERT_TRUE(this->append());
  ASSERT_TRUE(this->append());
  UnitUpdate update{.key = unit("a"), .position = 1, .head = "h", .wake = at(5)};
  update.runs.push_back({.run_id = kRun, .snapshot = "s", .events = {event(1)}});
  ASSERT_TRUE(this->project(update));
  ASSERT_TRUE(this->show(
      {1, {{.namespace_id = "ns", .workflow_id = "a", .run_id = kRun, .status = 1, .start_time = at(1)}}}));
  UnitUpdate gone{.key = unit("a"), .position = 2, .head = ""};
  gone.runs.push_back({.run_id = kRun, .deleted = true});
  for (int n = 0; n < 2; ++n) {
    ASSERT_TRUE(this->project(gone));
    EXPECT_FALSE(this->head(unit("a")));
    EXPECT_FALSE(this->run(unit("a"), kRun));
    EXPECT_EQ(this->events(unit("a"), 1, 9), std::vector<std::int64_t>{});
    EXPECT_TRUE(this->wake(at(100)).empty());
    EXPECT_TRUE(this->list({.filter = {.namespace_id = "ns"}}).empty());
  }
}

TYPED_TEST(StoreTest, CatalogIsReadBackAfterACrash) {  // E13
  ASSERT_TRUE(this->append());
  ASSERT_TRUE(this->project(
      Projection{.position = 1, .catalog = {{"a", "1"}, {"b", std::string("\0x", 2)}, {"c", "3"}}}));
  ASSERT_TRUE(this->project(Projection{.position = 1, .catalog = {{"a", ""}, {"c", "4"}}}));
  EXPECT_EQ(this->store().read_catalog(),
            (std::map<std::string, std::string>{{"b", std::string("\0x", 2)}, {"c", "4"}}));
}

// ---- derived indexes ------------------------------------------------------------------------------------------------------------

TYPED_TEST(StoreTest, WakeByTimeAndPage) {  // E6
  ASSERT_TRUE(this->append());
  Projection projection{.position = 1};
  for (int n = 0; n < 10; ++n) {
    projection.units.push_back({.key = unit("id" + std::to_string(n)),
                                .position = 1,
                                .head = "h",
                                .wake = n == 9 ? base::kNever : at(10 - n / 2)});
  }
  ASSERT_TRUE(this->project(projection));
  std::vector<std::string> seen;
  std::optional<WakeEntry> after;
  for (;;) {
    const auto page = this->wake(at(9), after, 3);
    if (page.empty()) break;
    for (const WakeEntry& entry : page) seen.push_back(entry.key.id);
    after = page.back();
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"id8", "id6", "id7", "id4", "id5", "id2", "id3"}));

  ASSERT_TRUE(this->project(UnitUpdate{.key = unit("id8"), .position = 1, .wake = at(20)}));
  EXPECT_EQ(this->wake(at(9)).front().key.id, "id6");
  EXPECT_EQ(this->wake(at(20)).size(), 9u);
}

TYPED_TEST(StoreTest, ReadyByPriorityAgeAndPage) {  // E6
  ASSERT_TRUE(this->append());
  Projection projection{.position = 1};
  for (int n = 0; n < 9; ++n) {
    projection.units.push_back({.key = unit("id" + std::to_string(n)), .position = 1, .head = "h"});
    projection.units.back().ready = {{"q", 1 + n % 3, at(100 - n), kRun, 5}, {"other", 3, at(1), kRun, 6}};
  }
  ASSERT_TRUE(this->project(projection));
  std::vector<std::string> seen;
  std::optional<ReadyEntry> after;
  for (;;) {
    const auto page = this->ready("q", after, 2);
    if (page.empty()) break;
    for (const ReadyEntry& entry : page) seen.push_back(entry.key.id);
    after = page.back();
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"id6", "id3", "id0", "id7", "id4", "id1", "id8", "id5", "id2"}));
  EXPECT_EQ(this->ready("other").size(), 9u);

  ASSERT_TRUE(
      this->project(UnitUpdate{.key = unit("id6"), .position = 1, .ready = {{"q", 3, at(1), kRun, 7}}}));
  const auto all = this->ready("q");
  EXPECT_EQ(all.size(), 9u);
  EXPECT_EQ(all.front().key.id, "id3");
  EXPECT_EQ(this->ready("other").size(), 8u);
  EXPECT_TRUE(this->ready("none").empty());
}

// ---- visibility -----------------------------------------------------------------------------------------------------------------

VisibilityRow row(const std::string& workflow, const std::string& run, int status, int start,
                  std::optional<int> close) {
  VisibilityRow made{.namespace_id = "ns",
                     .workflow_id = workflow,
                     .run_id = run,
                     .workflow_type = "type",
                     .status = status,
                     .start_time = at(start),
                     .info = "info of " + run};
  if (close) made.close_time = at(*close);
  return made;
}

TYPED_TEST(StoreTest, ListOrderFiltersAndPages) {  // E11
  ASSERT_TRUE(this->append());
  VisibilityFlush flush{.position = 1};
  flush.rows = {row("w1", "r1", 2, 1, 10), row("w2", "r2", 1, 2, {}), row("w1", "r3", 1, 5, {}),
                row("w3", "r4", 3, 3, 20), row("w4", "r5", 2, 4, 20), row("w5", "r6", 2, 4, 20),
                row("w6", "r7", 1, 5, {})};
  flush.rows[3].workflow_type = "special";
  ASSERT_TRUE(this->show(flush));
  const std::vector<std::string> all{"r3", "r7", "r2", "r5", "r6", "r4", "r1"};
  EXPECT_EQ(this->run_ids(this->list({.filter = {.namespace_id = "ns"}})), all);
  EXPECT_TRUE(this->list({.filter = {.namespace_id = "other"}}).empty());
  EXPECT_EQ(this->run_ids(this->list({.filter = {.namespace_id = "ns", .workflow_id = "w1"}})),
            (std::vector<std::string>{"r3", "r1"}));
  EXPECT_EQ(this->run_ids(this->list({.filter = {.namespace_id = "ns", .status = 2}})),
            (std::vector<std::string>{"r5", "r6", "r1"}));
  EXPECT_EQ(this->run_ids(this->list({.filter = {.namespace_id = "ns", .status = 1}})),
            (std::vector<std::string>{"r3", "r7", "r2"}));
  EXPECT_EQ(this->run_ids(this->list({.filter = {.namespace_id = "ns", .workflow_type = "special"}})),
            (std::vector<std::string>{"r4"}));
  EXPECT_EQ(this->count({.namespace_id = "ns"}), 7);
  EXPECT_EQ(this->count({.namespace_id = "ns", .status = 2}), 3);
  EXPECT_EQ(this->count({.namespace_id = "ns", .workflow_id = "w1", .workflow_type = "type"}), 2);
  EXPECT_EQ(this->count({.namespace_id = "ns", .workflow_id = "none"}), 0);

  for (int size = 1; size <= 4; ++size) {
    std::vector<std::string> seen;
    VisibilityQuery query{.filter = {.namespace_id = "ns"}, .page_size = size};
    for (;;) {
      const auto page = this->list(query);
      if (page.empty()) break;
      for (const VisibilityRow& each : page) {
        seen.push_back(each.run_id);
        EXPECT_EQ(each.info, "info of " + each.run_id);
      }
      query.after = VisibilityMark{page.back().close_time, page.back().start_time, page.back().run_id};
    }
    EXPECT_EQ(seen, all) << size;
  }
}

TYPED_TEST(StoreTest, RowThatClosesBetweenPagesIsNotMissed) {  // E11
  ASSERT_TRUE(this->append());
  ASSERT_TRUE(
      this->show({1, {row("w1", "r1", 1, 1, {}), row("w2", "r2", 1, 2, {}), row("w3", "r3", 1, 3, {})}}));
  VisibilityQuery query{.filter = {.namespace_id = "ns"}, .page_size = 1};
  const auto first = this->list(query);
  ASSERT_EQ(this->run_ids(first), std::vector<std::string>{"r3"});
  ASSERT_TRUE(this->show({1, {row("w2", "r2", 2, 2, 50)}}));
  query.after = VisibilityMark{{}, first[0].start_time, "r3"};
  query.page_size = 10;
  EXPECT_EQ(this->run_ids(this->list(query)), (std::vector<std::string>{"r1", "r2"}));
}

TYPED_TEST(StoreTest, VisibilityRowsAreReplacedAndDeleted) {
  ASSERT_TRUE(this->append());
  ASSERT_TRUE(this->show({1, {row("w", kRun, 1, 1, {})}}));
  ASSERT_TRUE(this->show({1, {row("w", kRun, 2, 1, 9)}}));
  auto rows = this->list({.filter = {.namespace_id = "ns"}});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].run_id, kRun);
  EXPECT_EQ(rows[0].close_time, at(9));
  EXPECT_EQ(rows[0].workflow_id, "w");
  VisibilityRow gone = row("w", kRun, 0, 0, {});
  gone.deleted = true;
  ASSERT_TRUE(this->show({1, {gone}}));
  EXPECT_TRUE(this->list({.filter = {.namespace_id = "ns"}}).empty());
  EXPECT_EQ(this->count({.namespace_id = "ns"}), 0);
}

TYPED_TEST(StoreTest, RetentionListsTheOldestClosedRuns) {
  ASSERT_TRUE(this->append());
  VisibilityFlush flush{.position = 1};
  for (int n = 0; n < 6; ++n)
    flush.rows.push_back(row("w" + std::to_string(n), "r" + std::to_string(n), 2, 1, 10 + n));
  flush.rows.push_back(row("open", "open", 1, 1, {}));
  ASSERT_TRUE(this->show(flush));
  const auto closed = **this->driver_.template ask<std::vector<ClosedRun>>(
      [&](auto done) { this->store().list_closed_before("ns", at(13), 2, std::move(done)); });
  ASSERT_EQ(closed.size(), 2u);
  EXPECT_EQ(closed[0].run_id, "r0");
  EXPECT_EQ(closed[1].key, unit("w1"));
  const auto rest = **this->driver_.template ask<std::vector<ClosedRun>>(
      [&](auto done) { this->store().list_closed_before("ns", at(13), 100, std::move(done)); });
  EXPECT_EQ(rest.size(), 3u);
}

// ---- crashes --------------------------------------------------------------------------------------------------------------------

TYPED_TEST(StoreTest, ProjectionAndLogAgreeAfterACrash) {  // E10
  for (int n = 1; n <= 40; ++n) {
    ASSERT_TRUE(this->append("group " + std::to_string(n)));
    ASSERT_TRUE(this->show({.position = this->last_}));
    if (n % 3 == 0) {
      ASSERT_TRUE(this->project(
          UnitUpdate{.key = unit("a"), .position = this->last_, .head = "h" + std::to_string(n)}));
    }
  }
  this->driver_.crash();
  const GroupNumber cursor = this->store().cursor();
  EXPECT_LE(cursor, 39u);
  const auto groups = this->replayed(40);  // goes on where the projection ends
  EXPECT_EQ(groups.size(), 40 - cursor);
  if (cursor > 0) {
    EXPECT_EQ(this->head(unit("a"))->head, "h" + std::to_string(cursor));
  }
  this->last_ = 40;
  ASSERT_TRUE(this->append("on"));
}

// ---- quarantine -----------------------------------------------------------------------------------------------------------------

TYPED_TEST(StoreTest, AQuarantineStandsBesideTheHead) {  // E12
  for (int n = 1; n <= 3; ++n) ASSERT_TRUE(this->append());
  ASSERT_TRUE(this->project(UnitUpdate{.key = unit("a"), .position = 1, .head = "head", .wake = at(5)}));
  ASSERT_TRUE(this->project(UnitUpdate{.key = unit("a"), .position = 2, .quarantine = "why"}));
  ASSERT_TRUE(this->project(UnitUpdate{.key = unit("b"), .position = 2, .quarantine = "no head"}));
  EXPECT_EQ(this->head(unit("a"))->head, "head");
  EXPECT_EQ(this->head(unit("a"))->quarantine, "why");
  EXPECT_EQ(this->head(unit("b"))->head, "");
  EXPECT_EQ(this->head(unit("b"))->quarantine, "no head");
  EXPECT_EQ(this->store().count_quarantined().value(), 2u);
  EXPECT_TRUE(this->wake(at(9)).empty());
  ASSERT_TRUE(this->project(UnitUpdate{.key = unit("a"), .position = 3, .head = "newer"}));
  EXPECT_EQ(this->head(unit("a"))->quarantine, "why");  // absent: unchanged
  ASSERT_TRUE(this->project(UnitUpdate{.key = unit("b"), .position = 3, .wiped = true}));
  EXPECT_FALSE(this->head(unit("b")));
  EXPECT_EQ(this->store().count_quarantined().value(), 1u);
}

TYPED_TEST(StoreTest, AWipedUnitKeepsOnlyWhatComesAfter) {  // E12
  const std::string other = "99999999-2222-4333-8444-555555555555";
  for (int n = 1; n <= 2; ++n) ASSERT_TRUE(this->append());
  ASSERT_TRUE(this->show({.position = 1, .rows = {row("a", kRun, 1, 1, {}), row("c", "of c", 1, 1, {})}}));
  ASSERT_TRUE(this->project(UnitUpdate{.key = unit("a"),
                                       .position = 1,
                                       .head = "head",
                                       .quarantine = "why",
                                       .runs = {{.run_id = kRun, .snapshot = "s", .events = {event(1)}}}}));
  // Deleted whole and used again, in one flush: the listing first.
  VisibilityRow gone{.namespace_id = "ns", .workflow_id = "a", .deleted = true};
  ASSERT_TRUE(this->show({.position = 2, .rows = {gone, row("a", other, 1, 2, {})}}));
  const UnitUpdate update{.key = unit("a"),
                          .position = 2,
                          .wiped = true,
                          .head = "new",
                          .runs = {{.run_id = other, .snapshot = "t"}}};
  for (int repeat = 0; repeat < 2; ++repeat) {
    ASSERT_TRUE(this->project(update));
    EXPECT_FALSE(this->run(unit("a"), kRun));
    EXPECT_TRUE(this->events(unit("a"), 1, 9).empty());
    EXPECT_EQ(this->run(unit("a"), other)->snapshot, "t");
    EXPECT_EQ(this->head(unit("a"))->head, "new");
    EXPECT_EQ(this->head(unit("a"))->quarantine, "");
    EXPECT_EQ(this->run_ids(this->list({.filter = {.namespace_id = "ns", .workflow_id = "a"}})),
              std::vector<std::string>{other});
    EXPECT_EQ(this->count({.namespace_id = "ns"}), 2);
  }
}

}  // namespace
}  // namespace perdure::store::conformance
