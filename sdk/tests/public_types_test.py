#!/usr/bin/env python3
"""Each public type of the headers is used by name in at least one example or test that is compiled.

  public_types_test.py BUILD [--list]

BUILD has compile_commands.json; headers beside a compiled file count when it includes them. --list says where each type is used.
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HEADERS = HERE.parent / "include/perdure"
DECLARATION = re.compile(r"\b(?:class|struct|enum class|concept|using)\s+(?:\[\[\w+\]\]\s*)?(\w+)\s*"
                         r"(?::[^{;]*|final\s*(?::[^{;]*)?|=[^;{]*)?\s*[{;]")


def without_comments(text):
    text = re.sub(r"""\"(?:\\.|[^\"\\\n])*\"|\B'(?:\\.|[^'\\\n])'""", '""', text)
    return re.sub(r"^\s*#[^\n]*|//[^\n]*", "", text, flags=re.MULTILINE)


def outer_scopes(text):
    """The text of a header, in which bodies of types and functions and all of namespace detail are left out."""
    kept, depth, opened = [], 0, []  # opened: for each open brace, if what is inside counts
    start = 0
    for match in re.finditer(r"[{}]", text):
        inside = all(opened)
        if inside:
            kept.append(text[start:match.end()])
        if match.group() == "{":
            head = re.split(r"[;{}]", text[:match.start()])[-1]
            opened.append(inside and bool(re.search(r"\bnamespace\b", head)) and not re.search(r"\bdetail\b", head))
        else:
            opened.pop()
            if all(opened):
                kept.append("}")
        start = match.end()
    return "".join(kept)


def public_types():
    """{name: header}"""
    found = {}
    for header in sorted(HEADERS.rglob("*.h")):
        for match in DECLARATION.finditer(outer_scopes(without_comments(header.read_text()))):
            found.setdefault(match.group(1), header.name)
    return found


def compiled_files(build):
    """Examples and tests of the SDK that are compiled, and those of their own headers that they include."""
    files, new = {}, [pathlib.Path(one["file"]) for one in json.loads((build / "compile_commands.json").read_text())]
    new = [path for path in new if path.is_relative_to(ROOT / "examples") or path.is_relative_to(HERE)]
    while new:
        path = new.pop()
        if path in files:
            continue
        files[path] = without_comments(path.read_text())
        for name in re.findall(r'#include "((?:examples|sdk/tests)/[^"]+)"', path.read_text()):
            new.append(ROOT / name)
    return files


def main():
    build = pathlib.Path(sys.argv[1])
    words = {path: set(re.findall(r"\w+", text)) for path, text in compiled_files(build).items()}
    assert words, f"{build} compiles no tests of the SDK"
    types = public_types()
    assert {"Context", "Task", "RetryPolicy", "Worker", "ScheduleBackfill", "CancelReason"} <= types.keys(), types
    missing = 0
    for name, header in types.items():
        where = sorted((path for path in words if name in words[path]), key=lambda path: ("examples" not in path.parts, path))
        if "--list" in sys.argv:
            print(f"{name} ({header}): {where[0].relative_to(ROOT) if where else 'NOWHERE'}")
        if not where:
            missing += 1
            print(f"{header}: {name} is in no example and in no test")
    print(f"{len(types) - missing} passed, {missing} failed")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
