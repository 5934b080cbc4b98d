"""Commands are made from what they answer, and say which timers an event set."""

from __future__ import annotations

import pytest

from processor import (
    CompleteTask,
    FailTask,
    FireTimer,
    HeartbeatTask,
    InvalidCommand,
    StopExecution,
    SubmitTask,
    TaskScheduled,
    WaitStarted,
    parse,
    start,
)
from processor.model.commands import check_command, timers_set_by
from tests.interpreter.scenario import scope_of, task


def scheduled() -> TaskScheduled:
    workflow = parse(scope_of("A", task("A", TimeoutSeconds=9, HeartbeatSeconds=3)) | {"TimeoutSeconds": 60})
    event = start(workflow, {}, execution_id="m:n").events[-1]
    assert isinstance(event, TaskScheduled)
    return event


def test_answers_name_the_execution_and_the_token() -> None:
    asked = scheduled()
    commands: list[CompleteTask | FailTask | SubmitTask | HeartbeatTask] = [
        CompleteTask.of(asked, 1),
        FailTask.of(asked, error="E", cause="C"),
        SubmitTask.of(asked, 1),
        HeartbeatTask.of(asked, worker="w", detail={"at": 1}),
    ]
    assert [(c.execution_id, c.token) for c in commands] == [("m:n", "m:n##2")] * 4
    for command in commands:
        check_command(command)


def test_a_timer_is_named_where_an_event_set_two() -> None:
    asked = scheduled()
    assert timers_set_by(asked) == ("timeout", "heartbeat")
    assert FireTimer.of(asked, "heartbeat").timer_id == "m:n##2#heartbeat"
    with pytest.raises(InvalidCommand, match=r"kind: must be one of \['timeout', 'heartbeat'\] for this event"):
        FireTimer.of(asked)


def test_the_one_timer_of_an_event_need_not_be_named() -> None:
    workflow = parse(scope_of("W", {"Type": "Wait", "Seconds": 1, "End": True}) | {"TimeoutSeconds": 60})
    started, entered, waiting = start(workflow, {}).events
    assert isinstance(waiting, WaitStarted)
    assert FireTimer.of(waiting).timer_id == "local:1##2#wait"
    assert FireTimer.of(started).timer_id == "local:1##0#execution"
    with pytest.raises(InvalidCommand, match=r"must be one of \[\] for this event"):
        FireTimer.of(entered)
    with pytest.raises(InvalidCommand, match="for this event, got 'retry'"):
        FireTimer.of(waiting, "retry")


def test_a_command_for_another_execution_than_its_token_names_is_refused() -> None:
    with pytest.raises(InvalidCommand, match="execution_id: must be m:n, as its token says, got 'm:o'"):
        check_command(CompleteTask(execution_id="m:o", token="m:n##2", output=1))
    with pytest.raises(InvalidCommand, match="execution_id: must be m:n"):
        check_command(FireTimer(execution_id="m:o", timer_id="m:n##2#wait"))
    check_command(StopExecution(execution_id="m:o"))
