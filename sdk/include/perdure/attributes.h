// What a workflow carries for people to see and find it by: its memo, and its search attributes, which the
// server indexes.
//
//   inline constexpr KeywordKey customer{"CustomerId"};
//   ctx.upsert(customer.set("ann"), attempts.unset());
//
// Values; any thread.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <perdure/payload.h>

namespace perdure {
inline namespace v1 {

class Memo {
 public:
  template <class T>
  Memo& set(const std::string& name, const T& value) {
    fields_[name] = detail::encode<T>(value);
    return *this;
  }
  Memo& set(const std::string& name, const char* value);
  template <class T>
  std::optional<T> get(const std::string& name) const {
    const auto found = fields_.find(name);
    if (found == fields_.end()) return std::nullopt;
    return detail::decode<T>(found->second);
  }
  std::map<std::string, Payload>& fields() { return fields_; }
  const std::map<std::string, Payload>& fields() const { return fields_; }

 private:
  std::map<std::string, Payload> fields_;
};

// A change of one search attribute; an empty one takes it away.
struct SearchAttributeUpdate {
  std::string name;
  Payload value;
};

enum class Indexed { kText, kKeyword, kInt, kDouble, kBool, kDatetime, kKeywordList };

namespace detail {
template <Indexed K>
struct IndexedType {
  using type = std::string;
};
template <>
struct IndexedType<Indexed::kInt> {
  using type = std::int64_t;
};
template <>
struct IndexedType<Indexed::kDouble> {
  using type = double;
};
template <>
struct IndexedType<Indexed::kBool> {
  using type = bool;
};
template <>
struct IndexedType<Indexed::kDatetime> {
  using type = TimePoint;
};
template <>
struct IndexedType<Indexed::kKeywordList> {
  using type = std::vector<std::string>;
};
Payload typed(Payload payload, Indexed type);
std::string rfc3339(TimePoint time);        // UTC, to the microsecond
TimePoint parse_rfc3339(std::string_view);  // throws PayloadError
}  // namespace detail

// The name of a search attribute with its type. The server must know it (or it is one of its own).
template <Indexed K>
struct SearchAttributeKey {
  using value_type = typename detail::IndexedType<K>::type;
  const char* name;

  SearchAttributeUpdate set(const value_type& value) const {
    if constexpr (K == Indexed::kDatetime) {
      return {name, detail::typed(detail::encode<std::string>(detail::rfc3339(value)), K)};
    } else {
      return {name, detail::typed(detail::encode<value_type>(value), K)};
    }
  }
  SearchAttributeUpdate unset() const { return {name, detail::encode_nothing()}; }
};
using TextKey = SearchAttributeKey<Indexed::kText>;
using KeywordKey = SearchAttributeKey<Indexed::kKeyword>;
using IntKey = SearchAttributeKey<Indexed::kInt>;
using DoubleKey = SearchAttributeKey<Indexed::kDouble>;
using BoolKey = SearchAttributeKey<Indexed::kBool>;
using DatetimeKey = SearchAttributeKey<Indexed::kDatetime>;
using KeywordListKey = SearchAttributeKey<Indexed::kKeywordList>;

class SearchAttributes {
 public:
  SearchAttributes() = default;
  SearchAttributes(std::initializer_list<SearchAttributeUpdate> all);
  void apply(const SearchAttributeUpdate& update);
  template <Indexed K>
  std::optional<typename SearchAttributeKey<K>::value_type> get(const SearchAttributeKey<K>& key) const {
    const auto found = fields_.find(key.name);
    if (found == fields_.end()) return std::nullopt;
    if constexpr (K == Indexed::kDatetime) {
      return detail::parse_rfc3339(detail::decode<std::string>(found->second));
    } else {
      return detail::decode<typename SearchAttributeKey<K>::value_type>(found->second);
    }
  }
  std::map<std::string, Payload>& fields() { return fields_; }
  const std::map<std::string, Payload>& fields() const { return fields_; }

 private:
  std::map<std::string, Payload> fields_;
};

}  // namespace v1
}  // namespace perdure
