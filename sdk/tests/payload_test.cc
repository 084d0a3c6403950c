// Values to payloads and back: the bytes that other SDKs read and write.
#include <gtest/gtest.h>

#include <perdure/failure.h>

namespace payloads {

using namespace perdure;

struct Line {
  std::string sku;
  int count = 1;
};
struct Order {
  std::string id;
  std::optional<double> discount;
  std::vector<Line> lines;
  std::map<std::string, int> stock;
  bool express = false;
};
enum class Colour { kRed, kGreen };

template <class T>
std::string json(const T& value) {
  const Payload payload = detail::encode<T>(value);
  EXPECT_EQ(payload.metadata.at("encoding"), "json/plain");
  return payload.data;
}
template <class T>
T read(std::string text) {
  return detail::decode<T>(detail::make_payload("json/plain", std::move(text)));
}

TEST(Payload, plain_structs_are_json_objects_in_the_order_of_their_members) {
  const Order order{"o1", 0.5, {{"a", 2}}, {{"x", 1}}, true};
  EXPECT_EQ(json(order),
            R"({"id":"o1","discount":0.5,"lines":[{"sku":"a","count":2}],"stock":{"x":1},"express":true})");
}

TEST(Payload, missing_members_keep_their_initialiser_and_unknown_ones_are_ignored) {
  const auto order = read<Order>(
      R"( {"unknown": {"a": [1, "]", null]}, "lines": [{"sku": "z"}], "discount": null, "id": "o2"} )");
  EXPECT_EQ(order.id, "o2");
  EXPECT_EQ(order.lines.at(0).count, 1);
  EXPECT_FALSE(order.discount);
  EXPECT_FALSE(order.express);
}

TEST(Payload, text_numbers_and_the_rest) {
  EXPECT_EQ(json<std::string>("a\"b\\c\n\x01é"), R"("a\"b\\c\n\u0001é")");
  EXPECT_EQ(read<std::string>(R"("\u00e9\ud83d\ude00\/")"), "é😀/");
  EXPECT_EQ(json(3.5), "3.5");
  EXPECT_EQ(json(-7L), "-7");
  EXPECT_EQ(json(Colour::kGreen), "1");
  EXPECT_EQ(read<Colour>("1"), Colour::kGreen);
  EXPECT_EQ(read<std::vector<int>>("null"), std::vector<int>());
  EXPECT_EQ((json(std::pair<int, std::string>(1, "a"))), R"([1,"a"])");
}

TEST(Payload, bytes_nothing_and_payloads_themselves) {
  const std::vector<std::byte> bytes{std::byte{0}, std::byte{255}};
  const Payload payload = detail::encode(bytes);
  EXPECT_EQ(payload.metadata.at("encoding"), "binary/plain");
  EXPECT_EQ(detail::decode<std::vector<std::byte>>(payload), bytes);
  EXPECT_EQ(detail::encode(std::optional<int>()).metadata.at("encoding"), "binary/null");
  EXPECT_EQ(detail::decode<std::optional<int>>(detail::encode_nothing()), std::nullopt);
  EXPECT_EQ(detail::decode<Payload>(payload), payload);
}

TEST(Payload, what_does_not_fit_is_refused) {
  EXPECT_THROW(read<int>("\"3\""), PayloadError);
  EXPECT_THROW(read<int>("3.5"), PayloadError);
  EXPECT_THROW(read<std::int8_t>("300"), PayloadError);
  EXPECT_THROW(read<std::string>("\"open"), PayloadError);
  EXPECT_THROW(read<Order>("{} {}"), PayloadError);
  EXPECT_THROW(read<Order>(std::string(2000, '[')), PayloadError);
  EXPECT_THROW(detail::decode<int>(detail::make_payload("binary/plain", "3")), PayloadError);
  EXPECT_THROW((detail::ArgumentList<std::tuple<int, int>>::decode_all({detail::encode(1)})), PayloadError);
}

TEST(Payload, a_missing_argument_is_taken_for_an_optional_parameter) {
  const auto arguments =
      detail::ArgumentList<std::tuple<int, std::optional<int>>>::decode_all({detail::encode(1)});
  EXPECT_EQ(std::get<1>(arguments), std::nullopt);
}

TEST(Failure, causes_are_told_and_cancellation_is_seen_through_an_activity) {
  const auto cancelled = std::make_exception_ptr(CancelledFailure("stop"));
  const ActivityFailure failure("activity cancelled", "work", "1", 0, cancelled);
  EXPECT_TRUE(failure.is_cancelled());
  EXPECT_EQ(describe(std::make_exception_ptr(failure)), "activity cancelled <- stop");
  EXPECT_FALSE(ApplicationFailure("x").is_cancelled());
}

}  // namespace payloads
