"""Where the data is, who may use it, and what is refused."""
import ctypes
import os
import pathlib
import stat

from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
                                               GetSystemInfoRequest, GetSystemInfoResponse, StartWorkflowExecutionRequest,
                                               StartWorkflowExecutionResponse)

from binary import Case, entries


def start(server, workflow_id):
    request = StartWorkflowExecutionRequest(namespace="default", workflow_id=workflow_id, workflow_type=WorkflowType(name="T"),
                                            task_queue=TaskQueue(name="tq"))
    return server.call("StartWorkflowExecution", request, StartWorkflowExecutionResponse).run_id


def run_of(server, workflow_id):
    request = DescribeWorkflowExecutionRequest(namespace="default", execution=WorkflowExecution(workflow_id=workflow_id))
    return server.call("DescribeWorkflowExecution", request,
                       DescribeWorkflowExecutionResponse).workflow_execution_info.execution.run_id


class StartDev(Case):
    def test_four_at_once_in_one_directory(self):
        temporary, here = self.place / "temporary", self.place / "here"
        temporary.mkdir()
        here.mkdir()
        servers = [self.server("--headless", cwd=here, environment={"TMPDIR": str(temporary)}) for _ in range(4)]
        self.assertEqual(len({server.address for server in servers}), 4)
        self.assertEqual(len(entries(temporary)), 4)
        for server in servers:
            server.call("GetSystemInfo", GetSystemInfoRequest(), GetSystemInfoResponse)
            start(server, "w")
        for server in servers:
            server.signal()
        self.assertEqual([server.wait() for server in servers], [0] * 4)
        self.assertEqual(entries(temporary), [], "temporary directories are gone at the end")
        self.assertEqual(entries(here), [], "nothing is left where it was started")

    def test_keeps_data_in_db_filename(self):
        server = self.server("--db-filename", "kept.db")
        run_id = start(server, "w")
        self.assertEqual(server.banner["data"], "kept.db")
        self.assertEqual(server.stop(), 0)
        self.assertEqual(entries(self.place), ["kept.db"])
        self.assertTrue((self.place / "kept.db").is_dir())
        again = self.server("--db-filename", "kept.db")
        self.assertEqual(run_of(again, "w"), run_id)

    def test_a_file_is_refused_as_db_filename(self):
        file = self.place / "temporal.db"
        file.write_bytes(b"SQLite format 3\0")
        self.assert_refused(3, ["--db-filename", "temporal.db", "is a file", "directory"],
                            "server", "start-dev", "--port", "0", "--db-filename", "temporal.db")
        self.assertEqual(file.read_bytes(), b"SQLite format 3\0")


class Start(Case):
    def test_data_is_perdure_data_and_private(self):
        old = os.umask(0)
        try:
            server = self.server(command="start")
        finally:
            os.umask(old)
        self.assertEqual(server.banner["data"], "perdure-data")
        self.assertEqual(stat.S_IMODE((self.place / "perdure-data").stat().st_mode), 0o700)
        run_id = start(server, "w")
        server.process.kill()
        server.wait()
        self.assertEqual(run_of(self.server(command="start"), "w"), run_id)

    def test_a_second_server_is_refused_with_the_pid_of_the_first(self):
        server = self.server("--data", "d", command="start")
        self.assert_refused(3, [str(server.process.pid)], "server", "start", "--port", "0", "--data", "d")
        start(server, "w")  # it did no harm

    def test_a_newer_format_is_refused_by_name(self):
        self.assertEqual(self.server("--data", "d", command="start").stop(), 0)
        manifest = self.manifest()
        body = manifest.read_bytes().replace(b"perdure-data 1\n", b"perdure-data 2\n")
        body = body[:body.rindex(b"checksum ")]
        digest = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
        digest.restype, digest.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_size_t]
        written = manifest.read_bytes()
        width = len(written) - written.rindex(b"checksum ") - len(b"checksum \n")
        manifest.write_bytes(body + b"checksum %0*x\n" % (width, digest(body, len(body))))
        self.assert_refused(3, ["d has format 2", "up to 1"], "server", "start", "--port", "0", "--data", "d")

    def test_damage_is_refused_with_its_place(self):
        self.assertEqual(self.server("--data", "d", command="start").stop(), 0)
        manifest = self.manifest()
        manifest.write_bytes(manifest.read_bytes().replace(b"store ", b"stork "))
        sentence = self.assert_refused(4, [manifest.name, "offset"], "server", "start", "--port", "0", "--data", "d")
        self.assertIn("d/", sentence)

    def test_a_directory_of_somebody_else_is_refused(self):
        (self.place / "d").mkdir()
        (self.place / "d/thesis.txt").write_text("for years")
        self.assert_refused(3, ["not a data directory", "thesis.txt"], "server", "start", "--port", "0", "--data", "d")
        self.assertEqual((self.place / "d/thesis.txt").read_text(), "for years")

    def manifest(self):
        found = [path for path in pathlib.Path(self.place / "d").iterdir()
                 if path.is_file() and path.read_bytes().startswith(b"perdure-data ")]
        self.assertEqual(len(found), 1)
        return found[0]
