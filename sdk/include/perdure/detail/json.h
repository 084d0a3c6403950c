// Plain structs, numbers, text, bool, optional, vector and map to and from JSON, with no macro: member names
// come from the compiler, values by structured bindings. Missing members keep their initialiser, unknown ones
// are ignored.
//
// JsonReader throws PayloadError (payload.h) on text that is not JSON or does not fit. Any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace perdure {
inline namespace v1 {
namespace detail {

// Stands in for a member of any type while members are counted.
struct AnyMember {
  template <class T>
  operator T() const;
};
template <class T, std::size_t... I>
constexpr bool takes_members(std::index_sequence<I...>) {
  return requires { T{((void)I, AnyMember{})...}; };
}
inline constexpr std::size_t kMaxMembers = 16;
template <class T, std::size_t N = 0>
constexpr std::size_t member_count() {
  if constexpr (N > kMaxMembers) {
    return 0;
  } else if constexpr (takes_members<T>(std::make_index_sequence<N>{}) &&
                       !takes_members<T>(std::make_index_sequence<N + 1>{})) {
    return N;
  } else {
    return member_count<T, N + 1>();
  }
}

// Pointers to the members, in order.
template <class T>
constexpr auto members(T& t) {
  constexpr std::size_t count = member_count<std::remove_const_t<T>>();
  static_assert(
      count > 0 || std::is_empty_v<std::remove_const_t<T>>,
      "perdure: this type has no JSON mapping (it has a base class, a C array, or more than 16 members); "
      "specialise perdure::Converter for it");
#define PERDURE_MEMBERS(n, ...)      \
  else if constexpr (count == n) {   \
    auto& [__VA_ARGS__] = t;         \
    return pointers_to(__VA_ARGS__); \
  }
  constexpr auto pointers_to = [](auto&... m) { return std::tuple(&m...); };
  if constexpr (count == 0) return std::tuple<>();
  PERDURE_MEMBERS(1, a)
  PERDURE_MEMBERS(2, a, b)
  PERDURE_MEMBERS(3, a, b, c)
  PERDURE_MEMBERS(4, a, b, c, d)
  PERDURE_MEMBERS(5, a, b, c, d, e)
  PERDURE_MEMBERS(6, a, b, c, d, e, f)
  PERDURE_MEMBERS(7, a, b, c, d, e, f, g)
  PERDURE_MEMBERS(8, a, b, c, d, e, f, g, h)
  PERDURE_MEMBERS(9, a, b, c, d, e, f, g, h, i)
  PERDURE_MEMBERS(10, a, b, c, d, e, f, g, h, i, j)
  PERDURE_MEMBERS(11, a, b, c, d, e, f, g, h, i, j, k)
  PERDURE_MEMBERS(12, a, b, c, d, e, f, g, h, i, j, k, l)
  PERDURE_MEMBERS(13, a, b, c, d, e, f, g, h, i, j, k, l, m)
  PERDURE_MEMBERS(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
  PERDURE_MEMBERS(15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
  PERDURE_MEMBERS(16, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
#undef PERDURE_MEMBERS
}

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
template <class T>
struct Specimen {
  T value;
  static const Specimen instance;  // never defined: only the names of its members are read
};
template <auto P>
constexpr std::string_view pretty_member() {
  return __PRETTY_FUNCTION__;
}
template <class T, std::size_t I>
constexpr std::string_view member_name() {
  std::string_view text = pretty_member<std::get<I>(members(Specimen<T>::instance.value))>();
  text = text.substr(0, text.find_first_of(";]"));
  while (!text.empty() && text.back() == ')') text.remove_suffix(1);
  return text.substr(text.find_last_of(".:>") + 1);
}
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_text_map = false;
template <class T>
inline constexpr bool is_text_map<std::map<std::string, T>> = true;
template <class T>
inline constexpr bool is_tuple = false;
template <class A, class B>
inline constexpr bool is_tuple<std::pair<A, B>> = true;
template <class... A>
inline constexpr bool is_tuple<std::tuple<A...>> = true;

void json_put_text(std::string& out, std::string_view text);
// The shortest text that reads back equal; throws PayloadError on NaN and infinities.
void json_put_double(std::string& out, double value);
void json_put_float(std::string& out, float value);

// How other libraries' types are written: specialised with put(std::string&, const T&) and get(JsonReader&,
// T&).
template <class T>
struct JsonOf;
class JsonReader;
template <class T>
concept HasJsonOf = requires(std::string& out, JsonReader& in, const T& from, T& to) {
  JsonOf<T>::put(out, from);
  JsonOf<T>::get(in, to);
};

template <class T>
void json_put(std::string& out, const T& value);

template <class T>
void json_put_members(std::string& out, const T& value) {
  out += '{';
  const auto pointers = members(value);
  const auto each = [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((out += I == 0 ? "\"" : ",\"", out += member_name<T, I>(),
      out += "\":", json_put(out, *std::get<I>(pointers))),
     ...);
  };
  each(std::make_index_sequence<member_count<T>()>{});
  out += '}';
}

template <class T>
void json_put(std::string& out, const T& value) {
  if constexpr (HasJsonOf<T>) {
    JsonOf<T>::put(out, value);
  } else if constexpr (std::is_same_v<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, float>) {
    json_put_float(out, value);
  } else if constexpr (std::is_floating_point_v<T>) {
    json_put_double(out, value);
  } else if constexpr (std::is_enum_v<T>) {
    json_put(out, static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_integral_v<T>) {
    out += std::to_string(value);
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    json_put_text(out, value);
  } else if constexpr (is_optional<T>) {
    value ? json_put(out, *value) : void(out += "null");
  } else if constexpr (is_vector<T>) {
    out += '[';
    bool first = true;
    for (const auto& element : value) {
      if (!std::exchange(first, false)) out += ',';
      json_put(out, static_cast<const typename T::value_type&>(element));
    }
    out += ']';
  } else if constexpr (is_text_map<T>) {
    out += '{';
    bool first = true;
    for (const auto& [key, element] : value) {
      if (!std::exchange(first, false)) out += ',';
      json_put_text(out, key);
      out += ':';
      json_put(out, element);
    }
    out += '}';
  } else if constexpr (is_tuple<T>) {
    out += '[';
    bool first = true;
    std::apply(
        [&](const auto&... e) {
          ((std::exchange(first, false) ? void() : void(out += ','), json_put(out, e)), ...);
        },
        value);
    out += ']';
  } else {
    static_assert(std::is_aggregate_v<T>,
                  "perdure: this type has no JSON mapping; make it a plain struct or specialise "
                  "perdure::Converter for it");
    json_put_members(out, value);
  }
}

// A cursor over JSON text.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : rest_(text) {}
  char peek();  // the next character that is no space; 0 at the end
  bool eat(char c);
  void expect(char c);
  std::string text();
  bool boolean();
  bool null();                // eats a null, if there is one
  std::string_view number();  // its text
  void skip();                // one value
  std::string_view raw();     // likewise; its text
  void end();                 // nothing may follow
  [[noreturn]] void fail(std::string_view wanted) const;

 private:
  void append_escape(std::string& out);
  std::string_view rest_;
};

template <class T>
void json_get(JsonReader& in, T& value);

template <class T>
void json_get_member(JsonReader& in, T& value, std::string_view key) {
  bool known = false;
  const auto pointers = members(value);
  const auto each = [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((key == member_name<T, I>() ? (json_get(in, *std::get<I>(pointers)), known = true) : false), ...);
  };
  each(std::make_index_sequence<member_count<T>()>{});
  if (!known) in.skip();
}

// Calls element(key) for each member of an object.
template <class F>
void json_get_object(JsonReader& in, F element) {
  in.expect('{');
  if (in.eat('}')) return;
  do {
    const std::string key = in.text();
    in.expect(':');
    element(key);
  } while (in.eat(','));
  in.expect('}');
}

// The whole text as a number; false: it is none of this type. Of every arithmetic type but bool.
template <class T>
bool json_number(std::string_view text, T& value);

template <class T>
void json_get(JsonReader& in, T& value) {
  if constexpr (HasJsonOf<T>) {
    JsonOf<T>::get(in, value);
  } else if constexpr (std::is_same_v<T, bool>) {
    value = in.boolean();
  } else if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> number{};
    json_get(in, number);
    value = static_cast<T>(number);
  } else if constexpr (std::is_arithmetic_v<T>) {
    const std::string_view text = in.number();
    if (!json_number(text, value)) in.fail("a number of this type");
  } else if constexpr (std::is_same_v<T, std::string>) {
    value = in.text();
  } else if constexpr (is_optional<T>) {
    in.null() ? value.reset() : json_get(in, value.emplace());
  } else if constexpr (is_vector<T>) {
    value.clear();
    if (in.null()) return;  // how Go writes an empty slice
    in.expect('[');
    if (in.eat(']')) return;
    do {
      typename T::value_type element{};
      json_get(in, element);
      value.push_back(std::move(element));
    } while (in.eat(','));
    in.expect(']');
  } else if constexpr (is_text_map<T>) {
    value.clear();
    if (!in.null()) json_get_object(in, [&](const std::string& key) { json_get(in, value[key]); });
  } else if constexpr (is_tuple<T>) {
    in.expect('[');
    bool first = true;
    std::apply(
        [&](auto&... e) { ((std::exchange(first, false) ? void() : in.expect(','), json_get(in, e)), ...); },
        value);
    in.expect(']');
  } else {
    static_assert(std::is_aggregate_v<T>,
                  "perdure: this type has no JSON mapping; make it a plain struct or specialise "
                  "perdure::Converter for it");
    json_get_object(in, [&](const std::string& key) { json_get_member(in, value, key); });
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
