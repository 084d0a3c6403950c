"""E15: how many sleeping threads of the server a call wakes when nothing else is under way. Counted, not timed."""
import uuid

from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
                                               SignalWorkflowExecutionRequest, SignalWorkflowExecutionResponse,
                                               StartWorkflowExecutionRequest, StartWorkflowExecutionResponse)

import processes
from binary import Case

CALLS = 300
BESIDE = 0.4  # per call: what is written behind, and the page of metrics itself


class Wakes(Case):
    def setUp(self):
        super().setUp()
        self.busy = self.server("--metrics-port", processes.free_port())
        self.busy.call("StartWorkflowExecution",
                       StartWorkflowExecutionRequest(namespace="default", workflow_id="w", request_id=str(uuid.uuid4()),
                                                     workflow_type=WorkflowType(name="T"), task_queue=TaskQueue(name="tq")),
                       StartWorkflowExecutionResponse)

    def per_call(self, call):
        before = self.busy.number("perdure_executor_wakes")
        for number in range(CALLS):
            call(number)
        return (self.busy.number("perdure_executor_wakes") - before) / CALLS

    def test_E15_what_is_read_wakes_two(self):
        """The shard's thread, and the door's with the answer."""
        request = DescribeWorkflowExecutionRequest(namespace="default", execution=WorkflowExecution(workflow_id="w"))
        found = self.per_call(lambda _: self.busy.call("DescribeWorkflowExecution", request, DescribeWorkflowExecutionResponse))
        self.assertLessEqual(found, 2 + BESIDE)

    def test_E15_what_is_written_wakes_four(self):
        """The shard's thread, the log's, the shard's again, the door's (docs/decisions/0004)."""
        def signal(number):
            self.busy.call("SignalWorkflowExecution",
                           SignalWorkflowExecutionRequest(namespace="default", signal_name="s", request_id=f"r{number}",
                                                          workflow_execution=WorkflowExecution(workflow_id="w")),
                           SignalWorkflowExecutionResponse)
        self.assertLessEqual(self.per_call(signal), 4 + BESIDE)
