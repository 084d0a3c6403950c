// Table tests: what is asked of one id, row by row, and below each row what it wrote, changed and answered.
//
//   case a failing activity is tried again        # EV-20: begins an empty world
//   start type=Greet queue=q
//     1 WorkflowExecutionStarted …                 indented: what came of it
//   complete
//   + schedule-activity id=a1 start-to-close=10s   "+": a command of the completion above
//   advance 5s
//
// A row that begins with a dot is preparation: what comes of it is not shown. Rows are written by hand, what is indented by the
// runner (server_core_table_test --update). What follows a # is a remark; so is an empty line.
#pragma once

#include <string>

namespace perdure::core {

// The table as it should be: the rows and remarks of `table`, each row with what comes of it. A row that cannot be read, or a
// broken rule (World), shows as a line that begins with "!!".
std::string run_table(const std::string& table);

}  // namespace perdure::core
