// CatalogStore: the process's catalog (rule E13): namespaces, search attributes, keys. Whole in memory, durable through the log.
//
// Thread rule: any thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "base/random.h"
#include "server/core/catalog.h"
#include "server/store/store.h"

namespace perdure::catalog {

// Keys of catalog entries: "ns/<id>" → NamespaceRecord, "key/token" → the token key.
inline constexpr const char* kTokenKey = "key/token";

class CatalogStore {
 public:
  // The present snapshot; never null. Cheap enough for every request.
  std::shared_ptr<const core::Catalog> snapshot() const;

  // Changes the catalog: `change` gets the present catalog and returns the entries to write (none: nothing to do), or an error,
  // which becomes the answer. Serialised with all other changes. `done` when the change is durable and seen by every later
  // snapshot().
  using Change =
      std::move_only_function<base::Result<std::vector<store::CatalogEntry>>(const core::Catalog&)>;
  void update(Change change, store::Done<void> done);

  // ---- for History only ----
  // Loads from the store (blocking, before serving) and applies entries of replayed groups.
  base::Status load(store::Store& store);
  void apply(const std::vector<store::CatalogEntry>& entries);
  // How update() reaches the log: set once by History. The callback runs when the entries are durable, or with the error;
  // update() applies them to the snapshot itself.
  using Append = std::function<void(std::vector<store::CatalogEntry>, store::Done<void>)>;
  void set_append(Append append);
  // All entries, for a full projection.
  std::vector<store::CatalogEntry> entries() const;

 private:
  struct Waiting {
    Change change;
    store::Done<void> done;
  };
  struct Changes {
    std::deque<Waiting> queue;
    bool busy = false;
    Append append;
  };
  struct Content {
    std::map<std::string, std::string> entries;
    std::shared_ptr<const core::Catalog> catalog = std::make_shared<core::Catalog>();
  };

  void next();

  base::Guarded<Content> content_;
  base::Guarded<Changes> changes_;
};

// A new namespace record with a fresh id and the defaults of the dev server.
core::Namespace make_namespace(const std::string& name, base::Duration retention, base::Random& random);
store::CatalogEntry namespace_entry(const core::Namespace& ns);

}  // namespace perdure::catalog
