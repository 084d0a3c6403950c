#include "server/catalog/catalog.h"

#include <string_view>
#include <utility>

#include "base/check.h"
#include "temporal/api/enums/v1/namespace.pb.h"

namespace perdure::catalog {
namespace {

constexpr std::string_view kNamespacePrefix = "ns/";

// The catalog that the entries describe. Fails DATA_LOSS when one cannot be read.
base::Result<std::shared_ptr<const core::Catalog>> read(const std::map<std::string, std::string>& entries) {
  auto catalog = std::make_shared<core::Catalog>();
  for (const auto& [key, value] : entries) {
    if (key == kTokenKey) {
      catalog->token_key = value;
    } else if (key.starts_with(kNamespacePrefix)) {
      auto ns = std::make_shared<core::Namespace>();
      if (!ns->ParseFromString(value))
        return base::fail(base::Code::kDataLoss, "catalog entry " + key + " cannot be read");
      catalog->by_name[ns->name()] = ns;
      catalog->by_id[ns->id()] = std::move(ns);
    } else {
      return base::fail(base::Code::kDataLoss, "catalog entry " + key + " is of an unknown kind");
    }
  }
  return catalog;
}

void merge(std::map<std::string, std::string>& into, const std::vector<store::CatalogEntry>& entries) {
  for (const store::CatalogEntry& entry : entries) {
    if (entry.value.empty()) {
      into.erase(entry.key);
    } else {
      into[entry.key] = entry.value;
    }
  }
}

}  // namespace

std::shared_ptr<const core::Catalog> CatalogStore::snapshot() const {
  return content_.with([](const Content& content) { return content.catalog; });
}

void CatalogStore::update(Change change, store::Done<void> done) {
  changes_.with([&](Changes& changes) { changes.queue.push_back({std::move(change), std::move(done)}); });
  next();
}

// Takes the oldest waiting change, unless one is under way. Whoever clears `busy` calls this again.
void CatalogStore::next() {
  for (;;) {
    Waiting waiting;
    Append append;
    const bool taken = changes_.with([&](Changes& changes) {
      if (changes.busy || changes.queue.empty()) return false;
      changes.busy = true;
      waiting = std::move(changes.queue.front());
      changes.queue.pop_front();
      append = changes.append;
      return true;
    });
    if (!taken) return;
    auto entries = waiting.change(*snapshot());
    if (!entries || entries->empty()) {
      changes_.with([](Changes& changes) { changes.busy = false; });
      waiting.done(entries ? base::Status() : std::unexpected(std::move(entries).error()));
      continue;
    }
    CHECK(append != nullptr);
    std::vector<store::CatalogEntry> written = *entries;
    append(std::move(*entries),
           [this, written = std::move(written), done = std::move(waiting.done)](base::Status status) mutable {
             if (status) apply(written);
             changes_.with([](Changes& changes) { changes.busy = false; });
             done(std::move(status));
             next();
           });
    return;
  }
}

base::Status CatalogStore::load(store::Store& store) {
  TRY(auto entries, store.read_catalog());
  TRY(auto catalog, read(entries));
  content_.with([&](Content& content) {
    content.entries = std::move(entries);
    content.catalog = std::move(catalog);
  });
  return {};
}

void CatalogStore::apply(const std::vector<store::CatalogEntry>& entries) {
  content_.with([&](Content& content) {
    merge(content.entries, entries);
    auto catalog = read(content.entries);
    CHECK(catalog.has_value());  // written by this process, or checked by the log that gave it back
    content.catalog = std::move(*catalog);
  });
}

void CatalogStore::set_append(Append append) {
  changes_.with([&](Changes& changes) { changes.append = std::move(append); });
}

std::vector<store::CatalogEntry> CatalogStore::entries() const {
  return content_.with([](const Content& content) {
    std::vector<store::CatalogEntry> all;
    for (const auto& [key, value] : content.entries) all.push_back({key, value});
    return all;
  });
}

core::Namespace make_namespace(const std::string& name, base::Duration retention, base::Random& random) {
  core::Namespace ns;
  ns.set_id(random.uuid());
  ns.set_name(name);
  ns.set_state(temporal::api::enums::v1::NAMESPACE_STATE_REGISTERED);
  ns.set_retention(retention.count());
  return ns;
}

store::CatalogEntry namespace_entry(const core::Namespace& ns) {
  return {std::string(kNamespacePrefix) + ns.id(), ns.SerializeAsString()};
}

}  // namespace perdure::catalog
