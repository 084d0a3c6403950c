#!/usr/bin/env python3
"""The project's own rules, checked: what compilers and clang-tidy do not know. STYLE.md explains them.

  lint.py [paths…]      checks the given files, or all files of the checkout; exit status 1 when it found something

Exceptions stand in tools/lint_allow.txt, one a line, each with its reason; one that no longer excuses anything is a finding too.
"""
import ast
import dataclasses
import fnmatch
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALLOW = "tools/lint_allow.txt"

FORMATTER = "clang-format-19"
MAX_LINE = 132  # ./dev fmt breaks code at 110
MAX_FUNCTION = 70
MAX_FILE = 800

CPP = (".h", ".cc")
CODE = (*CPP, ".py", ".go", ".cmake", ".ts", ".java")

# Rule E18: what would make a run depend on more than its seed. base/ wraps these once.
BANNED_CODE = {
    "thread": r"\bstd::(thread|jthread|async)\b|\bpthread_create\b|#include <thread>",
    "mutex": r"\bstd::(recursive_|shared_|timed_|shared_timed_|recursive_timed_)?mutex\b|\babsl::Mutex\b|"
             r"\bstd::(lock_guard|unique_lock|scoped_lock|shared_lock|condition_variable(_any)?)\b|"
             r"\bstd::(counting_semaphore|binary_semaphore|latch|barrier)\b|\bpthread_(mutex|cond)_|"
             r"#include <(mutex|shared_mutex|condition_variable|semaphore|latch|barrier)>",
    "clock": r"\b(system|steady|high_resolution|utc|file)_clock::now\b|\b(clock_gettime|gettimeofday|timespec_get)\s*\(|"
             r"\bstd::time\s*\(|\babsl::Now\b|\bgpr_now\b",
    "random": r"\bstd::random_device\b|\b(getrandom|getentropy|arc4random|RAND_bytes)\s*\(|\bs?rand\s*\(",
    "hash": r"\babsl::(flat|node)_hash_(map|set)\b|#include [<\"]absl/container/(flat|node)_hash",
    "pointer_order": r"\bstd::(unordered_)?(multi)?(map|set)<\s*(const\s+)?[\w:]+(<[^<>]*>)?\s*(const\s*)?\*"
                     r"\s*(const\s*)?[,>]",
    "sleep": r"(?<![.>])\b(sleep_for|sleep_until|usleep|nanosleep)\s*\(|::sleep\s*\(",  # ActivityContext has a member of the name
}
# server/core holds rules as functions of values: nothing that does I/O, and nothing that draws or waits.
CORE_INCLUDES = re.compile(
    r"#include [<\"](thread|mutex|shared_mutex|condition_variable|future|random|fstream|iostream|cstdio|filesystem|atomic|"
    r"unistd\.h|fcntl\.h|sqlite3\.h|sys/[\w/]+\.h|grpc[\w+]*/[\w/.]+|base/(executor|disk|clock)\.h)[>\"]")
# Nothing in a test waits for time to pass.
TEST_SLEEP = {
    ".py": re.compile(r"\btime\.sleep\s*\("),
    ".go": re.compile(r"\btime\.Sleep\s*\("),
}
VAGUE_NAME = re.compile(r"\b(?:class|struct|enum|enum class|concept)\s+(?:\w+\s+)?(\w*(?:Manager|Helper|Util|Utils|Impl))\b")
VAGUE_FILE = re.compile(r"(^|_)(manager|helper|helpers|util|utils|impl|common|misc)(_|$)")
UNOWNED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
MARKDOWN_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)(?:#[^)]*)?\)")
HOSTS = [a + "." + b for a, b in (
    ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com"), ("crates", "io"),
    ("proxy.golang", "org"), ("sum.golang", "org"), ("goproxy", "io"), ("deb.debian", "org"), ("snapshot.debian", "org"),
    ("security.debian", "org"), ("maven", "org"), ("repo.maven.apache", "org"), ("artifactregistry", "dev"), ("pkg", "dev"))]
HOST = re.compile(r"(?<![\w-])(?:[\w-]+\.)*(" + "|".join(map(re.escape, HOSTS)) + r")(?![\w-])")

# Who may include whom: a folder and what it may see besides itself. The longest matching folder counts.
ARROWS = {"base": (), "proto": ()}
_below = ["base", "proto"]
for _layer in (["core"], ["store"], ["catalog"], ["matching", "visibility", "cluster"], ["history"], ["frontend"], ["gateway"],
               ["main"]):
    _layer = ["server/" + folder for folder in _layer]
    ARROWS.update({folder: tuple(_below) for folder in _layer})
    _below += _layer
ARROWS["sdk"] = ("base", "proto")
ARROWS["sdk/src/embedded"] = ("base", "proto", "sdk", "server")
ARROWS["sdk/tests"] = ("base", "proto", "sdk", "examples")
ARROWS["bench"] = ("base", "proto", "sdk")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


def blank_comments_and_strings(text):
    """The same text, same lines, with comments and the contents of literals replaced by spaces."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|'
                       r"(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'", re.DOTALL)

    def blank(match):
        found = match.group()
        if found[0] == '"' and text[:match.start()].rstrip(" ").endswith("#include"):
            return found
        kept = '""' if found[0] in '"R' else ""
        return kept + re.sub(r"[^\n]", " ", found[len(kept):])

    return token.sub(blank, text)


def functions(code):
    """(first line, last line, head) of each function defined at namespace or class level in blanked C++ code."""
    scopes = []  # per open brace: "scope" (namespace, class), ("function", first line) or "other"
    begin = 0    # where the current declaration began
    depth = 0    # of parentheses
    for match in re.finditer(r"[{};()]|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$|\b(?:public|private|protected):", code, re.MULTILINE):
        sign = match.group()
        inside = any(scope != "scope" for scope in scopes)
        if sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
        elif sign == "{":
            declaration = code[begin:match.start()].lstrip()
            line = code.count("\n", 0, match.start() - len(declaration)) + 1
            scopes.append(_kind(declaration.rstrip(), depth, inside, line))
            begin = match.end() if scopes[-1] == "scope" else begin
        elif sign == "}":
            scope = scopes.pop() if scopes else "scope"
            if isinstance(scope, tuple):
                yield scope[1], code.count("\n", 0, match.start()) + 1, " ".join(scope[2].split())
            if scope == "scope" or isinstance(scope, tuple):
                begin = match.end()
        elif not inside and depth == 0:
            begin = match.end()


def _kind(head, depth, inside, line):
    if inside or depth:
        return "other"
    if re.search(r"\b(namespace|extern)\b[^()]*$", head):
        return "scope"
    if re.search(r"\b(class|struct|union|enum)\b", head) and "(" not in re.sub(r"\balignas\s*\(.*?\)", "", head):
        return "scope"
    if re.search(r"\)\s*(noexcept\s*)?:(?!:).*[\w>]$", head, re.DOTALL):
        return "other"  # a member of an initializer list: a_{a}
    if "(" in head and not re.search(r"(?<![=!<>+\-*/%&|^\[])=(?!=)\s*[\w:<>, ]*$", head):
        return ("function", line, head)
    return "other"


class File:
    def __init__(self, path):
        self.path = path
        self.text = (ROOT / path).read_text(errors="replace")
        self.lines = self.text.splitlines()
        self.suffix = pathlib.PurePath(path).suffix

    def at(self, offset):
        return self.text.count("\n", 0, offset) + 1


def in_folder(path, folder):
    return path == folder or path.startswith(folder + "/")


def check_lengths(file):
    if file.suffix not in CODE and file.path != "dev":
        return
    for number, line in enumerate(file.lines, 1):
        if len(line) > MAX_LINE:
            yield Finding(file.path, number, "line_length", f"{len(line)} characters, at most {MAX_LINE}")
    if len(file.lines) > MAX_FILE:
        yield Finding(file.path, len(file.lines), "file_length", f"{len(file.lines)} lines, at most {MAX_FILE}")
    for first, last, name in long_functions(file):
        yield Finding(file.path, first, "function_length", f"{last - first + 1} lines, at most {MAX_FUNCTION}: {name[:60]}")


def long_functions(file):
    if file.suffix in CPP:
        found = functions(blank_comments_and_strings(file.text))
    elif file.suffix == ".py":
        found = ((node.lineno, node.end_lineno, node.name) for node in ast.walk(ast.parse(file.text))
                 if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    else:
        found = ()
    return [one for one in found if one[1] - one[0] + 1 > MAX_FUNCTION]


def check_determinism(file):
    if file.suffix not in CPP or in_folder(file.path, "base"):
        return
    code = blank_comments_and_strings(file.text)
    for rule, pattern in BANNED_CODE.items():
        for match in re.finditer(pattern, code):
            yield Finding(file.path, file.at(match.start()), rule, f"`{match.group()}` belongs to base/ alone")


def check_core(file):
    if file.suffix in CPP and in_folder(file.path, "server/core") and not file.path.endswith("_test.cc"):
        for number, line in enumerate(file.lines, 1):
            if match := CORE_INCLUDES.match(line):
                yield Finding(file.path, number, "core_include", f"core is pure: no <{match.group(1)}>")


def check_arrows(file):
    if file.suffix not in CPP:
        return
    homes = [folder for folder in ARROWS if in_folder(file.path, folder)]
    if not homes:
        return
    home = max(homes, key=len)
    for number, line in enumerate(file.lines, 1):
        if match := INCLUDE.match(line):
            seen = match.group(1)
            if "/" in seen and not any(in_folder(seen, folder) for folder in (home, *ARROWS[home])):
                if (ROOT / seen).exists() or seen.split("/")[0] in ("server", "base", "sdk", "tests", "bench"):
                    yield Finding(file.path, number, "arrow", f"{home} may not include {seen}")


def check_headers(file):
    if file.suffix != ".h":
        return
    if not file.text.startswith("//"):
        yield Finding(file.path, 1, "header_comment", "a header starts by saying what it is for")
    first = next((line for line in file.lines if line and not line.startswith("//")), "")
    if first != "#pragma once":
        yield Finding(file.path, 1, "pragma_once", "the first line after the comment is `#pragma once`")


def check_names(file):
    stem = pathlib.PurePath(file.path).stem
    if file.suffix in CPP:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", stem):
            yield Finding(file.path, 1, "file_name", "file names are snake_case")
        for match in VAGUE_NAME.finditer(blank_comments_and_strings(file.text)):
            yield Finding(file.path, file.at(match.start()), "vague_name", f"{match.group(1)} says nothing: name what it does")
    if file.suffix in CODE and VAGUE_FILE.search(stem):
        yield Finding(file.path, 1, "vague_name", f"{stem} says nothing: name what it holds")


def check_words(file):
    for match in HOST.finditer(file.text):
        yield Finding(file.path, file.at(match.start()), "host", f"{match.group()}: tools know their registries, we do not")
    if file.path != "tools/lint.py":
        for match in UNOWNED.finditer(file.text):
            yield Finding(file.path, file.at(match.start()), "unfinished", f"{match.group()}: do it, or plan it elsewhere")


def check_test_sleeps(file):
    pattern = TEST_SLEEP.get(file.suffix)
    if pattern and in_folder(file.path, "tests"):
        for match in pattern.finditer(file.text):
            yield Finding(file.path, file.at(match.start()), "sleep", "tests wait for a condition")


def check_links(file):
    """Links between our own pages and files lead somewhere."""
    if file.suffix == ".md":
        for match in MARKDOWN_LINK.finditer(file.text):
            if not (ROOT / file.path).parent.joinpath(match.group(1)).exists():
                yield Finding(file.path, file.at(match.start()), "link", f"{match.group(1)} does not exist")


CHECKS = (check_lengths, check_determinism, check_core, check_arrows, check_headers, check_names, check_words, check_test_sleeps,
          check_links)


def unformatted(paths):
    """C++ files that `./dev fmt` would change."""
    sources = [path for path in paths if path.endswith(CPP)]
    if not sources:
        return
    try:
        told = subprocess.run([FORMATTER, "--dry-run", *sources], cwd=ROOT, capture_output=True, text=True, check=False).stderr
    except FileNotFoundError:
        yield Finding(ALLOW, 1, "format", f"{FORMATTER} is missing: `./dev lint` installs it")
        return
    first = {}
    for path, line in re.findall(r"^(.+?):(\d+):\d+: (?:warning|error): ", told, re.MULTILINE):
        first.setdefault(path, int(line))
    for path, line in first.items():
        yield Finding(path, line, "format", "not as `./dev fmt` leaves it")


def read_allowed():
    """[(path pattern, rule, line number)] of the exceptions; those without a reason are findings."""
    allowed, findings = [], []
    for number, line in enumerate((ROOT / ALLOW).read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            pattern, rule, *reason = line.split(None, 2)
            allowed.append((pattern, rule, number))
            if not reason:
                findings.append(Finding(ALLOW, number, "allow", "an exception needs its reason"))
    return allowed, findings


def all_files():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.split("\0")
    return [path for path in listed if path and (ROOT / path).is_file()]


def is_text(path):
    with open(ROOT / path, "rb") as opened:
        return b"\0" not in opened.read(4096)


def run(paths, complete):
    allowed, findings = read_allowed()
    used = set()
    files = [path for path in paths if is_text(path)]
    for path in files:
        file = File(path)
        for check in CHECKS:
            for finding in check(file):
                excuse = next((number for pattern, rule, number in allowed
                               if rule == finding.rule and fnmatch.fnmatch(path, pattern)), None)
                if excuse is None:
                    findings.append(finding)
                used.add(excuse)
    findings += unformatted(files)
    if complete:
        findings += [Finding(ALLOW, number, "allow", f"nothing needs this: {pattern} {rule}")
                     for pattern, rule, number in allowed if number not in used]
    for finding in sorted(set(findings), key=lambda one: (one.path, one.line)):
        print(finding)
    print(f"lint: {len(files)} files, {len(set(findings))} findings")
    return not findings


def main(arguments):
    paths = [os.path.relpath(pathlib.Path(argument).resolve(), ROOT) for argument in arguments]
    return 0 if run(paths or all_files(), complete=not paths) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
