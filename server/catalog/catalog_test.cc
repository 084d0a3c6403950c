#include "server/catalog/catalog.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace perdure::catalog {
namespace {

// A log that commits when told to.
struct Log {
  struct Group {
    std::vector<store::CatalogEntry> entries;
    store::Done<void> done;
  };
  std::vector<Group> pending;

  explicit Log(CatalogStore& catalog) {
    catalog.set_append([this](std::vector<store::CatalogEntry> entries, store::Done<void> done) {
      pending.push_back({std::move(entries), std::move(done)});
    });
  }
  void commit(base::Status status = {}) {
    Group group = std::move(pending.at(0));
    pending.erase(pending.begin());
    group.done(std::move(status));
  }
};

CatalogStore::Change adds(const std::string& name, base::Random& random) {
  return [name, &random](const core::Catalog& catalog) -> base::Result<std::vector<store::CatalogEntry>> {
    if (catalog.find_by_name(name) != nullptr) return base::fail(base::Code::kAlreadyExists, "taken");
    return std::vector{namespace_entry(make_namespace(name, std::chrono::hours(24), random))};
  };
}

TEST(Catalog, ChangeIsSeenOnlyWhenDurable) {
  CatalogStore catalog;
  Log log(catalog);
  base::Random random(1);
  int answered = 0;
  catalog.update(adds("a", random), [&](base::Status status) { answered += status ? 1 : 100; });
  EXPECT_EQ(catalog.snapshot()->find_by_name("a"), nullptr);
  EXPECT_EQ(answered, 0);
  log.commit();
  ASSERT_NE(catalog.snapshot()->find_by_name("a"), nullptr);
  EXPECT_EQ(answered, 1);
  EXPECT_EQ(catalog.snapshot()->find_by_id(catalog.snapshot()->find_by_name("a")->id())->name(), "a");
}

TEST(Catalog, ChangesAreSerialised) {
  CatalogStore catalog;
  Log log(catalog);
  base::Random random(1);
  std::vector<base::Code> answers;
  const auto note = [&](base::Status status) {
    answers.push_back(status ? base::Code::kOk : status.error().code);
  };
  catalog.update(adds("a", random), note);
  catalog.update(adds("a", random), note);  // waits, then finds the name taken
  catalog.update(adds("b", random), note);
  ASSERT_EQ(log.pending.size(), 1u);
  log.commit();
  ASSERT_EQ(answers, (std::vector{base::Code::kOk, base::Code::kAlreadyExists}));
  log.commit();
  EXPECT_EQ(answers.size(), 3u);
  EXPECT_EQ(catalog.entries().size(), 2u);
}

TEST(Catalog, FailedAppendChangesNothing) {
  CatalogStore catalog;
  Log log(catalog);
  base::Random random(1);
  bool failed = false;
  catalog.update(adds("a", random), [&](base::Status status) { failed = !status; });
  log.commit(base::fail(base::Code::kUnavailable, "the stream has ended"));
  EXPECT_TRUE(failed);
  EXPECT_TRUE(catalog.entries().empty());
  catalog.update(adds("a", random), [&](base::Status status) { failed = !status; });
  log.commit();
  EXPECT_FALSE(failed);
}

TEST(Catalog, AppliesReplayedEntriesAndRemovals) {
  CatalogStore catalog;
  base::Random random(1);
  core::Namespace ns = make_namespace("a", std::chrono::hours(1), random);
  catalog.apply({namespace_entry(ns), {kTokenKey, "secret"}});
  EXPECT_EQ(catalog.snapshot()->token_key, "secret");
  ns.set_name("b");
  catalog.apply({namespace_entry(ns)});
  EXPECT_EQ(catalog.snapshot()->find_by_name("a"), nullptr);
  EXPECT_NE(catalog.snapshot()->find_by_name("b"), nullptr);
  catalog.apply({{namespace_entry(ns).key, ""}});
  EXPECT_EQ(catalog.entries().size(), 1u);
}

}  // namespace
}  // namespace perdure::catalog
