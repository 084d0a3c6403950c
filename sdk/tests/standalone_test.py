#!/usr/bin/env python3
"""Builds the SDK as a project of its own, in a tree of its own, and installs it.

  standalone_test.py PROTO        the installed library of Temporal's API
"""
import pathlib
import subprocess
import sys
import tempfile

SDK = pathlib.Path(__file__).resolve().parents[1]


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        tree, prefix = pathlib.Path(folder) / "tree", pathlib.Path(folder) / "prefix"
        run("cmake", "-S", SDK, "-B", tree, "-G", "Ninja", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache", f"-DPERDURE_PROTO={sys.argv[1]}")
        run("cmake", "--build", tree, "-j", "1", "--target", "perdure_sdk", "perdure_embedded", "perdure_hazards")
        run("cmake", "--install", tree, "--component", "sdk", "--prefix", prefix)
        found = [path.name for path in prefix.rglob("*") if path.is_file()]
        missing = {"client.h", "worker.h", "libperdure_sdk.a", "libtemporal_api.a", "perdure-hazards",
                   "PerdureConfig.cmake"} - set(found)
        assert not missing, f"not installed: {missing}"
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
