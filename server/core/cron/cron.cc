#include "server/core/cron/cron.h"

#include <date/tz.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace perdure::core {
namespace {

using base::Duration;
using base::Result;
using base::Time;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Minute = std::chrono::sys_time<minutes>;

constexpr days kHorizon(5 * 366);

constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kWeekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

// The values a field may take, as bits; `any` when it does not restrict ("*" or "?").
struct Field {
  std::uint64_t bits = 0;
  bool any = false;
  bool has(unsigned value) const { return (bits >> value & 1) != 0; }
};

struct FieldKind {
  unsigned low, high;
  std::span<const std::string_view> names;  // of `low` and up
};
constexpr std::array<FieldKind, 5> kFields = {
    {{0, 59, {}}, {0, 23, {}}, {1, 31, {}}, {1, 12, kMonths}, {0, 6, kWeekdays}}};

struct Calendar {
  Field minute, hour, day, month, weekday;
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return result;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t start = text.find_first_not_of(separators);
    if (start == std::string_view::npos) return parts;
    text.remove_prefix(start);
    parts.push_back(text.substr(0, text.find_first_of(separators)));
    text.remove_prefix(parts.back().size());
  }
}

std::optional<unsigned> number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<unsigned> value_of(std::string_view text, const FieldKind& kind) {
  const std::string name = lower(text);
  for (unsigned i = 0; i < kind.names.size(); ++i)
    if (kind.names[i] == name) return kind.low + i;
  return number(text);
}

// "*", "5", "1-5", each with or without "/step".
bool add_range(Field& field, std::string_view text, const FieldKind& kind) {
  const std::size_t slash = text.find('/');
  std::optional<unsigned> step = 1;
  if (slash != std::string_view::npos) step = number(text.substr(slash + 1));
  const std::string_view range = text.substr(0, slash);
  std::optional<unsigned> low = kind.low, high = kind.high;
  if (range == "*" || range == "?") {
    field.any = field.any || step == 1U;
  } else if (const std::size_t dash = range.find('-'); dash != std::string_view::npos) {
    low = value_of(range.substr(0, dash), kind);
    high = value_of(range.substr(dash + 1), kind);
  } else {
    low = value_of(range, kind);
    if (slash == std::string_view::npos) high = low;
  }
  if (!step || *step == 0 || !low || !high || *low < kind.low || *high > kind.high || *low > *high)
    return false;
  for (unsigned value = *low; value <= *high; value += *step) field.bits |= std::uint64_t{1} << value;
  return true;
}

std::optional<Calendar> read_calendar(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, " \t");
  if (parts.size() != kFields.size()) return std::nullopt;
  Calendar calendar;
  Field* const fields[] = {&calendar.minute, &calendar.hour, &calendar.day, &calendar.month,
                           &calendar.weekday};
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    for (const std::string_view range : split(parts[i], ","))
      if (!add_range(*fields[i], range, kFields[i])) return std::nullopt;
    if (fields[i]->bits == 0) return std::nullopt;
  }
  return calendar;
}

std::string_view calendar_of_name(std::string_view name) {
  if (name == "@yearly" || name == "@annually") return "0 0 1 1 *";
  if (name == "@monthly") return "0 0 1 * *";
  if (name == "@weekly") return "0 0 * * 0";
  if (name == "@daily" || name == "@midnight") return "0 0 * * *";
  if (name == "@hourly") return "0 * * * *";
  return {};
}

// "1h30m", "1.5h", "90s".
std::optional<Duration> read_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double nanoseconds;
  };
  static constexpr Unit kUnits[] = {{"ns", 1},  {"us", 1e3}, {"µs", 1e3},  {"ms", 1e6},
                                    {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    double amount = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), amount, std::chars_format::fixed);
    if (error != std::errc() || amount < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const std::string_view name = text.substr(0, text.find_first_of("0123456789."));
    const auto* unit =
        std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) { return u.name == name; });
    if (unit == std::end(kUnits)) return std::nullopt;
    text.remove_prefix(name.size());
    total += amount * unit->nanoseconds;
  }
  if (total > 9e18) return std::nullopt;
  return Duration(static_cast<std::int64_t>(total));
}

bool day_matches(const Calendar& calendar, std::chrono::sys_days local) {
  const std::chrono::year_month_day date(local);
  const bool day = calendar.day.has(static_cast<unsigned>(date.day()));
  const bool weekday = calendar.weekday.has(std::chrono::weekday(local).c_encoding());
  return calendar.day.any || calendar.weekday.any ? day && weekday : day || weekday;
}

// How far to go from a local time that does not match; zero when it matches. Never past the next match.
minutes distance(const Calendar& calendar, Minute local) {
  const std::chrono::sys_days day = std::chrono::floor<days>(local);
  const std::chrono::year_month_day date(day);
  if (!calendar.month.has(static_cast<unsigned>(date.month()))) {
    const auto next = std::chrono::year_month(date.year(), date.month()) + std::chrono::months(1);
    return std::chrono::sys_days(next / 1) - local;
  }
  if (!day_matches(calendar, day)) return day + days(1) - local;
  const minutes in_day = local - day;
  if (!calendar.hour.has(static_cast<unsigned>(in_day / hours(1)))) return hours(1) - in_day % hours(1);
  return minutes(calendar.minute.has(static_cast<unsigned>((in_day % hours(1)).count())) ? 0 : 1);
}

std::optional<Time> next_match(const Calendar& calendar, const date::time_zone* zone, Time after) {
  Minute at = std::chrono::floor<minutes>(after) + minutes(1);
  const Minute horizon = at + kHorizon;
  while (at < horizon) {
    // Within one period of the zone local time runs as UTC does; each step stays in it or ends at its end.
    minutes offset(0), left = horizon - at;
    if (zone) {
      const date::sys_info info = zone->get_info(date::sys_seconds(at));
      offset = std::chrono::floor<minutes>(info.offset);
      left = std::min(left, std::chrono::ceil<minutes>(info.end - date::sys_seconds(at)));
    }
    for (const minutes start = at.time_since_epoch(); at.time_since_epoch() - start < left;) {
      const minutes step = distance(calendar, at + offset);
      if (step == minutes(0)) return Time(at);
      at += std::min(step, left - (at.time_since_epoch() - start));
    }
  }
  return std::nullopt;
}

// Takes "CRON_TZ=Zone " or "TZ=Zone " from the front. False: no such zone. nullptr: UTC.
bool take_zone(std::string_view& schedule, const date::time_zone*& zone) {
  zone = nullptr;
  if (!schedule.starts_with("TZ=") && !schedule.starts_with("CRON_TZ=")) return true;
  const std::size_t equals = schedule.find('='), space = schedule.find(' ');
  if (space == std::string_view::npos) return false;
  const std::string name(schedule.substr(equals + 1, space - equals - 1));
  schedule.remove_prefix(space + 1);
  if (name.empty() || name == "UTC") return true;
  try {
    zone = date::locate_zone(name);
  } catch (const std::exception&) {  // the library knows no other way to say so
    return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string_view::npos ? std::string_view() : text.substr(first, last - first + 1);
}

}  // namespace

Result<Time> next_cron_time(std::string_view schedule, Time after) {
  const auto invalid = [] { return base::invalid_argument("invalid CronSchedule."); };
  const date::time_zone* zone = nullptr;
  schedule = trimmed(schedule);
  if (!take_zone(schedule, zone)) return invalid();
  schedule = trimmed(schedule);
  constexpr std::string_view kEvery = "@every ";
  if (schedule.starts_with(kEvery)) {
    const std::optional<Duration> interval = read_duration(trimmed(schedule.substr(kEvery.size())));
    if (!interval) return invalid();
    const seconds whole = std::max(std::chrono::floor<seconds>(*interval), seconds(1));
    return base::add(std::chrono::floor<seconds>(after), whole);
  }
  if (schedule.starts_with('@')) schedule = calendar_of_name(schedule);
  const std::optional<Calendar> calendar = read_calendar(schedule);
  if (!calendar) return invalid();
  const std::optional<Time> next = next_match(*calendar, zone, after);
  if (!next) return invalid();
  return *next;
}

}  // namespace perdure::core
