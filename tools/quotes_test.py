#!/usr/bin/env python3
"""What docs/guide quotes stands in the files that it names: quotes_test.py

A quote is a C++ block under a comment `<!-- from PATH -->`. Its lines are lines of that file, in one piece, indented less or as
much; a line `…` leaves some out. A C++ block without a source is a failure: code in the pages has been compiled.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?:<!-- from (?P<path>\S+) -->\n)?```cpp\n(?P<text>.*?)```", re.DOTALL)


def pieces(text):
    """The parts of a quote between its `…` lines, each a list of lines without common indentation."""
    parts = [[]]
    for line in text.rstrip("\n").split("\n"):
        if line.strip() == "…":
            parts.append([])
        else:
            parts[-1].append(line)
    return [dedented(part) for part in parts if part]


def dedented(lines):
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[margin:].rstrip() for line in lines]


def stands_in(part, lines, begin):
    """Where the part ends in the file's lines, when it stands there from `begin` on; otherwise None."""
    for at in range(begin, len(lines) - len(part) + 1):
        if dedented(lines[at:at + len(part)]) == part:
            return at + len(part)
    return None


def main():
    failures, count = [], 0
    for page in sorted((ROOT / "docs/guide").glob("*.md")):
        for match in BLOCK.finditer(page.read_text()):
            count += 1
            line = page.read_text().count("\n", 0, match.start()) + 1
            if not match["path"]:
                failures.append(f"{page.name}:{line}: a block without a source")
                continue
            lines, at = (ROOT / match["path"]).read_text().split("\n"), 0
            for part in pieces(match["text"]):
                at = stands_in(part, lines, at or 0)
                if at is None:
                    failures.append("\n".join([f"{page.name}:{line}: {match['path']} has no such lines, or not in order:", *part]))
                    break
    print("\n".join(failures))
    print(f"{count - len(failures)} passed, {len(failures)} failed")
    sys.exit(bool(failures) or count == 0)


if __name__ == "__main__":
    main()
