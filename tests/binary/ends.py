"""How the server ends: by signals with calls and long polls under way, by a second signal, by a log that cannot be written."""
import queue
import resource
import signal
import subprocess
import time

import grpc
from temporalio.api.command.v1 import Command, CompleteWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
                                               GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse,
                                               PollActivityTaskQueueRequest, PollActivityTaskQueueResponse,
                                               PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse,
                                               RespondWorkflowTaskCompletedRequest, RespondWorkflowTaskCompletedResponse,
                                               StartWorkflowExecutionRequest, StartWorkflowExecutionResponse)

import binary
import processes
from binary import Case, entries, status_of

WITHIN = 2.0  # seconds from a signal to the end of the process


def begin(channel, method, request, response_type, timeout=60.0):
    """The call as a future."""
    return channel.unary_unary(processes.SERVICE + method, request_serializer=type(request).SerializeToString,
                               response_deserializer=response_type.FromString).future(request, timeout=timeout)


def start_request(number, task_queue="tq"):
    return StartWorkflowExecutionRequest(namespace="default", workflow_id=f"w-{number}", workflow_type=WorkflowType(name="T"),
                                         task_queue=TaskQueue(name=task_queue), request_id=f"r-{number}")


def poll(channel, task_queue="tq", timeout=60.0):
    return begin(channel, "PollWorkflowTaskQueue", PollWorkflowTaskQueueRequest(
        namespace="default", task_queue=TaskQueue(name=task_queue), identity="worker"), PollWorkflowTaskQueueResponse, timeout)


def complete(task_token):
    done = Command(command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
                   complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes())
    return RespondWorkflowTaskCompletedRequest(namespace="default", task_token=task_token, identity="worker", commands=[done])


class Drain(Case):
    def assert_ends_in_time(self, server):
        """It ends within the promise; a machine that takes long to start a process at all is given that time on top."""
        began = time.monotonic()
        status = server.wait()
        took = time.monotonic() - began
        began = time.monotonic()
        subprocess.run([binary.PATH, "--version"], check=True, capture_output=True)
        self.assertLess(took, WITHIN + 10 * (time.monotonic() - began))
        self.assertEqual(status, 0)

    def drained(self, number):
        server = self.server("--data", "d", "--log-level", "info", command="start")
        # More than can be answered: tasks go out, are started and are asked for while the end comes.
        polls = [poll(server.channel) for _ in range(20)]
        activities = [begin(server.channel, "PollActivityTaskQueue", PollActivityTaskQueueRequest(
            namespace="default", task_queue=TaskQueue(name="tq"), identity="worker"), PollActivityTaskQueueResponse)
            for _ in range(20)]
        idle = [poll(server.channel, "idle") for _ in range(20)]
        begin(server.channel, "StartWorkflowExecution", start_request("watched"), StartWorkflowExecutionResponse).result()
        watch = [begin(server.channel, "GetWorkflowExecutionHistory", GetWorkflowExecutionHistoryRequest(
            namespace="default", execution=WorkflowExecution(workflow_id="w-watched"), wait_new_event=True,
            history_event_filter_type=2), GetWorkflowExecutionHistoryResponse) for _ in range(20)]
        starts = [begin(server.channel, "StartWorkflowExecution", start_request(i), StartWorkflowExecutionResponse)
                  for i in range(200)]
        starts[50].result()  # the others are anywhere
        server.signal(number)
        self.assert_ends_in_time(server)
        tasks = []
        for call in [*polls, *activities, *idle]:  # a task, or nothing, or the word that there is no server
            if call.exception() is None:
                tasks += [call.result().task_token] if call.result().task_token else []
            else:
                self.assertIn(status_of(call.exception()), ("UNAVAILABLE", "CANCELLED"), call.exception())
        for call in watch:
            if call.exception() is not None:
                self.assertIn(status_of(call.exception()), ("UNAVAILABLE", "CANCELLED"), call.exception())
        acknowledged = ["w-watched"] + [f"w-{i}" for i, call in enumerate(starts) if call.exception() is None]
        self.assertGreater(len(acknowledged), 50)
        self.assert_nothing_is_lost(acknowledged, tasks)

    def assert_nothing_is_lost(self, ids, tasks):
        """The tasks that were out are still good, the others come out; then every run is complete."""
        server = self.server("--data", "d", command="start")
        for token in tasks:
            server.call("RespondWorkflowTaskCompleted", complete(token), RespondWorkflowTaskCompletedResponse)
        open_ids = {one for one in ids if self.is_running(server, one)}
        while open_ids:
            task = poll(server.channel, timeout=30.0).result()
            self.assertTrue(task.task_token, f"no task for {sorted(open_ids)}")
            server.call("RespondWorkflowTaskCompleted", complete(task.task_token), RespondWorkflowTaskCompletedResponse)
            open_ids.discard(task.workflow_execution.workflow_id)

    def is_running(self, server, workflow_id):
        request = DescribeWorkflowExecutionRequest(namespace="default", execution=WorkflowExecution(workflow_id=workflow_id))
        return server.call("DescribeWorkflowExecution", request,
                           DescribeWorkflowExecutionResponse).workflow_execution_info.status == 1

    def test_sigterm_with_everything_under_way(self):
        self.drained(signal.SIGTERM)

    def test_sigint_with_everything_under_way(self):
        self.drained(signal.SIGINT)

    def test_parked_polls_end_empty(self):
        server = self.server()
        polls = [poll(server.channel) for _ in range(50)]
        # What comes in later on the same connection is answered later: they are parked.
        server.call("StartWorkflowExecution", start_request("elsewhere", task_queue="other"), StartWorkflowExecutionResponse)
        server.signal()
        answers = [call.exception() or call.result() for call in polls]
        self.assert_ends_in_time(server)
        for answer in answers:
            self.assertEqual(answer, PollWorkflowTaskQueueResponse())


class Signals(Case):
    def test_a_second_signal_stops_at_once(self):
        """A stream that its client leaves open holds the drain back; the second signal does not wait for it."""
        server = self.server("--log-level", "info", environment={"TMPDIR": str(self.place)})
        requests = queue.Queue()
        requests.put(b"\x3a\x00")  # list_services
        reflection = server.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        stream = reflection(iter(requests.get, None))
        self.assertIn(b"WorkflowService", next(stream))
        server.signal()
        server.errors.until("msg=stopping")
        server.signal()
        self.assertEqual(server.wait(), 0)
        requests.put(None)
        self.assertIn("msg=stopped_at_once", server.errors.rest())
        self.assertEqual(entries(self.place), [])


class LostLog(Case):
    def test_a_log_that_cannot_be_written_ends_the_server_with_status_5(self):
        # Python lets its children ignore SIGXFSZ: a write beyond the limit fails, as on a broken disk.
        server = self.server("--data", "d", command="start", restore_signals=False)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        call = begin(server.channel, "StartWorkflowExecution", start_request(1), StartWorkflowExecutionResponse)
        self.assertEqual(server.wait(), 5)
        self.assertIsInstance(call.exception(), grpc.RpcError)  # not acknowledged
        said = [line for line in server.errors.rest().splitlines() if "the log cannot be written" in line]
        self.assertEqual(len(said), 1)
        again = self.server("--data", "d", command="start")
        self.assertEqual(again.stop(), 0)
