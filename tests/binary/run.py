#!/usr/bin/env python3
"""What a user sees of the binary: its command line, what it prints, what it leaves behind, how it ends.

  run.py [--binary build/perdure] [unittest names…]

Nothing waits for time to pass: a server is ready when its banner is complete, and ends when its process has ended.
"""
import argparse
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools"))
import processes

MODULES = ("command_line", "data", "ends", "capabilities", "connections", "wakes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=processes.ROOT / "build/perdure")
    parser.add_argument("names", nargs="*", help="as command_line.Flags.test_help; all when none is given")
    options = parser.parse_args()
    processes.use_packages()
    import binary
    binary.PATH = options.binary.absolute()
    tests = unittest.defaultTestLoader.loadTestsFromNames(options.names or MODULES)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
    broken = len(result.failures) + len(result.errors)
    print(f"binary: {result.testsRun - broken} passed, {broken} failed")
    processes.leave(not result.wasSuccessful())


if __name__ == "__main__":
    main()
