// Lists by any search attribute and counts in groups, against Temporal's server.
#include <map>

#include "sdk/tests/on_server.h"

namespace on_temporal_list {

using namespace perdure;

class Lists : public OnServer {};

TEST_P(Lists, workflows_are_listed_and_counted_in_groups) {
  for (int i = 0; i < 5; ++i) {
    const UntypedHandle handle = client().start("Nobody", named("listed-" + std::to_string(i)));
    if (i < 2) handle.terminate();
  }
  const std::string query = "TaskQueue = '" + queue() + "'";
  while (client().count(query + " and ExecutionStatus = 'Terminated'").count < 2 ||
         client().count(query).count < 5) {  // what is listed follows what is so
  }
  int running = 0;
  for (const WorkflowExecution& one : client().list(query)) {
    EXPECT_EQ(one.task_queue, queue());
    running += one.is_running() ? 1 : 0;
  }
  EXPECT_EQ(running, 3);
  std::map<std::string, std::int64_t> by_status;
  for (const auto& group : client().count(query + " group by ExecutionStatus").groups)
    by_status[detail::decode<std::string>(group.values.at(0))] = group.count;
  EXPECT_EQ(by_status, (std::map<std::string, std::int64_t>{{"Running", 3}, {"Terminated", 2}}));
  for (int i = 2; i < 5; ++i) client().handle(named("listed-" + std::to_string(i)).id).terminate();
}

PERDURE_ON_SERVER(Lists);

}  // namespace on_temporal_list
