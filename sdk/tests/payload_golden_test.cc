// Payloads and failures beside those that Temporal's SDKs for Python and Go write for the same values:
// payloads/python.json and payloads/go.json, which those SDKs' own tests keep true. Where the two agree, so
// do we; where they do not, the table says whom we follow; what either writes is read.
#include <gtest/gtest.h>

#include <google/protobuf/util/message_differencer.h>

#include <fstream>

#include "sdk/src/payload/convert.h"

#include <perdure/nlohmann.h>
#include <perdure/protobuf.h>
#include <temporal/api/common/v1/message.pb.h>

namespace golden {

struct Line {
  int count = 0;
  std::string sku;
  bool operator==(const Line&) const = default;
};
struct Order {
  bool express = false;
  std::string id;
  std::vector<Line> lines;
  std::optional<std::string> note;
  bool operator==(const Order&) const = default;
};
struct Person {
  std::string name;
  int age = 0;
  bool operator==(const Person&) const = default;
};

// Known to nlohmann::json.
struct Point {
  int x = 0, y = 0;
  bool operator==(const Point&) const = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Point, x, y)
struct Path {
  std::string name;
  std::vector<Point> points;
};

}  // namespace golden

namespace perdure {
namespace {

using namespace golden;
using Execution = temporal::api::common::v1::WorkflowExecution;
using WireFailure = temporal::api::failure::v1::Failure;

nlohmann::json recorded(const std::string& sdk) {
  std::ifstream in("sdk/tests/payloads/" + sdk + ".json");
  return nlohmann::json::parse(in);
}

std::string from_base64(const std::string& text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<std::uint32_t>(kDigits.find(c));
    if ((count += 6) >= 8) out += static_cast<char>(bits >> (count -= 8) & 255);
  }
  return out;
}

Payload payload_of(const nlohmann::json& entry) {
  const nlohmann::json& data = entry.at("data");  // null: Go's empty slice
  return {entry.at("metadata").get<std::map<std::string, std::string>>(),
          data.is_null() ? "" : from_base64(data.get<std::string>())};
}

enum class Like { kBoth, kGo, kPython, kMeaning };  // the last: JSON with other spaces

template <class T>
bool same(const T& a, const T& b) {
  if constexpr (std::is_base_of_v<google::protobuf::Message, T>) {
    return google::protobuf::util::MessageDifferencer::Equals(a, b);
  } else {
    return a == b;
  }
}

class Golden : public ::testing::Test {
 protected:
  template <class T>
  void check(const std::string& name, const T& value, Like like = Like::kBoth) {
    ++checked_;
    const Payload ours = detail::encode(value);
    for (const auto& [sdk, all] : {std::pair("python", &python_), std::pair("go", &go_)}) {
      ASSERT_TRUE(all->contains(name)) << name;
      const Payload theirs = payload_of(all->at(name));
      EXPECT_EQ(ours.metadata, theirs.metadata) << name << " " << sdk;
      if (like == Like::kMeaning) {
        EXPECT_EQ(nlohmann::json::parse(ours.data), nlohmann::json::parse(theirs.data)) << name << " " << sdk;
      } else if (like == Like::kBoth || (like == Like::kGo) == (std::string_view(sdk) == "go")) {
        EXPECT_EQ(ours.data, theirs.data) << name << " " << sdk;
      }
      EXPECT_TRUE(same(detail::decode<T>(theirs), value)) << name << " " << sdk;
    }
  }
  void check(const std::string& name, const char* text, Like like = Like::kBoth) {
    check(name, std::string(text), like);
  }
  void check_failure(const std::string& name, const std::exception_ptr& error) {
    ++checked_;
    for (const auto& [sdk, all] : {std::pair("python", &python_), std::pair("go", &go_)}) {
      WireFailure ours, theirs;
      convert::to_wire(error, &ours);
      for (WireFailure* one = &ours; one != nullptr; one = one->has_cause() ? one->mutable_cause() : nullptr)
        one->clear_source();
      ASSERT_TRUE(theirs.ParseFromString(from_base64(all->at("failure " + name).at("failure")))) << name;
      if (name == "cancelled") {  // each says it in its own words
        ours.clear_message();
        theirs.clear_message();
      }
      EXPECT_EQ(ours.DebugString(), theirs.DebugString()) << name << " " << sdk;
    }
  }

  const nlohmann::json python_ = recorded("python"), go_ = recorded("go");
  std::size_t checked_ = 0;
};

TEST_F(Golden, values_and_failures_are_written_as_the_other_sdks_write_them) {
  check("text", "Ann");
  check("escapes", "a\"b\\c\n\r\t\b\f\x01");
  check("not ASCII", "é😀", Like::kGo);
  check("markup", "<a&b>", Like::kPython);
  check("empty text", "");
  check("zero", 0);
  check("negative", -7);
  check("large", std::int64_t{9007199254740993});
  check("fraction", 0.1);
  check("whole", 3.0, Like::kGo);
  check("hundred thousand", 100000.0, Like::kGo);
  check("huge", 1e21);
  check("tiny", 1e-7, Like::kGo);
  check("true", true);
  check("nothing", std::optional<int>());
  check("bytes", std::vector<std::byte>{std::byte{0}, std::byte{255}});
  check("no bytes", std::vector<std::byte>());
  check("list", std::vector<int>{1, 2, 3});
  check("empty list", std::vector<int>());
  check("map", std::map<std::string, int>{{"a", 1}, {"b", 2}});
  check("struct", Order{true, "o1", {{2, "a"}}, {}});
  check("disorder", Person{"Ann", 7}, Like::kGo);
  check("nested", std::vector<std::vector<double>>{{1.5}, {}});
  Execution message;
  message.set_workflow_id("w");
  message.set_run_id("r");
  check("message", message, Like::kMeaning);

  ApplicationFailureOptions refusal;
  refusal.type = "Refusal";
  refusal.non_retryable = true;
  refusal.details = {detail::encode(1), detail::encode(std::string("x"))};
  refusal.next_retry_delay = 5s;
  check_failure("refusal", std::make_exception_ptr(ApplicationFailure("no", refusal)));
  ApplicationFailureOptions outer;
  outer.type = "Outer";
  outer.cause = std::make_exception_ptr(ApplicationFailure("inner", "Inner"));
  check_failure("caused", std::make_exception_ptr(ApplicationFailure("outer", outer)));
  check_failure("cancelled",
                std::make_exception_ptr(CancelledFailure("stop", {detail::encode(std::string("why"))})));
  EXPECT_EQ(checked_, python_.size());
  EXPECT_EQ(checked_, go_.size());
}

TEST(Protobuf, a_binary_message_is_read_and_another_encoding_is_not) {
  Execution message;
  message.set_workflow_id("w");
  const auto read =
      detail::decode<Execution>(detail::make_payload("binary/protobuf", message.SerializeAsString()));
  EXPECT_EQ(read.workflow_id(), "w");
  EXPECT_THROW(detail::decode<Execution>(detail::make_payload("json/plain", "{}")), PayloadError);
  EXPECT_THROW(detail::decode<Execution>(detail::make_payload("json/protobuf", "[")), PayloadError);
}

TEST(Nlohmann, mapped_types_travel_alone_and_inside_others) {
  const Point point{1, 2};
  EXPECT_EQ(detail::encode(point).data, R"({"x":1,"y":2})");
  EXPECT_EQ(detail::decode<Point>(detail::encode(point)), point);
  const Path path{"p", {point, {3, 4}}};
  EXPECT_EQ(detail::encode(path).data, R"({"name":"p","points":[{"x":1,"y":2},{"x":3,"y":4}]})");
  EXPECT_EQ(detail::decode<Path>(detail::encode(path)).points, path.points);
  EXPECT_THROW(detail::decode<Point>(detail::make_payload("json/plain", R"({"x":1})")), PayloadError);
}

TEST(Nlohmann, json_itself_travels_as_it_is) {
  const auto json = nlohmann::json::parse(R"({"b":[1,null,"x"],"a":{"c":1.5}})");
  EXPECT_EQ(detail::encode(json).data, R"({"a":{"c":1.5},"b":[1,null,"x"]})");
  EXPECT_EQ(detail::decode<nlohmann::json>(detail::encode(json)), json);
  EXPECT_EQ(detail::encode(std::vector<nlohmann::json>{json, 1}).data,
            R"([{"a":{"c":1.5},"b":[1,null,"x"]},1])");
}

}  // namespace
}  // namespace perdure
