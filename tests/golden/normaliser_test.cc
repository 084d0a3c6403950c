// The rules themselves are shared with golden.py through testdata/normaliser.json: runner_test.py checks the
// same cases there.
#include "tests/golden/normaliser.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace perdure::golden {
namespace {

Json read(const std::filesystem::path& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

Json normalised(const std::string& uid, const Json& ignore, const Json& raw) {
  Normaliser rules(uid, ignore);
  Json out = Json::array();
  for (const auto& outcome : raw) out.push_back(rules.outcome(outcome));
  return out;
}

TEST(Normaliser, AgreesWithPythonOnTheSharedCases) {
  const Json cases = read(GOLDEN_FOLDER "/testdata/normaliser.json");
  EXPECT_GT(cases.size(), 10u);
  for (const auto& one : cases)
    EXPECT_EQ(normalised(one.at("uid"), one.value("ignore", Json::array()), one.at("raw")),
              one.at("normalised"))
        << one.at("about");
}

constexpr const char* kUid = "zabc123def";

void replace(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// A text that a server might have answered where the recording now has symbols.
std::string raw_text(std::string text) {
  for (const auto& [symbol, value] :
       std::map<std::string, std::string>{{"<time:zero>", "0001-01-01T00:00:00Z"},
                                          {"<time:epoch>", "1970-01-01T00:00:00Z"},
                                          {"<time>", "2026-11-24T06:30:00.123456Z"},
                                          {"<server>", "17@some-host.local@"}})
    replace(text, symbol, value);
  for (const std::string kind : {"run", "uuid"})
    for (std::size_t at = text.find("<" + kind + ":"); at != std::string::npos;
         at = text.find("<" + kind + ":", at)) {
      const std::size_t end = text.find('>', at);
      const std::string number = text.substr(at + kind.size() + 2, end - at - kind.size() - 2);
      const std::string last = std::string(11 - number.size(), '0') + number;
      text.replace(at, end + 1 - at,
                   (kind == "run" ? "aaaaaaaa" : "bbbbbbbb") + std::string("-0000-4000-8000-f") + last);
    }
  return text;
}

Json raw(const Json& node, const std::string& key) {
  if (node.is_array()) {
    Json out = Json::array();
    for (const auto& item : node) out.push_back(raw(item, key));
    return out;
  }
  if (node.is_object() && node.contains("$json")) {
    Json out = Json::object();
    out["data"] = encode_base64(compact_json(raw(node.at("$json"), "$json")));
    out["metadata"]["encoding"] = encode_base64("json/plain");
    Json meta = node.value("$meta", Json::object());
    if (node.contains("$meta") && meta.empty()) meta["type"] = "Keyword";  // what the scenario ignores
    for (const auto& [name, value] : meta.items())
      out["metadata"][name] = encode_base64(raw_text(value.get<std::string>()));
    return out;
  }
  if (node.is_object()) {
    Json out = Json::object();
    for (const auto& [name, item] : node.items()) out[raw_text(name)] = raw(item, name);
    return out;
  }
  if (!node.is_string()) return node;
  return raw_text(node.get<std::string>()) + (key == "workflow_id" ? std::string("-") + kUid : "");
}

bool holds_unordered(const std::string& recording) {
  for (const char* name :
       {"pollers", "pending_activities", "pending_children", "pending_nexus_operations", "task_queues"})
    if (recording.find(std::string("\"") + name + "\"") != std::string::npos) return true;
  return false;
}

TEST(Normaliser, BringsEveryRecordingBackFromRawAnswers) {
  int compared = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(GOLDEN_FOLDER "/recorded")) {
    if (entry.path().extension() != ".json") continue;
    const Json recording = read(entry.path());
    // The order of these is not in the recording, and numbers depend on it.
    if (holds_unordered(recording.dump())) continue;
    Json answers = Json::array();
    for (const auto& outcome : recording) answers.push_back(raw(outcome, ""));
    const bool without_types = recording.dump().find(R"("$meta":{})") != std::string::npos;
    EXPECT_EQ(normalised(kUid, without_types ? Json{"type"} : Json::array(), answers), recording)
        << entry.path();
    ++compared;
  }
  EXPECT_GT(compared, 800);
}

}  // namespace
}  // namespace perdure::golden
