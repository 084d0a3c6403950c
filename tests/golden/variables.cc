#include "tests/golden/variables.h"

#include <charconv>
#include <utility>

namespace perdure::golden {
namespace {

bool one_of(char c, std::string_view set) {
  return set.find(c) != std::string_view::npos;
}

// One part of a path, off the front of `path`; empty at the end.
std::string_view next_part(std::string_view& path) {
  while (!path.empty()) {
    if (path.front() == '[') {
      const std::size_t close = path.find(']');
      if (close != std::string_view::npos && close > 1) {
        const std::string_view part = path.substr(0, close + 1);
        path.remove_prefix(close + 1);
        return part;
      }
    }
    if (one_of(path.front(), ".[]")) {
      path.remove_prefix(1);
      continue;
    }
    const std::size_t end = std::min(path.find_first_of(".[]"), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(end);
    return part;
  }
  return {};
}

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_null()) return "None";
  return compact_json(value);
}

}  // namespace

std::expected<Json, Unresolved> find(const Json& node, std::string_view path) {
  const Json* at = &node;
  Json key;
  for (std::string_view rest = path, part = next_part(rest); !part.empty(); part = next_part(rest)) {
    const Json* next = nullptr;
    if (part == "@key") {
      if (at->is_object() && !at->empty()) {
        key = Json(at->begin().key());
        next = &key;
      }
    } else if (part.front() == '[') {
      std::size_t index = 0;
      std::from_chars(part.data() + 1, part.data() + part.size() - 1, index);
      if (at->is_array() && index < at->size()) next = &(*at)[index];
    } else {
      next = member(*at, part);
    }
    if (next == nullptr) return std::unexpected(Unresolved{std::string(path)});
    at = next;
  }
  return *at;
}

Variables::Variables(std::string uid, std::string name_space)
    : uid_(std::move(uid)), values_{{"uid", uid_}, {"ns", std::move(name_space)}} {}

std::expected<Json, Unresolved> Variables::lookup(std::string_view expression) const {
  constexpr std::string_view kRepeat = "repeat:";
  if (!expression.starts_with(kRepeat)) return find(values_, expression);
  const std::string_view arguments = expression.substr(kRepeat.size());
  const std::size_t colon = arguments.find(':');
  if (colon == std::string_view::npos) return std::unexpected(Unresolved{std::string(expression)});
  const std::string_view count_text = arguments.substr(colon + 1);
  std::size_t count = 0;
  std::from_chars(count_text.data(), count_text.data() + count_text.size(), count);
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += arguments.substr(0, colon);
  return Json(std::move(out));
}

std::expected<Json, Unresolved> Variables::fill_text(const std::string& text) const {
  std::string out;
  std::size_t at = 0;
  while (true) {
    const std::size_t open = text.find("${", at);
    const std::size_t close = open == std::string::npos ? open : text.find('}', open);
    if (close == std::string::npos || close == open + 2) break;
    auto value = lookup(std::string_view(text).substr(open + 2, close - open - 2));
    if (!value || (open == 0 && close + 1 == text.size())) return value;
    out += text.substr(at, open - at) + text_of(*value);
    at = close + 1;
  }
  return Json(out + text.substr(at));
}

std::expected<Json, Unresolved> Variables::fill(const Json& node) const {
  if (node.is_string()) return fill_text(node.get_ref<const std::string&>());
  if (!node.is_structured()) return node;
  Json out = node.is_array() ? Json::array() : Json::object();
  for (const auto& [key, item] : node.items()) {
    auto value = fill(item);
    if (!value) return value;
    if (node.is_array()) {
      out.push_back(std::move(*value));
      continue;
    }
    auto name = fill_text(key);
    if (!name) return name;
    out[text_of(*name)] = std::move(*value);
  }
  return out;
}

}  // namespace perdure::golden
