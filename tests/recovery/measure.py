"""Starts a server on a directory that another one left at the worst moment, and looks at its first second."""
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import processes

PRIORITIES = 5  # as fill.cc gives them
QUEUE = "recovered"


def fill(tool, data, count):
    """A directory with `count` projected workflows and the longest tail; what the tool says of it."""
    return json.loads(subprocess.run([tool, data, str(count)], check=True, capture_output=True, text=True).stdout)


def drop_cache(data):
    """Takes the files of the directory out of the page cache; how that was done."""
    for path in pathlib.Path(data).iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
        return "posix_fadvise and drop_caches"
    except OSError:
        return "posix_fadvise"


def peak_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM")


def first_second(server, workflow_id):
    """Seconds from the start of the process to the answer of the first request, a Describe of a workflow on disk."""
    from temporalio.api.common.v1 import WorkflowExecution
    from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse
    request = DescribeWorkflowExecutionRequest(namespace="default", execution=WorkflowExecution(workflow_id=workflow_id))
    with processes.connect(server.address) as channel:
        begun = time.monotonic()
        server.spawn()
        processes.call(channel, "DescribeWorkflowExecution", request, DescribeWorkflowExecutionResponse, timeout=120)
        return time.monotonic() - begun


def count(server):
    from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse
    with processes.connect(server.address) as channel:
        return processes.call(channel, "CountWorkflowExecutions", CountWorkflowExecutionsRequest(namespace="default"),
                              CountWorkflowExecutionsResponse, timeout=120).count


def dispatched(server, polls):
    """The numbers of the workflows whose tasks that many polls get, one after the other."""
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse
    request = PollWorkflowTaskQueueRequest(namespace="default", task_queue=TaskQueue(name=QUEUE), identity="w")
    numbers = []
    with processes.connect(server.address) as channel:
        for _ in range(polls):
            task = processes.call(channel, "PollWorkflowTaskQueue", request, PollWorkflowTaskQueueResponse, timeout=60)
            numbers.append(int(task.workflow_execution.workflow_id.removeprefix("w-")))
    return numbers


def measure(binary, tool, folder, workflows, polls):
    """One directory, one start. {first_answer_s, peak_mib, tail_bytes, projected, tail, counted, dispatched, cache}"""
    data = pathlib.Path(folder) / "data"
    result = fill(tool, data, workflows)
    result["cache"] = drop_cache(data)
    server = processes.PerdureServer(binary, data)
    try:
        result["first_answer_s"] = first_second(server, "w-000000000")
        result["dispatched"] = dispatched(server, polls)
        result["counted"] = count(server)  # waits for the whole tail
        result["peak_mib"] = peak_mib(server.process.pid)
    except Exception:
        print(server.log.read_text(errors="replace")[-4000:], file=sys.stderr)
        raise
    finally:
        if server.process and server.process.poll() is None:
            server.kill()
    return result
