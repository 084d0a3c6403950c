#!/usr/bin/env python3
"""The incumbent, for comparison: Temporal's own server, built once from its Go module, durable in SQLite files.

  temporal_server.py install                       build it into the cache (about two minutes, once)
  temporal_server.py run --port N --data DIR       run it until SIGINT or SIGTERM; prints "ready ADDRESS PID"

As a module: `with TemporalServer(data, port) as server: ... server.address`. All rate limits are raised, every commit is synced to
disk (SQLITE_SYNCHRONOUS=2), and the namespace `default` exists when it is ready.
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import processes
import toolchain

MODULE = "go.temporal.io/server/cmd/server@v1.32.0"
BINARY = toolchain.CACHE / "bin" / "temporal-server-1.32.0"
SHARDS = 4
RAISED = 100000
DYNAMIC_CONFIG = {
    **dict.fromkeys(("frontend.rps", "frontend.namespaceRPS", "frontend.namespaceCount", "frontend.persistenceMaxQPS",
                     "history.persistenceMaxQPS", "matching.persistenceMaxQPS", "history.rps", "matching.rps"), RAISED),
}


def install():
    """The path of the server, built now if it is not there yet."""
    with toolchain.locked("temporal-server"):
        if not BINARY.exists():
            print(f"building {MODULE} (about two minutes)", file=sys.stderr)
            place = BINARY.parent / "temporal-build"
            subprocess.run(["nice", toolchain.go(), "install", "-tags", "disable_grpc_modules", MODULE], check=True,
                           env={**os.environ, "GOBIN": str(place), "CGO_ENABLED": "0"})
            (place / "server").rename(BINARY)
            place.rmdir()
    return BINARY


class TemporalServer(processes.Server):
    """The real server: every service in one process, two SQLite files."""

    deadline = 60.0

    def __init__(self, data, port=None, environment=None):
        super().__init__(data, port)
        self.environment = {
            "DB": "sqlite", "SQLITE_SYNCHRONOUS": "2", "BIND_ON_IP": "127.0.0.1", "NUM_HISTORY_SHARDS": str(SHARDS),
            "DBNAME": str(self.data / "temporal.db"), "VISIBILITY_DBNAME": str(self.data / "visibility.db"),
            "DYNAMIC_CONFIG_FILE_PATH": str(self.data / "dynamic.yaml"), "TEMPORAL_VERSION_CHECK_DISABLED": "1",
            "LOG_LEVEL": "error", "FRONTEND_GRPC_PORT": str(self.port), **(environment or {})}
        for name in ("FRONTEND_HTTP_PORT", "FRONTEND_MEMBERSHIP_PORT", "HISTORY_GRPC_PORT", "HISTORY_MEMBERSHIP_PORT",
                     "MATCHING_GRPC_PORT", "MATCHING_MEMBERSHIP_PORT", "WORKER_GRPC_PORT", "WORKER_MEMBERSHIP_PORT"):
            self.environment[name] = str(processes.free_port())

    def settings(self):
        """What is passed by environment variables and dynamic configuration, for a report."""
        return {**self.environment, **DYNAMIC_CONFIG}

    def command(self):
        binary = install()
        self.data.mkdir(parents=True, exist_ok=True)
        dynamic = {key: [{"value": value}] for key, value in DYNAMIC_CONFIG.items()}
        (self.data / "dynamic.yaml").write_text(json.dumps(dynamic))  # JSON is YAML too
        return [binary, "--allow-no-auth", "start"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install")
    run = commands.add_parser("run")
    run.add_argument("--port", type=int, required=True)
    run.add_argument("--data", type=pathlib.Path, required=True)
    options = parser.parse_args()
    if options.command == "install":
        print(install())
        return
    processes.use_packages()

    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        with TemporalServer(options.data.absolute(), options.port) as server:
            print(f"ready {server.address} {server.process.pid}", flush=True)
            sys.exit(server.process.wait())
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
