"""A set of golden histories on the disk: written once by the release that it is named after, and read by all later."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from processor.apps.audit.archive import ArchiveReader, File, Manifest, Part, Selection, read_records, store_manifest
from processor.apps.audit.export import Export
from processor.engine.encoding import STATE_FORMAT, decode_definition_record, decode_events
from processor.engine.index import Index
from processor.engine.ports import Reader, Record
from processor.engine.topics import TopicNames
from processor.interpreter.evolve import evolve
from processor.interpreter.history import render_history
from processor.interpreter.interpreter import recover
from processor.interpreter.parse import parse
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.execution import Execution
from processor.model.ids import parse_numbered_key
from processor.model.json import Json, canonical_json
from processor.model.records import Definition
from tests.histories.town import Town

FOLDER: Final = Path(__file__).parent
CHANGELOG: Final = FOLDER.parents[1] / "CHANGELOG.md"
HISTORIES: Final = "histories.json"
TOPICS: Final = "topics.jsonl.gz"
NAMES: Final = TopicNames()


class Golden(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one history came to when it was written. `sha256` of its records' values one after the other; `events`: how
    many; `history` of its GetExecutionHistory as canonical JSON; `waiting`: the keys of its timers and tasks."""

    execution_id: str
    sha256: str
    records: int
    events: int
    status: str
    output: Any = None  # JSON; msgspec cannot read the recursive type
    error: str | None = None
    cause: str | None = None
    history: str
    waiting: tuple[str, ...] = ()
    purged: bool = False


class GoldenSet(Struct, frozen=True, kw_only=True):
    """`state_format` of its snapshots; `files`: the SHA-256 of each, by its path in the set's folder."""

    release: str
    state_format: str
    files: Mapping[str, str]
    histories: tuple[Golden, ...]


def releases(folder: Path = FOLDER) -> list[Path]:
    """Return the folders of all sets, the oldest release first."""
    found = (path.parent for path in folder.glob(f"*/{HISTORIES}"))
    return sorted(found, key=lambda path: [int(part) for part in re.findall("[0-9]+", path.name)])


def load(folder: Path) -> GoldenSet:
    return msgspec.json.decode((folder / HISTORIES).read_bytes(), type=GoldenSet)


def digest(folder: Path) -> str:
    """Return the SHA-256 that the CHANGELOG names: of the file that holds those of all others."""
    return sha256((folder / HISTORIES).read_bytes()).hexdigest()


def undeclared(folder: Path, changelog: str) -> str | None:
    """Return the line that the CHANGELOG lacks under Event format; None where the set is named there."""
    [section] = re.findall(r"^## Event format$(.*?)(?=^## )", changelog, re.DOTALL | re.MULTILINE)
    wanted = f"`tests/histories/{folder.name}` `{digest(folder)}`"
    return None if wanted in section else f"the golden histories {wanted}"


# ---- reading


def logged(folder: Path) -> Iterator[Record]:
    """Yield the records of the set's whole log: of every topic, as they were written."""
    archive = ArchiveReader.open(folder / "log")
    for topic in (NAMES.definitions, NAMES.events, NAMES.closed):
        yield from archive.read(topic, 0)
    with gzip.open(folder / TOPICS) as file:
        lines = sum(1 for _ in file)
    yield from read_records(folder / TOPICS, NAMES, lines=lines)


def histories_of(records: Iterable[Record]) -> dict[str, list[bytes]]:
    """Return the values of each execution's records of events, tombstones left out."""
    found: dict[str, list[bytes]] = {}
    for record in records:
        key = parse_numbered_key((record.key or b"").decode())
        if record.value is not None and key is not None:
            found.setdefault(key[0], []).append(record.value)
    return found


def workflows_of(records: Iterable[Record]) -> dict[bytes, Workflow]:
    """Return the definitions, compiled, by their hash."""
    found: dict[bytes, Workflow] = {}
    for record in records:
        if (record.key or b"#").startswith(b"#"):  # what is told of the topics
            continue
        definition = decode_definition_record(record.value or b"")
        if isinstance(definition, Definition):
            workflow = parse(definition.definition, type=definition.type)
            found[workflow.definition_hash] = workflow
    return found


def replayed(values: list[bytes], workflows: Mapping[bytes, Workflow], *, purged: bool = False) -> Golden:
    """Return what a history's bytes come to now."""
    events = [event for value in values for event in decode_events(value)]
    last = [event for event in events if isinstance(event, (e.ExecutionStarted, e.ExecutionRedriven))][-1]
    execution = recover(workflows[last.definition_hash], events).execution
    assert execution is not None
    return Golden(
        execution_id=execution.execution_id,
        sha256=sha256(b"".join(values)).hexdigest(),
        records=len(values),
        events=execution.sequence,
        status=execution.status,
        output=execution.output,
        error=execution.error,
        cause=execution.cause,
        history=sha256(canonical_json(_plain(render_history(events)))).hexdigest(),
        waiting=_waiting(events, workflows),
        purged=purged,
    )


def _plain(history: Any) -> Json:
    plain: Json = json.loads(json.dumps(history, default=str))
    return plain


def _waiting(events: list[e.AnyEvent], workflows: Mapping[bytes, Workflow]) -> tuple[str, ...]:
    """Return the keys that the index of timers and tasks has after these events."""
    index, keys = Index(NAMES), set[str]()
    before: Execution | None = None
    for event in events:
        if isinstance(event, e.ExecutionRedriven):
            assert before is not None
            before = replace(before, workflow=workflows[event.definition_hash])
        if before is None:
            assert isinstance(event, e.ExecutionStarted)
            after = recover(workflows[event.definition_hash], [event]).execution
            assert after is not None
        else:
            after = evolve(before, event)
        for message in index.changes(before, event, after, partition=0):
            key = f"{message.topic.removeprefix(NAMES.prefix)} {(message.key or b'').decode()}"
            (keys.discard if message.value is None else keys.add)(key)
        before = after
    return tuple(sorted(keys))


# ---- writing


def write(town: Town, folder: Path, *, release: str) -> None:
    """Write a set of the town's log. Raises FileExistsError where there is one of that release: none is rewritten."""
    target = folder / release
    target.mkdir(parents=True)
    _write_log(town, target / "log")
    _export(town, target / "export")
    others = (topic for topic in town.names.all if topic not in _IN_LOG)
    _write_lines(target / TOPICS, (record for topic in others for record in town.records(topic)))
    archive = ArchiveReader.open(target / "log")
    workflows = workflows_of(archive.read(NAMES.definitions, 0))
    events = list(archive.read(NAMES.events, 0))
    purged = {(record.key or b"").rpartition(b"#")[0].decode() for record in events if record.value is None}
    histories = (replayed(values, workflows, purged=id in purged) for id, values in histories_of(events).items())
    written = GoldenSet(
        release=release,
        state_format=STATE_FORMAT,
        files=_digests(target),
        histories=tuple(sorted(histories, key=lambda golden: golden.execution_id)),
    )
    (target / HISTORIES).write_bytes(_one_a_line(written))


def _one_a_line(written: GoldenSet) -> bytes:
    """JSON with a line for each history, so that differences are told apart."""
    told: dict[str, Any] = msgspec.to_builtins(written)
    lines = ",\n".join(json.dumps(history, ensure_ascii=False) for history in told.pop("histories"))
    head = json.dumps(told, indent=1).removesuffix("\n}")
    return f'{head},\n "histories": [\n{lines}\n]}}\n'.encode()


_IN_LOG: Final = (NAMES.definitions, NAMES.events, NAMES.closed)


def _write_log(town: Town, folder: Path) -> None:
    folder.mkdir()
    files = {
        topic: _write_lines(folder / f"{topic.removeprefix(NAMES.prefix)}-00000.jsonl.gz", town.records(topic))
        for topic in _IN_LOG
    }
    ends = {topic: len(town.records(topic)) for topic in _IN_LOG}
    part = Part(
        partition=0,
        start=0,
        end=ends[NAMES.events],
        closed_end=ends[NAMES.closed],
        records=ends[NAMES.events],
        executions=len(histories_of(town.records(NAMES.events))),
        faults=0,
        events=files[NAMES.events],
        closed=files[NAMES.closed],
    )
    manifest = Manifest(
        log=town.log.address,
        prefix=NAMES.prefix,
        partitions=1,
        selection=Selection(),
        exported_at=town.clock.now(),
        complete=True,
        definitions=files[NAMES.definitions],
        parts=(part,),
    )
    store_manifest(folder, manifest)


def _export(town: Town, folder: Path) -> None:
    reader: Reader = town.log.reader()
    exporting = Export(reader, NAMES, folder, selection=Selection(), address=town.log.address, clock=town.clock)
    assert list(exporting.run()) == []


def _write_lines(path: Path, records: Iterable[Record]) -> File:
    """Write each record as a raw line of an export: its bytes, whatever they are."""
    lines = [json.dumps(_raw_line(record), separators=(",", ":")).encode() for record in records]
    with path.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.writelines(line + b"\n" for line in lines)
    return File(name=path.name, lines=len(lines), sha256=sha256(path.read_bytes()).hexdigest())


def _raw_line(record: Record) -> dict[str, Json]:
    return {
        "raw": {
            "key": None if record.key is None else record.key.hex(),
            "value": None if record.value is None else record.value.hex(),
            "headers": [[name, value.hex()] for name, value in record.headers],
        },
        "record": {"topic": record.topic, "partition": record.partition, "offset": record.offset},
    }


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def file_faults(folder: Path) -> list[str]:
    """Return which files are not those that the set was written with."""
    expected, found = dict(load(folder).files), _digests(folder)
    found.pop(HISTORIES)
    return sorted(path for path in {*expected, *found} if expected.get(path) != found.get(path))


def by_execution(records: Iterable[Record]) -> dict[str, list[e.AnyEvent]]:
    events = (event for record in records if record.value is not None for event in decode_events(record.value))
    grouped = groupby(sorted(events, key=lambda event: (event.execution_id, event.sequence)), lambda e: e.execution_id)
    return {id: list(of_one) for id, of_one in grouped}
