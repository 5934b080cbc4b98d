"""An export holds what the log holds, is never half of it, and is verified as the log is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from msgspec.structs import replace

from processor.adapters.clock import ManualClock
from processor.adapters.memory import MemoryLog
from processor.apps.audit import archive as archives
from processor.apps.audit import export as exports
from processor.apps.audit.archive import ArchiveReader, Selection, load_manifest
from processor.apps.audit.checks import Counts, Fault
from processor.apps.audit.export import Export
from processor.apps.audit.lines import lines_of, record_of
from processor.apps.audit.verification import Verification
from processor.engine.encoding import decode_closed, encode_closed, encode_events
from processor.engine.ports import Message, Reader, Record
from processor.engine.topics import TopicNames, topic_specs
from processor.errors import ArchiveDamaged, DecodingFailed, InvalidSettings
from processor.model import commands as c
from processor.model import events as e
from processor.model.ids import EPOCH, Millis
from processor.model.json import parse_json
from tests.engine.encoding_values import batches
from tests.engine.world import PASS, TASK, WAIT, World

NAMES = TopicNames()
PARTITIONS = 3


@pytest.fixture(scope="module")
def world() -> World:
    """Three of each: `pass` has succeeded, after a minute `task:1` and `task:2` were stopped, and `task:2` redriven."""
    world = World(partitions=PARTITIONS)
    for machine, definition in (("pass", PASS), ("task", TASK), ("wait", WAIT)):
        world.deploy(machine, definition)
    world.settle()
    for number in range(3):
        for machine in ("pass", "task", "wait"):
            world.start(f"{machine}:{number}", {"number": number, "ratio": 1.0}, issuer="test")
    world.settle()
    world.advance(60)
    world.send(*(c.StopExecution(execution_id=f"task:{number}") for number in (1, 2)))
    world.settle()
    world.send(c.RedriveExecution(execution_id="task:2"))
    world.settle()
    return world


def exported(reader: Reader, folder: Path, *, selection: Selection | None = None) -> list[Fault]:
    export = Export(
        reader, NAMES, folder, selection=selection or Selection(), address="memory:", clock=ManualClock()
    )  # fmt: skip
    return list(export.run())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(folder: Path, name: str) -> list[Any]:
    with gzip.open(folder / name) as lines:
        return [json.loads(line) for line in lines]


def executions(folder: Path) -> set[str]:
    return {line["execution_id"] for p in range(PARTITIONS) for line in rows(folder, f"events-{p:05}.jsonl.gz")}


def records(reader: Reader, topic: str) -> list[Record]:
    return [replace(r, time=EPOCH) for p in range(reader.partitions(topic) or 0) for r in reader.read(topic, p)]


def verified(reader: Reader, complete: dict[int, bool] | None = None) -> tuple[list[Fault], Counts]:
    verification = Verification(reader, NAMES, complete=complete)
    return list(verification.faults()), verification.counts


# ---- lines


@given(batches())
def test_lines_of_any_events_give_the_same_record_again(batch: tuple[e.AnyEvent, ...]) -> None:
    [encoded] = encode_events(batch)
    record = Record(
        topic=NAMES.events,
        partition=1,
        offset=7,
        key=encoded.key,
        value=encoded.value,
        headers=encoded.headers,
        time=EPOCH,
    )
    plain, told = lines_of(record, NAMES)
    lines = [parse_json(line) for line in told]

    assert [isinstance(line, dict) and "raw" in line for line in lines] == [False] * len(batch)
    assert record_of(lines, NAMES) == plain == record  # type: ignore[arg-type]  # objects all


@pytest.mark.parametrize(
    "line",
    [
        {"event": "Nothing", "record": {"topic": "asl.events", "partition": 0, "offset": 0}},
        {"event": "StateEntered", "record": {"topic": "asl.events", "partition": 0, "offset": 0}},
        {
            "raw": {"key": "zz", "value": None, "headers": []},
            "record": {"topic": "asl.events", "partition": 0, "offset": 0},
        },
        {"raw": None, "record": {"topic": "asl.events", "partition": 0, "offset": 0}},
        {"record": {"topic": "asl.closed", "partition": 0, "offset": 0}},
        {"record": None},
        {},
    ],
)
def test_what_is_no_line_of_an_export_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises(DecodingFailed):
        record_of([line], NAMES)


# ---- what is there


def test_an_export_holds_the_log_record_for_record(world: World, tmp_path: Path) -> None:
    log = world.log.reader()
    assert exported(log, tmp_path / "out") == []
    archive = ArchiveReader.open(tmp_path / "out")

    assert records(archive, NAMES.events) == records(log, NAMES.events)
    assert records(archive, NAMES.definitions) == records(log, NAMES.definitions)
    ends = {row.key: row for row in records(log, NAMES.closed)}.values()
    without_state = [
        replace(row, value=encode_closed(replace(decode_closed(row.value), state=None)))
        for row in sorted(ends, key=lambda row: (row.partition, row.offset))
        if row.value is not None
    ]
    assert records(archive, NAMES.closed) == without_state


def test_every_line_of_an_event_says_who_caused_it_and_where_both_stand(world: World, tmp_path: Path) -> None:
    exported(world.log.reader(), tmp_path / "out")

    for partition in range(PARTITIONS):
        for line in rows(tmp_path / "out", f"events-{partition:05}.jsonl.gz"):
            assert line["record"]["topic"] == NAMES.events
            cause = line["caused_by"]
            assert (cause["topic"], cause["partition"]) == (NAMES.commands, partition)
            [command] = [r for r in world.records(NAMES.commands, partition) if r.offset == cause["offset"]]
            assert command.key == line["execution_id"].encode()
            assert (cause["type"] == "StartExecution") == (cause["issuer"] == "test")


def test_the_manifest_says_how_much_there_is_and_what_the_files_hash_to(world: World, tmp_path: Path) -> None:
    exported(world.log.reader(), tmp_path / "out")
    manifest = load_manifest(tmp_path / "out")
    assert manifest is not None

    assert (manifest.complete, manifest.partitions, len(manifest.parts)) == (True, PARTITIONS, PARTITIONS)
    assert sum(part.executions for part in manifest.parts) == 9
    assert sum(part.events.lines for part in manifest.parts) == sum(map(len, world.histories().values()))
    assert sum(part.closed.lines for part in manifest.parts) == 4
    assert {file.name for file in manifest.files} | {"manifest.json"} == contents(tmp_path / "out").keys()
    assert list(ArchiveReader.open(tmp_path / "out").file_faults()) == []


def test_an_export_is_verified_as_the_log_is(world: World, tmp_path: Path) -> None:
    exported(world.log.reader(), tmp_path / "out")
    archive = ArchiveReader.open(tmp_path / "out")
    faults, counts = verified(archive, archive.complete)

    expected_faults, expected = verified(world.log.reader())
    assert (faults, expected_faults) == ([], [])
    expected.snapshots = 0  # they are a cache, and stay where they are
    assert counts == expected


def test_faults_of_the_log_are_exported_with_it_and_named_alike(world: World, tmp_path: Path) -> None:
    broken = MemoryLog()
    broken.create_topics(topic_specs(NAMES, partitions=PARTITIONS))
    events = world.records(NAMES.events)
    changed: dict[bytes | None, dict[str, Any]] = {
        b"task:0#0": {"value": b"junk"},
        b"task:1#0": {"key": b"task:1#1"},
        b"wait:0#0": {"headers": (("event-types", b"None"),)},
    }
    twice = [row for row in events if row.key == b"pass:0#0"]
    edited = [replace(row, **changed.get(row.key, {})) for row in events]
    for topic in (NAMES.definitions, NAMES.closed):
        broken.outbox().send([_message(row) for row in world.records(topic)])
    broken.outbox().send([_message(row) for row in (*edited, *twice)])

    told = exported(broken.reader(), tmp_path / "out")
    archive = ArchiveReader.open(tmp_path / "out")
    in_log, _ = verified(broken.reader())
    assert {fault.rule for fault in in_log} == {"UNREADABLE", "KEY", "TYPES", "DOUBLED"}
    assert told == in_log
    assert verified(archive, archive.complete)[0] == in_log
    manifest = load_manifest(tmp_path / "out")
    assert manifest is not None
    assert sum(part.faults for part in manifest.parts) == 4


def _message(row: Record) -> Message:
    return Message(topic=row.topic, key=row.key, value=row.value, headers=row.headers, partition=row.partition)


def test_headers_of_their_own_are_exported_and_tell_where_the_command_was(world: World, tmp_path: Path) -> None:
    carried = MemoryLog()
    carried.create_topics(topic_specs(NAMES, partitions=PARTITIONS))
    for row in world.records(NAMES.events):
        moves = [("asl-moved", f"{row.partition + added}/{row.offset}".encode()) for added in (20, 10)]
        moved = (*moves, *row.headers)
        carried.outbox().send([replace(_message(row), headers=moved)])
    carried.outbox().send([_message(row) for row in world.records(NAMES.definitions)])

    exported(carried.reader(), tmp_path / "out")
    assert records(ArchiveReader.open(tmp_path / "out"), NAMES.events) == records(carried.reader(), NAMES.events)
    for line in rows(tmp_path / "out", "events-00001.jsonl.gz"):
        assert (line["caused_by"]["topic"], line["caused_by"]["partition"]) == (None, 11)


# ---- which


def test_what_ended_before_a_time_is_exported_whole_and_nothing_else(world: World, tmp_path: Path) -> None:
    started = world.events("pass:0")[0].time
    for before, expected in [
        (started, set()),
        (started + 1, {"pass:0", "pass:1", "pass:2"}),
        (started + 60_001, {"pass:0", "pass:1", "pass:2", "task:1"}),  # task:2 was redriven
    ]:
        folder = tmp_path / str(before)
        assert exported(world.log.reader(), folder, selection=Selection(closed_before=Millis(before))) == []
        assert executions(folder) == expected
        archive = ArchiveReader.open(folder)
        counts = verified(archive, archive.complete)[1]
        assert (counts.ended, counts.closed, counts.faults) == (len(expected), len(expected), 0)


def test_executions_are_exported_by_name_open_ones_too(world: World, tmp_path: Path) -> None:
    wanted = ("task:2", "wait:0")
    exported(world.log.reader(), tmp_path / "out", selection=Selection(executions=wanted))

    manifest = load_manifest(tmp_path / "out")
    assert manifest is not None
    archive = ArchiveReader(tmp_path / "out", manifest)
    found, counts = verified(archive, archive.complete)
    assert (found, counts.executions) == ([], 2)
    assert {(record.key or b"").partition(b"#")[0].decode() for record in records(archive, NAMES.events)} == set(wanted)


# ---- broken off


def files_with_inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.iterdir() if path.name != "manifest.json"}


def test_an_export_that_is_broken_off_anywhere_is_not_taken_for_whole_and_goes_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut before every renaming, the only moments at which anything appears under its name."""
    log = world.log.reader()
    exported(log, tmp_path / "whole")
    put, cuts = archives.put_in_place, 0

    def puts(limit: int) -> Any:
        left = limit

        def putting(temporary: Path, path: Path) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            put(temporary, path)

        return putting

    for limit in range(100):
        folder = tmp_path / f"cut-{limit}"
        with monkeypatch.context() as cutting:
            putting = puts(limit)
            cutting.setattr(archives, "put_in_place", putting)
            cutting.setattr(exports, "put_in_place", putting)
            try:
                exported(log, folder)
            except KeyboardInterrupt:
                cuts += 1
            else:
                break
        with pytest.raises(ArchiveDamaged, match=r"has no manifest\.json|is not complete"):
            ArchiveReader.open(folder)
        begun = load_manifest(folder)
        done = {file.name for part in begun.parts for file in (part.events, part.closed)} if begun else set()
        before = files_with_inodes(folder)
        assert exported(log, folder) == []
        after = files_with_inodes(folder)
        assert {name: after[name] for name in done} == {name: before[name] for name in done}
        assert contents(folder) == contents(tmp_path / "whole")
    assert cuts == 2 * PARTITIONS + PARTITIONS + 4


def test_what_is_written_while_it_is_exported_makes_no_fault(tmp_path: Path) -> None:
    """Behind the ends that were taken one execution ends, one is redriven, and one of a new definition begins."""
    world = World(partitions=1)
    world.deploy("task", TASK)
    world.settle()
    for number in range(2):
        world.start(f"task:{number}")
    world.settle()
    world.send(c.StopExecution(execution_id="task:0"))
    world.settle()

    class Later:
        """As soon as the ends were taken, everything goes on."""

        def __init__(self, reader: Reader) -> None:
            self._reader, self._asked = reader, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._reader, name)

        def read(self, topic: str, partition: int, **bounds: Any) -> Iterator[Record]:
            self._asked += 1
            if self._asked == 1:
                world.deploy("pass", PASS)
                world.send(c.RedriveExecution(execution_id="task:0"), c.StopExecution(execution_id="task:1"))
                world.start("pass:0")
                world.settle()
            return self._reader.read(topic, partition, **bounds)

    assert exported(Later(world.log.reader()), tmp_path / "out") == []
    archive = ArchiveReader.open(tmp_path / "out")
    found, counts = verified(archive, archive.complete)
    assert (found, counts.executions, counts.ended) == ([], 2, 1)
    assert [line.get("raw", {}).get("value", "") for line in rows(tmp_path / "out", "closed-00000.jsonl.gz")] == [
        None,
        "",
        "",
    ]


def test_a_part_whose_file_was_damaged_is_written_again(world: World, tmp_path: Path) -> None:
    log = world.log.reader()
    exported(log, tmp_path / "out")
    whole = contents(tmp_path / "out")
    (tmp_path / "out" / "events-00001.jsonl.gz").write_bytes(b"")

    assert exported(log, tmp_path / "out") == []
    assert contents(tmp_path / "out").keys() == whole.keys()
    assert contents(tmp_path / "out")["events-00001.jsonl.gz"] == whole["events-00001.jsonl.gz"]


def test_a_disk_that_gives_back_something_else_is_noticed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = archives.read_records

    def one_less(path: Path, names: TopicNames, *, lines: int) -> Iterator[Record]:
        yield from list(read(path, names, lines=lines))[:-1]

    monkeypatch.setattr(exports, "read_records", one_less)
    with pytest.raises(ArchiveDamaged, match="other records are read back than were written"):
        exported(world.log.reader(), tmp_path / "out")

    monkeypatch.undo()
    monkeypatch.setattr(exports, "file_fault", lambda folder, file: f"{file.name} has another hash")
    with pytest.raises(ArchiveDamaged, match="has another hash"):
        exported(world.log.reader(), tmp_path / "other")


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", gzip.compress(b"junk\n", mtime=0), gzip.compress(b"{}\n", mtime=0), gzip.compress(b"[]\n", mtime=0)],
)
def test_a_file_that_is_damaged_is_named_and_not_read_as_whole(world: World, tmp_path: Path, content: bytes) -> None:
    exported(world.log.reader(), tmp_path / "out")
    (tmp_path / "out" / "events-00001.jsonl.gz").write_bytes(content)
    archive = ArchiveReader.open(tmp_path / "out")

    [(partition, told)] = archive.file_faults()
    assert (partition, told.startswith("events-00001.jsonl.gz has the SHA-256 ")) == (1, True)
    with pytest.raises(ArchiveDamaged, match=r"events-00001\.jsonl\.gz"):
        list(archive.read(NAMES.events, 1))


def test_a_file_that_is_cut_off_or_missing_is_named(world: World, tmp_path: Path) -> None:
    exported(world.log.reader(), tmp_path / "out")
    archive, path = ArchiveReader.open(tmp_path / "out"), tmp_path / "out" / "events-00000.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArchiveDamaged, match="cannot be read after line"):
        list(archive.read(NAMES.events, 0))
    path.unlink()
    (tmp_path / "out" / "definitions.jsonl.gz").unlink()

    assert list(archive.file_faults()) == [
        (0, "definitions.jsonl.gz cannot be read: No such file or directory"),
        (0, "events-00000.jsonl.gz cannot be read: No such file or directory"),
    ]


# ---- refused


@pytest.mark.parametrize(
    ("name", "content", "error", "told"),
    [
        ("notes.txt", b"mine", InvalidSettings, "holds notes.txt, and no manifest.json of an export"),
        ("manifest.json", b"{}", ArchiveDamaged, "cannot be read"),
        ("manifest.json", b"junk", ArchiveDamaged, "cannot be read"),
    ],
)
def test_a_folder_that_holds_something_else_is_left_as_it_is(
    world: World, tmp_path: Path, name: str, content: bytes, error: type[Exception], told: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(error, match=told):
        exported(world.log.reader(), tmp_path)
    assert contents(tmp_path) == {name: content}


def test_another_export_does_not_go_on_in_a_folder(world: World, tmp_path: Path) -> None:
    exported(world.log.reader(), tmp_path / "out")
    before = contents(tmp_path / "out")

    for selection, told in [
        (Selection(executions=("pass:0",)), "the executions pass:0"),
        (Selection(closed_before=Millis(0)), "what ended before 1970-01-01T00:00:00.000Z"),
    ]:
        with pytest.raises(InvalidSettings) as refused:
            exported(world.log.reader(), tmp_path / "out", selection=selection)
        assert refused.value.rule == f"holds an export of another selection: all executions, not {told}"
    assert contents(tmp_path / "out") == before


def test_a_folder_that_cannot_be_written_to_is_told(world: World) -> None:
    with pytest.raises(ArchiveDamaged) as told:
        exported(world.log.reader(), Path("/proc/nothing"))
    assert told.value.fields() == {
        "place": "/proc/nothing",
        "reason": "cannot be written to: No such file or directory",
    }


def test_a_manifest_of_another_format_is_refused(world: World, tmp_path: Path) -> None:
    exported(world.log.reader(), tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    path.write_text(path.read_text().replace("asl-export/1", "asl-export/9"))

    with pytest.raises(ArchiveDamaged, match="is of format asl-export/9, this release reads asl-export/1"):
        ArchiveReader.open(tmp_path / "out")


def test_topics_that_an_export_does_not_hold_are_not_there(world: World, tmp_path: Path) -> None:
    exported(world.log.reader(), tmp_path / "out")
    archive = ArchiveReader.open(tmp_path / "out")

    counts: Sequence[int | None] = [archive.partitions(topic) for topic in (NAMES.events, NAMES.snapshots, NAMES.tasks)]
    assert counts == [PARTITIONS, PARTITIONS, None]
    assert (archive.end(NAMES.snapshots, 0), list(archive.read(NAMES.snapshots, 0))) == (0, [])
    [first, *_] = archive.read(NAMES.events, 0)
    assert list(archive.read(NAMES.events, 0, start=first.offset, end=first.offset + 1)) == [first]
    archive.close()


def test_a_line_of_a_release_that_did_not_have_a_field_is_read_with_its_default(world: World) -> None:
    record = next(r for r in world.records(NAMES.events) if r.key == b"pass:0#0")
    plain, told = lines_of(record, NAMES)
    lines = [parse_json(line) for line in told]
    first = lines[0]
    assert isinstance(first, dict)
    assert (first.pop("trace"), first.pop("synchronous"), first.pop("parent")) == (None, False, None)

    assert record_of(lines, NAMES) == plain  # type: ignore[arg-type]  # objects

    del first["input"]  # there always was one
    with pytest.raises(DecodingFailed, match="input"):
        record_of(lines, NAMES)  # type: ignore[arg-type]
