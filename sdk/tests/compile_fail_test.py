#!/usr/bin/env python3
"""Each file of compile_fail/ must not compile, and the compiler must say what the file expects; public headers stand alone.

  compile_fail_test.py COMPILER

First lines of a file: `// expect: TEXT`, `// flags: …`, `// clang: TEXT` (instead, for clang), `// only: g++ 12`.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parent / "include"
FOREIGN = re.compile(r'"(?:[^"]*/)?(?:grpc|grpcpp|google/protobuf|nlohmann|temporal/api)/')

OPT_IN = ("nlohmann.h", "protobuf.h")  # they are for those who have the library


def compiler_messages(compiler, path, *flags):
    """(exit status, all that the compiler says on one line each)"""
    result = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", f"-I{INCLUDE}", *flags, path], capture_output=True, text=True)
    return result.returncode, result.stderr


def wrong_about(path, compiler, is_clang):
    """What is wrong, or nothing."""
    said = dict(re.findall(r"^// (expect|flags|clang|only): (.*)$", path.read_text(), re.MULTILINE))
    if is_clang and "only" in said:
        return None
    status, messages = compiler_messages(compiler, path, *said.get("flags", "").split())
    expected = said["clang"] if is_clang and "clang" in said else said["expect"]
    if status == 0:
        return "compiles"
    return None if expected in messages else f"does not say {expected!r} but\n{messages[:1500]}"


def wrong_about_header(header, compiler):
    """A public header compiles alone, as C++20, and shows nobody gRPC, protobuf or nlohmann."""
    with tempfile.NamedTemporaryFile("w", suffix=".cc") as file:
        file.write(f"#include <perdure/{header}>\n")
        file.flush()
        result = subprocess.run([compiler, "-std=c++20", "-E", f"-I{INCLUDE}", file.name], capture_output=True, text=True)
        status, messages = compiler_messages(compiler, file.name, "-Wall", "-Wextra", "-Werror")
    if status != 0:
        return f"does not compile alone:\n{messages[:1500]}"
    return "includes what a public header must not" if FOREIGN.search(result.stdout) else None


def main():
    compiler = sys.argv[1]
    is_clang = "clang" in subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    results = {path.name: wrong_about(path, compiler, is_clang) for path in sorted((HERE / "compile_fail").glob("*.cc"))}
    results.update({path.name: wrong_about_header(path.name, compiler) for path in sorted((INCLUDE / "perdure").glob("*.h"))
                    if path.name not in OPT_IN})
    for name, wrong in results.items():
        if wrong:
            print(f"{name}: {wrong}")
    failed = sum(map(bool, results.values()))
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
