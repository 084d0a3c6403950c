#!/usr/bin/env python3
"""Languages speak to each other: cross.py --address HOST:PORT

A C++ workflow calls a Python activity, a Python workflow calls a C++ activity (and hears how it fails), a Go client signals and
queries a C++ workflow.
"""
import argparse
import asyncio
import os
import pathlib
import subprocess
import sys
import tempfile
import uuid
from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
    import processes
    import toolchain

HERE = pathlib.Path(__file__).resolve().parent
MINUTE = timedelta(minutes=1)


@activity.defn
async def python_greets(person: dict) -> str:
    return f"{person['name']} ({person['age']}) is greeted from Python"


@workflow.defn(sandboxed=False)
class AsksCpp:
    @workflow.run
    async def run(self, queue: str, person: dict) -> str:
        return await workflow.execute_activity("cpp_greets", person, task_queue=queue, result_type=str, start_to_close_timeout=MINUTE)


async def cpp_calls_python(client, queue):
    result = await client.execute_workflow("asks_python", {"name": "Ann", "age": 41}, id=f"{queue}-1", task_queue=queue, result_type=str)
    assert result == "Ann (41) is greeted from Python", result


async def python_calls_cpp(client, queue):
    from temporalio.client import WorkflowFailureError
    person = {"name": "Bob", "age": 7, "unknown": "is left out"}
    result = await client.execute_workflow(AsksCpp.run, args=[queue, person], id=f"{queue}-2", task_queue=f"{queue}-python")
    assert result == "Bob (7) is greeted from C++", result
    try:
        await client.execute_workflow(AsksCpp.run, args=[queue, {"name": "Eve", "age": -1}], id=f"{queue}-3",
                                      task_queue=f"{queue}-python")
    except WorkflowFailureError as error:
        cause = error.cause.cause
        assert (cause.type, cause.message, cause.non_retryable) == ("Unborn", "nobody is that young", True), cause
    else:
        raise AssertionError("it must fail")


async def go_speaks_to_cpp(client, queue, address):
    handle = await client.start_workflow("Mailbox", 2, id=f"{queue}-4", task_queue=queue)
    with tempfile.TemporaryDirectory(prefix="cross-") as place:
        subprocess.run([toolchain.go(), "build", "-o", f"{place}/cross", "./cross"], cwd=HERE / "go", check=True)
        process = await asyncio.create_subprocess_exec(f"{place}/cross", handle.id, stdout=asyncio.subprocess.PIPE,
                                                       env={**os.environ, "PERDURE_ADDRESS": address})
        said = (await process.communicate())[0].decode().splitlines()
    assert said == ["1", "2", "[from Ann from Bob]"], said


async def speak(address, queue):
    from temporalio.client import Client
    from temporalio.worker import Worker
    client = await Client.connect(address)
    failed = 0
    async with Worker(client, task_queue=f"{queue}-python", workflows=[AsksCpp], activities=[python_greets]):
        for name, one in (("a C++ workflow calls a Python activity", lambda: cpp_calls_python(client, queue)),
                          ("a Python workflow calls a C++ activity", lambda: python_calls_cpp(client, queue)),
                          ("a Go client signals and queries a C++ workflow", lambda: go_speaks_to_cpp(client, queue, address))):
            try:
                await asyncio.wait_for(one(), 120)
                print(f"ok   {name}", flush=True)
            except Exception as error:
                print(f"FAIL {name}: {error!r}", flush=True)
                failed += 1
    print(f"cross: {3 - failed} passed, {failed} failed")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True)
    options = parser.parse_args()
    processes.use_packages()
    queue = f"cross-{uuid.uuid4().hex[:8]}"
    worker = subprocess.Popen([processes.ROOT / "build/tests/compat/cross_cpp", queue], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "TEMPORAL_ADDRESS": options.address})
    try:
        assert worker.stdout.readline() == "ready\n"
        failed = asyncio.run(speak(options.address, queue))
    finally:
        worker.terminate()
        failed_end = worker.wait() != 0
    if failed_end:
        print(f"the C++ worker ended with status {worker.returncode}")
        failed += 1
    processes.leave(failed > 0)


if __name__ == "__main__":
    main()
