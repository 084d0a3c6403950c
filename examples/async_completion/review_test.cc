#include "examples/async_completion/review.h"

#include <gtest/gtest.h>

#include <future>

#include <perdure/testing.h>

namespace desk {

// Has room for one question.
class OneQuestion : public Inbox {
 public:
  void put(std::string, std::string token) override { token_.set_value(std::move(token)); }
  std::string token() { return token_.get_future().get(); }

 private:
  std::promise<std::string> token_;
};

class Review : public ::testing::Test {
 protected:
  Review() {
    env.add<&publish>();
    env.add<&Reviews::review>(std::make_shared<Reviews>(inbox));
  }
  std::shared_ptr<OneQuestion> inbox = std::make_shared<OneQuestion>();
  perdure::testing::Environment env;
};

TEST_F(Review, is_waited_for_as_long_as_it_takes) {
  auto book = env.start<&publish>("the book");
  const std::string token = inbox->token();
  env.advance(72h);
  accept(env.client(), token, "Ann");
  EXPECT_EQ(book.result(), "the book, reviewed by Ann");
  EXPECT_THROW(accept(env.client(), token, "Bob"), ActivityNotFound);
}

TEST_F(Review, may_be_refused) {
  auto book = env.start<&publish>("the book");
  refuse(env.client(), inbox->token(), "too long");
  EXPECT_THROW(book.result(), WorkflowFailed);
}

}  // namespace desk
