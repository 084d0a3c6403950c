#!/usr/bin/env python3
"""The hazard lint finds every marked line of hazard_lines.txt and no other, and nothing in the examples.

  hazards_test.py PROGRAM
"""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def found(program, path):
    """The numbers of the lines that the lint reports."""
    result = subprocess.run([program, path], capture_output=True, text=True)
    assert result.returncode in (0, 1), result.stderr
    return {int(line.split(":")[1]) for line in result.stdout.splitlines()}


def main():
    program = sys.argv[1]
    lines = HERE / "hazard_lines.txt"
    wanted = {number for number, line in enumerate(lines.read_text().splitlines(), 1) if line.endswith("// BAD")}
    wrong = 0
    for number in sorted(wanted ^ found(program, lines)):
        print(f"{lines.name}:{number}: {'missed' if number in wanted else 'a false alarm'}")
        wrong += 1
    code = [*ROOT.glob("examples/**/*.h"), *ROOT.glob("examples/**/*.cc")]
    examples = sorted(path for path in code if "Task<" in path.read_text())  # with workflows in them
    for path in examples:
        for number in sorted(found(program, path)):
            print(f"{path.name}:{number}: a false alarm")
            wrong += 1
    print(f"{len(wanted) + len(examples) - wrong} passed, {wrong} failed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
