#!/usr/bin/env python3
"""Runs a test program of the SDK against a server of its own, which it starts and stops.

  run.py [--server perdure|temporal] [--binary build/perdure] PROGRAM [arguments…]
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import processes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=("perdure", "temporal"), default="perdure")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/perdure")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    processes.use_packages()
    if options.server == "temporal":
        import temporal_server
        temporal_server.DYNAMIC_CONFIG["system.enableActivityEagerExecution"] = True
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data"
        with processes.server_under_test(options.server, options.binary, data) as server:
            environment = {**os.environ, "TEMPORAL_ADDRESS": server.address}
            failed = subprocess.run([options.program, *options.arguments], env=environment).returncode != 0
    print("0 passed, 1 failed" if failed else "1 passed, 0 failed")
    sys.exit(failed)


if __name__ == "__main__":
    main()
