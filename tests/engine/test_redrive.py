"""A redrive through the processor: from the record of what is closed, on this revision or another, after a restart."""

from __future__ import annotations

import logging

import msgspec
import pytest
from msgspec.structs import replace

from processor.engine import closing, redriving
from processor.engine.encoding import decode_closed, encode_closed, encode_execution, execution_header
from processor.engine.encoding.commands import MAX_LABEL_LENGTH
from processor.engine.ports import Message
from processor.engine.staging import record_bytes
from processor.interpreter.interpreter import Failed, start
from processor.interpreter.parse import parse
from processor.model import commands as c
from processor.model import events as e
from processor.model.execution import Execution
from processor.model.json import Json
from tests.engine.test_checkpoints import checkpoint, keys, restored
from tests.engine.world import PASS, TASK, World, scheduled

WORK: Json = {"Type": "Task", "Resource": "work", "End": True}
MENDED: Json = {"Comment": "mended", "StartAt": "Work", "States": {"Work": WORK}}
FAILS: Json = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}}
ID = "task:a"


@pytest.fixture
def world() -> World:
    world = World(partitions=1)
    world.deploy("task", TASK)
    world.deploy("pass", PASS)
    world.start(ID, {"n": 1})
    world.settle()
    world.send(c.FailTask.of(scheduled(world, ID), error="E"))
    world.settle()
    assert world.types(ID)[-1] == "ExecutionFailed"
    return world


def redrive(world: World, **fields: str) -> None:
    world.send(c.RedriveExecution(execution_id=ID, **fields))
    world.settle()


AGAIN = ["ExecutionRedriven", "TaskScheduled"]


def test_a_failed_execution_goes_on_and_its_record_of_the_end_goes(world: World) -> None:
    redrive(world)

    assert world.types(ID)[-2:] == AGAIN
    assert keys(world, world.names.closed) == {b"task:a": False}
    world.answer("done")
    assert world.types(ID)[-1] == "ExecutionSucceeded"
    assert keys(world, world.names.closed) == {b"task:a": True}


@pytest.mark.parametrize("covered", [True, False], ids=["behind a checkpoint", "in the tail"])
def test_what_was_redriven_survives_restarts(world: World, covered: bool) -> None:
    if covered:
        checkpoint(world)
    restored(world)
    redrive(world)
    assert restored(world) == 2  # what came before is in a snapshot, with or without a checkpoint
    assert world.processor.stopped == {}
    world.answer("done")
    assert restored(world) > 0
    assert world.types(ID)[-1] == "ExecutionSucceeded"
    checkpoint(world)
    world.start("pass:b")
    checkpoint(world)
    assert restored(world) == 0
    assert keys(world, world.names.snapshots)[b"task:a#0"] is False


def test_one_that_fails_again_at_once_is_closed_again_and_can_be_redriven_again(world: World) -> None:
    world.deploy("fails", FAILS)
    world.start("fails:a")
    checkpoint(world)
    for count in (1, 2):
        world.send(c.RedriveExecution(execution_id="fails:a"))
        world.settle()
        assert world.types("fails:a")[-2:] == ["ExecutionRedriven", "ExecutionFailed"]
        restored(world)
        assert world.processor.stopped == {}
        redriven = world.events("fails:a")[-2]
        assert isinstance(redriven, e.ExecutionRedriven)
        assert redriven.redrive_count == count


def test_another_revision_goes_on_and_is_that_of_the_execution_from_then_on(world: World) -> None:
    revision = world.deploy("task", MENDED)
    redrive(world, revision=revision)
    restored(world)
    [partition] = world.processor._partitions.values()
    found = partition.holdings.find(ID)

    assert isinstance(found, Execution)
    assert found.workflow.revision == revision
    checkpoint(world)
    assert restored(world) == 0
    world.answer("done")
    assert world.types(ID)[-1] == "ExecutionSucceeded"


def test_what_cannot_be_redriven_is_refused_by_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    redrive(world, revision="0" * 16)
    redrive(world, revision="")
    world.start("pass:a")
    world.settle()
    world.send(c.RedriveExecution(execution_id="pass:a"))
    world.send(c.RedriveExecution(execution_id="pass:never"))
    redrive(world)
    redrive(world)

    assert [(r.execution_id, r.reason, r.detail) for r in world.rejections()] == [
        (ID, "DefinitionNotFound", "no revision 0000000000000000 of task"),
        (ID, "DefinitionNotFound", "no revision  of task"),
        ("pass:a", "ExecutionNotRedrivable", "Execution is SUCCEEDED and cannot be redriven"),
        ("pass:never", "UnknownExecution", "pass:never was never started here"),
        (ID, "ExecutionNotRedrivable", "Execution is RUNNING and cannot be redriven"),
    ]


def test_one_whose_state_was_too_large_to_keep_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "_ROOM", 10_000_000)
    world = World(partitions=1)
    world.deploy("task", TASK)
    world.start(ID)
    world.settle()
    world.send(c.StopExecution(execution_id=ID))
    world.settle()
    redrive(world)

    [rejection] = world.rejections()
    assert rejection.detail.endswith("its state was too large to be kept, or another release kept it")


def held_as(world: World, state: bytes) -> None:
    """Let the record of closed hold this, and another processor begin with it, who reads no events."""
    checkpoint(world)
    [standing] = world.table(world.names.closed).values()
    value = encode_closed(replace(decode_closed(standing), state=state))
    world.write(Message(topic=world.names.closed, key=ID.encode(), value=value, partition=0))
    assert restored(world) == 0


def kept(world: World) -> bytes:
    [standing] = world.table(world.names.closed).values()
    state = decode_closed(standing).state
    assert state is not None
    return state


@pytest.mark.parametrize("cut", [1, 40, -1], ids=["of its header", "of its body", "of its last byte"])
def test_one_whose_state_is_damaged_is_refused_and_the_others_go_on(world: World, cut: int) -> None:
    held_as(world, kept(world)[:cut])
    before = world.types(ID)
    redrive(world)
    world.start("pass:a")
    world.settle()

    [(reason, detail)] = [(r.reason, r.detail) for r in world.rejections()]
    assert (reason, detail.partition(" does not decode: ")[0]) == (
        "ExecutionNotRedrivable",
        "Execution is FAILED and cannot be redriven: state",
    )
    assert (world.types(ID), world.types("pass:a")[-1]) == (before, "ExecutionSucceeded")
    assert (keys(world, world.names.closed)[ID.encode()], world.processor.stopped) == (True, {})


def test_one_whose_body_is_damaged_within_a_whole_header_is_refused(world: World) -> None:
    header = execution_header(kept(world))
    held_as(world, msgspec.msgpack.encode(replace(header, body=b"\x93\x01\x02\x03")))
    redrive(world)

    [(reason, detail)] = [(r.reason, r.detail) for r in world.rejections()]
    assert reason == "ExecutionNotRedrivable"
    assert detail.startswith("Execution is FAILED and cannot be redriven: state does not decode: ")


@pytest.mark.parametrize("of", ["decide", "evolve"])
def test_one_that_makes_the_interpreter_raise_is_refused_and_no_event_written(
    world: World, of: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(*_: object, **__: object) -> object:
        raise ZeroDivisionError("planted")

    before = world.types(ID)
    with monkeypatch.context() as planted, caplog.at_level(logging.ERROR):
        planted.setattr(redriving, of, raises)
        redrive(world)

    assert [(r.reason, r.detail) for r in world.rejections()] == [
        (
            "ExecutionNotRedrivable",
            "Execution is FAILED and cannot be redriven: ZeroDivisionError: planted",
        )
    ]
    assert [(r.message, vars(r)["execution_id"]) for r in caplog.records] == [("redrive_failed", ID)]
    assert world.types(ID) == before
    redrive(world)
    assert world.types(ID) == [*before, *AGAIN]


@pytest.mark.parametrize("lacking", [0, 1], ids=["just room enough", "a byte too few"])
def test_a_state_is_kept_where_its_record_can_be_written_however_long_the_ids_are_beside_it(lacking: int) -> None:
    machine, clef = "m" * 79 + "\N{MUSICAL SYMBOL G CLEF}", "\N{MUSICAL SYMBOL G CLEF}"
    outcome = start(parse(FAILS), None, execution_id=f"{machine}/{clef * 80}:{clef * 80}")
    assert isinstance(outcome, Failed)
    begun = outcome.execution.started
    cause = replace(begun.caused_by, command_id=clef * MAX_LABEL_LENGTH)
    execution = replace(outcome.execution, started=replace(begun, caused_by=cause))
    limit = len(encode_execution(execution)) + closing._ROOM - lacking

    value = closing.closed_value(execution, max_record_bytes=limit)
    record = Message(topic="asl.closed", key=execution.execution_id.encode(), value=value)
    assert (decode_closed(value).state is not None, record_bytes(record) <= limit) == (not lacking, True)
