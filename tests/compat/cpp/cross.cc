// The C++ side of the conversations between languages: a worker until SIGTERM. cross_cpp QUEUE
//
// ../cross.py starts it, and speaks to it from Python and Go.
#include <cstdio>
#include <string>
#include <vector>

#include <perdure/worker.h>

namespace cross {

using namespace perdure;

struct Person {
  std::string name;
  int age = 0;
};

inline constexpr Activity<std::string(Person)> python_greets{"python_greets"};

Task<std::string> asks_python(Context ctx, Person person) {
  const std::string queue = ctx.info().task_queue + "-python";
  ActivityOptions options{.start_to_close_timeout = 1min, .task_queue = Text(queue)};
  co_return co_await ctx.execute<&python_greets>(options, person);
}

std::string cpp_greets(Person person) {
  if (person.age < 0) throw ApplicationFailure("nobody is that young", "Unborn", true);
  return person.name + " (" + std::to_string(person.age) + ") is greeted from C++";
}

class Mailbox {
 public:
  Task<std::vector<std::string>> run(Context ctx, int wanted) {
    co_await ctx.until([this, wanted] { return static_cast<int>(letters_.size()) >= wanted; });
    co_return letters_;
  }
  void put(Person from) { letters_.push_back("from " + from.name); }
  int count() const { return static_cast<int>(letters_.size()); }
  using signals = handlers<&Mailbox::put>;
  using queries = handlers<&Mailbox::count>;

 private:
  std::vector<std::string> letters_;
};

}  // namespace cross

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const std::stop_token stop = perdure::stop_on_signals();
  perdure::WorkerOptions options;
  options.task_queue = arguments[1];
  perdure::Worker worker(perdure::Client::connect(), options);
  worker.add<cross::Mailbox>().add<&cross::asks_python, &cross::cpp_greets>();
  std::puts("ready");
  std::fflush(stdout);
  worker.run(stop);
}
