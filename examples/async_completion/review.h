// An activity that somebody else completes: it asks for a review and leaves, and whoever has the document answers, days later
// and from another process. Nothing runs in between.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <perdure/activity.h>
#include <perdure/client.h>
#include <perdure/workflow.h>

namespace desk {

using namespace perdure;

// Where people find what they are asked; each question has the token to answer it with.
struct Inbox {
  virtual ~Inbox() = default;
  virtual void put(std::string document, std::string token) = 0;
};

class Reviews {
 public:
  explicit Reviews(std::shared_ptr<Inbox> inbox) : inbox_(std::move(inbox)) {}

  std::string review(ActivityContext& context, std::string document) {
    inbox_->put(document, context.info().task_token);
    complete_async();  // throws: the attempt stays open, and takes no thread
  }

 private:
  std::shared_ptr<Inbox> inbox_;
};

inline Task<std::string> publish(Context ctx, std::string document) {
  constexpr ActivityOptions patient{.start_to_close_timeout = 24h * 7, .retry = {.maximum_attempts = 2}};
  std::string by = co_await ctx.execute<&Reviews::review>(patient, document);
  co_return document + ", reviewed by " + by;
}

// The other process. Throws ActivityNotFound when nobody waits for the answer any more.
inline void accept(const Client& client, const std::string& token, const std::string& by) {
  client.activity(token).complete(by);
}
inline void refuse(const Client& client, const std::string& token, const std::string& why) {
  client.activity(token).fail(ApplicationFailure(why, "Refused", true));
}

}  // namespace desk
