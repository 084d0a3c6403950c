#include "server/frontend/list_token.h"

#include "server/history/token.h"

namespace perdure::frontend {
namespace {

constexpr char kKind = 'V';
constexpr std::size_t kHead = 1 + 8 + 8;  // whether closed, close time, start time; then the run id

void append_time(std::string& bytes, base::Time time) {
  const auto value = static_cast<std::uint64_t>(time.time_since_epoch().count());
  for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(value >> shift));
}

base::Time read_time(std::string_view bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  return base::Time(base::Duration(static_cast<std::int64_t>(value)));
}

}  // namespace

std::string write_list_token(const store::VisibilityMark& mark, const std::string& key) {
  std::string body(1, mark.close_time ? '1' : '0');
  append_time(body, mark.close_time.value_or(base::Time()));
  append_time(body, mark.start_time);
  return history::sign(kKind, body + mark.run_id, key);
}

base::Result<store::VisibilityMark> read_list_token(std::string_view bytes, const std::string& key) {
  const auto body = history::verify(kKind, bytes, key);
  if (!body || body->size() < kHead) return base::invalid_argument("Invalid NextPageToken.");
  store::VisibilityMark mark;
  if (body->front() == '1') mark.close_time = read_time(body->substr(1));
  mark.start_time = read_time(body->substr(9));
  mark.run_id = body->substr(kHead);
  return mark;
}

}  // namespace perdure::frontend
