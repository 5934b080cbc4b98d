"""Virtual time: everything that waits passes at once, each in its turn, the same way every time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from processor import (
    ZERO,
    AnyEvent,
    CompleteTask,
    ExecutionFailed,
    ExecutionSucceeded,
    ExecutionTimedOut,
    FailTask,
    HeartbeatTask,
    Millis,
    StartExecution,
    StateExited,
    SubmitTask,
    TaskScheduled,
    TaskTimedOut,
    parse,
    recover,
)
from processor.apps import virtual
from processor.apps.virtual import AnswerTask, VirtualExecution, start_virtual
from processor.errors import InvalidSettings
from processor.interpreter.refused import Refused
from processor.model.commands import AnyCommand
from processor.model.json import Json

BEGAN = Millis(1_767_225_600_000)  # 2026-01-01
YEAR = timedelta(days=365) // timedelta(milliseconds=1)


def machine(**states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def task(**fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": "work", "End": True} | fields


def nobody(_task: TaskScheduled) -> Sequence[AnyCommand]:
    return ()


def started(definition: Any, *, input: Any = None, answer: AnswerTask = nobody) -> VirtualExecution:
    command = StartExecution(execution_id="m:1", input=input)
    execution = start_virtual(parse(definition), command, now=BEGAN, seed=ZERO, answer=answer)
    assert isinstance(execution, VirtualExecution)
    return execution


def run(definition: Any, *, input: Any = None, answer: AnswerTask = nobody) -> list[AnyEvent]:
    return [event for batch in started(definition, input=input, answer=answer).run() for event in batch]


def times(events: list[AnyEvent], type: type[AnyEvent]) -> list[tuple[str, int]]:
    return [(event.state, event.time - BEGAN) for event in events if isinstance(event, type)]


def wait(seconds: int, **fields: Any) -> dict[str, Any]:
    return {"Type": "Wait", "Seconds": seconds} | (fields or {"End": True})


def test_a_wait_of_a_year_ends_a_year_later() -> None:
    events = run(machine(Year=wait(31_536_000)))
    assert times(events, ExecutionSucceeded) == [("", YEAR)]


def test_timers_fire_in_the_order_in_which_they_are_due() -> None:
    branches = [machine(Long=wait(3)), machine(Short=wait(1, Next="Again"), Again=wait(1)), machine(Mid=wait(2))]
    events = run(machine(All={"Type": "Parallel", "Branches": branches, "End": True}))
    # Mid was set before Again, and both are due after two seconds.
    assert times(events, StateExited) == [
        ("Short", 1_000), ("Mid", 2_000), ("Again", 2_000), ("Long", 3_000), ("All", 3_000),
    ]  # fmt: skip


def test_retries_wait_as_long_as_their_retrier_says() -> None:
    attempts: list[int] = []

    def answer(asked: TaskScheduled) -> Sequence[AnyCommand]:
        attempts.append(asked.time - BEGAN)
        return (FailTask.of(asked, error="Busy") if asked.attempt < 3 else CompleteTask.of(asked, "done"),)

    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 60, "BackoffRate": 10, "MaxAttempts": 3}]
    events = run(machine(Try=task(Retry=retry)), answer=answer)
    assert attempts == [0, 60_000, 660_000, 6_660_000]
    assert events[-1].time - BEGAN == 6_660_000 and isinstance(events[-1], ExecutionSucceeded)


def test_a_task_that_nobody_answers_times_out_when_it_says() -> None:
    states = machine(Ask=task(TimeoutSeconds=90, Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "Late"}]),
                     Late={"Type": "Succeed"})  # fmt: skip
    events = run(states)
    assert times(events, TaskTimedOut) == [("Ask", 90_000)]
    assert times(events, ExecutionSucceeded) == [("", 90_000)]


def test_a_missed_heartbeat_comes_before_the_timeout() -> None:
    events = run(machine(Ask=task(TimeoutSeconds=90, HeartbeatSeconds=30)))
    [missed] = [event for event in events if isinstance(event, TaskTimedOut)]
    assert (missed.time - BEGAN, missed.heartbeat) == (30_000, True)


def test_a_heartbeat_puts_its_timer_off() -> None:
    def answer(asked: TaskScheduled) -> Sequence[AnyCommand]:
        return (HeartbeatTask.of(asked),)

    events = run(machine(Ask=task(HeartbeatSeconds=30)), answer=answer)
    # Counted from the heartbeat, and the third of an interval in which further ones are not recorded.
    assert times(events, TaskTimedOut) == [("Ask", 40_000)]


def test_the_machines_own_timeout_ends_it() -> None:
    events = run(machine(Long=wait(100)) | {"TimeoutSeconds": 10})
    assert times(events, ExecutionTimedOut) == [("", 10_000)]


def test_a_task_that_was_cut_is_not_asked_for() -> None:
    asked_for: list[str] = []

    def answer(asked: TaskScheduled) -> Sequence[AnyCommand]:
        asked_for.append(asked.state)
        return (FailTask.of(asked, error="Broken"),)

    branches = [machine(First=task()), machine(Second=task())]
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Done"}]
    run(machine(All={"Type": "Parallel", "Branches": branches, "Catch": catch, "End": True}, Done={"Type": "Succeed"}),
        answer=answer)  # fmt: skip
    assert asked_for == ["First"]


def test_a_page_that_is_too_large_fails_the_reader_and_those_behind_it_are_let_go() -> None:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    inner = {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}}
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "Parameters": {"Bucket": "b", "Key": "k"},
        "ReaderConfig": {"InputType": "JSON"},
    }
    each = {"Type": "Map", "ItemProcessor": {**inner, "ProcessorConfig": config}, "ItemReader": reader, "End": True}

    def answer(task: TaskScheduled) -> Sequence[AnyCommand]:
        pages: list[Json] = [{"Page": 0, "Items": ["x" * 300_000]}, {"Page": 1, "Items": [1]}]
        return SubmitTask.of(task, pages[0]), CompleteTask.of(task, pages[1])

    *_, ended = run(machine(M=each), answer=answer)
    assert isinstance(ended, ExecutionFailed)
    assert ended.error == "States.DataLimitExceeded"


def test_a_task_without_a_timeout_that_nobody_answers_is_where_the_run_stops() -> None:
    execution = started(machine(Ask=task()))
    with pytest.raises(InvalidSettings, match="m:1: waits in Ask for what nobody gives"):
        list(execution.run())
    assert execution.execution.scopes[()].state == "Ask"


def test_a_loop_without_an_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual, "MAX_EVENTS", 2_500)
    again = {"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": True, "Next": "Go"}], "Default": "End"}
    definition = machine(Go={"Type": "Pass", "Next": "Again"}, Again=again, End={"Type": "Succeed"})
    with pytest.raises(InvalidSettings, match="has written 2500 events and goes on"):
        list(started(definition).run())
    shown = started(definition).run()  # while it runs
    assert [len(next(shown)) for _ in range(2)] == [1_000, 1_000]


def test_the_same_seed_and_answers_give_the_same_events_and_they_fold_to_the_same_state() -> None:
    def answer(asked: TaskScheduled) -> Sequence[AnyCommand]:
        return (FailTask.of(asked, error="Busy") if asked.attempt == 0 else CompleteTask.of(asked, asked.arguments),)

    retry = [{"ErrorEquals": ["Busy"], "JitterStrategy": "FULL", "IntervalSeconds": 100}]
    body = {"StartAt": "Try", "States": {"Try": task(Retry=retry)}}
    definition = machine(Each={"Type": "Map", "ItemProcessor": body, "MaxConcurrency": 2, "End": True})
    first, second = (started(definition, input=[1, 2, 3], answer=answer) for _ in range(2))
    events = [event for batch in first.run() for event in batch]
    assert events == [event for batch in second.run() for event in batch]
    assert recover(parse(definition), events).execution == first.execution
    assert len({event.time for event in events}) > 3  # jitter was drawn, each by itself


def test_an_input_that_is_too_large_is_refused() -> None:
    command = StartExecution(execution_id="m:1", input="x" * 300_000)
    refused = start_virtual(parse(machine(End={"Type": "Succeed"})), command, now=BEGAN, seed=ZERO, answer=nobody)
    assert isinstance(refused, Refused)
    assert refused.reason == "InputTooLarge"
