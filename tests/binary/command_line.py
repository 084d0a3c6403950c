"""Flags, the banner, and what is refused before anything listens."""
import json
import pathlib
import socket
import urllib.request

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest, ListSearchAttributesResponse
from temporalio.api.workflowservice.v1 import (DescribeNamespaceRequest, DescribeNamespaceResponse, GetSystemInfoRequest,
                                               GetSystemInfoResponse)

from binary import Case, run
import processes

METRICS = pathlib.Path(__file__).with_name("metrics.txt")

# Every flag that test environments of SDKs give (and the other flags of Temporal's server start-dev), with the warning it earns.
ACCEPTED = [
    (["--ip", "127.0.0.1"], None),
    (["--namespace", "other"], None),
    (["--headless"], None),
    (["--db-filename", "kept"], None),
    (["--log-format", "text"], None),
    (["--log-level", "warn"], None),
    (["--search-attribute", "Color=Keyword"], None),
    (["--http-port", "7300"], "--http-port"),
    (["--ui-port", "8300"], "--ui-port"),
    (["--ui-ip", "127.0.0.1"], "--ui-ip"),
    (["--ui-asset-path", "x"], "--ui-asset-path"),
    (["--ui-codec-endpoint", "http://127.0.0.1:1"], "--ui-codec-endpoint"),
    (["--ui-public-path", "/x"], "--ui-public-path"),
    (["--dynamic-config-value", "nobody.knowsThis=true"], "nobody.knowsThis"),
    (["--dynamic-config-value", "frontend.rps=[]"], "frontend.rps"),
    (["--sqlite-pragma", "journal_mode=wal"], "journal_mode"),
    (["--sqlite-pragma", "synchronous=1"], "synchronous"),
]


def accepts(address):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20):
        return True


class Flags(Case):
    def test_version(self):
        done = run("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^perdure \d+\.\d+\.\d+ \(Temporal API 1\.32\.0\)\n$")
        self.assertEqual(done.stderr, "")

    def test_help(self):
        for words, wanted in ((["--help"], ["server"]), (["server", "--help"], ["start", "start-dev"]),
                              (["server", "start", "--help"], ["--data", "--port", "--insecure", "--metrics-port", "--log-format"]),
                              (["server", "start-dev", "--help"], ["--db-filename", "--headless", "--dynamic-config-value"])):
            with self.subTest(" ".join(words)):
                done = run(*words)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                for word in wanted:
                    self.assertIn(word, done.stdout)

    def test_every_flag_of_start_dev_is_accepted(self):
        server = self.server(*(word for words, _ in ACCEPTED for word in words))
        capabilities = server.call("GetSystemInfo", GetSystemInfoRequest(), GetSystemInfoResponse)
        self.assertRegex(capabilities.server_version, r"^\d+\.\d+\.\d+$")
        described = server.call("DescribeNamespace", DescribeNamespaceRequest(namespace="other"), DescribeNamespaceResponse)
        self.assertEqual(described.namespace_info.name, "other")
        listed = server.channel.unary_unary(
            "/temporal.api.operatorservice.v1.OperatorService/ListSearchAttributes",
            request_serializer=ListSearchAttributesRequest.SerializeToString,
            response_deserializer=ListSearchAttributesResponse.FromString)(
                ListSearchAttributesRequest(namespace="other"), timeout=20)
        self.assertIn("Color", listed.custom_attributes)
        self.assertEqual(server.stop(), 0)
        lines = server.errors.rest().splitlines()
        self.assertTrue(all(line.startswith("warning: ") for line in lines), lines)
        for words, warned in ACCEPTED:
            if warned:
                self.assertEqual(len([line for line in lines if warned in line]), 1, f"{words}: one line in {lines}")
        self.assertEqual(len(lines), len([1 for _, warned in ACCEPTED if warned]), lines)

    def test_what_is_not_understood_is_refused_with_status_2(self):
        for words in (["serve"], ["server"], ["server", "start", "--prot", "1"], ["server", "start", "--port", "x"],
                      ["server", "start", "--port", "70000"], ["server", "start", "extra"]):
            with self.subTest(" ".join(words)):
                done = run(*words, cwd=self.place)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertNotEqual(done.stderr, "")
        self.assert_refused(2, ["--log-level"], "server", "start-dev", "--log-level", "loud")
        self.assert_refused(2, ["--log-format"], "server", "start-dev", "--log-format", "xml")
        self.assert_refused(2, ["--search-attribute", "Name=Type"], "server", "start-dev", "--search-attribute", "Color")
        self.assert_refused(2, ["Colour is no type"], "server", "start-dev", "--port", "0", "--search-attribute", "Color=Colour")
        self.assertEqual(list(self.place.iterdir()), [])

    def test_beyond_loopback_only_with_insecure(self):
        for command in ("start", "start-dev"):
            for ip in ("0.0.0.0", "::", "192.0.2.1"):
                self.assert_refused(2, [ip, "--insecure"], "server", command, "--ip", ip, "--port", "0")
        server = self.server("--ip", "0.0.0.0", "--insecure")
        self.assertRegex(server.address, r"^0\.0\.0\.0:\d+$")
        self.assertTrue(accepts(server.address))

    def test_a_port_that_is_taken_is_refused(self):
        server = self.server()
        port = server.address.rsplit(":", 1)[1]
        self.assert_refused(3, [server.address, "taken"], "server", "start-dev", "--port", port)


class Banner(Case):
    def test_names_only_what_listens_and_where_the_data_is(self):
        server = self.server("--headless")
        self.assertEqual(list(server.banner), ["perdure", "gRPC", "data"])
        self.assertTrue(accepts(server.address))
        self.assertTrue(server.banner["data"].endswith("(temporary, removed at the end)"), server.banner)
        self.assertTrue(pathlib.Path(server.banner["data"].split(" (")[0]).is_dir())

    def test_names_the_metrics_when_there_are_some(self):
        server = self.server("--metrics-port", processes.free_port(), "--data", "here", command="start")
        self.assertEqual(list(server.banner), ["perdure", "gRPC", "metrics", "data"])
        with urllib.request.urlopen(server.banner["metrics"], timeout=20) as page:
            self.assertEqual(page.status, 200)
        self.assertEqual(server.banner["data"], "here")


class Log(Case):
    def test_text_tells_the_life_of_the_server(self):
        server = self.server("--log-level", "info")
        self.assertEqual(server.stop(), 0)
        lines = server.errors.rest().splitlines()
        self.assertEqual([line.split("msg=")[1].split()[0] for line in lines],
                         ["starting", "recovered", "started", "stopping", "stopped"])
        for line in lines:
            self.assertRegex(line, r"^time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=INFO msg=\w+( \w+=(\"[^\"]*\"|\S+))*$")

    def test_json_is_an_object_a_line(self):
        server = self.server("--log-level", "info", "--log-format", "json", "--dynamic-config-value", "a.b=1")
        self.assertEqual(server.stop(), 0)
        lines = [json.loads(line) for line in server.errors.rest().splitlines()]
        self.assertEqual([line["msg"] for line in lines],
                         ["starting", "recovered", "flag_ignored", "started", "stopping", "stopped"])
        self.assertEqual({line["level"] for line in lines}, {"INFO", "WARN"})
        self.assertIn("a.b", lines[2]["reason"])
        self.assertEqual(lines[3]["port"], int(server.address.rsplit(":", 1)[1]))

    def test_a_refusal_is_an_event_for_programs(self):
        done = run("server", "start", "--data", "/dev/null/x", "--log-format", "json", cwd=self.place)
        self.assertEqual(done.returncode, 3)
        event = json.loads(done.stderr)
        self.assertEqual((event["level"], event["msg"]), ("ERROR", "start_failed"))

    def test_never_is_silence(self):
        server = self.server("--log-level", "never")
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.errors.rest(), "")


class Metrics(Case):
    def test_names_are_a_promise(self):
        """metrics.txt only grows: dashboards and alarms use the names."""
        server = self.server("--metrics-port", processes.free_port())
        with urllib.request.urlopen(server.banner["metrics"], timeout=20) as page:
            text = page.read().decode()
        found = [" ".join(line.split()[2:]) for line in text.splitlines() if line.startswith("# TYPE ")]
        wanted = METRICS.read_text().splitlines()
        self.assertEqual([line for line in wanted if line not in found], [])
        self.assertEqual([line for line in found if line not in wanted], [], "add what is new to metrics.txt")
