#include <perdure/attributes.h>

#include <array>
#include <chrono>
#include <cstdio>

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
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(std::chrono::duration_cast<std::chrono::microseconds>(time - days));
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                static_cast<int>(clock.subseconds().count()));
  return text.data();
}

TimePoint parse_rfc3339(std::string_view view) {
  const std::string text(view);
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, read = 0;
  if (std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%d%n", &year, &month, &day, &hour, &minute, &second, &read) !=
      6)
    throw PayloadError("not a time: " + text);
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
    if (std::sscanf(text.c_str() + at + 1, "%d:%d", &hours, &minutes) != 2)
      throw PayloadError("not a time: " + text);
    zone = std::chrono::minutes((text[at] == '-' ? -1 : 1) * (hours * 60 + minutes));
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) throw PayloadError("not a time: " + text);
  const auto time = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
                    std::chrono::seconds(second) + std::chrono::nanoseconds(nanos) - zone;
  return std::chrono::time_point_cast<TimePoint::duration>(time);
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
