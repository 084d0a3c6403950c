#include <perdure/attributes.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <type_traits>

#include "sdk/src/payload/times.h"

namespace perdure {
inline namespace v1 {
namespace detail {

Payload typed(Payload payload, Indexed type) {
  static constexpr std::array<const char*, 7> kNames{"Text", "Keyword",  "Int",        "Double",
                                                     "Bool", "Datetime", "KeywordList"};
  payload.metadata["type"] = kNames.at(static_cast<std::size_t>(type));
  return payload;
}

std::string rfc3339(TimePoint time) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  static_assert(std::is_same_v<TimePoint::duration, std::chrono::nanoseconds>);
  const std::int64_t nanos = time.time_since_epoch().count();
  const std::int64_t part =
      (nanos % kSecond + kSecond) % kSecond;  // rounded down to a second, whatever the sign
  const std::chrono::sys_seconds whole(std::chrono::seconds(nanos / kSecond - (nanos % kSecond < 0 ? 1 : 0)));
  const auto days = std::chrono::floor<std::chrono::days>(whole);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(whole - days);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                static_cast<int>(part / 1000));
  return text.data();
}

TimePoint parse_rfc3339(std::string_view view) {
  const std::string text(view);
  const auto check = [&text](bool good) {
    if (!good) throw PayloadError("not a time: " + text);
  };
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, read = 0;
  // Widths: what has more digits is no time, and would not fit.
  check(std::sscanf(text.c_str(), "%5d-%3d-%3dT%3d:%3d:%3d%n", &year, &month, &day, &hour, &minute, &second,
                    &read) == 6);
  check(year >= 0 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 && day <= 31);
  check(hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second <= 60);
  std::size_t at = static_cast<std::size_t>(read);
  std::int64_t nanos = 0;
  if (at < text.size() && text[at] == '.') {
    std::int64_t unit = 100'000'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10)
      nanos += (text[at] - '0') * unit;
  }
  std::chrono::minutes zone{0};
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    int hours = 0, minutes = 0;
    check(std::sscanf(text.c_str() + at + 1, "%3d:%3d", &hours, &minutes) == 2);
    check(hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60);
    zone = std::chrono::minutes((text[at] == '-' ? -1 : 1) * (hours * 60 + minutes));
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  check(date.ok());
  const std::chrono::sys_seconds time = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                                        std::chrono::minutes(minute) + std::chrono::seconds(second) - zone;
  return TimePoint(
      TimePoint::duration(convert::nearest(time.time_since_epoch().count(), 1'000'000'000, nanos)));
}

}  // namespace detail

Memo& Memo::set(const std::string& name, const char* value) {
  return set(name, std::string(value));
}

SearchAttributes::SearchAttributes(std::initializer_list<SearchAttributeUpdate> all) {
  for (const SearchAttributeUpdate& one : all) apply(one);
}

void SearchAttributes::apply(const SearchAttributeUpdate& update) {
  if (detail::encoding_of(update.value) == "binary/null") {
    fields_.erase(update.name);
  } else {
    fields_[update.name] = update.value;
  }
}

}  // namespace v1
}  // namespace perdure
