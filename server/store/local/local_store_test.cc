// The local store on a disk that crashes, lies, fills up and rots (rules E9, E10).
#include "server/store/local/local_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "server/store/conformance/drivers.h"

namespace perdure::store {
namespace {

using base::Crash;
using conformance::LocalDriver;

constexpr const char* kRun = "11111111-2222-4333-8444-555555555555";
const UnitKey kUnit{"ns", Kind::kWorkflow, "unit"};

std::string group_bytes(GroupNumber number) {
  return "group " + std::to_string(number) + std::string(number * 37 % 900, 'x');
}

std::unique_ptr<LocalDriver> driver_on(std::unique_ptr<base::SimDisk> disk) {
  auto driver = std::make_unique<LocalDriver>(std::move(disk), false);
  driver->segment_bytes = 8 << 10;
  driver->checkpoint_bytes = 60 << 10;
  return driver;
}

// A small life of a store: groups, projections, checkpoints, trimmed segments. Remembers what was answered.
struct Life {
  GroupNumber appended = 0, acknowledged = 0;

  void append(LocalDriver& driver, int count) {
    for (int n = 0; n < count; ++n) {
      ++appended;
      driver.store().append(appended, group_bytes(appended), [this, number = appended](Status status) {
        if (status) acknowledged = number;
      });
      if (n % 3 != 0) driver.run();  // sometimes two wait together
    }
    driver.run();
  }

  void project(LocalDriver& driver) {
    const GroupNumber position = acknowledged;
    driver.store().project_visibility({position,
                                       {{.namespace_id = "ns",
                                         .workflow_id = "unit",
                                         .run_id = kRun,
                                         .status = 1,
                                         .start_time = Time(std::chrono::seconds(1)),
                                         .info = std::to_string(position)}}},
                                      [](Status) {});
    UnitUpdate update{.key = kUnit, .position = position, .head = "head " + std::to_string(position)};
    update.runs.push_back({.run_id = kRun, .snapshot = std::string(3000, 's')});
    for (GroupNumber id = 1; id <= position; ++id) {
      update.runs[0].events.push_back(
          {static_cast<std::int64_t>(id), std::make_shared<const std::string>(group_bytes(id))});
    }
    driver.store().project({.position = position, .units = {std::move(update)}}, [](Status) {});
    driver.run();
  }

  void live(LocalDriver& driver) {
    for (int round = 0; round < 5; ++round) {
      append(driver, 4);
      project(driver);
    }
    driver.advance(std::chrono::seconds(1));  // idle: a closing mark
    append(driver, 3);
  }
};

// What is there now: the last group, after checking that everything that is there is right.
GroupNumber check_store(LocalDriver& driver) {
  const GroupNumber cursor = driver.store().cursor();
  GroupNumber next = cursor;
  const auto last = driver.store().replay([&](GroupNumber number, std::string_view bytes) {
    EXPECT_EQ(number, ++next);
    EXPECT_EQ(bytes, group_bytes(number));
  });
  EXPECT_TRUE(last) << last.error().message;
  if (!last) return 0;
  EXPECT_EQ(*last, next);
  if (cursor > 0) {
    const auto head = *driver.ask<std::optional<StoredHead>>(
        [&](auto done) { driver.store().read_head(kUnit, std::move(done)); });
    EXPECT_TRUE(head && *head) << (head ? "" : head.error().message);
    if (head && *head) {
      EXPECT_EQ((*head)->head, "head " + std::to_string(cursor));
    }
    const auto events = *driver.ask<std::vector<StoredEvent>>(
        [&](auto done) { driver.store().read_events(kUnit, kRun, 1, 1000, 1 << 20, std::move(done)); });
    EXPECT_TRUE(events) << (events ? "" : events.error().message);
    if (events) {
      EXPECT_EQ(events->size(), cursor);
      for (const StoredEvent& event : *events)
        EXPECT_EQ(*event.bytes, group_bytes(static_cast<GroupNumber>(event.event_id)));
    }
  }
  return *last;
}

// ---- crashes --------------------------------------------------------------------------------------------------------------------

std::uint64_t operations_of_a_life() {
  auto driver = driver_on(std::make_unique<base::SimDisk>());
  EXPECT_TRUE(driver->start());
  Life().live(*driver);
  return driver->disk().operations();
}

// E9, E10: power fails at every write, sync and directory change of a life, then again right after recovery has answered.
void crash_everywhere(Crash kind, bool tear, std::uint64_t first, std::uint64_t step) {
  const std::uint64_t operations = operations_of_a_life();
  ASSERT_GT(operations, 100u);
  for (std::uint64_t n = first; n <= operations; n += step) {
    SCOPED_TRACE("stopped at operation " + std::to_string(n));
    auto driver = driver_on(std::make_unique<base::SimDisk>(n));
    driver->disk().stop_at(n, tear);
    Life life;
    if (driver->start()) life.live(*driver);
    driver->die(kind);
    const Status started = driver->start();
    ASSERT_TRUE(started) << started.error().message;
    const GroupNumber last = check_store(*driver);
    ASSERT_GE(last, life.acknowledged);
    ASSERT_LE(last, life.appended);

    driver->die(Crash::kDropUnsynced);  // what recovery has shown stays
    const Status again = driver->start();
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_EQ(check_store(*driver), last);
    life.appended = life.acknowledged = last;
    life.append(*driver, 3);
    ASSERT_EQ(life.acknowledged, last + 3);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(LocalStoreTest, PowerLossAtEveryOperation) {
  crash_everywhere(Crash::kDropUnsynced, false, 1, 1);
}
TEST(LocalStoreTest, RandomPowerLossAtEveryOperation) {
  crash_everywhere(Crash::kRandom, true, 1, 1);
}
TEST(LocalStoreTest, ProcessDeathAtEveryOperation) {
  crash_everywhere(Crash::kKeepAll, true, 1, 2);
}

TEST(LocalStoreTest, FailedSyncIsNotBelievedLater) {  // E9: EIO once, then success
  auto driver = driver_on(std::make_unique<base::SimDisk>());
  ASSERT_TRUE(driver->start());
  Life life;
  life.append(*driver, 4);
  driver->disk().fail_next_sync();
  life.append(*driver, 1);
  EXPECT_EQ(life.acknowledged, 4u);
  const std::uint64_t syncs = driver->disk().syncs();
  life.append(*driver, 1);
  EXPECT_EQ(driver->disk().syncs(), syncs);  // nothing is retried
  driver->die(Crash::kKeepAll);
  ASSERT_TRUE(driver->start());
  const GroupNumber shown = check_store(*driver);
  EXPECT_GE(shown, 4u);
  driver->die(Crash::kDropUnsynced);
  ASSERT_TRUE(driver->start());
  EXPECT_EQ(check_store(*driver), shown);
}

TEST(LocalStoreTest, WaitingGroupsShareOneSync) {
  auto driver = driver_on(std::make_unique<base::SimDisk>());
  ASSERT_TRUE(driver->start());
  driver->hold_syncs();
  int answered = 0;
  auto done = [&](Status status) { answered += status.has_value(); };
  driver->store().append(1, "a", done);
  driver->run();
  for (GroupNumber n = 2; n <= 50; ++n) driver->store().append(n, "b", done);
  driver->run();
  const std::uint64_t syncs = driver->disk().syncs(), writes = driver->disk().writes();
  driver->release_syncs();
  driver->run();
  EXPECT_EQ(answered, 50);
  EXPECT_EQ(driver->disk().writes() - writes, 1u);
  EXPECT_EQ(driver->disk().syncs() - syncs, 2u);
}

// ---- damage ---------------------------------------------------------------------------------------------------------------------

// E9: the store is recovered exactly, or refused with file and offset. Only the last write, which no mark proves, may be cut.
void check_damaged(LocalDriver& driver, GroupNumber acknowledged, GroupNumber ambiguous) {
  const Status started = driver.start();
  if (!started) {
    EXPECT_TRUE(started.error().code == base::Code::kDataLoss ||
                started.error().code == base::Code::kFailedPrecondition)
        << started.error().message;
    EXPECT_NE(started.error().message.find("data/"), std::string::npos) << started.error().message;
    return;
  }
  GroupNumber next = driver.store().cursor();
  const auto last = driver.store().replay([&](GroupNumber number, std::string_view bytes) {
    EXPECT_EQ(number, ++next);
    EXPECT_EQ(bytes, group_bytes(number));
  });
  if (last) {
    EXPECT_GE(*last, acknowledged - ambiguous);
  }
  // Reads of the projection are right, or an error that names the place.
  const auto head = *driver.ask<std::optional<StoredHead>>(
      [&](auto done) { driver.store().read_head(kUnit, std::move(done)); });
  if (head) {
    EXPECT_TRUE(*head);
    if (*head) {
      EXPECT_EQ((*head)->head, "head " + std::to_string(driver.store().cursor()));
    }
  } else {
    EXPECT_EQ(head.error().code, base::Code::kDataLoss) << head.error().message;
  }
  const auto events = *driver.ask<std::vector<StoredEvent>>(
      [&](auto done) { driver.store().read_events(kUnit, kRun, 1, 1000, 1 << 20, std::move(done)); });
  if (events) {
    EXPECT_EQ(events->size(), driver.store().cursor());
    for (const StoredEvent& event : *events)
      EXPECT_EQ(*event.bytes, group_bytes(static_cast<GroupNumber>(event.event_id)));
  } else {
    EXPECT_EQ(events.error().code, base::Code::kDataLoss) << events.error().message;
  }
}

struct Image {
  std::unique_ptr<base::SimDisk> disk = std::make_unique<base::SimDisk>();
  GroupNumber acknowledged = 0;
};

Image make_image(bool closed) {
  Image image;
  auto driver = driver_on(image.disk->copy(1));
  EXPECT_TRUE(driver->start());
  Life life;
  life.live(*driver);
  if (closed) {
    driver->close();
  } else {
    driver->die(Crash::kKeepAll);
  }
  image.disk = driver->disk().copy(1);
  image.acknowledged = life.acknowledged;
  return image;
}

void flip_everything(bool closed, std::uint64_t step) {
  const Image image = make_image(closed);
  const auto names = image.disk->list("data").value();
  int tried = 0;
  for (const std::string& name : names) {
    if (name == "lock") continue;
    const std::uint64_t size = image.disk->size_of("data/" + name);
    // Prime steps, and every byte of what is small or a header.
    for (std::uint64_t offset = 0; offset < size; offset += (offset < 160 || size < 300) ? 7 : step) {
      SCOPED_TRACE(name + " at " + std::to_string(offset));
      auto driver = driver_on(image.disk->copy(offset));
      driver->disk().flip("data/" + name, offset, 0x40);
      check_damaged(*driver, image.acknowledged, closed ? 0 : 1);
      ++tried;
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(tried, 300);
}

TEST(LocalStoreTest, FlippedBytesAfterACleanEnd) {
  flip_everything(true, 97);
}
TEST(LocalStoreTest, FlippedBytesAfterACrash) {
  flip_everything(false, 97);
}

TEST(LocalStoreTest, LogCutAtEveryLengthIsRefused) {  // E9
  const Image image = make_image(true);
  const auto names = image.disk->list("data").value();
  for (const std::string& name : names) {
    if (!name.starts_with("log-")) continue;
    for (std::uint64_t size = 0; size < image.disk->size_of("data/" + name); size += 509) {
      auto driver = driver_on(image.disk->copy(size));
      ASSERT_TRUE(driver->disk().open("data/" + name, base::OpenMode::kReadWrite).value()->truncate(size));
      const Status started = driver->start();
      ASSERT_FALSE(started);
      EXPECT_EQ(started.error().code, base::Code::kDataLoss);
      EXPECT_NE(started.error().message.find(name), std::string::npos);
    }
  }
}

TEST(LocalStoreTest, MissingFilesAreRefused) {
  const Image image = make_image(false);
  const auto names = image.disk->list("data").value();
  for (const std::string& name : names) {
    if (name != "manifest" && name != "projection-0.db") continue;
    auto driver = driver_on(image.disk->copy(1));
    ASSERT_TRUE(driver->disk().remove("data/" + name));
    const Status started = driver->start();
    ASSERT_FALSE(started) << name;
    EXPECT_EQ(started.error().code, base::Code::kDataLoss);
    EXPECT_NE(started.error().message.find(name), std::string::npos);
  }
}

// ---- the directory --------------------------------------------------------------------------------------------------------------

TEST(LocalStoreTest, DirectoryHasOneOwner) {
  LocalDriver driver;
  auto second = LocalStore::open(driver.options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, base::Code::kFailedPrecondition);
  EXPECT_NE(second.error().message.find("process"), std::string::npos);
}

TEST(LocalStoreTest, NetworkFileSystemIsRefused) {
  auto driver = driver_on(std::make_unique<base::SimDisk>());
  driver->disk().set_network_file_system("nfs");
  const Status started = driver->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, base::Code::kFailedPrecondition);
  EXPECT_NE(started.error().message.find("nfs"), std::string::npos);
}

TEST(LocalStoreTest, ForeignDirectoryIsRefused) {
  auto driver = driver_on(std::make_unique<base::SimDisk>());
  ASSERT_TRUE(driver->disk().make_directory("data"));
  ASSERT_TRUE(driver->disk().open("data/thesis.tex", base::OpenMode::kCreate));
  const Status started = driver->start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("thesis.tex"), std::string::npos);
}

TEST(LocalStoreTest, LogIsTrimmedAndSegmentsAreUsedAgain) {  // E10
  auto driver = driver_on(std::make_unique<base::SimDisk>());
  ASSERT_TRUE(driver->start());
  Life life;
  std::uint64_t most = 0;
  for (int round = 0; round < 60; ++round) {
    for (int n = 0; n < 6; ++n) {
      ++life.appended;
      driver->store().append(life.appended, std::string(900, 'x'), [&](Status status) {
        ASSERT_TRUE(status);
        ++life.acknowledged;
      });
      driver->run();
    }
    UnitUpdate update{.key = kUnit, .position = life.acknowledged, .head = std::string(5000, 'h')};
    driver->store().project({.position = life.acknowledged, .units = {update}},
                            [](Status status) { ASSERT_TRUE(status); });
    driver->run();
    if (round >= 20) most = std::max(most, driver->disk().used());
  }
  EXPECT_GT(driver->store().statistics().log_bytes, 300'000u);
  EXPECT_LT(most, 400'000u);
  driver->crash();
  EXPECT_EQ(driver->store().replay([](GroupNumber, std::string_view) {}), life.acknowledged);
}

// ---- slow reads -----------------------------------------------------------------------------------------------------------------

// Between any two looks a second has passed.
class HastyClock : public base::Clock {
 public:
  Time now() const override { return Time(std::chrono::seconds(1'700'000'000 + ++looks_)); }

 private:
  mutable std::int64_t looks_ = 0;
};

TEST(LocalStoreTest, ACountThatTakesTooLongIsGivenUp) {  // E11
  auto driver = driver_on(std::make_unique<base::SimDisk>());
  ASSERT_TRUE(driver->start());
  Life life;
  life.append(*driver, 1);
  base::Random random(1);
  VisibilityFlush flush{.position = life.acknowledged};
  for (int n = 0; n < 20'000; ++n) {
    flush.rows.push_back({.namespace_id = "ns",
                          .workflow_id = "w" + std::to_string(n % 100),
                          .run_id = random.uuid(),
                          .workflow_type = "T",
                          .status = 1,
                          .start_time = Time(std::chrono::seconds(n))});
  }
  driver->store().project_visibility(std::move(flush), [](Status flushed) { EXPECT_TRUE(flushed); });
  driver->run();
  driver->close();

  HastyClock hasty;
  LocalStoreOptions options = driver->options();
  options.clock = &hasty;
  options.read_limit = std::chrono::milliseconds(500);
  auto store = LocalStore::open(options);
  ASSERT_TRUE(store) << store.error().message;
  std::optional<Result<std::int64_t>> counted;
  (*store)->count({.namespace_id = "ns", .workflow_type = "T"},
                  [&](Result<std::int64_t> result) { counted = std::move(result); });
  driver->run();
  ASSERT_TRUE(counted && !*counted);
  EXPECT_EQ(counted->error().code, base::Code::kDeadlineExceeded);
  // The connection is good for the next one.
  std::optional<Result<std::optional<StoredHead>>> head;
  (*store)->read_head(kUnit, [&](auto result) { head = std::move(result); });
  driver->run();
  EXPECT_TRUE(head && *head);
}

// ---- a full disk ----------------------------------------------------------------------------------------------------------------

TEST(LocalStoreTest, FullDiskIsMetBeforeItHappens) {  // E10
  auto driver = driver_on(std::make_unique<base::SimDisk>());
  driver->disk().set_capacity(2 << 20);
  driver->space = {.ballast_bytes = 512 << 10, .low_mark = 256 << 10, .critical_mark = 64 << 10};
  ASSERT_TRUE(driver->start());
  EXPECT_FALSE(driver->store().statistics().low_space);
  EXPECT_EQ(driver->disk().size_of("data/ballast"), 512u << 10);
  Life life;
  int closed = 0;
  auto put_run = [&](int n, bool deleted) {
    life.append(*driver, 1);
    UnitUpdate update{.key = {"ns", Kind::kWorkflow, "w" + std::to_string(n)}, .position = life.acknowledged};
    update.head = deleted ? "" : "head";
    update.runs.push_back({.run_id = kRun, .deleted = deleted});
    if (!deleted) update.runs[0].snapshot = std::string(20'000, 's');
    Status projected;
    driver->store().project({.position = life.acknowledged, .units = {update}},
                            [&](Status status) { projected = status; });
    driver->run();
    driver->advance(std::chrono::seconds(2));
    return projected;
  };
  while (!driver->store().statistics().low_space && closed < 200) ASSERT_TRUE(put_run(closed++, false));
  EXPECT_TRUE(driver->store().statistics().low_space);
  ASSERT_LT(closed, 200);
  driver->crash(Crash::kDropUnsynced);
  EXPECT_EQ(driver->store().replay([](GroupNumber, std::string_view) {}), life.acknowledged);
  for (int n = 0; n < closed; ++n) ASSERT_TRUE(put_run(n, true)) << n;  // deletions go on
  driver->advance(std::chrono::seconds(60));
  for (int n = 0; n < 20; ++n) ASSERT_TRUE(put_run(1000 + n, true));
  EXPECT_FALSE(driver->store().statistics().low_space);
  EXPECT_EQ(driver->disk().size_of("data/ballast"), 512u << 10);
}

// A commit that found no room leaves nothing in SQLite's log. A checkpoint after it that is interrupted must not ask for it: the
// directory would be refused for ever.
TEST(LocalStoreTest, ACheckpointDoesNotClaimWhatFoundNoRoom) {  // E10
  for (std::uint64_t n = 1; n <= 100; ++n) {
    SCOPED_TRACE("stopped at operation " + std::to_string(n));
    auto driver = driver_on(std::make_unique<base::SimDisk>(n));
    driver->checkpoint_bytes = 1 << 20;
    ASSERT_TRUE(driver->start());
    Life life;
    life.append(*driver, 4);
    life.project(*driver);
    life.append(*driver, 1);
    driver->disk().set_capacity(driver->disk().used() + 4096);
    life.project(*driver);
    driver->disk().stop_at(driver->disk().operations() + n);
    driver->advance(std::chrono::seconds(31));
    driver->die(Crash::kDropUnsynced);
    driver->disk().set_capacity(UINT64_MAX / 2);
    const Status started = driver->start();
    ASSERT_TRUE(started) << started.error().message;
    ASSERT_EQ(check_store(*driver), life.acknowledged);
  }
}

// ---- threads and the real file system -----------------------------------------------------------------------------------------

TEST(LocalStoreTest, OnThreadsAndTheRealDisk) {
  char name[] = "/tmp/perdure_store_test_XXXXXX";
  const std::string directory = ::mkdtemp(name);
  {
    auto log = base::make_thread_executor("log", base::system_clock());
    auto projection = base::make_thread_executor("projection", base::system_clock());
    auto reads = base::make_thread_executor("reads", base::system_clock());
    LocalStoreOptions options{.disk = &base::posix_disk(),
                              .directory = directory + "/data",
                              .log = log.get(),
                              .projection = projection.get(),
                              .reads = reads.get(),
                              .clock = &base::system_clock()};
    options.marks_file = directory + "/marks";
    for (int life = 0; life < 2; ++life) {
      options.seed = static_cast<std::uint64_t>(life) + 1;
      auto store = LocalStore::open(options).value();
      EXPECT_EQ(store->replay([](GroupNumber, std::string_view) {}), static_cast<GroupNumber>(200 * life));
      std::atomic<int> answered = 0, projected = 0, read = 0;
      for (int n = 1; n <= 200; ++n) {
        const auto number = static_cast<GroupNumber>(200 * life + n);
        store->append(number, group_bytes(number), [&, number](Status status) {
          EXPECT_TRUE(status);
          ++answered;
          answered.notify_all();
          UnitUpdate update{
              .key = {"ns", Kind::kWorkflow, std::to_string(number)}, .position = number, .head = "h"};
          store->project({.position = number, .units = {update}}, [&, number](Status done) {
            EXPECT_TRUE(done);
            store->read_head({"ns", Kind::kWorkflow, std::to_string(number)}, [&](auto head) {
              EXPECT_TRUE(head && *head) << (head ? "no row" : head.error().message);
              ++read;
              read.notify_all();
            });
            ++projected;
          });
        });
      }
      for (int seen = read; seen < 200; seen = read) read.wait(seen);
      store->mark_answered(200);
      EXPECT_EQ(store->cursor(), static_cast<GroupNumber>(200 * (life + 1)));
      store->close();
    }
    std::ifstream marks(directory + "/marks");
    std::uint64_t counters[3] = {};
    marks.read(reinterpret_cast<char*>(counters), sizeof counters);
    EXPECT_EQ(counters[0], 400u);
    EXPECT_EQ(counters[1], 400u);
    EXPECT_EQ(counters[2], 200u);
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace perdure::store
