"""Servers as child processes: start one, wait until it answers, stop or kill it. Used by tests and tools in Python."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import toolchain

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "tests/compat/python/requirements.txt"
SERVICE = "/temporal.api.workflowservice.v1.WorkflowService/"


def use_packages():
    """Continue under the interpreter that has the SDK and gRPC; call it first thing in a script's main.

    From then on SIGTERM ends the script as an exception does, so that it stops the processes that it has started.
    """
    toolchain.run_under(REQUIREMENTS)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def leave(status):
    """End a script that has used the Python SDK, in place of sys.exit and only after everything is judged and cleaned up: a thread
    of the SDK that still holds Python objects may crash the interpreter's own tear-down.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(status))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(address):
    """A channel that looks for the server again every few milliseconds."""
    import grpc
    return grpc.insecure_channel(address, options=[("grpc.initial_reconnect_backoff_ms", 20), ("grpc.min_reconnect_backoff_ms", 20),
                                                   ("grpc.max_reconnect_backoff_ms", 100), ("grpc.use_local_subchannel_pool", 1)])


def call(channel, method, request, response_type, timeout=10.0):
    """One WorkflowService call, sent when the channel is ready. Raises grpc.RpcError."""
    invoke = channel.unary_unary(SERVICE + method, request_serializer=type(request).SerializeToString,
                                 response_deserializer=response_type.FromString)
    return invoke(request, timeout=timeout, wait_for_ready=True)


def wait_for_server(address, process, deadline=60.0):
    """Return the answer of GetSystemInfo as soon as there is one; raise when the process ends or the deadline (seconds) passes."""
    import grpc
    from temporalio.api.workflowservice.v1 import GetSystemInfoRequest, GetSystemInfoResponse
    end = time.monotonic() + deadline
    with connect(address) as channel:
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with status {process.returncode} before it answered")
            try:
                return call(channel, "GetSystemInfo", GetSystemInfoRequest(), GetSystemInfoResponse, timeout=2.0)
            except grpc.RpcError as error:
                if time.monotonic() > end:
                    raise RuntimeError(f"no answer from {address} after {deadline} s: {error.details()}") from None
                if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                    time.sleep(0.02)


def have_namespace(address, name="default", deadline=60.0):
    """Register the namespace unless it is there, and return when calls on it are answered."""
    import grpc
    from google.protobuf.duration_pb2 import Duration
    from temporalio.api.workflowservice.v1 import (DescribeTaskQueueRequest, DescribeTaskQueueResponse, RegisterNamespaceRequest,
                                                   RegisterNamespaceResponse)
    from temporalio.api.taskqueue.v1 import TaskQueue
    register = RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=Duration(seconds=86400))
    queue = DescribeTaskQueueRequest(namespace=name, task_queue=TaskQueue(name="ready"), task_queue_type=1)
    end = time.monotonic() + deadline
    registered = False
    with connect(address) as channel:
        while True:
            try:
                if not registered:
                    call(channel, "RegisterNamespace", register, RegisterNamespaceResponse)
                    registered = True
                call(channel, "DescribeTaskQueue", queue, DescribeTaskQueueResponse)
                return
            except grpc.RpcError as error:
                registered = registered or error.code() == grpc.StatusCode.ALREADY_EXISTS
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)


def terminate(process, deadline=10.0):
    """SIGTERM, then SIGKILL when the process is still there after the deadline; returns the exit status."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(deadline)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise RuntimeError(f"process {process.pid} did not stop within {deadline} s of SIGTERM and was killed") from None


class Server:
    """A server process on 127.0.0.1:port with its files in `data`. Started again on the same data, it continues there."""

    deadline = 60.0  # seconds from start to the first answer

    def __init__(self, data, port=None, environment=None):
        self.data = pathlib.Path(data).absolute()
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = self.data.with_name(self.data.name + ".log")
        self.process = None
        self.environment = environment or {}

    def command(self):
        """The command line; whatever has to exist on disk before the start is made here."""
        raise NotImplementedError

    def spawn(self):
        """Start the process without waiting for anything."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.data.parent,
                                            env={**os.environ, **self.environment})

    def start(self):
        """Start the process and return when it answers and has the namespace `default`."""
        self.spawn()
        try:
            wait_for_server(self.address, self.process, self.deadline)
            have_namespace(self.address)
        except BaseException:
            self.kill()
            print(f"end of {self.log}:\n{self.log.read_text(errors='replace')[-4000:]}", file=sys.stderr)
            raise

    def kill(self):
        """SIGKILL, and the process is gone on return."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            terminate(self.process)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


class PerdureServer(Server):
    """`perdure server start --data DIR`."""

    def __init__(self, binary, data, **options):
        super().__init__(data, **options)
        self.binary = pathlib.Path(binary).absolute()

    def command(self):
        return [self.binary, "server", "start", "--data", self.data, "--port", str(self.port), "--ip", "127.0.0.1"]


def server_under_test(against, binary, data, **options):
    """Ours or, with against == 'temporal', the incumbent."""
    if against == "temporal":
        from temporal_server import TemporalServer
        return TemporalServer(data, **options)
    return PerdureServer(binary, data, **options)
