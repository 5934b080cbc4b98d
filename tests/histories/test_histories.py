"""What every release has written is what this one reads: each history from its bytes, each log taken over whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from processor.adapters.memory import MemoryLog
from processor.apps.audit.archive import ArchiveReader
from processor.apps.audit.verification import Verification
from processor.apps.cli.app import app
from processor.engine.encoding import (
    STATE_FORMAT,
    content_type_of,
    decode_closed,
    decode_command,
    decode_definition_record,
    decode_events,
    decode_execution,
    decode_migration,
    decode_rejection,
    decode_reply,
    decode_snapshot_record,
    decode_task,
    decode_timer,
    encode_closed,
    encode_command,
    encode_definition_record,
    encode_events,
    encode_rejection,
    encode_reply,
    encode_snapshot_record,
    encode_task,
    encode_timer,
    shipped_schemas,
)
from processor.engine.ports import Message, Record
from processor.engine.topics_setup import create_topics
from processor.interpreter.interpreter import recover
from processor.model import commands as c
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.json import Json
from processor.model.records import Checkpoint, Snapshot, Task, Timer
from tests.histories import sets
from tests.histories.plays import perform
from tests.histories.sets import NAMES, GoldenSet
from tests.histories.town import Town

SETS = sets.releases()
CHANGELOG = sets.CHANGELOG.read_text(encoding="utf-8")
each = pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)
MOST_BYTES = 1_000_000
"""All releases' histories together stay small enough for everybody's checkout."""


@cache
def loaded(folder: Path) -> GoldenSet:
    return sets.load(folder)


@cache
def logged(folder: Path) -> tuple[Record, ...]:
    return tuple(sets.logged(folder))


def of_topic(folder: Path, topic: str) -> list[Record]:
    return [record for record in logged(folder) if record.topic == topic]


@cache
def workflows(folder: Path) -> dict[bytes, Workflow]:
    return sets.workflows_of(of_topic(folder, NAMES.definitions))


# ---- each history


def histories() -> Iterator[object]:
    for folder in SETS:
        for golden in loaded(folder).histories:
            yield pytest.param(folder, golden, id=f"{folder.name} {golden.execution_id}")


@pytest.mark.parametrize(("folder", "golden"), list(histories()))
def test_a_history_comes_to_what_it_came_to(folder: Path, golden: sets.Golden) -> None:
    values = _values(folder)[golden.execution_id]

    assert sets.replayed(values, workflows(folder), purged=golden.purged) == golden


@cache
def _values(folder: Path) -> dict[str, list[bytes]]:
    return sets.histories_of(of_topic(folder, NAMES.events))


@each
def test_a_set_tells_of_every_history_in_its_log(folder: Path) -> None:
    assert {golden.execution_id for golden in loaded(folder).histories} == _values(folder).keys()


# ---- each log


@each
@pytest.mark.parametrize("what", ["log", "export"])
def test_asl_replay_verifies_every_history(folder: Path, what: str) -> None:
    done = CliRunner().invoke(app, ["replay", "--verify", "--all", "--from", str(folder / what), "--json"])

    assert (done.exit_code, '"verified":true' in done.stdout.replace(" ", "")) == (0, True), done.output


@each
def test_what_was_exported_are_the_events_as_they_were_written(folder: Path) -> None:
    exported = ArchiveReader.open(folder / "export").read(NAMES.events, 0)

    assert sets.by_execution(exported) == sets.by_execution(of_topic(folder, NAMES.events))


class _WithSnapshots(ArchiveReader):
    """The set's log with its snapshots, which an export has not."""

    snapshots: tuple[Record, ...] = ()

    def end(self, topic: str, partition: int) -> int:
        return len(self.snapshots) if topic == NAMES.snapshots else super().end(topic, partition)

    def read(self, topic: str, partition: int, *, start: int = 0, end: int | None = None) -> Iterator[Record]:
        if topic != NAMES.snapshots:
            return super().read(topic, partition, start=start, end=end)
        return iter(self.snapshots[start:end])


@each
def test_snapshots_are_what_the_events_before_them_come_to_or_are_passed_over(folder: Path) -> None:
    reader = _WithSnapshots.open(folder / "log")
    assert isinstance(reader, _WithSnapshots)
    reader.snapshots = tuple(of_topic(folder, NAMES.snapshots))
    verification = Verification(reader, NAMES, complete=reader.complete)

    assert list(verification.faults()) == []
    own = loaded(folder).state_format == STATE_FORMAT
    assert (verification.counts.snapshots > 0) == own


@each
def test_snapshots_hold_the_state_where_the_format_is_still_this_one(folder: Path) -> None:
    found: dict[str, Snapshot] = {}
    for record in of_topic(folder, NAMES.snapshots):
        decoded = None if record.value is None else decode_snapshot_record(record.value)
        if isinstance(decoded, Snapshot) and decoded.chunks == 1:
            found[decoded.execution_id] = decoded
    assert found
    for id, snapshot in found.items():
        if snapshot.format != STATE_FORMAT:
            continue
        events = [event for value in _values(folder)[id] for event in decode_events(value)][: snapshot.sequence]
        last = [event for event in events if isinstance(event, (e.ExecutionStarted, e.ExecutionRedriven))][-1]
        workflow = workflows(folder)[last.definition_hash]
        assert decode_execution(snapshot.state, workflow) == recover(workflow, events).execution


@each
def test_every_record_is_read_and_those_of_todays_schemas_are_written_the_same(folder: Path) -> None:
    current = {schema.header for schema in shipped_schemas().current.values()}
    dead = {int(dict(letter.headers)["asl-offset"]) for letter in of_topic(folder, NAMES.dead_letters)}
    for record in logged(folder):
        junk = record.topic == NAMES.commands and record.offset in dead
        if record.value is None or record.topic == NAMES.dead_letters or junk or b"by hand" in record.value:
            continue
        again = _again(record)
        if again is not None and record.value[:10] in current:
            assert again == record.value


def _again(record: Record) -> bytes | None:
    """Return the record's value, read and written again; None where it is no Avro."""
    value = record.value or b""
    if record.topic == NAMES.definitions and (record.key or b"").startswith(b"#origin"):
        return encode_definition_record(decode_migration(value))
    match record.topic:
        case NAMES.events:
            [batch] = encode_events(decode_events(value))
            return batch.value
        case NAMES.commands:
            kind = content_type_of(record.headers)
            command = decode_command(value, content_type=kind)
            return None if kind == "application/json" else encode_command(command)
        case NAMES.timers:
            return encode_timer(decode_timer(value))
        case NAMES.tasks:
            return encode_task(decode_task(value))
        case NAMES.definitions:
            return encode_definition_record(decode_definition_record(value))
        case NAMES.snapshots:
            return encode_snapshot_record(decode_snapshot_record(value))
        case NAMES.closed:
            return encode_closed(decode_closed(value))
        case NAMES.replies:
            return encode_reply(decode_reply(value))
        case NAMES.rejections:
            return encode_rejection(decode_rejection(value))
        case _:
            raise AssertionError(record.topic)


@each
def test_a_processor_takes_the_log_over_and_brings_what_is_open_to_its_end(folder: Path) -> None:
    town = Town(_log_of(folder))
    quarantined = {id for id, values in _values(folder).items() if _ends_in_quarantine(values)}
    open_then = {golden.execution_id for golden in loaded(folder).histories if golden.status == "RUNNING"}
    assert town.processor.stopped == {}
    assert town.processor.standing().partitions[0].open == len(open_then)

    for round in range(8):
        index: list[Task | Timer] = [*town.tasks(), *town.timers()]
        waiting = [one for one in index if one.execution_id not in quarantined]
        for one in waiting:
            if isinstance(one, Task):
                token, output = one.token, _answer(one, page=round % 2)
                town.write_command(c.CompleteTask(execution_id=one.execution_id, token=token, output=output))
            else:
                town.until(one.due)
                town.write_command(c.FireTimer(execution_id=one.execution_id, timer_id=one.timer_id))
        town.settle()

    ended = {record.key.decode() for record in town.records(NAMES.closed) if record.key and record.value}
    assert open_then - ended == quarantined


def _answer(task: Task, *, page: int) -> Json:
    match task.kind:
        case "ITEM_READER":  # refused where that page is there already, or one before it is not
            return {"Page": page, "Items": [1]}
        case "RESULT_WRITER":
            return {"MapRunArn": "arn", "ResultWriterDetails": {"Bucket": "b", "Key": "k"}}
        case _:
            return {"n": 1}


def _ends_in_quarantine(values: list[bytes]) -> bool:
    return isinstance(decode_events(values[-1])[-1], e.ExecutionQuarantined)


def _log_of(folder: Path) -> MemoryLog:
    log = MemoryLog()
    create_topics(log, partitions=1)
    outbox = log.outbox()
    outbox.send(
        [
            Message(topic=r.topic, key=r.key, value=r.value, headers=r.headers, partition=0)
            for r in logged(folder)
            if r.key != b"#partitions"
        ]
    )
    return log


# ---- what the sets hold


def test_all_event_types_and_all_schemas_are_in_them() -> None:
    types, fingerprints = set[str](), set[str]()
    for folder in SETS:
        for record in logged(folder):
            if record.value is not None and record.topic != NAMES.dead_letters and record.value[:2] == b"\xc3\x01":
                fingerprints.add(record.value[2:10].hex())
            if record.value is not None and record.topic == NAMES.events:
                types.update(type(event).__name__ for event in decode_events(record.value))

    assert types == {event.__name__ for event in get_args(e.AnyEvent)}
    assert fingerprints == set(shipped_schemas().by_fingerprint)


def test_all_statuses_state_types_and_both_query_languages_are_in_them() -> None:
    events = [event for folder in SETS for event in _all_events(folder)]
    told = [str(workflow.definition) for folder in SETS for workflow in workflows(folder).values()]

    assert {event.type for event in events if isinstance(event, e.StateEntered)} == set(get_args(e.StateType))
    assert {event.kind for event in events if isinstance(event, e.TaskScheduled)} == set(get_args(e.TaskKind))
    assert {golden.status for folder in SETS for golden in loaded(folder).histories} == {
        "RUNNING",
        "SUCCEEDED",
        "FAILED",
        "TIMED_OUT",
        "ABORTED",
    }
    assert any("'QueryLanguage': 'JSONata'" in definition for definition in told)
    assert any(".$'" in definition for definition in told)


def _all_events(folder: Path) -> Iterator[e.AnyEvent]:
    for values in _values(folder).values():
        for value in values:
            yield from decode_events(value)


def test_there_is_a_checkpoint_in_each_of_them() -> None:
    for folder in SETS:
        values = [record.value for record in of_topic(folder, NAMES.snapshots) if record.value is not None]
        assert any(isinstance(decode_snapshot_record(value), Checkpoint) for value in values)


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for folder in SETS for path in folder.rglob("*") if path.is_file()) < MOST_BYTES


# ---- they stay as they are


@each
def test_no_file_of_a_set_has_changed(folder: Path) -> None:
    assert (loaded(folder).release, sets.file_faults(folder)) == (folder.name, [])


@each
def test_the_changelog_names_a_set_under_event_format_with_its_digest(folder: Path) -> None:
    assert sets.undeclared(folder, CHANGELOG) is None


def test_a_set_that_changed_is_found(tmp_path: Path) -> None:
    folder = tmp_path / SETS[0].name
    shutil.copytree(SETS[0], folder)
    file = folder / "log" / "events-00000.jsonl.gz"
    file.write_bytes(file.read_bytes()[:-1])
    (folder / "more").write_bytes(b"")
    (folder / "topics.jsonl.gz").unlink()
    assert sets.file_faults(folder) == ["log/events-00000.jsonl.gz", "more", "topics.jsonl.gz"]

    description = folder / sets.HISTORIES
    description.write_bytes(description.read_bytes().replace(b'"SUCCEEDED"', b'"FAILED"', 1))
    assert (
        sets.undeclared(folder, CHANGELOG)
        == f"the golden histories `tests/histories/{folder.name}` `{sets.digest(folder)}`"
    )


# ---- how they are made


def test_the_same_code_writes_the_same_set_and_none_twice(tmp_path: Path) -> None:
    towns = [Town(), Town()]
    for town, folder in zip(towns, "ab", strict=True):
        perform(town, stems=())
        town.end()
        sets.write(town, tmp_path / folder, release="1.0.0")

    assert sets.digest(tmp_path / "a" / "1.0.0") == sets.digest(tmp_path / "b" / "1.0.0")
    with pytest.raises(FileExistsError):
        sets.write(towns[0], tmp_path / "b", release="1.0.0")
    events = {type(event).__name__ for event in _all_events(tmp_path / "a" / "1.0.0")}
    assert {"MapRunRedriven", "ExecutionReleased", "TaskHeartbeatRecorded"} <= events
