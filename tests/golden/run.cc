#include "tests/golden/run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "tests/golden/messages.h"
#include "tests/golden/normaliser.h"

namespace perdure::golden {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Duration kHardLimit = seconds(60);
constexpr base::Duration kLeastDeadline = milliseconds(100);
constexpr base::Duration kRound = milliseconds(50);
constexpr base::Duration kCallTakes = milliseconds(1);

std::string text(const Json& node, std::string_view key, std::string_view otherwise) {
  const Json* found = member(node, key);
  return found ? found->get<std::string>() : std::string(otherwise);
}

// What ${NAME…} sees of an outcome.
const Json& answer_of(const Json& outcome) {
  const Json* response = member(outcome, "response");
  return response ? *response : outcome;
}

std::string label(const Json& step) {
  if (const Json* until = member(step, "until")) return "until " + until->at("call").get<std::string>();
  if (step.contains("history")) return "history";
  if (step.contains("await")) return "await " + step.at("await").get<std::string>();
  return step.at("call").get<std::string>();
}

}  // namespace

// The client's end of one RPC.
class PendingCall : public frontend::Call {
 public:
  PendingCall(std::string service, std::string method, std::string request, base::Time deadline)
      : service_(std::move(service)),
        method_(std::move(method)),
        request_(std::move(request)),
        deadline_(deadline) {}

  std::string_view request() const override { return request_; }
  base::Time deadline() const override { return deadline_; }
  std::string_view header(std::string_view) const override { return {}; }

  void on_client_gone(std::move_only_function<void()> left) override {
    if (finished_) return;
    if (gone_)
      left();
    else
      left_ = std::move(left);
  }

  void finish(base::Result<std::string> response) override {
    CHECK(!finished_);
    finished_ = true;
    left_ = nullptr;
    if (!gone_) answer_ = answer_json(service_, method_, response);
  }

  // The deadline has passed, or nobody wants the answer any more.
  void leave() {
    if (finished_ || gone_) return;
    gone_ = true;
    answer_["error"] = {
        {"code", "DEADLINE_EXCEEDED"}, {"message", "Deadline Exceeded"}, {"details", Json::array()}};
    if (auto left = std::move(left_)) left();
  }
  // The request could not be made.
  void refuse(const std::string& why) {
    finished_ = true;
    answer_["broken"] = why;
  }

  bool over() const { return finished_ || gone_; }
  const Json& answer() const { return answer_; }

 private:
  const std::string service_, method_, request_;
  const base::Time deadline_;
  std::move_only_function<void()> left_;
  bool finished_ = false;  // by the server
  bool gone_ = false;
  Json answer_ = Json::object();
};

Run::Run(const frontend::MethodTable& methods, base::SimScheduler& scheduler, const Json& scenario,
         std::string uid)
    : methods_(methods),
      scheduler_(scheduler),
      scenario_(scenario),
      variables_(std::move(uid), "default"),
      end_(scheduler.clock().now() + kHardLimit) {}

Run::~Run() {
  for (const auto& call : std::exchange(open_, {})) call->leave();
  scheduler_.run_until_idle();
}

Json Run::outcomes() {
  Normaliser rules(variables_.uid(), scenario_.value("ignore", Json::array()));
  Json out = Json::array();
  for (const auto& outcome : raw_outcomes()) out.push_back(rules.outcome(outcome));
  return out;
}

Json Run::raw_outcomes() {
  for (const auto& step : scenario_.value("setup", Json::array()))
    if (!this->step(step)) break;
  Json result = Json::array();
  int number = 0;
  for (const auto& step : scenario_.at("steps")) {
    ++number;
    if (now() > end_) {
      result.push_back({{"step", number}, {"gave_up", "scenario ran longer than 60 s"}});
      break;
    }
    Outcome outcome = this->step(step);
    if (between_steps_ && open_.empty()) between_steps_();
    if (!outcome) {
      result.push_back({{"step", number}, {"unresolved", outcome.error().path}});
      break;
    }
    if (outcome->is_null()) continue;
    (*outcome)["step"] = number;
    (*outcome)["what"] = label(step);
    result.push_back(std::move(*outcome));
  }
  return result;
}

Run::Outcome Run::step(const Json& step) {
  if (step.contains("sleep")) {
    let_pass(parse_duration(step.at("sleep").get<std::string>()));
    return Json();
  }
  if (step.contains("start")) {
    auto pending = begin(step);
    if (!pending) return std::unexpected(pending.error());
    background_[step.at("start").get<std::string>()] = std::move(*pending);
    return Json();
  }
  Outcome outcome;
  if (step.contains("await"))
    outcome = finish(*background_.at(step.at("await").get<std::string>()));
  else if (step.contains("until"))
    outcome = until(step.at("until"));
  else if (step.contains("history"))
    outcome = history(step.at("history"));
  else
    outcome = call(step);
  if (!outcome) return outcome;
  if (step.contains("as")) variables_.keep(step.at("as").get<std::string>(), answer_of(*outcome));
  if (step.value("record", true)) return outcome;
  if (!outcome->contains("error")) return Json{{"done", true}};
  Json kept = Json::object();
  kept["error"] = outcome->at("error");
  return kept;
}

Run::Outcome Run::until(const Json& spec) {
  const base::Time give_up = std::min(end_, now() + parse_duration(text(spec, "deadline", "10s")));
  const std::string path = spec.at("path").get<std::string>();
  Json once = spec;
  once.erase("deadline");
  while (true) {
    Outcome outcome = call(once);
    if (!outcome) return outcome;
    const auto value = find(answer_of(*outcome), path);
    if (value && !spec.contains("equals")) return outcome;
    if (value) {
      const auto wanted = variables_.fill(spec.at("equals"));
      if (!wanted) return std::unexpected(wanted.error());
      if (*value == *wanted) return outcome;
    }
    if (now() > give_up) {
      (*outcome)["never"] = path;
      return outcome;
    }
    pass(now() + kRound);
  }
}

Run::Outcome Run::history(const Json& spec) {
  Json request;
  request["namespace"] = text(spec, "namespace", "${ns}");
  request["execution"] = {{"workflow_id", spec.at("workflow_id")}, {"run_id", text(spec, "run_id", "")}};
  Json events = Json::array();
  while (true) {
    Json step;
    step["call"] = "GetWorkflowExecutionHistory";
    step["request"] = request;
    Outcome outcome = call(step);
    if (!outcome || !outcome->contains("response")) return outcome;
    const Json& response = outcome->at("response");
    if (const auto page = find(response, "history.events"))
      events.insert(events.end(), page->begin(), page->end());
    request["next_page_token"] = response.value("next_page_token", "");
    if (request["next_page_token"] == "") break;
  }
  Json out = Json::object();
  out["history"] = std::move(events);
  return out;
}

Run::Outcome Run::call(const Json& step) {
  auto pending = begin(step);
  if (!pending) return std::unexpected(pending.error());
  return finish(**pending);
}

Run::Pending Run::begin(const Json& step) {
  const std::string service = text(step, "service", "workflow"), method = step.at("call").get<std::string>();
  const auto filled = variables_.fill(step.value("request", Json::object()));
  if (!filled) return std::unexpected(filled.error());
  const base::Duration left = std::max(kLeastDeadline, end_ - now());
  const base::Time deadline = now() + std::min(left, parse_duration(text(step, "deadline", "20s")));
  auto bytes = request_bytes(service, method, filled->is_null() ? Json::object() : *filled);
  auto pending = std::make_shared<PendingCall>(service, method, bytes.value_or(""), deadline);
  if (!bytes) {
    pending->refuse(bytes.error());
    return pending;
  }
  open_.push_back(pending);
  methods_.dispatch(method_name(service, method), pending);
  scheduler_.run_until_idle();
  return pending;
}

Json Run::finish(PendingCall& call) {
  while (!call.over()) step_towards(base::kNever);
  std::erase_if(open_, [](const auto& other) { return other->over(); });
  Json answer = call.answer();
  pass(now() + kCallTakes);
  return answer;
}

void Run::let_pass(base::Duration duration) {
  // Only for a call in the background to arrive, which it has.
  if (scenario_.value("timeless", false)) return;
  pass(now() + std::min(duration, std::max(base::Duration::zero(), end_ - now())));
}

void Run::pass(base::Time when) {
  while (now() < when) step_towards(when);
}

// To the next timer or deadline, at most to `when`.
void Run::step_towards(base::Time when) {
  scheduler_.run_until_idle();
  base::Time next = std::min(when, scheduler_.next_timer());
  for (const auto& call : open_)
    if (!call->over()) next = std::min(next, call->deadline());
  CHECK(next != base::kNever);
  scheduler_.advance_to(next);
  expire();
}

void Run::expire() {
  for (const auto& call : open_)
    if (call->deadline() <= now()) call->leave();
  scheduler_.run_until_idle();
  std::erase_if(open_, [](const auto& call) { return call->over(); });
}

base::Duration parse_duration(std::string_view text) {
  const std::size_t unit = text.find_first_not_of("0123456789.");
  CHECK(unit != std::string_view::npos && unit > 0);
  const double number = std::stod(std::string(text.substr(0, unit)));
  const std::string_view name = text.substr(unit);
  CHECK(name == "ms" || name == "s" || name == "m");
  const double milliseconds_each = name == "ms" ? 1 : name == "s" ? 1000 : 60'000;
  return std::chrono::round<base::Duration>(
      std::chrono::duration<double, std::milli>(number * milliseconds_each));
}

std::string uid_of(std::uint64_t number) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  base::Random random(number);
  std::string uid = "z";
  for (int i = 0; i < 9; ++i) uid += kAlphabet[random.below(kAlphabet.size())];
  return uid;
}

}  // namespace perdure::golden
