// A fan-out: an activity for each of many pictures, ten at a time.
#pragma once

#include <string>
#include <vector>

#include <perdure/workflow.h>

namespace pictures {

using namespace perdure;

struct Thumb {
  std::string url;
  int bytes = 0;
};
inline Thumb make_thumbnail(std::string url) {
  const int bytes = static_cast<int>(url.size());
  return {std::move(url), bytes};
}

// Results come in the order of the items; the first failure cancels the rest.
inline Task<int> thumbnails(Context ctx, std::vector<std::string> urls) {
  constexpr ActivityOptions quick{.start_to_close_timeout = 1min, .retry = {.maximum_attempts = 3}};
  std::vector<Thumb> thumbs = co_await ctx.map_concurrent(
      10, urls, [=](const std::string& url) { return ctx.execute<&make_thumbnail>(quick, url); });
  int bytes = 0;
  for (const Thumb& thumb : thumbs) bytes += thumb.bytes;
  co_return bytes;
}

}  // namespace pictures
