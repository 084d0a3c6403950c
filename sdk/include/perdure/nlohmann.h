// Opt-in: types that nlohmann::json knows (NLOHMANN_DEFINE_TYPE…, to_json and from_json beside them), and
// nlohmann::json itself, travel as it writes them (json/plain), by themselves and inside vectors, maps and
// plain structs. Include it before the first payload of such a type is made.
#pragma once

#include <nlohmann/json.hpp>

#include <perdure/payload.h>

namespace perdure {
inline namespace v1 {
namespace detail {

// Not what payload.h writes by itself, which stays as it is.
template <class T>
inline constexpr bool is_standard = std::is_convertible_v<const T&, std::string_view> || is_optional<T> ||
                                    is_vector<T> || is_text_map<T> || is_tuple<T> || is_bytes<T>;
template <class T>
concept NlohmannMapped =
    nlohmann::detail::is_basic_json<T>::value ||
    (std::is_class_v<T> && !is_standard<T> && requires(nlohmann::json& json, const T& from, T& to) {
      to_json(json, from);
      from_json(std::as_const(json), to);
    });

template <NlohmannMapped T>
struct JsonOf<T> {
  static void put(std::string& out, const T& value) {
    if constexpr (nlohmann::detail::is_basic_json<T>::value) {
      out += value.dump();
    } else {
      nlohmann::json json;
      to_json(json, value);
      out += json.dump();
    }
  }
  static void get(JsonReader& in, T& value) {
    try {
      if constexpr (nlohmann::detail::is_basic_json<T>::value) {
        value = T::parse(in.raw());
      } else {
        const auto json = nlohmann::json::parse(in.raw());
        from_json(json, value);
      }
    } catch (const nlohmann::json::exception& error) {
      throw PayloadError(error.what());
    }
  }
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
