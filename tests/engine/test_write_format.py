"""The write format: releases side by side over one log, upgraded, rolled back, and what the older format lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from processor.adapters.clock import ManualClock
from processor.adapters.memory import MemoryLog
from processor.apps.audit.verification import Verification
from processor.engine import applier
from processor.engine.definitions import deployment
from processor.engine.encoding import (
    choose_write_format,
    decode_events,
    decode_rejection,
    encode_command,
    encode_events,
    encode_timer,
    shipped_codec,
    shipped_schemas,
)
from processor.engine.encoding.codec import Codec
from processor.engine.encoding.schemas import load_schemas
from processor.engine.ports import Message
from processor.engine.processor import Processor
from processor.engine.topics_setup import create_topics
from processor.errors import InvalidSettings, NotInWriteFormat, UnknownSchema
from processor.model import commands as c
from processor.model import events as e
from processor.model.ids import Millis
from processor.model.json import Json
from tests.chaos.formats import FORMER_FORMAT, NEXT_FORMAT, following, former, older, release, running
from tests.engine.test_encoding_records import TIMER
from tests.engine.world import PASS, TASK, SameSeed, World, map_of_passes

PARTITIONS: Final = 3
FAILING: Json = {
    "QueryLanguage": "JSONata",
    "StartAt": "P",
    "States": {"P": {"Type": "Pass", "Output": "{% $states.input + 1 %}", "End": True}},
}
ENVELOPE: dict[str, Any] = {"execution_id": "m:1", "sequence": 3, "time": Millis(5), "caused_by": e.Cause()}
STARTED: Final = e.ExecutionStarted(
    **ENVELOPE | {"sequence": 0},
    state_machine="m",
    revision="0" * 16,
    definition_hash=bytes(32),
    input=None,
    seed=bytes(16),
    first="P",
)


# ---- the codec


def test_a_format_is_written_with_its_own_schema_and_means_the_same() -> None:
    with running(release(following(), write_format=FORMER_FORMAT)):
        (old,) = encode_events([STARTED])
        assert decode_events(old.value) == (STARTED,)
    with running(release(following(), write_format=NEXT_FORMAT)):
        (new,) = encode_events([STARTED])
        assert decode_events(old.value) == decode_events(new.value) == (STARTED,)

    assert old.value[:10] == older().header
    assert new.value[:10] == shipped_schemas().current["EventBatch"].header
    assert len(new.value) == len(old.value) + 1  # the field that says nothing


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (e.EvaluationFailed(**ENVELOPE, error="E", cause="C", location="/Output"), "EvaluationFailed.location"),
        (e.MapRunRedriven(**ENVELOPE, map_run="m/L:1", redrive_count=1), "MapRunRedriven"),
        (e.TaskScheduled(**ENVELOPE, kind="RESULT_WRITER", resource="r", arguments=None), "RESULT_WRITER"),
    ],
)
def test_what_a_format_has_no_place_for_is_not_left_out_but_refused(event: e.AnyEvent, what: str) -> None:
    with running(release(following(), write_format=FORMER_FORMAT)), pytest.raises(NotInWriteFormat) as refused:
        encode_events([event])
    assert str(refused.value) == f"{what} cannot be written in format 1, which this process writes: see write_format"

    with running(release(following(), write_format=NEXT_FORMAT)):
        (batch,) = encode_events([event])
        assert decode_events(batch.value) == (event,)


def test_records_that_a_format_does_not_change_are_the_same_in_both() -> None:
    written = []
    for write_format in (FORMER_FORMAT, NEXT_FORMAT):
        with running(release(following(), write_format=write_format)):
            written.append((encode_timer(TIMER), encode_command(c.StopExecution(execution_id="m:1"))))
    assert written[0] == written[1]


def test_the_release_before_does_not_read_the_newer_format() -> None:
    with running(release(following(), write_format=NEXT_FORMAT)):
        (new,) = encode_events([STARTED])
    with running(release(former())), pytest.raises(UnknownSchema):
        decode_events(new.value)


def test_a_format_that_the_release_does_not_write_is_refused_with_those_it_does() -> None:
    with pytest.raises(InvalidSettings) as refused:
        release(following(), write_format=3)
    assert str(refused.value) == (
        "write_format: must be a format that this release writes (1, 2), got 3, for example ASL_WRITE_FORMAT=2"
    )


def test_without_a_number_the_releases_default_is_written() -> None:
    codec = release(following(), write_format=NEXT_FORMAT)
    with running(codec):
        choose_write_format(None)
        assert shipped_codec().write_format == FORMER_FORMAT


def test_formats_end_with_the_current_schemas(tmp_path: Path) -> None:
    tree = {"type": "record", "name": "Timer", "fields": []}
    (tmp_path / "timer.avsc").write_text(json.dumps(tree))
    alone = load_schemas(tmp_path)
    assert (alone.formats, alone.default_format) == ({1: alone.current}, 1)

    for formats in (
        {"default": 2, "formats": {"1": {"Timer": alone.current["Timer"].fingerprint}}},
        {"default": 1, "formats": {"1": {}}},
    ):
        (tmp_path / "formats.json").write_text(json.dumps(formats))
        with pytest.raises(ValueError, match=r"formats\.json: the greatest format must be the current schemas"):
            load_schemas(tmp_path)


# ---- releases side by side


class Fleet:
    """Processors of several releases over one log, in slots, each step of each within its own release's codec."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = MemoryLog(clock=self.clock)
        self.names = self.log.names
        create_topics(self.log, partitions=PARTITIONS)
        self._outbox, self._reader = self.log.outbox(), self.log.reader()
        self._running: dict[str, tuple[Processor, Codec]] = {}
        for machine, definition in (("task", TASK), ("pass", PASS), ("failing", FAILING)):
            _, message = deployment(
                self.names, state_machine=machine, definition=definition, type="STANDARD", now=self.clock.now()
            )
            self._outbox.send([message])

    def start(self, slot: str, codec: Codec) -> None:
        """Start a processor, in place of the one in the slot, which stops first; and wait until all is quiet."""
        self.stop(slot)
        with running(codec):
            self._running[slot] = Processor(log=self.log, clock=self.clock, entropy=SameSeed(), slot=slot), codec
        self.settle()

    def stop(self, slot: str) -> None:
        if slot in self._running:
            processor, codec = self._running.pop(slot)
            with running(codec):
                processor.run(lambda: True)
                processor.close()
            self.settle()

    def kill(self, slot: str) -> None:
        del self._running[slot]

    def settle(self) -> None:
        still = 0
        while still < 4:
            before = self._moving()
            for processor, codec in self._running.values():
                with running(codec):
                    processor.step(timeout_seconds=0)
            still = still + 1 if before == self._moving() else 0

    def _moving(self) -> object:
        return [(p.partitions, p.stopped, dict(p.counts)) for p, _ in self._running.values()]

    def send(self, *commands: c.AnyCommand) -> None:
        for command in commands:
            value = encode_command(command)
            self._outbox.send([Message(topic=self.names.commands, key=command.execution_id.encode(), value=value)])
        self.settle()

    @property
    def stopped(self) -> list[str]:
        return [reason for processor, _ in self._running.values() for reason in processor.stopped.values()]

    def values(self, topic: str) -> list[bytes]:
        records = (r for p in range(PARTITIONS) for r in self._reader.read(topic, p))
        return [record.value for record in records if record.value is not None]

    def formats(self) -> list[int]:
        """Return the formats of all records of events there are."""
        by_header = {older().header: FORMER_FORMAT}
        return sorted({by_header.get(value[:10], NEXT_FORMAT) for value in self.values(self.names.events)})

    def types(self, id: str) -> list[str]:
        return self.all_types().get(id, [])

    def all_types(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        with running(release(following())):
            for value in self.values(self.names.events):
                for event in decode_events(value):
                    found.setdefault(event.execution_id, []).append(type(event).__name__)
        return found

    def faults(self) -> list[object]:
        with running(release(following(), write_format=NEXT_FORMAT)):
            return list(Verification(self.log.reader(), self.names).faults())


class Work:
    """Each round starts executions, and completes those of the round before: so every partition holds open ones that
    another release began."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet, self._round = fleet, 0

    def go_on(self) -> None:
        before, self._round = self._round, self._round + 1
        if before:
            self._fleet.send(*(complete(id) for id in self._ids(before)))
        self._fleet.send(*(c.StartExecution(execution_id=id, input=self._round) for id in self._ids(self._round)))

    def end(self) -> list[str]:
        """Complete the last round; return all executions that did not succeed."""
        self._fleet.send(*(complete(id) for id in self._ids(self._round)))
        ids = [id for number in range(1, self._round + 1) for id in self._ids(number)]
        done = [
            "ExecutionStarted",
            "StateEntered",
            "TaskScheduled",
            "TaskSucceeded",
            "StateExited",
            "ExecutionSucceeded",
        ]
        found = self._fleet.all_types()
        return [id for id in ids if found[id] != done]

    @staticmethod
    def _ids(number: int) -> list[str]:
        return [f"task:{number}-{one}" for one in range(2 * PARTITIONS)]


def complete(id: str) -> c.CompleteTask:
    return c.CompleteTask(execution_id=id, token=f"{id}##2", output="done")


def test_a_rolling_upgrade_a_rollback_and_the_opened_gate_stop_no_partition_and_lose_nothing() -> None:
    fleet = Fleet()
    work = Work(fleet)
    closed, opened = release(following()), release(following(), write_format=NEXT_FORMAT)
    before_the_gate = [
        ("0", release(former())),
        ("1", release(former())),
        ("0", closed),  # the upgrade: one processor after the other
        ("1", closed),
        ("1", release(former())),  # rolled back
        ("1", closed),
    ]
    for slot, codec in before_the_gate:
        fleet.start(slot, codec)
        work.go_on()
        assert (fleet.stopped, fleet.formats()) == ([], [FORMER_FORMAT])

    for slot, codec in [("0", opened), ("1", opened), ("1", closed), ("0", closed)]:
        fleet.start(slot, codec)
        work.go_on()
        assert (fleet.stopped, fleet.formats()) == ([], [FORMER_FORMAT, NEXT_FORMAT])
    fleet.stop("0")  # one that writes the older format goes on with what the newer one began
    assert work.end() == []
    assert fleet.faults() == []


def test_behind_the_opened_gate_there_is_no_way_back_to_the_release_before() -> None:
    fleet = Fleet()
    fleet.start("0", release(following(), write_format=NEXT_FORMAT))
    fleet.send(c.StartExecution(execution_id="task:1", input=1))
    fleet.kill("0")  # before a checkpoint covers what it wrote
    fleet.start("0", release(former()))

    fingerprint = shipped_schemas().current["EventBatch"].fingerprint
    assert len(fleet.stopped) == 1
    assert fingerprint in fleet.stopped[0]

    fleet.kill("0")
    fleet.start("0", release(following()))
    fleet.send(complete("task:1"))
    assert (fleet.stopped, fleet.types("task:1")[-1]) == ([], "ExecutionSucceeded")


def test_a_start_that_needs_the_newer_format_is_rejected_until_the_gate_is_open() -> None:
    fleet = Fleet()
    fleet.start("0", release(following()))
    traced = c.StartExecution(execution_id="pass:1", input=None, trace="Root=1-5759e988")
    fleet.send(traced)

    [rejection] = map(decode_rejection, fleet.values(fleet.names.rejections))
    assert (rejection.reason, rejection.detail) == (
        "NotSupported",
        "ExecutionStarted.trace cannot be written in format 1, which this process writes: see write_format",
    )
    assert (fleet.stopped, fleet.types("pass:1")) == ([], [])

    fleet.start("0", release(following(), write_format=NEXT_FORMAT))
    fleet.send(traced)
    assert fleet.types("pass:1")[-1] == "ExecutionSucceeded"


def test_an_execution_that_comes_to_need_it_is_in_quarantine_and_goes_on_behind_the_opened_gate() -> None:
    fleet = Fleet()
    fleet.start("0", release(following()))
    fleet.send(
        c.StartExecution(execution_id="failing:1", input="text"), c.StartExecution(execution_id="pass:2", input=1)
    )

    assert fleet.types("failing:1") == ["ExecutionStarted", "ExecutionQuarantined"]
    assert (fleet.stopped, fleet.types("pass:2")[-1]) == ([], "ExecutionSucceeded")

    fleet.start("0", release(following(), write_format=NEXT_FORMAT))
    fleet.send(c.ReleaseExecution(execution_id="failing:1"))
    assert fleet.types("failing:1")[2:] == [
        "ExecutionReleased",
        "StateEntered",
        "EvaluationFailed",
        "ExecutionFailed",
    ]
    assert fleet.faults() == []


def lacking(*_: object, **__: object) -> bytes:
    raise NotInWriteFormat(what="ClosedExecution.more", format=1)


def test_a_command_whose_end_leaves_a_record_that_cannot_be_written_is_a_dead_letter_to_be_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(partitions=1)
    world.deploy("task", TASK)
    world.start("task:1")
    world.settle()
    with monkeypatch.context() as closed_gate:
        closed_gate.setattr(applier, "closed_value", lacking)
        world.send(complete("task:1"))
        world.settle()
    [letter] = world.dead_letters()
    assert dict(letter.headers)["asl-reason"].startswith(b"ClosedExecution.more cannot be written in format 1")

    world.send(complete("task:1"))
    world.settle()
    assert world.types("task:1")[-1] == "ExecutionSucceeded"


def test_an_execution_that_goes_on_to_such_an_end_is_in_quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(partitions=1, slice_events=5)
    world.deploy("map", map_of_passes())
    world.start("map:1", [1, 2, 3])
    with monkeypatch.context() as closed_gate:
        closed_gate.setattr(applier, "closed_value", lacking)
        world.settle()
    last = world.events("map:1")[-1]
    assert isinstance(last, e.ExecutionQuarantined)
    assert last.reason.startswith("NotInWriteFormat: ClosedExecution.more")

    world.send(c.ReleaseExecution(execution_id="map:1"))
    world.settle()
    assert world.types("map:1")[-1] == "ExecutionSucceeded"
