#!/usr/bin/env python3
"""What Temporal's SDK for Python writes for the values of payload_golden_test.cc: compares it with python.json, or writes it there.

  python_writes.py [--record]
"""
import base64
import dataclasses
import json
import pathlib
import sys
from datetime import timedelta

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tools"))
import processes


@dataclasses.dataclass
class Line:
    count: int
    sku: str


@dataclasses.dataclass
class Order:
    express: bool
    id: str
    lines: list[Line]
    note: str | None


@dataclasses.dataclass
class Person:
    name: str
    age: int


def values():
    """Name → value."""
    from temporalio.api.common.v1 import WorkflowExecution
    return {
        "text": "Ann", "escapes": "a\"b\\c\n\r\t\b\f\x01", "not ASCII": "é😀", "markup": "<a&b>", "empty text": "",
        "zero": 0, "negative": -7, "large": 9007199254740993, "fraction": 0.1, "whole": 3.0, "hundred thousand": 100000.0,
        "huge": 1e21, "tiny": 1e-7, "true": True, "nothing": None, "bytes": b"\x00\xff", "no bytes": b"", "list": [1, 2, 3],
        "empty list": [], "map": {"a": 1, "b": 2}, "struct": Order(True, "o1", [Line(2, "a")], None), "disorder": Person("Ann", 7),
        "nested": [[1.5], []], "message": WorkflowExecution(workflow_id="w", run_id="r"),
    }


def failures():
    """Name → exception."""
    from temporalio.exceptions import ApplicationError, CancelledError
    refusal = ApplicationError("no", 1, "x", type="Refusal", non_retryable=True, next_retry_delay=timedelta(seconds=5))
    caused = ApplicationError("outer", type="Outer")
    caused.__cause__ = ApplicationError("inner", type="Inner")
    return {"refusal": refusal, "caused": caused, "cancelled": CancelledError("stop", "why")}


def main():
    processes.use_packages()
    from temporalio.api.failure.v1 import Failure
    from temporalio.converter import DefaultFailureConverter, default
    written = {}
    for name, value in values().items():
        payload = default().payload_converter.to_payloads([value])[0]
        written[name] = {"metadata": {key: text.decode() for key, text in sorted(payload.metadata.items())},
                         "data": base64.b64encode(payload.data).decode()}

    def without_origin(failure):
        failure.source = failure.stack_trace = ""
        if failure.HasField("cause"):
            without_origin(failure.cause)

    for name, error in failures().items():
        failure = Failure()
        DefaultFailureConverter().to_failure(error, default().payload_converter, failure)
        without_origin(failure)
        written["failure " + name] = {"failure": base64.b64encode(failure.SerializeToString(deterministic=True)).decode()}
    text = json.dumps(written, indent=1, ensure_ascii=True) + "\n"
    if "--record" in sys.argv:
        (HERE / "python.json").write_text(text)
        return
    same = json.loads(text) == json.loads((HERE / "python.json").read_text())
    print(f"{int(same)} passed, {int(not same)} failed")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
