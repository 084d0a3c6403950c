#!/usr/bin/env python3
"""Installs the SDK out of a build tree and builds and runs a project that finds it by find_package(Perdure).

What is installed shows no names but those of the face.

  install_test.py BUILD COMPILER [--alone]

--alone: BUILD is made first, from sdk/ as a project of its own, to its end. PERDURE_PROTO names Temporal's API, as for ./dev.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import visible_names

HERE = pathlib.Path(__file__).resolve().parent


def run(*command):
    """The output of a command that must succeed."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")
    return result.stdout


def build_alone(build, compiler):
    """All that `cmake --build` builds of sdk/ when nobody asks for a target, which must hold all that is installed."""
    os.environ.setdefault("CCACHE_SLOPPINESS", "pch_defines,time_macros,include_file_mtime,include_file_ctime")
    run("cmake", "-S", HERE.parent, "-B", build, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={compiler}",
        "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache", f"-DPERDURE_PROTO={os.environ['PERDURE_PROTO']}")
    run("cmake", "--build", build, "-j", os.environ.get("PERDURE_JOBS") or str(os.cpu_count()))


def main():
    build, compiler = sys.argv[1:3]
    if "--alone" in sys.argv:
        build_alone(build, compiler)
    with tempfile.TemporaryDirectory() as folder:
        prefix, tree = pathlib.Path(folder) / "prefix", pathlib.Path(folder) / "tree"
        run("cmake", "--install", build, "--component", "sdk", "--prefix", prefix)
        run("cmake", "-S", HERE / "install", "-B", tree, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-DCMAKE_CXX_COMPILER={compiler}")
        headers = list((prefix / "include/perdure").rglob("*.h"))
        libraries = [path for path in prefix.rglob("*") if path.suffix in (".a", ".o")]
        assert len(libraries) == 2, libraries
        for library in libraries:
            assert not (foreign := visible_names.foreign(library, headers)), f"{library.name} shows {foreign}"
            assert "_ZN7perdure2v16Client7connectENS0_13ClientOptionsE" in visible_names.visible(library), library
        run("cmake", "--build", tree, "-j", "1")
        output = run(tree / "uses_perdure")
        assert "not a history" in output, output
        run(tree / "embeds_perdure")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
