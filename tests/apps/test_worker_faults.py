"""What goes wrong in a task function, or stands in the tasks index, never ends a worker and always gets an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from processor.apps.worker import TaskContext, TaskError, Worker
from processor.engine.encoding import decode_command, encode_command, encode_task
from processor.engine.ports import Message
from processor.errors import InvalidCommand
from processor.model.commands import FailTask
from processor.model.json import Json
from tests.apps.test_worker import Bench, completed, failed, task_of

SURROGATE = b"/no/such\xff".decode("utf-8", "surrogateescape")
SERVICE: dict[str, Any] = {"kind": "SERVICE", "resource_type": "sqs", "resource": "sendMessage"}


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def worker() -> Worker:
    return Worker("orders", concurrency=1)


def raising(fault: BaseException) -> Callable[[Json], Json]:
    def function(arguments: Json) -> Json:
        if arguments == "second":
            return "done"
        raise fault

    return function


def nested(depth: int) -> Json:
    value: Json = 0
    for _ in range(depth):
        value = [value]
    return value


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("fault", "error", "cause"),
    [
        (OSError(SURROGATE), "OSError", "/no/such?"),
        (TaskError("E\udcff", SURROGATE), "E?", "/no/such?"),
        (TaskError(404), "404", None),  # type: ignore[arg-type]  # nobody checks an author's types
        (TaskError("E", {"a": 1}), "E", "{'a': 1}"),  # type: ignore[arg-type]  # the same
        (Unspeakable(), "Unspeakable", "<no text: ValueError in __str__>"),
        (SystemExit(3), "SystemExit", "3"),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_whatever_is_raised_fails_its_task_and_the_next_one_runs(
    bench: Bench, worker: Worker, fault: BaseException, error: str, cause: str | None, asynchronous: bool
) -> None:
    function = raising(fault)

    async def later(arguments: Json) -> Json:
        return function(arguments)

    worker.task("sqs:sendMessage")(later if asynchronous else function)
    bench.schedule("order:1##2", arguments="first", **SERVICE)
    bench.schedule("order:1##3", arguments="second", **SERVICE)
    assert bench.results(bench.runner(worker)) == [
        failed("order:1##2", error, cause),
        completed("order:1##3", "done"),
    ]


def test_lambdas_cause_stays_json_whatever_the_text(bench: Bench, worker: Worker) -> None:
    worker.task("charge")(raising(OSError(SURROGATE)))
    bench.schedule("order:1##2")
    [command] = bench.results(bench.runner(worker))
    assert isinstance(command, FailTask) and command.cause is not None
    assert (command.error, '"errorMessage":"/no/such?"' in command.cause) == ("OSError", True)


@pytest.mark.parametrize("depth", [201, 253, 254, 2_000])
def test_a_result_that_the_processor_would_not_read_fails_its_task(bench: Bench, worker: Worker, depth: int) -> None:
    worker.task("charge")(lambda arguments: nested(depth))
    bench.schedule("order:1##2")
    [command] = bench.results(bench.runner(worker))
    assert isinstance(command, FailTask)
    assert (command.token, command.error) == ("order:1##2", "Runtime.MarshalError")


def test_the_deepest_result_that_the_processor_reads_completes_its_task(bench: Bench, worker: Worker) -> None:
    worker.task("charge")(lambda arguments: nested(200))
    bench.schedule("order:1##2")
    [command] = bench.results(bench.runner(worker))
    assert decode_command(encode_command(command)) == completed("order:1##2", nested(200))


@pytest.mark.parametrize("detail", [{1, 2}, float("nan"), nested(201), SURROGATE, "x" * 262_144])
def test_a_heartbeat_that_cannot_be_written_is_told_to_the_function_that_sends_it(
    bench: Bench, worker: Worker, detail: Any
) -> None:
    @worker.task("charge")
    async def charge(arguments: Json, context: TaskContext) -> Json:
        await asyncio.sleep(0)
        with pytest.raises(InvalidCommand):
            context.heartbeat(detail)
        return "goes on"

    bench.schedule("order:1##2")
    assert bench.results(bench.runner(worker)) == [completed("order:1##2", "goes on")]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"order:1##2", b"garbage"),
        (b"order:1##2", encode_task(task_of("order:1##7"))),
        (b"order:1", encode_task(task_of("order:1##7"))),
        (b"no execution##2", None),
        (b"\xff", None),
        (None, b"garbage"),
    ],
)
def test_what_is_no_task_is_counted_and_skipped_and_does_not_hold_back_the_committed_offset(
    bench: Bench, worker: Worker, key: bytes | None, value: bytes | None
) -> None:
    worker.task("charge")(lambda arguments: "charged")
    bench.log.outbox().send([Message(topic=bench.log.names.tasks, key=key, value=value, partition=0)])
    first = bench.runner(worker)
    bench.results(first)
    first.close()
    bench.schedule("order:1##3")
    second = bench.runner(worker)
    assert bench.results(second) == [completed("order:1##3", "charged")]
    assert (first.counts, second.counts) == ({"skipped": 1}, {})


def test_a_task_of_a_newer_release_is_left_to_its_workers(bench: Bench, worker: Worker) -> None:
    unknown = b"\xc3\x01" + bytes(8)
    bench.log.outbox().send([Message(topic=bench.log.names.tasks, key=b"order:1##2", value=unknown, partition=0)])
    bench.schedule("order:1##3")
    bench.resolve("order:1##3")
    runners = [bench.runner(worker)]
    bench.results(runners[0])
    runners[0].close()
    runners.append(bench.runner(worker))
    bench.results(runners[1])
    assert [runner.counts for runner in runners] == [{"skipped": 1}, {"skipped": 1}]
