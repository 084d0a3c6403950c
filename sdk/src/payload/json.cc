#include <charconv>
#include <cmath>

#include <perdure/payload.h>

namespace perdure {
inline namespace v1 {
namespace detail {

template <class T>
bool json_number(std::string_view text, T& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}
template bool json_number(std::string_view, char&);
template bool json_number(std::string_view, signed char&);
template bool json_number(std::string_view, unsigned char&);
template bool json_number(std::string_view, short&);
template bool json_number(std::string_view, unsigned short&);
template bool json_number(std::string_view, int&);
template bool json_number(std::string_view, unsigned&);
template bool json_number(std::string_view, long&);
template bool json_number(std::string_view, unsigned long&);
template bool json_number(std::string_view, long long&);
template bool json_number(std::string_view, unsigned long long&);
template bool json_number(std::string_view, float&);
template bool json_number(std::string_view, double&);
template bool json_number(std::string_view, long double&);

void json_put_text(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kHex[c >> 4];
          out += kHex[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

namespace {

// As Go and JavaScript write numbers: shortest, without an exponent where that is readable.
template <class T>
void put_number(std::string& out, T value) {
  if (!std::isfinite(value)) throw PayloadError("JSON has no NaN and no infinity");
  const T size = std::abs(value);
  const bool plain = size == 0 || (size >= T(1e-6) && size < T(1e21));
  char text[64];
  const auto result = std::to_chars(text, text + sizeof text, value,
                                    plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string_view written(text, static_cast<std::size_t>(result.ptr - text));
  if (const std::size_t at = written.rfind("e-0"); at != written.npos) {
    out.append(written.substr(0, at + 2)).append(written.substr(at + 3));
  } else {
    out.append(written);
  }
}

}  // namespace

void json_put_double(std::string& out, double value) {
  put_number(out, value);
}
void json_put_float(std::string& out, float value) {
  put_number(out, value);
}

char JsonReader::peek() {
  while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n' || rest_[0] == '\t' || rest_[0] == '\r')) {
    rest_.remove_prefix(1);
  }
  return rest_.empty() ? '\0' : rest_[0];
}

bool JsonReader::eat(char c) {
  if (peek() != c || rest_.empty()) return false;
  rest_.remove_prefix(1);
  return true;
}

void JsonReader::expect(char c) {
  if (!eat(c)) fail(std::string("'") + c + "'");
}

void JsonReader::fail(std::string_view wanted) const {
  throw PayloadError("JSON: expected " + std::string(wanted) + " at \"" + std::string(rest_.substr(0, 20)) +
                     "\"");
}

namespace {
void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 63));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 63));
    out += static_cast<char>(0x80 | (code & 63));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 63));
    out += static_cast<char>(0x80 | (code >> 6 & 63));
    out += static_cast<char>(0x80 | (code & 63));
  }
}
}  // namespace

// After the backslash.
void JsonReader::append_escape(std::string& out) {
  const auto hex = [this] {
    std::uint32_t code = 0;
    const char* end = rest_.data() + 4;
    if (rest_.size() < 4 || std::from_chars(rest_.data(), end, code, 16).ptr != end) fail("four hex digits");
    rest_.remove_prefix(4);
    return code;
  };
  if (rest_.empty()) fail("an escape");
  const char c = rest_[0];
  rest_.remove_prefix(1);
  switch (c) {
    case 'n': out += '\n'; return;
    case 't': out += '\t'; return;
    case 'r': out += '\r'; return;
    case 'b': out += '\b'; return;
    case 'f': out += '\f'; return;
    case '"':
    case '\\':
    case '/': out += c; return;
    case 'u': {
      std::uint32_t code = hex();
      if (code >= 0xD800 && code < 0xDC00 && rest_.starts_with("\\u")) {
        rest_.remove_prefix(2);
        code = 0x10000 + ((code - 0xD800) << 10) + (hex() - 0xDC00);
      }
      append_utf8(out, code);
      return;
    }
    default: fail("an escape");
  }
}

std::string JsonReader::text() {
  if (peek() != '"') fail("a string");
  rest_.remove_prefix(1);
  std::string out;
  for (;;) {
    const std::size_t plain = rest_.find_first_of("\"\\");
    if (plain == rest_.npos) fail("the end of a string");
    out.append(rest_.substr(0, plain));
    const bool end = rest_[plain] == '"';
    rest_.remove_prefix(plain + 1);
    if (end) return out;
    append_escape(out);
  }
}

bool JsonReader::boolean() {
  peek();
  const bool value = rest_.starts_with("true");
  if (!value && !rest_.starts_with("false")) fail("true or false");
  rest_.remove_prefix(value ? 4 : 5);
  return value;
}

bool JsonReader::null() {
  peek();
  if (!rest_.starts_with("null")) return false;
  rest_.remove_prefix(4);
  return true;
}

std::string_view JsonReader::number() {
  peek();
  const std::size_t length = std::min(rest_.find_first_not_of("+-0123456789.eE"), rest_.size());
  if (length == 0) fail("a number");
  const std::string_view text = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return text;
}

void JsonReader::skip() {
  int depth = 0;
  do {
    switch (peek()) {
      case '{':
      case '[':
        if (++depth > 1000) fail("less nesting");
        rest_.remove_prefix(1);
        break;
      case '}':
      case ']':
        --depth;
        rest_.remove_prefix(1);
        break;
      case '"': (void)text(); break;
      case ',':
      case ':': rest_.remove_prefix(1); break;
      case 't':
      case 'f': (void)boolean(); break;
      case 'n':
        if (!null()) fail("a value");
        break;
      default: (void)number();
    }
  } while (depth > 0);
}

std::string_view JsonReader::raw() {
  (void)peek();
  const char* begin = rest_.data();
  skip();
  return {begin, static_cast<std::size_t>(rest_.data() - begin)};
}

void JsonReader::end() {
  if (peek() != '\0') fail("the end");
}

Payload make_payload(const char* encoding, std::string data) {
  Payload payload;
  payload.metadata["encoding"] = encoding;
  payload.data = std::move(data);
  return payload;
}

std::string_view encoding_of(const Payload& payload) {
  const auto found = payload.metadata.find("encoding");
  return found == payload.metadata.end() ? std::string_view() : std::string_view(found->second);
}

void wrong_encoding(const Payload& payload, std::string_view wanted) {
  throw PayloadError("a payload is encoded as '" + std::string(encoding_of(payload)) + "', not as " +
                     std::string(wanted));
}

void missing_argument(std::size_t index, std::size_t count) {
  throw PayloadError("argument " + std::to_string(index + 1) + " is missing: " + std::to_string(count) +
                     " were sent");
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
