"""An interpreter that raises, and what is too large to be written: one execution stands still, the others go on."""

from __future__ import annotations

import logging

import pytest

from processor.engine import applier
from processor.engine.ports import Message
from processor.engine.staging import record_bytes
from processor.interpreter import step
from processor.interpreter.evolve import evolve
from processor.interpreter.states.simple import run_pass
from processor.interpreter.turn import Turn
from processor.model import commands as c
from processor.model import events as e
from processor.model.definition import PassState
from processor.model.execution import Execution
from processor.model.json import Json
from tests.engine.world import BEATING, PASS, TASK, World, now_of, scheduled

BOOM: Json = {
    "StartAt": "Both",
    "States": {
        "Both": {
            "Type": "Parallel",
            "Branches": [
                {
                    "StartAt": "Work",
                    "States": {
                        "Work": {"Type": "Task", "Resource": "work", "TimeoutSeconds": 60, "Next": "Boom"},
                        "Boom": {"Type": "Pass", "End": True},
                    },
                },
                {"StartAt": "Other", "States": {"Other": {"Type": "Task", "Resource": "other", "End": True}}},
                {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 10, "End": True}}},
            ],
            "End": True,
        }
    },
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> World:
    """A planted fault: the interpreter raises in any Pass state called Boom."""
    caplog.set_level(logging.CRITICAL)

    def raises(turn: Turn, state: PassState) -> e.AnyEvent:
        if state.name == "Boom":
            raise ZeroDivisionError("planted")
        return run_pass(turn, state)

    monkeypatch.setattr(step, "run_pass", raises)
    world = World()
    world.deploy("boom", BOOM)
    world.deploy("pass", PASS)
    world.deploy("task", TASK)
    world.deploy("at-once", {"StartAt": "Boom", "States": {"Boom": {"Type": "Pass", "End": True}}})
    return world


def work(world: World, id: str) -> e.TaskScheduled:
    return next(x for x in world.events(id) if isinstance(x, e.TaskScheduled) and x.state == "Work")


def other(world: World, id: str) -> e.TaskScheduled:
    return next(x for x in world.events(id) if isinstance(x, e.TaskScheduled) and x.state == "Other")


@pytest.fixture
def quarantined(world: World) -> World:
    world.start("boom:a")
    world.settle()
    world.send(c.CompleteTask.of(work(world, "boom:a"), "done"))
    world.start("pass:a")
    world.settle()
    return world


def test_the_commands_own_event_is_kept_and_the_others_go_on(quarantined: World) -> None:
    world = quarantined
    fact, last = world.events("boom:a")[-2:]
    assert isinstance(fact, e.TaskSucceeded)
    assert fact.output == "done"
    assert last == e.ExecutionQuarantined(
        execution_id="boom:a",
        sequence=fact.sequence + 1,
        time=now_of(world),
        caused_by=fact.caused_by,
        reason="ZeroDivisionError: planted",
    )
    assert world.types("pass:a")[-1] == "ExecutionSucceeded"
    assert world.counts() == {"started": 2, "applied": 1, "quarantined": 1}


def test_a_start_that_makes_it_raise_leaves_the_execution_started_and_quarantined(world: World) -> None:
    world.start("at-once:a")
    world.settle()

    assert world.types("at-once:a") == ["ExecutionStarted", "ExecutionQuarantined"]


def test_the_completed_task_has_its_tombstone_and_the_timers_stay(quarantined: World) -> None:
    assert [task.token for task in quarantined.tasks()] == [f"boom:a#1#{other(quarantined, 'boom:a').sequence}"]
    assert [timer.kind for timer in quarantined.timers()] == ["wait"]


def test_facts_about_tasks_are_recorded_during_quarantine(quarantined: World) -> None:
    world = quarantined
    world.send(c.CompleteTask.of(other(world, "boom:a"), 2))
    world.settle()

    last = world.events("boom:a")[-1]
    assert isinstance(last, e.TaskSucceeded)
    assert (last.scope, last.output) == ((1,), 2)
    assert world.tasks() == []


def test_a_timer_is_only_counted_during_quarantine_and_stays_in_the_index(quarantined: World) -> None:
    world = quarantined
    before, timers = world.types("boom:a"), world.timers()
    world.fire()

    assert (world.types("boom:a"), world.timers()) == (before, timers)
    assert world.counts()["timers_in_quarantine"] == 1
    assert world.rejections() == []


def test_a_quarantined_execution_can_be_stopped(quarantined: World) -> None:
    world = quarantined
    world.send(c.StopExecution(execution_id="boom:a", error="Enough"))
    world.settle()

    assert world.types("boom:a")[-2:] == ["ExecutionQuarantined", "ExecutionAborted"]
    assert (world.tasks(), world.timers()) == ([], [])


def test_a_quarantine_outlives_a_restart(quarantined: World) -> None:
    world = quarantined
    before = world.types("boom:a")
    world.restart()
    world.settle()
    world.fire()

    assert world.types("boom:a") == before
    assert world.counts() == {"timers_in_quarantine": 1}


def test_an_interpreter_that_raises_while_deciding_leaves_a_quarantine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: object, **__: object) -> object:
        raise ZeroDivisionError("planted")

    world.start("task:a")
    world.settle()
    monkeypatch.setattr(applier, "decide", raises)
    world.send(
        c.CompleteTask.of(
            scheduled(world, "task:a"),
            1,
        )
    )
    world.start("pass:a")
    world.settle()

    last = world.events("task:a")[-1]
    assert isinstance(last, e.ExecutionQuarantined)
    assert (last.caused_by.type, last.reason) == ("CompleteTask", "ZeroDivisionError: planted")
    assert world.types("pass:a")[-1] == "ExecutionSucceeded"


def test_an_own_event_that_nobody_could_fold_is_not_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(execution: Execution, event: e.AnyEvent) -> Execution:
        if isinstance(event, e.TaskSucceeded):
            raise ZeroDivisionError("planted")
        return evolve(execution, event)

    world.start("task:a")
    world.settle()
    monkeypatch.setattr(applier, "evolve", raises)
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), 1))
    world.start("pass:a")
    world.settle()

    assert world.types("task:a")[2:] == ["TaskScheduled", "ExecutionQuarantined"]
    assert world.types("pass:a")[-1] == "ExecutionSucceeded"


def test_an_answer_too_large_for_a_record_is_refused_and_the_task_stays_pending(world: World) -> None:
    world.deploy("beating", BEATING)
    world.start("beating:a")
    world.settle()
    task = scheduled(world, "beating:a")
    world.send(c.HeartbeatTask.of(task, detail="x" * 1_048_420))
    world.start("pass:a")
    world.settle()

    assert world.reasons() == [("HeartbeatTask", "InputTooLarge")]
    assert [one.token for one in world.tasks()] == ["beating:a##2"]
    assert world.types("pass:a")[-1] == "ExecutionSucceeded"
    world.answer("small")
    assert world.types("beating:a")[-1] == "ExecutionSucceeded"


def test_an_output_over_the_payload_limit_fails_the_task_and_no_record_is_dropped(world: World) -> None:
    world.start("task:a")
    world.settle()
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), "x" * 300_000))
    world.settle()

    failed = world.events("task:a")[-1]
    assert isinstance(failed, e.ExecutionFailed)
    assert failed.error == "States.DataLimitExceeded"


def test_what_follows_and_cannot_be_written_leaves_the_fact_and_a_quarantine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counts(message: Message) -> int:
        types = dict(message.headers).get("event-types", b"")
        return 2_000_000 if b"ExecutionFailed" in types else record_bytes(message)

    world.start("task:a")
    world.settle()
    monkeypatch.setattr(applier, "record_bytes", counts)
    world.send(c.FailTask.of(scheduled(world, "task:a")))
    world.start("pass:a")
    world.settle()

    assert world.types("task:a")[2:] == ["TaskScheduled", "TaskFailed", "ExecutionQuarantined"]
    last = world.events("task:a")[-1]
    assert isinstance(last, e.ExecutionQuarantined)
    assert last.reason == "RecordTooLarge: a record of asl.events takes 2000000 bytes, 1048488 are allowed"
    assert world.types("pass:a")[-1] == "ExecutionSucceeded"


def test_what_a_slice_leaves_at_its_end_and_cannot_be_written_leaves_a_quarantine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what a command leaves does: the process must not die of it."""

    def counts(message: Message) -> int:
        return 2_000_000 if message.topic == world.names.closed else record_bytes(message)

    world = World(slice_events=2)
    world.deploy("pass", PASS)
    world.start("pass:a")
    with monkeypatch.context() as planted:
        planted.setattr(applier, "record_bytes", counts)
        world.settle()

    assert world.types("pass:a") == ["ExecutionStarted", "StateEntered", "StateExited", "ExecutionQuarantined"]
    last = world.events("pass:a")[-1]
    assert isinstance(last, e.ExecutionQuarantined)
    assert last.reason == "RecordTooLarge: a record of asl.closed takes 2000000 bytes, 1048488 are allowed"
    assert world.counts() == {"started": 1, "quarantined": 1, "slices": 1}

    world.send(c.ReleaseExecution(execution_id="pass:a"))
    world.settle()
    assert world.types("pass:a")[4:] == ["ExecutionReleased", "ExecutionSucceeded"]


def test_an_interpreter_that_raises_in_a_later_slice_keeps_what_the_earlier_ones_gave(world: World) -> None:
    small = World(slice_events=2)
    small.deploy(
        "late",
        {
            "StartAt": "First",
            "States": {
                "First": {"Type": "Pass", "Next": "Second"},
                "Second": {"Type": "Pass", "Next": "Boom"},
                "Boom": {"Type": "Pass", "End": True},
            },
        },
    )
    small.start("late:a")
    small.settle()

    entered_and_exited = ["StateEntered", "StateExited"]
    assert small.types("late:a") == ["ExecutionStarted", *entered_and_exited * 2, "ExecutionQuarantined"]
    assert small.counts() == {"started": 1, "slices": 2, "quarantined": 1}
