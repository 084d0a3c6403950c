// Payloads: what travels as argument, result, heartbeat or failure detail, and how C++ values become one.
//
// Order: a Converter<T> that the user specialised; Payload as it is; bytes (binary/plain); nothing
// (binary/null); everything else JSON (json/plain). A missing argument is taken for an optional parameter.
// Any thread.
#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <perdure/detail/base.h>
#include <perdure/detail/json.h>

namespace perdure {
inline namespace v1 {

struct Payload {
  std::map<std::string, std::string> metadata;
  std::string data;

  friend bool operator==(const Payload&, const Payload&) = default;
};
using Payloads = std::vector<Payload>;

// A payload that cannot be read as the type that is wanted. In a workflow it fails the workflow task, not the
// workflow.
class PayloadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Specialise with `static Payload encode(const T&)` and `static T decode(const Payload&)`.
template <class T>
struct Converter;

// Compresses or encrypts what leaves this process, in order, and the reverse. Called on threads of the SDK,
// never on a workflow's; may block; throws to fail what was asked.
class PayloadCodec {
 public:
  virtual ~PayloadCodec() = default;
  virtual Payloads encode(Payloads payloads) = 0;
  virtual Payloads decode(Payloads payloads) = 0;
};

namespace detail {

Payload make_payload(const char* encoding, std::string data);
std::string_view encoding_of(const Payload& payload);
[[noreturn]] void wrong_encoding(const Payload& payload, std::string_view wanted);
[[noreturn]] void missing_argument(std::size_t index, std::size_t count);

template <class T>
concept Converted = requires(const T& value, const Payload& payload) {
  { Converter<T>::encode(value) } -> std::convertible_to<Payload>;
  { Converter<T>::decode(payload) } -> std::convertible_to<T>;
};
template <class T>
inline constexpr bool is_bytes = std::is_same_v<T, std::vector<std::byte>>;

inline Payload encode_nothing() {
  return make_payload("binary/null", {});
}

template <class T>
Payload encode(const T& value) {
  if constexpr (Converted<T>) {
    return Converter<T>::encode(value);
  } else if constexpr (std::is_same_v<T, Payload>) {
    return value;
  } else if constexpr (is_bytes<T>) {
    return make_payload("binary/plain",
                        std::string(reinterpret_cast<const char*>(value.data()), value.size()));
  } else if constexpr (std::is_same_v<T, Unit> || std::is_same_v<T, std::nullopt_t>) {
    return encode_nothing();
  } else {
    if constexpr (is_optional<T>) {
      if (!value) return encode_nothing();
    }
    std::string json;
    json_put(json, value);
    return make_payload("json/plain", std::move(json));
  }
}

template <class T>
T decode(const Payload& payload) {
  if constexpr (std::is_same_v<T, Unit>) {
    return {};
  } else if constexpr (Converted<T>) {
    return Converter<T>::decode(payload);
  } else if constexpr (std::is_same_v<T, Payload>) {
    return payload;
  } else if constexpr (is_bytes<T>) {
    if (encoding_of(payload) != "binary/plain") wrong_encoding(payload, "binary/plain");
    const auto* begin = reinterpret_cast<const std::byte*>(payload.data.data());
    return T(begin, begin + payload.data.size());
  } else {
    if constexpr (is_optional<T>) {
      if (encoding_of(payload) == "binary/null") return std::nullopt;
    }
    if (encoding_of(payload) != "json/plain") wrong_encoding(payload, "json/plain");
    JsonReader in(payload.data);
    T value{};
    json_get(in, value);
    in.end();
    return value;
  }
}

// A result: nothing at all is taken for void and optional.
template <class T>
Slot<T> decode_result(const Payloads& payloads) {
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    if (payloads.empty()) {
      if constexpr (is_optional<T>) return std::nullopt;
      missing_argument(0, 0);
    }
    return decode<T>(payloads.front());
  }
}

template <class Params>
struct ArgumentList;
template <class... P>
struct ArgumentList<std::tuple<P...>> {
  // Each argument is converted to its parameter first, so that what travels has the parameter's type.
  template <class... A>
  static Payloads encode_all(A&&... a) {
    Payloads payloads;
    payloads.reserve(sizeof...(A));
    (payloads.push_back(encode<P>(static_cast<const P&>(P(std::forward<A>(a))))), ...);
    return payloads;
  }
  static std::tuple<P...> decode_all(const Payloads& payloads) {
    return decode_each(payloads, std::index_sequence_for<P...>{});
  }

 private:
  template <std::size_t... I>
  static std::tuple<P...> decode_each(const Payloads& payloads, std::index_sequence<I...>) {
    return std::tuple<P...>{one<P>(payloads, I)...};
  }
  template <class T>
  static T one(const Payloads& payloads, std::size_t index) {
    if (index >= payloads.size()) {
      if constexpr (is_optional<T>) return std::nullopt;
      missing_argument(index, payloads.size());
    }
    return decode<T>(payloads[index]);
  }
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
