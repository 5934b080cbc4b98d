"""The worker SDK on the memory log: functions run on real threads, waited for by condition."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from processor.adapters.clock import ManualClock
from processor.adapters.memory import MemoryLog
from processor.apps.worker import TaskContext, TaskError, Worker, WorkerRunner
from processor.engine.encoding import decode_command, encode_task
from processor.engine.ports import Message
from processor.engine.topics import topic_specs
from processor.errors import InvalidSettings
from processor.model.commands import AnyCommand, CompleteTask, FailTask, HeartbeatTask, SubmitTask
from processor.model.ids import Millis, parse_task_token
from processor.model.json import Json
from processor.model.records import Task

WAIT_SECONDS = 20.0  # never slept: the longest a condition may take


class Bench:
    """A memory log with one partition, and the runners started on it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = MemoryLog(clock=self.clock)
        self.log.create_topics(topic_specs(self.log.names, partitions=1))
        self._runners: list[WorkerRunner] = []

    def runner(self, worker: Worker, *, grace_seconds: float = WAIT_SECONDS) -> WorkerRunner:
        runner = WorkerRunner(self.log, worker, self.clock, grace_seconds=grace_seconds)
        self._runners.append(runner)
        return runner

    def schedule(self, token: str, **fields: Any) -> None:
        task = task_of(token, **fields)
        self.log.outbox().send([Message(topic=self.log.names.tasks, key=token.encode(), value=encode_task(task))])

    def resolve(self, token: str) -> None:
        self.log.outbox().send([Message(topic=self.log.names.tasks, key=token.encode(), value=None)])

    def commands(self) -> list[AnyCommand]:
        return [decode_command(record.value or b"") for record in self.log.reader().read(self.log.names.commands, 0)]

    def results(self, runner: WorkerRunner, *, steps: int = 3) -> list[AnyCommand]:
        """Step until all that waits has been started, wait for it to end, return every command sent so far."""
        for _ in range(steps):
            runner.step(0)
        assert runner.drain(timeout_seconds=WAIT_SECONDS)
        runner.step(0)
        return self.commands()

    def close(self) -> None:
        for runner in self._runners:
            runner.close()


def task_of(token: str, **fields: Any) -> Task:
    given: dict[str, Any] = {"kind": "LAMBDA", "resource": "charge", "arguments": {}, "state": "Charge"} | fields
    return Task(token=token, execution_id=parse_task_token(token)[0], scheduled_at=Millis(0), **given)


def completed(token: str, output: Json) -> CompleteTask:
    return CompleteTask(execution_id=parse_task_token(token)[0], issuer="orders", token=token, output=output)


def failed(token: str, error: str, cause: str | None) -> FailTask:
    return FailTask(execution_id=parse_task_token(token)[0], issuer="orders", token=token, error=error, cause=cause)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def worker() -> Worker:
    return Worker("orders", concurrency=4)


def test_what_a_sync_function_returns_completes_its_task(bench: Bench, worker: Worker) -> None:
    @worker.task("charge")
    def charge(arguments: dict[str, int]) -> Json:
        return {"charged": arguments["amount"]}

    bench.schedule("order:1##2", arguments={"amount": 12})
    assert bench.results(bench.runner(worker)) == [completed("order:1##2", {"charged": 12})]


def test_what_an_async_function_returns_completes_its_task(bench: Bench, worker: Worker) -> None:
    @worker.task("charge")
    async def charge(arguments: dict[str, int]) -> Json:
        await asyncio.sleep(0)
        return {"charged": arguments["amount"]}

    bench.schedule("order:1##2", arguments={"amount": 12})
    assert bench.results(bench.runner(worker)) == [completed("order:1##2", {"charged": 12})]


def test_a_second_parameter_gets_the_context(bench: Bench, worker: Worker) -> None:
    @worker.task("charge")
    def charge(arguments: Json, context: TaskContext) -> Json:
        return [context.token, context.execution_id, context.state, context.attempt, context.cancelled]

    bench.schedule("order:1#0#2", attempt=3)
    expected: Json = ["order:1#0#2", "order:1", "Charge", 3, False]
    assert bench.results(bench.runner(worker)) == [completed("order:1#0#2", expected)]


@pytest.mark.parametrize(
    ("registered", "fields"),
    [
        ("charge", {"resource": "charge"}),
        ("charge", {"resource": "arn:aws:lambda:us-east-1:123456789012:function:charge"}),
        ("charge", {"resource": "arn:aws:lambda:us-east-1:123456789012:function:charge:7"}),
        ("arn:aws:lambda:eu-west-1:1:function:charge", {"resource": "arn:aws:lambda:eu-west-1:1:function:charge"}),
        ("charge", {"kind": "ACTIVITY", "resource": "arn:aws:states:us-east-1:123456789012:activity:charge"}),
        ("sqs:sendMessage", {"kind": "SERVICE", "resource_type": "sqs", "resource": "sendMessage"}),
        ("aws-sdk:sns:publish", {"kind": "SERVICE", "resource_type": "aws-sdk:sns", "resource": "publish"}),
        ("lambda:invoke", {"kind": "SERVICE", "resource_type": "lambda", "resource": "invoke"}),
    ],
)
def test_a_task_goes_to_the_function_its_resource_names(
    bench: Bench, worker: Worker, registered: str, fields: dict[str, Any]
) -> None:
    worker.task(registered)(lambda arguments: "done")
    bench.schedule("order:1##2", **fields)
    results = [c for c in bench.results(bench.runner(worker)) if not isinstance(c, HeartbeatTask)]
    assert results == [completed("order:1##2", "done")]


@pytest.mark.parametrize(
    "name", ["charge", "charge:live", "arn:aws:lambda:us-east-1:1:function:charge", "1:function:charge"]
)
def test_lambda_invoke_hands_on_the_payload_and_wraps_the_result_as_aws_does(
    bench: Bench, worker: Worker, name: str
) -> None:
    worker.task("charge")(lambda arguments: {"got": arguments})
    bench.schedule(
        "order:1##2",
        kind="SERVICE",
        resource_type="lambda",
        resource="invoke",
        arguments={"FunctionName": name, "Payload": {"amount": 1}},
    )
    answer: Json = {"ExecutedVersion": "$LATEST", "Payload": {"got": {"amount": 1}}, "StatusCode": 200}
    assert bench.results(bench.runner(worker)) == [completed("order:1##2", answer)]


def test_a_function_called_for_a_token_only_submits(bench: Bench, worker: Worker) -> None:
    worker.task("sqs:sendMessage")(lambda arguments: {"MessageId": "m"})
    bench.schedule("order:1##2", kind="SERVICE", resource_type="sqs", resource="sendMessage.waitForTaskToken")
    assert bench.results(bench.runner(worker)) == [
        SubmitTask(execution_id="order:1", issuer="orders", token="order:1##2", output={"MessageId": "m"})
    ]


def test_an_activity_says_with_its_first_heartbeat_that_it_has_started(bench: Bench, worker: Worker) -> None:
    worker.task("pack")(lambda arguments: "packed")
    bench.schedule("order:1##2", kind="ACTIVITY", resource="arn:aws:states:us-east-1:1:activity:pack")
    assert bench.results(bench.runner(worker)) == [
        HeartbeatTask(execution_id="order:1", issuer="orders", token="order:1##2", worker="orders"),
        completed("order:1##2", "packed"),
    ]


def test_tasks_of_other_services_are_left_alone_but_hold_back_the_committed_offset(
    bench: Bench, worker: Worker
) -> None:
    worker.task("charge")(lambda arguments: "charged")
    bench.schedule("order:1##2", resource="somebody-elses")
    bench.schedule("order:1##3")
    runner = bench.runner(worker)
    assert bench.results(runner) == [completed("order:1##3", "charged")]
    runner.close()
    # A later release that has the function finds the task.
    later = Worker("orders")
    later.task("somebody-elses")(lambda arguments: "found")
    assert bench.results(bench.runner(later))[1:] == [completed("order:1##2", "found")]


def test_an_exception_fails_the_task_under_its_class_name_with_the_cause_lambda_gives(
    bench: Bench, worker: Worker
) -> None:
    class CardDeclined(Exception):
        pass

    @worker.task("charge")
    def charge(arguments: Json) -> Json:
        raise CardDeclined("no funds")

    bench.schedule("order:1##2")
    [command] = bench.results(bench.runner(worker))
    assert isinstance(command, FailTask) and command.cause is not None
    cause = json.loads(command.cause)
    assert (command.error, cause.pop("stackTrace")[-1].splitlines()[-1].strip(), cause) == (
        "CardDeclined",
        'raise CardDeclined("no funds")',
        {"errorMessage": "no funds", "errorType": "CardDeclined"},
    )


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("takes_context", [False, True])
def test_the_cause_begins_with_the_authors_function_whoever_called_it(
    bench: Bench, worker: Worker, asynchronous: bool, takes_context: bool
) -> None:
    def declined(arguments: Json) -> Json:
        return {"a": 1}["b"]

    def charge(arguments: Json) -> Json:
        return declined(arguments)

    def charge_with(arguments: Json, context: TaskContext) -> Json:
        return declined(arguments)

    async def charge_later(arguments: Json) -> Json:
        return declined(arguments)

    async def charge_later_with(arguments: Json, context: TaskContext) -> Json:
        return declined(arguments)

    sync, later = (charge_with, charge_later_with) if takes_context else (charge, charge_later)
    function: Callable[..., Any] = later if asynchronous else sync
    worker.task("charge")(function)
    bench.schedule("order:1##2")
    [command] = bench.results(bench.runner(worker))
    assert isinstance(command, FailTask) and command.cause is not None
    first, second = function.__code__.co_firstlineno + 1, declined.__code__.co_firstlineno + 1
    assert json.loads(command.cause) == {
        "errorMessage": "'b'",
        "errorType": "KeyError",
        "stackTrace": [
            f'  File "{__file__}", line {first}, in {function.__name__}\n    return declined(arguments)\n',
            f'  File "{__file__}", line {second}, in declined\n    return {{"a": 1}}["b"]\n',
        ],
    }


def test_a_function_that_cannot_be_called_has_no_frames(bench: Bench, worker: Worker) -> None:
    worker.task("charge")(lambda: 1)
    bench.schedule("order:1##2")
    [command] = bench.results(bench.runner(worker))
    assert isinstance(command, FailTask) and command.cause is not None
    assert (command.error, json.loads(command.cause)["stackTrace"]) == ("TypeError", [])


def test_an_exception_outside_lambda_gives_its_text_as_cause(bench: Bench, worker: Worker) -> None:
    @worker.task("sqs:sendMessage")
    async def send(arguments: Json) -> Json:
        raise ValueError("no such queue")

    bench.schedule("order:1##2", kind="SERVICE", resource_type="sqs", resource="sendMessage")
    assert bench.results(bench.runner(worker)) == [failed("order:1##2", "ValueError", "no such queue")]


def test_task_error_names_error_and_cause_itself(bench: Bench, worker: Worker) -> None:
    @worker.task("charge")
    def charge(arguments: Json) -> Json:
        raise TaskError("Card.Declined", "no funds")

    bench.schedule("order:1##2")
    assert bench.results(bench.runner(worker)) == [failed("order:1##2", "Card.Declined", "no funds")]


@pytest.mark.parametrize("result", [object(), float("nan"), {1: "x"}, {"when": timedelta(1)}, b"bytes"])
def test_a_result_that_is_not_json_fails_the_task(bench: Bench, worker: Worker, result: object) -> None:
    worker.task("charge")(lambda arguments: result)
    bench.schedule("order:1##2")
    [command] = bench.results(bench.runner(worker))
    assert isinstance(command, FailTask)
    assert (command.token, command.error) == ("order:1##2", "Runtime.MarshalError")


def test_a_result_over_the_limit_fails_the_task_as_aws_words_it(bench: Bench, worker: Worker) -> None:
    worker.task("charge")(lambda arguments: "x" * (256 * 1024 - 2 + len(arguments)))
    bench.schedule("order:1##2", arguments="")
    bench.schedule("order:1##3", arguments="x")
    by_token = {command.token: command for command in bench.results(bench.runner(worker))}  # type: ignore[union-attr] # results only
    assert by_token == {
        "order:1##2": completed("order:1##2", "x" * (256 * 1024 - 2)),
        "order:1##3": failed(
            "order:1##3",
            "States.DataLimitExceeded",
            "The state/task 'charge' returned a result with a size exceeding "
            "the maximum number of bytes service limit.",
        ),
    }


def test_a_very_deep_stack_trace_is_cut_and_stays_json(bench: Bench, worker: Worker) -> None:
    def recurse(depth: int) -> Json:
        if depth == 0:
            raise ValueError("x" * 50_000)
        return descend(depth - 1)

    def descend(depth: int) -> Json:  # two functions in turn: a trace folds repetitions of one
        return recurse(depth)

    worker.task("charge")(lambda arguments: recurse(400))
    bench.schedule("order:1##2")
    [command] = bench.results(bench.runner(worker))
    assert isinstance(command, FailTask) and command.cause is not None and len(command.cause) <= 32_768
    assert json.loads(command.cause)["errorType"] == "ValueError"


def test_a_task_resolved_before_the_partition_was_read_is_not_run(bench: Bench, worker: Worker) -> None:
    ran: list[Json] = []
    worker.task("charge")(ran.append)
    bench.schedule("order:1##2", arguments="resolved")
    bench.schedule("order:1##3", arguments="open")
    bench.resolve("order:1##2")
    bench.results(bench.runner(worker))
    assert ran == ["open"]


def test_a_task_whose_result_was_sent_is_not_run_again_by_the_same_worker(bench: Bench, worker: Worker) -> None:
    ran: list[Json] = []
    worker.task("charge")(ran.append)
    runner = bench.runner(worker)
    bench.schedule("order:1##2", arguments="once")
    bench.results(runner)
    bench.schedule("order:1##2", arguments="once")  # the same record delivered again
    bench.results(runner)
    assert ran == ["once"]


def test_the_next_owner_begins_at_the_lowest_task_without_a_result(bench: Bench) -> None:
    held = threading.Event()
    ran: list[Json] = []
    first = Worker("orders")

    @first.task("charge")
    def charge(arguments: Json, context: TaskContext) -> Json:
        if arguments == "held":
            held.set()
            context.wait_cancelled(WAIT_SECONDS)
        return None

    for sequence, arguments in [(2, "quick"), (3, "held"), (4, "quick")]:
        bench.schedule(f"order:1##{sequence}", arguments=arguments)
    runner = bench.runner(first, grace_seconds=0)
    runner.step(0)
    assert held.wait(WAIT_SECONDS)
    wait_for(lambda: len(bench.commands()) == 2)
    runner.step(0)
    runner.close()  # abandons what is held

    second = Worker("orders")
    second.task("charge")(ran.append)
    bench.results(bench.runner(second))
    # The task before the lowest unresolved is not seen again; the one behind it is: at least once.
    assert ran == ["held", "quick"]


def test_a_tombstone_cancels_a_sync_function_that_looks(bench: Bench, worker: Worker) -> None:
    started, ended = threading.Event(), threading.Event()

    @worker.task("charge")
    def charge(arguments: Json, context: TaskContext) -> Json:
        started.set()
        if context.wait_cancelled(WAIT_SECONDS):
            ended.set()
        return "not wanted"

    runner = bench.runner(worker)
    bench.schedule("order:1##2")
    runner.step(0)
    assert started.wait(WAIT_SECONDS)
    bench.resolve("order:1##2")
    assert (bench.results(runner), ended.is_set()) == ([], True)


def test_a_tombstone_cancels_an_async_function(bench: Bench, worker: Worker) -> None:
    started, ended = threading.Event(), threading.Event()

    @worker.task("charge")
    async def charge(arguments: Json) -> Json:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    runner = bench.runner(worker)
    bench.schedule("order:1##2")
    runner.step(0)
    assert started.wait(WAIT_SECONDS)
    bench.resolve("order:1##2")
    assert (bench.results(runner), ended.is_set()) == ([], True)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_no_more_functions_than_the_concurrency_run_at_a_time(bench: Bench, kind: str) -> None:
    worker = Worker("orders", concurrency=2)
    lock, running, most = threading.Lock(), [0], [0]
    both = threading.Barrier(2)

    def enter() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])

    def leave() -> None:
        with lock:
            running[0] -= 1

    if kind == "sync":

        @worker.task("charge")
        def charge(arguments: Json) -> Json:
            enter()
            both.wait(WAIT_SECONDS)  # goes on only if two run at a time
            leave()
            return None

    else:

        @worker.task("charge")
        async def charge_async(arguments: Json) -> Json:
            enter()
            for _ in range(10):
                await asyncio.sleep(0)
            leave()
            return None

    for sequence in range(8):
        bench.schedule(f"order:1##{sequence}")
    bench.results(bench.runner(worker))
    assert most == [2]


def test_closing_waits_for_functions_that_run_and_sends_their_results(bench: Bench) -> None:
    worker = Worker("orders", concurrency=1)
    started, go_on = threading.Event(), threading.Event()

    @worker.task("charge")
    def charge(arguments: Json) -> Json:
        started.set()
        assert go_on.wait(WAIT_SECONDS)
        return arguments

    bench.schedule("order:1##2", arguments="running")
    bench.schedule("order:1##3", arguments="waiting")
    runner = bench.runner(worker)
    runner.step(0)
    assert started.wait(WAIT_SECONDS)
    closing = threading.Thread(target=runner.close)
    closing.start()
    go_on.set()
    closing.join(WAIT_SECONDS)
    assert bench.commands() == [completed("order:1##2", "running")]


def test_a_function_sends_heartbeats_when_it_wants(bench: Bench, worker: Worker) -> None:
    @worker.task("charge")
    def charge(arguments: Json, context: TaskContext) -> Json:
        context.heartbeat({"done": "half"})
        return None

    bench.schedule("order:1##2")
    assert bench.results(bench.runner(worker)) == [
        HeartbeatTask(
            execution_id="order:1", issuer="orders", token="order:1##2", worker="orders", detail={"done": "half"}
        ),
        completed("order:1##2", None),
    ]


def test_automatic_heartbeats_are_sent_three_times_an_interval_while_the_function_runs(
    bench: Bench, worker: Worker
) -> None:
    started, go_on = threading.Event(), threading.Event()

    @worker.task("charge", heartbeat=True)
    def charge(arguments: Json) -> Json:
        started.set()
        assert go_on.wait(WAIT_SECONDS)
        return None

    runner = bench.runner(worker)
    bench.schedule("order:1##2", heartbeat_seconds=30)
    runner.step(0)
    assert started.wait(WAIT_SECONDS)
    for _ in range(30):
        bench.clock.advance(timedelta(seconds=1))
        runner.step(0)
    go_on.set()
    beat = HeartbeatTask(execution_id="order:1", issuer="orders", token="order:1##2", worker="orders")
    assert bench.results(runner) == [beat, beat, beat, completed("order:1##2", None)]


def test_two_processes_of_a_service_share_its_tasks_and_none_is_run_twice(bench: Bench) -> None:
    log = MemoryLog(clock=bench.clock)
    log.create_topics(topic_specs(log.names, partitions=4))
    bench.log = log
    ran: list[Json] = []
    runners = []
    for _ in range(2):
        worker = Worker("orders")
        worker.task("charge")(ran.append)
        runners.append(bench.runner(worker))
    for _ in range(4):
        for runner in runners:
            runner.step(0)
    for number in range(40):
        bench.schedule(f"order:{number}##2", arguments=number)
    for runner in runners:
        runner.step(0)
        assert runner.drain(timeout_seconds=WAIT_SECONDS)
    assert sorted(ran, key=str) == sorted(range(40), key=str)


def test_a_resource_has_one_function() -> None:
    worker = Worker("orders")
    worker.task("charge")(lambda arguments: None)
    with pytest.raises(InvalidSettings, match="one function for each resource"):
        worker.task("charge")


@pytest.mark.parametrize("name", ["", "a b", "x" * 81])
def test_a_worker_has_a_name_that_a_group_can_have(name: str) -> None:
    with pytest.raises(InvalidSettings, match=r'for example Worker\("orders"\)'):
        Worker(name)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for what another thread brings about; the pause only yields, how long it is decides nothing."""
    pause = threading.Event()
    for _ in range(int(WAIT_SECONDS / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("did not come about in time")
