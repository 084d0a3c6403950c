#include "server/core/limits/search_attributes.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace perdure::core {
namespace {

namespace enums = ::temporal::api::enums::v1;
using nlohmann::json;
using temporal::api::common::v1::Memo;
using temporal::api::common::v1::Payload;

constexpr auto kText = enums::INDEXED_VALUE_TYPE_TEXT;
constexpr auto kKeyword = enums::INDEXED_VALUE_TYPE_KEYWORD;
constexpr auto kInt = enums::INDEXED_VALUE_TYPE_INT;
constexpr auto kDouble = enums::INDEXED_VALUE_TYPE_DOUBLE;
constexpr auto kBool = enums::INDEXED_VALUE_TYPE_BOOL;
constexpr auto kDatetime = enums::INDEXED_VALUE_TYPE_DATETIME;
constexpr auto kList = enums::INDEXED_VALUE_TYPE_KEYWORD_LIST;

// Kept by worker versioning alone (VE-07).
const std::set<std::string, std::less<>>& versioning_attributes() {
  static const std::set<std::string, std::less<>> names = {
      "TemporalUsedWorkerDeploymentVersions", "TemporalWorkerDeployment", "TemporalWorkerDeploymentVersion",
      "TemporalWorkflowVersioningBehavior"};
  return names;
}

const std::string* metadata(const Payload& payload, const char* key) {
  const auto found = payload.metadata().find(key);
  return found == payload.metadata().end() ? nullptr : &found->second;
}

// The payload as JSON; null for the null encoding, nothing when it is neither.
std::optional<json> decoded(const Payload& payload) {
  const std::string* encoding = metadata(payload, "encoding");
  if (payload.data().empty() || (encoding && *encoding == "binary/null")) return json();
  if (!encoding || *encoding != "json/plain") return std::nullopt;
  json value = json::parse(payload.data(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

bool digits(std::string_view text, std::size_t from, std::size_t count) {
  if (from + count > text.size()) return false;
  for (std::size_t i = from; i < from + count; ++i)
    if (text[i] < '0' || text[i] > '9') return false;
  return true;
}

int number(std::string_view text, std::size_t from, std::size_t count) {
  int value = 0;
  std::from_chars(text.data() + from, text.data() + from + count, value);
  return value;
}

// RFC 3339 with a zone: 2021-06-01T12:30:00.5+02:00.
bool is_datetime(const std::string& text) {
  const std::string_view at = text;
  if (!digits(at, 0, 4) || !digits(at, 5, 2) || !digits(at, 8, 2) || !digits(at, 11, 2) ||
      !digits(at, 14, 2) || !digits(at, 17, 2) || at[4] != '-' || at[7] != '-' || at[10] != 'T' ||
      at[13] != ':' || at[16] != ':') {
    return false;
  }
  const std::chrono::year_month_day date{std::chrono::year(number(at, 0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(at, 5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(at, 8, 2)))};
  if (!date.ok() || number(at, 11, 2) > 23 || number(at, 14, 2) > 59 || number(at, 17, 2) > 59) return false;
  std::size_t next = 19;
  if (next < at.size() && at[next] == '.') {
    const std::size_t first = ++next;
    while (next < at.size() && at[next] >= '0' && at[next] <= '9') ++next;
    if (next == first) return false;
  }
  if (next < at.size() && at[next] == 'Z') return next + 1 == at.size();
  return next + 6 == at.size() && (at[next] == '+' || at[next] == '-') && digits(at, next + 1, 2) &&
         at[next + 3] == ':' && digits(at, next + 4, 2) && number(at, next + 1, 2) < 24 &&
         number(at, next + 4, 2) < 60;
}

bool is_scalar_of(const json& value, SearchAttributeType type) {
  switch (type) {
    case kText:
    case kKeyword: return value.is_string();
    case kInt:
      return value.is_number_integer() &&
             (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
    case kDouble: return value.is_number();
    case kBool: return value.is_boolean();
    case kDatetime: return value.is_string() && is_datetime(value.get_ref<const std::string&>());
    default: return false;
  }
}

bool fits(const json& value, SearchAttributeType type) {
  if (value.is_null() || (value.is_array() && value.empty())) return true;  // takes the value away
  if (type == kList) {
    if (!value.is_array()) return false;
    return std::all_of(value.begin(), value.end(), [](const json& element) { return element.is_string(); });
  }
  if (value.is_array()) return value.size() == 1 && is_scalar_of(value[0], type);
  return is_scalar_of(value, type);
}

// The shortest text of a number, with an exponent where it is below -4 or above 5.
std::string shown(double value) {
  char text[64];
  const char* end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  const std::string_view scientific(text, static_cast<std::size_t>(end - text));
  const int exponent = std::atoi(scientific.substr(scientific.find('e') + 1).data());
  if (exponent < -4 || exponent >= 6) return std::string(scientific);
  end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed).ptr;
  return std::string(text, static_cast<std::size_t>(end - text));
}

// A refused value in the words of the error: [one two], map[a:1], 7.5.
std::string shown(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return shown(value.get<double>());
  if (!value.is_structured()) return value.dump();
  std::string text = value.is_array() ? "[" : "map[";
  const char* separator = "";
  for (const auto& [key, element] : value.items()) {
    text += separator;
    if (value.is_object()) text += key + ":";
    // Nested structures are cut short: the text is only there to be recognised.
    text += element.is_structured() ? element.dump() : shown(element);
    separator = " ";
  }
  return text + "]";
}

template <class Fields>
void merge_fields(Fields& fields, const Fields& changes) {
  for (const auto& [name, payload] : changes) {
    if (is_null(payload)) {
      fields.erase(name);
    } else {
      fields[name] = payload;
    }
  }
}

}  // namespace

const SearchAttributeTypes& system_search_attributes() {
  static const SearchAttributeTypes types = {
      {"CloseTime", kDatetime},
      {"ExecutionDuration", kInt},
      {"ExecutionStatus", kKeyword},
      {"ExecutionTime", kDatetime},
      {"HistoryLength", kInt},
      {"HistorySizeBytes", kInt},
      {"ParentRunId", kKeyword},
      {"ParentWorkflowId", kKeyword},
      {"RootRunId", kKeyword},
      {"RootWorkflowId", kKeyword},
      {"RunId", kKeyword},
      {"StartTime", kDatetime},
      {"StateTransitionCount", kInt},
      {"TaskQueue", kKeyword},
      {"WorkflowId", kKeyword},
      {"WorkflowType", kKeyword},
  };
  return types;
}

const SearchAttributeTypes& predefined_search_attributes() {
  static const SearchAttributeTypes types = {
      {"BatcherNamespace", kKeyword},
      {"BatcherUser", kKeyword},
      {"BinaryChecksums", kList},
      {"BuildIds", kList},
      {"TemporalChangeVersion", kList},
      {"TemporalNamespaceDivision", kKeyword},
      {"TemporalPauseInfo", kList},
      {"TemporalReportedProblems", kList},
      {"TemporalScheduledById", kKeyword},
      {"TemporalSchedulePaused", kBool},
      {"TemporalScheduledStartTime", kDatetime},
      {"TemporalUsedWorkerDeploymentVersions", kList},
      {"TemporalWorkerDeployment", kKeyword},
      {"TemporalWorkerDeploymentVersion", kKeyword},
      {"TemporalWorkflowVersioningBehavior", kKeyword},
  };
  return types;
}

SearchAttributeType search_attribute_type(std::string_view name, const Namespace& ns) {
  for (const SearchAttributeTypes* types : {&system_search_attributes(), &predefined_search_attributes()}) {
    if (const auto found = types->find(name); found != types->end()) return found->second;
  }
  const auto custom = ns.search_attributes().find(std::string(name));
  return custom == ns.search_attributes().end() ? enums::INDEXED_VALUE_TYPE_UNSPECIFIED
                                                : static_cast<SearchAttributeType>(custom->second);
}

const char* search_attribute_type_name(SearchAttributeType type) {
  switch (type) {
    case kText: return "Text";
    case kKeyword: return "Keyword";
    case kInt: return "Int";
    case kDouble: return "Double";
    case kBool: return "Bool";
    case kDatetime: return "Datetime";
    case kList: return "KeywordList";
    default: return "Unspecified";
  }
}

base::Status validate_search_attributes(SearchAttributes& attributes, const Namespace& ns,
                                        const Limits& limits) {
  if (attributes.indexed_fields_size() > static_cast<int>(limits.search_attributes_count)) {
    return base::invalid_argument("number of search attributes " +
                                  std::to_string(attributes.indexed_fields_size()) + " exceeds limit " +
                                  std::to_string(limits.search_attributes_count));
  }
  std::set<std::string> names;  // errors name the first in order, whatever order the map has
  for (const auto& [name, payload] : attributes.indexed_fields()) names.insert(name);
  std::size_t total = 0;
  for (const std::string& name : names) {
    Payload& payload = (*attributes.mutable_indexed_fields())[name];
    if (system_search_attributes().contains(name) || versioning_attributes().contains(name)) {
      return base::invalid_argument(name + " attribute can't be set in SearchAttributes");
    }
    const SearchAttributeType type = search_attribute_type(name, ns);
    if (type == enums::INDEXED_VALUE_TYPE_UNSPECIFIED) {
      return base::invalid_argument("Namespace " + ns.name() +
                                    " has no mapping defined for search attribute " + name);
    }
    if (payload.data().size() > limits.search_attribute_value_size) {
      return base::invalid_argument("search attribute " + name + " value size " +
                                    std::to_string(payload.data().size()) + " exceeds size limit " +
                                    std::to_string(limits.search_attribute_value_size));
    }
    total += name.size() + payload.data().size();
    const std::optional<json> value = decoded(payload);
    if (!value || !fits(*value, type)) {
      return base::invalid_argument("invalid value for search attribute " + name + " of type " +
                                    search_attribute_type_name(type) + ": " +
                                    (value ? shown(*value) : payload.data()));
    }
    (*payload.mutable_metadata())["type"] = search_attribute_type_name(type);
  }
  if (total > limits.search_attributes_size) {
    return base::invalid_argument("total size of search attributes " + std::to_string(total) +
                                  " exceeds size limit " + std::to_string(limits.search_attributes_size));
  }
  return {};
}

bool is_null(const Payload& payload) {
  const std::string* encoding = metadata(payload, "encoding");
  if (!encoding) return payload.data().empty();
  if (*encoding == "binary/null") return true;
  return *encoding == "json/plain" &&
         (payload.data().empty() || payload.data() == "null" || payload.data() == "[]");
}

void merge(SearchAttributes& attributes, const SearchAttributes& changes) {
  merge_fields(*attributes.mutable_indexed_fields(), changes.indexed_fields());
}
void merge(Memo& memo, const Memo& changes) {
  merge_fields(*memo.mutable_fields(), changes.fields());
}

Payload listed(const Payload& value) {
  const std::string* type = metadata(value, "type");
  if (!value.data().starts_with('[') || (type && *type == search_attribute_type_name(kList))) return value;
  const std::optional<json> list = decoded(value);
  if (!list || !list->is_array() || list->size() != 1) return value;
  Payload scalar = value;
  scalar.set_data((*list)[0].dump());
  return scalar;
}

Payload keyword_list(const std::vector<std::string>& words) {
  Payload value;
  (*value.mutable_metadata())["encoding"] = "json/plain";
  (*value.mutable_metadata())["type"] = search_attribute_type_name(kList);
  // What is no UTF-8 (a damaged name in a reason) is replaced.
  value.set_data(json(words).dump(-1, ' ', false, json::error_handler_t::replace));
  return value;
}

}  // namespace perdure::core
