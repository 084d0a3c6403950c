"""The binary under test as a child process, in a directory of its own."""
import os
import pathlib
import re
import selectors
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

import grpc

import processes

PATH = None  # of the binary; set by run.py
START_LIMIT = 60.0  # seconds: a starved machine is no failure


def run(*arguments, cwd=None, **environment):
    """The finished process, with what it printed as text."""
    return subprocess.run([PATH, *map(str, arguments)], capture_output=True, text=True, timeout=START_LIMIT, cwd=cwd,
                          env={**os.environ, **environment})


class Lines:
    """What comes out of a pipe, line by line."""

    def __init__(self, pipe):
        self.pipe, self.text, self.taken = pipe, "", 0
        os.set_blocking(pipe.fileno(), False)

    def next(self, limit=START_LIMIT):
        """The next line without its end; None when the pipe was closed."""
        end = time.monotonic() + limit
        with selectors.DefaultSelector() as selector:
            selector.register(self.pipe, selectors.EVENT_READ)
            while "\n" not in self.text[self.taken:]:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise AssertionError(f"nothing more was printed within {limit} s after:\n{self.text}")
                more = os.read(self.pipe.fileno(), 1 << 16).decode(errors="replace")
                if not more:
                    return None
                self.text += more
        line = self.text[self.taken:self.text.index("\n", self.taken)]
        self.taken += len(line) + 1
        return line

    def until(self, pattern, limit=START_LIMIT):
        """The first match of the regular expression in a line to come."""
        while (line := self.next(limit)) is not None:
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} was never printed, but:\n{self.text}")

    def rest(self):
        while self.next() is not None:
            pass
        return self.text


class Server:
    """`perdure server …`, ready when this returns. Its port is free, unless one is given."""

    def __init__(self, *arguments, cwd, command="start-dev", port=0, environment=None, **options):
        self.process = subprocess.Popen([PATH, "server", command, "--port", str(port), *map(str, arguments)], cwd=cwd,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})},
                                        **options)
        self.out, self.errors = Lines(self.process.stdout), Lines(self.process.stderr)
        try:
            self.out.until(r"^data +(.*)$")
        except BaseException:
            self.process.kill()
            raise AssertionError(f"no banner; it said:\n{self.out.text}{self.errors.rest()}") from None
        self.banner = dict(line.split(None, 1) for line in self.out.text.splitlines())
        self.address = self.banner["gRPC"]
        self.channel = processes.connect(self.address)

    def call(self, method, request, response_type, **options):
        return processes.call(self.channel, method, request, response_type, **options)

    def number(self, name):
        """The sum of a metric's samples; the server was started with --metrics-port."""
        with urllib.request.urlopen(self.banner["metrics"], timeout=START_LIMIT) as page:
            text = page.read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self):
        """The exit status, when it has ended."""
        status = self.process.wait(START_LIMIT)
        self.channel.close()
        return status

    def stop(self):
        self.signal()
        return self.wait()

    def end(self):
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Case(unittest.TestCase):
    """A test with an empty directory, and servers that do not outlive it."""

    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="binary-")
        self.addCleanup(place.cleanup)
        self.place = pathlib.Path(place.name)

    def server(self, *arguments, **options):
        server = Server(*arguments, **{"cwd": self.place, **options})
        self.addCleanup(server.end)
        return server

    def assert_refused(self, status, words, *arguments):
        """The command ends with that status and one sentence that holds the words."""
        done = run(*arguments, cwd=self.place)
        self.assertEqual(done.returncode, status, done.stderr)
        sentences = [line for line in done.stderr.splitlines() if line.startswith("perdure: ")]
        self.assertEqual(len(sentences), 1, done.stderr)
        for word in words:
            self.assertIn(word, sentences[0])
        return sentences[0]


def entries(directory):
    return sorted(path.name for path in pathlib.Path(directory).iterdir())


def status_of(error):
    """Name of the gRPC status of an RpcError."""
    assert isinstance(error, grpc.RpcError), error
    return error.code().name
