// CowMap: an ordered map whose copy is cheap, so that a decision can work on a copy of a state and be thrown away.
//
// Entries live in sorted chunks that copies share; changing an entry copies its chunk only. Copying costs one pointer per
// kChunk entries. Iteration is in key order. Values are reached by const reference; to change one, take it, change it, put it back.
// Not thread-safe; copies may be used on different threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace perdure::base {

template <class K, class V>
class CowMap {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // nullptr when absent. Valid until the map changes.
  const V* find(const K& key) const {
    const std::size_t chunk = chunk_of(key);
    if (chunk == chunks_.size()) return nullptr;
    const auto at = lower(*chunks_[chunk], key);
    return at != chunks_[chunk]->end() && at->first == key ? &at->second : nullptr;
  }
  bool contains(const K& key) const { return find(key) != nullptr; }

  void put(const K& key, V value) {
    if (chunks_.empty()) {
      chunks_.push_back(std::make_shared<Chunk>(Chunk{{key, std::move(value)}}));
      size_ = 1;
      return;
    }
    const std::size_t index = std::min(chunk_of(key), chunks_.size() - 1);
    Chunk& chunk = own(index);
    const auto at = lower(chunk, key);
    if (at != chunk.end() && at->first == key) {
      at->second = std::move(value);
      return;
    }
    chunk.insert(at, {key, std::move(value)});
    ++size_;
    if (chunk.size() > kChunk) split(index);
  }

  bool erase(const K& key) {
    const std::size_t index = chunk_of(key);
    if (index == chunks_.size() || !contains(key)) return false;
    Chunk& chunk = own(index);
    chunk.erase(lower(chunk, key));
    if (chunk.empty()) chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(index));
    --size_;
    return true;
  }

  void clear() {
    chunks_.clear();
    size_ = 0;
  }

  // In key order: visit(key, value).
  template <class Visit>
  void each(Visit visit) const {
    for (const auto& chunk : chunks_)
      for (const auto& [key, value] : *chunk) visit(key, value);
  }

  // The first entry in key order for which holds(key, value); nullptr when there is none.
  template <class Holds>
  const V* first(Holds holds) const {
    for (const auto& chunk : chunks_)
      for (const auto& [key, value] : *chunk)
        if (holds(key, value)) return &value;
    return nullptr;
  }

 private:
  static constexpr std::size_t kChunk = 64;
  using Chunk = std::vector<std::pair<K, V>>;

  template <class C>
  static auto lower(C& chunk, const K& key) {
    return std::lower_bound(chunk.begin(), chunk.end(), key,
                            [](const std::pair<K, V>& entry, const K& k) { return entry.first < k; });
  }

  // The chunk that holds key, if any does; chunks_.size() when key is greater than all.
  std::size_t chunk_of(const K& key) const {
    const auto at = std::lower_bound(
        chunks_.begin(), chunks_.end(), key,
        [](const std::shared_ptr<Chunk>& chunk, const K& k) { return chunk->back().first < k; });
    return static_cast<std::size_t>(at - chunks_.begin());
  }

  Chunk& own(std::size_t index) {
    if (chunks_[index].use_count() > 1) chunks_[index] = std::make_shared<Chunk>(*chunks_[index]);
    return *chunks_[index];
  }

  void split(std::size_t index) {
    Chunk& chunk = *chunks_[index];
    // A chunk that grew at its end is split there: ids mostly ascend, and full chunks are kept full.
    const std::size_t keep = index + 1 == chunks_.size() ? chunk.size() - 1 : chunk.size() / 2;
    const auto middle = chunk.begin() + static_cast<std::ptrdiff_t>(keep);
    auto rest =
        std::make_shared<Chunk>(std::make_move_iterator(middle), std::make_move_iterator(chunk.end()));
    chunk.erase(middle, chunk.end());
    chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(index) + 1, std::move(rest));
  }

  std::vector<std::shared_ptr<Chunk>> chunks_;
  std::size_t size_ = 0;
};

}  // namespace perdure::base
