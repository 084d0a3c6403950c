#include "server/core/limits/search_attributes.h"

#include <gtest/gtest.h>

namespace perdure::core {
namespace {

namespace enums = ::temporal::api::enums::v1;
using temporal::api::common::v1::Payload;

Payload payload_of(const std::string& json) {
  Payload payload;
  (*payload.mutable_metadata())["encoding"] = "json/plain";
  payload.set_data(json);
  return payload;
}

Namespace make_namespace() {
  Namespace ns;
  ns.set_name("default");
  auto& types = *ns.mutable_search_attributes();
  types["Text"] = enums::INDEXED_VALUE_TYPE_TEXT;
  types["Keyword"] = enums::INDEXED_VALUE_TYPE_KEYWORD;
  types["Int"] = enums::INDEXED_VALUE_TYPE_INT;
  types["Double"] = enums::INDEXED_VALUE_TYPE_DOUBLE;
  types["Bool"] = enums::INDEXED_VALUE_TYPE_BOOL;
  types["Datetime"] = enums::INDEXED_VALUE_TYPE_DATETIME;
  types["List"] = enums::INDEXED_VALUE_TYPE_KEYWORD_LIST;
  return ns;
}

// What is wrong with one attribute; empty: nothing.
std::string wrong(const std::string& name, const std::string& json) {
  SearchAttributes attributes;
  (*attributes.mutable_indexed_fields())[name] = payload_of(json);
  const base::Status checked = validate_search_attributes(attributes, make_namespace(), Limits{});
  if (!checked) return checked.error().message;
  EXPECT_EQ(attributes.indexed_fields().at(name).metadata().at("type"),
            search_attribute_type_name(search_attribute_type(name, make_namespace())));
  return {};
}

// SA-01: values that fit their type; a list of one element is a scalar; null and [] take a value away.
TEST(SearchAttributes, Accepted) {
  for (const auto& [name, json] : std::initializer_list<std::pair<const char*, const char*>>{
           {"Text", "\"some text\""},
           {"Keyword", "\"\""},
           {"Keyword", "[\"one\"]"},
           {"Keyword", "null"},
           {"Int", "-3"},
           {"Int", "[7]"},
           {"Int", "9223372036854775807"},
           {"Double", "7"},
           {"Double", "2.5"},
           {"Bool", "false"},
           {"Datetime", "\"2021-06-01T12:30:00.5+02:00\""},
           {"Datetime", "\"2024-02-29T00:00:00Z\""},
           {"List", "[\"x\",\"x\"]"},
           {"List", "[]"},
           {"BuildIds", "[\"x\"]"},
           {"TemporalScheduledById", "\"x\""}}) {
    EXPECT_EQ(wrong(name, json), "") << name << json;
  }
}

TEST(SearchAttributes, Refused) {
  const auto text = [](const std::string& name, const std::string& shown) {
    return "invalid value for search attribute " + name + " of type " +
           search_attribute_type_name(search_attribute_type(name, make_namespace())) + ": " + shown;
  };
  EXPECT_EQ(wrong("Int", "\"seven\""), text("Int", "seven"));
  EXPECT_EQ(wrong("Int", "7.5"), text("Int", "7.5"));
  EXPECT_EQ(wrong("Int", "9223372036854775808"), text("Int", "9.223372036854776e+18"));
  EXPECT_EQ(wrong("Bool", "1"), text("Bool", "1"));
  EXPECT_EQ(wrong("Keyword", "[\"one\",\"two\"]"), text("Keyword", "[one two]"));
  EXPECT_EQ(wrong("Keyword", "5"), text("Keyword", "5"));
  EXPECT_EQ(wrong("Keyword", "{\"a\":1}"), text("Keyword", "map[a:1]"));
  EXPECT_EQ(wrong("Datetime", "1577836800000000000"), text("Datetime", "1.5778368e+18"));
  EXPECT_EQ(wrong("Datetime", "\"2020-01-01\""), text("Datetime", "2020-01-01"));
  EXPECT_EQ(wrong("Datetime", "\"2021-02-29T00:00:00Z\""), text("Datetime", "2021-02-29T00:00:00Z"));
  EXPECT_EQ(wrong("List", "\"x\""), text("List", "x"));
  EXPECT_EQ(wrong("List", "[1,2]"), text("List", "[1 2]"));
  EXPECT_EQ(wrong("Text", "not json"), text("Text", "not json"));
}

TEST(SearchAttributes, NamesAndSizes) {
  EXPECT_EQ(wrong("Nobody", "1"), "Namespace default has no mapping defined for search attribute Nobody");
  EXPECT_EQ(wrong("ExecutionStatus", "\"x\""), "ExecutionStatus attribute can't be set in SearchAttributes");
  EXPECT_EQ(wrong("TemporalWorkerDeployment", "\"x\""),
            "TemporalWorkerDeployment attribute can't be set in SearchAttributes");
  EXPECT_EQ(wrong("Keyword", "\"" + std::string(3004, 'x') + "\""),
            "search attribute Keyword value size 3006 exceeds size limit 2048");
}

TEST(SearchAttributes, Merge) {
  SearchAttributes attributes, changes;
  (*attributes.mutable_indexed_fields())["a"] = payload_of("1");
  (*attributes.mutable_indexed_fields())["b"] = payload_of("2");
  (*changes.mutable_indexed_fields())["b"] = payload_of("null");
  (*changes.mutable_indexed_fields())["c"] = payload_of("[]");
  (*changes.mutable_indexed_fields())["d"] = payload_of("4");
  merge(attributes, changes);
  EXPECT_EQ(attributes.indexed_fields_size(), 2);
  EXPECT_EQ(attributes.indexed_fields().at("a").data(), "1");
  EXPECT_EQ(attributes.indexed_fields().at("d").data(), "4");
}

// VI-11: lists show the element of a list of one.
TEST(SearchAttributes, Listed) {
  const auto shown = [](const char* json, const char* type) {
    Payload payload = payload_of(json);
    (*payload.mutable_metadata())["type"] = type;
    return listed(payload).data();
  };
  EXPECT_EQ(shown("[7]", "Int"), "7");
  EXPECT_EQ(shown("[\"one\"]", "Keyword"), "\"one\"");
  EXPECT_EQ(shown("[\"one\"]", "KeywordList"), "[\"one\"]");
  EXPECT_EQ(shown("7", "Int"), "7");
}

}  // namespace
}  // namespace perdure::core
