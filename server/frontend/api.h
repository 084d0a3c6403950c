// The API: every RPC of WorkflowService and OperatorService as a row of the method table.
#pragma once

#include "server/frontend/method_table.h"
#include "server/frontend/services.h"

namespace perdure::frontend {

// Adds all of them; those that are not built yet answer UNIMPLEMENTED. `services` outlives the table.
void add_api(MethodTable& table, Services& services);

// The groups, one file each under handlers/.
void add_system_methods(MethodTable& table, Services& services);
void add_namespace_methods(MethodTable& table, Services& services);
void add_search_attribute_methods(MethodTable& table, Services& services);
void add_workflow_methods(MethodTable& table, Services& services);
void add_history_methods(MethodTable& table, Services& services);
void add_workflow_task_methods(MethodTable& table, Services& services);
void add_activity_methods(MethodTable& table, Services& services);
void add_query_methods(MethodTable& table, Services& services);
void add_task_queue_methods(MethodTable& table, Services& services);
void add_visibility_methods(MethodTable& table, Services& services);

}  // namespace perdure::frontend
