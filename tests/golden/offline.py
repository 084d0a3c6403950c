"""golden.py without a server: its gRPC packages, which only talking to one needs, are replaced by empty modules.

So the build and the tests that run in it need nothing but python3-yaml.
"""
import sys
from unittest import mock

import yaml

_ABSENT = ["grpc", "google", "google.protobuf", "google.protobuf.descriptor_pool", "google.protobuf.json_format",
           "google.protobuf.message_factory", "google.rpc", "google.rpc.status_pb2", "temporalio", "temporalio.api"]


def _empty(name):
    module = mock.MagicMock(name=name)
    module.__path__ = []
    return module


with mock.patch.dict(sys.modules, {name: _empty(name) for name in _ABSENT}):
    for _name in _ABSENT:
        _parent, _, _child = _name.rpartition(".")
        if _parent:
            setattr(sys.modules[_parent], _child, sys.modules[_name])
    import golden  # noqa: F401

yaml.safe_load = lambda text: yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
