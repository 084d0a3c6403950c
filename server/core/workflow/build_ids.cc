#include "server/core/workflow/build_ids.h"

#include <algorithm>
#include <vector>

namespace perdure::core {
namespace {

// The texts of a json/plain list of strings; ids hold no quotes or backslashes that matter here, others are left alone.
std::vector<std::string> parse_list(const std::string& json) {
  std::vector<std::string> values;
  for (std::size_t at = json.find('"'); at != std::string::npos; at = json.find('"', at)) {
    std::string value;
    for (++at; at < json.size() && json[at] != '"'; ++at) {
      if (json[at] == '\\' && at + 1 < json.size()) ++at;
      value += json[at];
    }
    values.push_back(std::move(value));
    if (at < json.size()) ++at;
  }
  return values;
}

std::string print_list(const std::vector<std::string>& values) {
  std::string json = "[";
  for (const std::string& value : values) {
    if (json.size() > 1) json += ',';
    json += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') json += '\\';
      json += c;
    }
    json += '"';
  }
  return json + "]";
}

// Adds to a KeywordList attribute what it lacks.
void add_to_list(RunDraft& run, const std::string& name, const std::vector<std::string>& added) {
  std::vector<std::string> values;
  const auto& now = run.attributes_now().search_attributes().indexed_fields();
  if (const auto found = now.find(name); found != now.end()) values = parse_list(found->second.data());
  const std::size_t before = values.size();
  for (const std::string& value : added) {
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }
  if (values.size() == before) return;
  auto& payload = (*run.attributes().mutable_search_attributes()->mutable_indexed_fields())[name];
  payload.Clear();
  (*payload.mutable_metadata())["encoding"] = "json/plain";
  (*payload.mutable_metadata())["type"] = "KeywordList";
  payload.set_data(print_list(values));
  run.visibility_changed();
}

}  // namespace

void note_build_ids(RunDraft& run, const wfs::RespondWorkflowTaskCompletedRequest& request,
                    std::int64_t completed_id, const Env& env) {
  const std::string& build_id = request.worker_version_stamp().build_id();
  std::vector<std::string> ids{"unversioned"};
  if (!build_id.empty()) ids.push_back("unversioned:" + build_id);
  add_to_list(run, "BuildIds", ids);
  if (!request.binary_checksum().empty()) add_to_list(run, "BinaryChecksums", {request.binary_checksum()});

  const auto& points = run.attributes_now().auto_reset_points().points();
  for (const auto& point : points) {
    if (point.build_id() == build_id && point.binary_checksum() == request.binary_checksum()) return;
  }
  auto& list = *run.attributes().mutable_auto_reset_points();
  if (list.points_size() >= env.limits.auto_reset_points) list.mutable_points()->DeleteSubrange(0, 1);
  auto& point = *list.add_points();
  point.set_build_id(build_id);
  point.set_binary_checksum(request.binary_checksum());
  point.set_run_id(run.run_id());
  point.set_first_workflow_task_completed_id(completed_id);
  assign(point.mutable_create_time(), env.now);
  point.set_resettable(run.state().externals.empty());
}

temporal::api::workflow::v1::ResetPoints inherited_reset_points(const RunDraft& old_run, const Env& env) {
  temporal::api::workflow::v1::ResetPoints points = old_run.attributes_now().auto_reset_points();
  for (auto& point : *points.mutable_points()) {
    if (!point.has_expire_time())
      assign(point.mutable_expire_time(), base::add(env.now, Duration(env.ns.retention())));
  }
  return points;
}

}  // namespace perdure::core
