#include <perdure/replayer.h>

#include <google/protobuf/util/json_util.h>

#include "sdk/src/replay/replay.h"
#include "sdk/src/runtime/run.h"

namespace perdure {
inline namespace v1 {
namespace detail {

class ReplayerCore {
 public:
  std::shared_ptr<FailureConverter> failures;
  std::map<std::string, WorkflowDefinition, std::less<>> definitions;
};

namespace {

// The CLI prints enums by their names on the wire, or in short form: EVENT_TYPE_TIMER_STARTED or
// TimerStarted. The first is what json_util knows; the second is written out again here.
std::string with_long_event_types(std::string_view json) {
  static constexpr std::string_view kKey = "\"eventType\"";
  std::string out;
  for (std::size_t at = 0; at < json.size();) {
    const std::size_t key = json.find(kKey, at);
    const std::size_t begin = key == json.npos ? json.npos : json.find('"', key + kKey.size());
    const std::size_t end = begin == json.npos ? json.npos : json.find('"', begin + 1);
    if (end == json.npos) {
      out.append(json.substr(at));
      break;
    }
    out.append(json.substr(at, begin + 1 - at));
    const std::string_view value = json.substr(begin + 1, end - begin - 1);
    if (value.starts_with("EVENT_TYPE_")) {
      out.append(value);
    } else {
      out.append("EVENT_TYPE");
      for (const char c : value) {
        if (c >= 'A' && c <= 'Z') out += '_';
        out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      }
    }
    at = end;
  }
  return out;
}

temporal::api::history::v1::History parse(std::string_view text) {
  temporal::api::history::v1::History history;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != text.npos && text[first] == '{') {
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    const auto status =
        google::protobuf::util::JsonStringToMessage(with_long_event_types(text), &history, options);
    if (!status.ok()) throw std::invalid_argument("not a history: " + status.ToString());
  } else if (!history.ParseFromArray(text.data(), static_cast<int>(text.size()))) {
    throw std::invalid_argument("not a history");
  }
  if (history.events().empty() || !history.events(0).has_workflow_execution_started_event_attributes()) {
    throw std::invalid_argument("not a history: it does not begin with WorkflowExecutionStarted");
  }
  return history;
}

}  // namespace
}  // namespace detail

Replayer::Replayer(std::shared_ptr<FailureConverter> failures)
    : core_(std::make_unique<detail::ReplayerCore>()) {
  core_->failures = std::move(failures);
}
Replayer::Replayer(Replayer&&) noexcept = default;
Replayer::~Replayer() = default;

void Replayer::add_workflow(detail::WorkflowDefinition definition) {
  std::string name = definition.name;
  if (!core_->definitions.emplace(name, std::move(definition)).second)
    throw std::logic_error(name + " is added twice");
}

std::optional<std::string> Replayer::replay(std::string_view text) const {
  temporal::api::history::v1::History history = detail::parse(text);
  detail::RunSettings settings;
  settings.definitions = &core_->definitions;
  settings.failures = core_->failures;
  settings.info.run_id =
      history.events(0).workflow_execution_started_event_attributes().original_execution_run_id();
  replay::Replay replay;
  detail::Run run(std::move(settings));
  replay.append(std::move(*history.mutable_events()));
  try {
    for (;;) {
      auto activation = replay.next();
      if (!activation) return activation.error().message;
      if (!*activation) return std::nullopt;
      replay.record(run.activate(**activation));
    }
  } catch (const std::exception& error) {
    return std::string("the workflow task fails: ") + error.what();
  }
}

}  // namespace v1
}  // namespace perdure
