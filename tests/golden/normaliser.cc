#include "tests/golden/normaliser.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

namespace perdure::golden {
namespace {

using Names = std::set<std::string_view>;
const Names kTokens{"task_token",      "next_page_token", "conflict_token",
                    "long_poll_token", "page_token",      "operation_token"};
const Names kCounts{"history_size_bytes", "state_transition_count", "external_payload_size_bytes",
                    "state_size_bytes", "size_bytes"};
const Names kVersions{"server_version", "client_version"};
const Names kMachines{"owner_host_name", "cluster_id", "history_shard_count", "persistence_store",
                      "visibility_store"};
const Names kUnordered{"pollers", "pending_activities", "pending_children", "pending_nexus_operations",
                       "task_queues"};
constexpr std::string_view kUuidShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
constexpr std::string_view kJsonPlain = "anNvbi9wbGFpbg==";  // "json/plain" in base64

bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool word(char c) {
  return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// How many characters at the front of `text` follow `shape`: d is a digit, x a lower-case hexadecimal one, S
// a T or a blank, all else itself. 0 when they do not.
std::size_t follows(std::string_view text, std::string_view shape) {
  if (text.size() < shape.size()) return 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const char c = text[i];
    const bool fits = shape[i] == 'd'   ? digit(c)
                      : shape[i] == 'x' ? digit(c) || (c >= 'a' && c <= 'f')
                      : shape[i] == 'S' ? c == 'T' || c == ' '
                                        : c == shape[i];
    if (!fits) return 0;
  }
  return shape.size();
}

std::size_t fraction(std::string_view text) {
  if (text.size() < 2 || text[0] != '.' || !digit(text[1])) return 0;
  std::size_t end = 2;
  while (end < text.size() && digit(text[end])) ++end;
  return end;
}

// The length of a date and time at the front of `text`, 0 when there is none; `T`, blank, zone or no zone all
// count.
std::size_t time_at(std::string_view text) {
  std::size_t length = follows(text, "dddd-dd-ddSdd:dd:dd");
  if (length == 0) return 0;
  length += fraction(text.substr(length));
  const std::string_view rest = text.substr(length);
  for (const std::string_view zone : {"Z", " Z", " +dddd UTC", " -dddd UTC"})
    if (const std::size_t more = follows(rest, zone)) return length + more;
  return length;
}

bool whole_time(std::string_view text) {
  std::size_t length = follows(text, "dddd-dd-ddTdd:dd:dd");
  if (length == 0) return false;
  length += fraction(text.substr(length));
  return text.substr(length) == "Z";
}

// Scenarios use these years as fixed dates.
bool kept_time(std::string_view text) {
  return follows(text, "200d-") || follows(text, "201d-") || follows(text, "209d-");
}

bool server_identity(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && digit(text[at])) ++at;
  if (at == 0 || at == text.size() || text[at] != '@' || text.size() < at + 3 || text.back() != '@')
    return false;
  const std::string_view host = text.substr(at + 1, text.size() - at - 2);
  return std::ranges::all_of(host, [](char c) { return word(c) || c == '.' || c == '-'; });
}

bool holds_uuid(std::string_view text) {
  for (std::size_t i = 0; i + kUuidShape.size() <= text.size(); ++i)
    if (follows(text.substr(i), kUuidShape)) return true;
  return false;
}

std::string without(std::string text, const std::string& part) {
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at))
    text.erase(at, part.size());
  return text;
}

std::string hide_times(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = std::string_view(text).substr(i);
    const std::size_t length = time_at(rest);
    if (length == 0) {
      out += text[i++];
      continue;
    }
    out += kept_time(rest) ? rest.substr(0, length) : "<time>";
    i += length;
  }
  return out;
}

// "0.2987s" -> "0.3s".
std::string rounded(const std::string& duration) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.2f", std::atof(duration.c_str()));
  const double value = std::atof(buffer);
  std::snprintf(buffer, sizeof buffer, "%gs", value);
  return buffer;
}

bool utf8(const std::string& text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

// The reverse of the $json shorthand, only when it loses nothing.
std::optional<Json> unwrapped_payload(const Json& node) {
  const Json* metadata = member(node, "metadata");
  const Json* encoding = metadata ? member(*metadata, "encoding") : nullptr;
  if (encoding == nullptr || *encoding != kJsonPlain) return std::nullopt;
  const auto data = decode_base64(node.value("data", ""));
  if (!data) return std::nullopt;
  Json value = Json::parse(*data, nullptr, false);
  if (value.is_discarded() || compact_json(value) != *data) return std::nullopt;
  Json rest = Json::object();
  for (const auto& [key, item] : metadata->items()) {
    if (key == "encoding") continue;
    const auto text = item.is_string() ? decode_base64(item.get_ref<const std::string&>()) : std::nullopt;
    if (!text || !utf8(*text)) return std::nullopt;
    rest[key] = *text;
  }
  Json payload = Json::object();
  payload["$json"] = std::move(value);
  if (!rest.empty()) payload["$meta"] = std::move(rest);
  return payload;
}

}  // namespace

Normaliser::Normaliser(std::string uid, const Json& ignore)
    : uid_(std::move(uid)), dropped_{"poller_scaling_decision", "backlog_count_hint", "execution_duration"} {
  for (const auto& name : ignore) dropped_.insert(name.get<std::string>());
}

Json Normaliser::outcome(const Json& outcome) {
  Json out = Json::object();
  for (const auto& [key, item] : outcome.items())
    out[key] = key == "step" || key == "what" ? item : value(item, key);
  return out;
}

std::string Normaliser::symbol(const std::string& uuid, const std::string& key) {
  auto [at, added] = symbols_.try_emplace(uuid);
  if (added) {
    const bool run = key.find("run_id") != std::string::npos;
    at->second = run ? "<run:" + std::to_string(++runs_) + ">" : "<uuid:" + std::to_string(++uuids_) + ">";
  }
  return at->second;
}

std::string Normaliser::name_uuids(const std::string& text, const std::string& key) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (follows(std::string_view(text).substr(i), kUuidShape)) {
      out += symbol(text.substr(i, kUuidShape.size()), key);
      i += kUuidShape.size();
    } else {
      out += text[i++];
    }
  }
  return out;
}

std::string Normaliser::text(const std::string& text, const std::string& key) {
  if (whole_time(text) && !kept_time(text))
    return text.starts_with("0001-") ? "<time:zero>" : text.starts_with("1970-") ? "<time:epoch>" : "<time>";
  if (key == "identity" && server_identity(text)) return "<server>";
  return hide_times(name_uuids(without(without(text, "-" + uid_), uid_), key));
}

Json Normaliser::value(const Json& node, const std::string& key) {
  if (node.is_array()) {
    Json items = Json::array();
    for (const auto& item : node) items.push_back(value(item, key));
    if (!kUnordered.contains(key)) return items;
    std::vector<std::pair<std::string, Json>> sorted;
    for (auto& item : items) sorted.emplace_back(sort_key(item), std::move(item));
    std::ranges::stable_sort(sorted, {}, &std::pair<std::string, Json>::first);
    for (std::size_t i = 0; i < sorted.size(); ++i) items[i] = std::move(sorted[i].second);
    return items;
  }
  if (node.is_object()) return object(node);
  if (kTokens.contains(key) && node != "") return "<token>";
  if (kCounts.contains(key)) return "<n>";
  if (kVersions.contains(key)) return "<version>";
  if (key == "current_retry_interval") return rounded(node.get<std::string>());
  if (kMachines.contains(key)) return "<machine>";
  return node.is_string() ? Json(text(node.get_ref<const std::string&>(), key)) : node;
}

Json Normaliser::object(const Json& node) {
  const std::optional<Json> payload = unwrapped_payload(node);
  const Json& source = payload ? *payload : node;
  const bool plain = source.contains("$json");
  const bool event = source.contains("event_id") && source.contains("event_type");
  Json out = Json::object();
  for (const auto& [key, item] : source.items()) {
    if (plain) {
      out[key] = value(item, key);
      continue;
    }
    if (dropped_.contains(key) || (event && (key == "task_id" || key == "version"))) continue;
    const bool named = holds_uuid(key) || key.find(uid_) != std::string::npos;
    const std::string name = named ? text(key, "") : key;
    out[name] = value(item, key);
  }
  return out;
}

}  // namespace perdure::golden
