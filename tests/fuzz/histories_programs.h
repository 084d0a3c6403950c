// Workflow code that uses every verb, as its argument asks: what histories are replayed into.
#pragma once

#include <string>
#include <vector>

#include <perdure/attributes.h>
#include <perdure/workflow.h>

namespace perdure::fuzz::programs {

int work(int);
inline constexpr ActivityOptions kActivity{.start_to_close_timeout = 10s, .retry = {.maximum_attempts = 3}};
inline constexpr LocalActivityOptions kLocal{.start_to_close_timeout = 10s};
inline constexpr KeywordKey kCustomer{"Customer"};
inline constexpr DatetimeKey kDue{"Due"};

class Packing {
 public:
  Task<int> run(Context ctx, std::string order);
  void hurry(int level);
  using signals = handlers<&Packing::hurry>;
};

struct Item {
  std::string name;
  std::optional<double> price;
  std::map<std::string, std::vector<int>> more;
};

class Everything {
 public:
  Task<std::string> run(Context ctx, std::vector<int> steps) {
    for (const int step : steps) co_await one(ctx, step);
    co_return said_ + std::to_string(sum_);
  }
  void add(Item item) { said_ += item.name + std::to_string(item.more.size()); }
  Task<> later(Context ctx, int number) { sum_ += co_await ctx.execute<&work>(kActivity, number); }
  void check(int number) const {
    if (number < 0) throw ApplicationFailure("negative");
  }
  Task<int> change(Context ctx, int number) {
    co_await ctx.sleep(1s);
    co_return sum_ += number;
  }
  using signals = handlers<&Everything::add, &Everything::later>;
  using updates = handlers<update<&Everything::change, &Everything::check>>;

 private:
  Task<> one(Context ctx, int step) {
    switch (step) {
      case 0: sum_ += co_await ctx.execute<&work>(kActivity, 1); break;
      case 1: co_await ctx.sleep(5s); break;
      case 2: sum_ += co_await ctx.execute_local<&work>(kLocal, 2); break;
      case 3: co_await child(ctx); break;
      case 4: co_await ctx.external<Packing>("other").signal<&Packing::hurry>(1); break;
      case 5: co_await ctx.external<Packing>("other").cancel(); break;
      case 6: sum_ += ctx.patched("p") ? 1 : 2; break;
      case 7: sum_ += ctx.side_effect([] { return 7; }); break;
      case 8: ctx.upsert(kCustomer.set(said_), kDue.unset()); break;
      case 9: ctx.upsert_memo("note", sum_); break;
      case 10: (void)co_await ctx.within(1h, ctx.until([this] { return !said_.empty(); })); break;
      case 11: co_await cancelled(ctx); break;
      case 12: co_await ctx.continue_as_new<Everything>(std::vector<int>(1, 1)); break;
      case 13: throw ApplicationFailure("asked to fail");
      case 14: co_await tried(ctx); break;
      case 15: said_ += ctx.uuid().substr(0, 1) + ctx.info().workflow_id; break;
      default: co_await ctx.until([ctx] { return ctx.all_handlers_finished(); });
    }
  }
  Task<> child(Context ctx) {
    ChildOptions options{.id = "c"};
    sum_ += co_await ctx.execute_child<Packing>(options, "o");
  }
  static Task<> cancelled(Context ctx) {
    Future<int> never = ctx.execute<&work>(kActivity, 3);
    co_await ctx.sleep(1s);
    never.cancel();
    (void)co_await attempt(never);
  }
  static Task<> tried(Context ctx) {
    auto outcome = co_await attempt(ctx.execute<&work>(kActivity, 4));
    if (!outcome) co_await ctx.shielded().sleep(1s);
  }

  int sum_ = 0;
  std::string said_;
};

}  // namespace perdure::fuzz::programs
