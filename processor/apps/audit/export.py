"""A log → a folder of files: partition by partition, each verified after it was written. archive.py says what of.

A partition's files are written under temporary names, made durable, read back from the disk, compared with what was
read from the log, folded, and only then put in place and into the manifest. So an export that was broken off goes on
with the partitions that are missing.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Final

from msgspec.structs import replace

from processor.apps.audit.archive import (
    MANIFEST,
    ArchiveReader,
    File,
    Manifest,
    Part,
    Selection,
    file_fault,
    load_manifest,
    put_in_place,
    read_records,
    store_manifest,
)
from processor.apps.audit.checks import Fault
from processor.apps.audit.lines import lines_of
from processor.apps.audit.verification import Verification
from processor.apps.executions import Seen, ignore, topic_partitions
from processor.engine.encoding import TYPES_HEADER, decode_events
from processor.engine.ports import Clock, Reader, Record
from processor.engine.topics import TopicNames, partition_of
from processor.errors import ArchiveDamaged, DecodingFailed, InvalidSettings
from processor.model import events as e
from processor.model.ids import Millis, parse_execution_id, parse_numbered_key

_LEVEL: Final = 6
_PART: Final = ".part"
_CHANGES: Final = frozenset(t.__name__ for t in (e.ExecutionRedriven, *e.TERMINAL_EVENTS))


class Export:
    """Of `selection` from a log to a folder. `run` may be called again after it was broken off, also by another
    process; then it goes on. `manifest`: how far it has come."""

    def __init__(
        self, reader: Reader, names: TopicNames, folder: Path, *, selection: Selection, address: str, clock: Clock
    ) -> None:
        """Raises InvalidSettings where the folder holds something else, ArchiveDamaged where its manifest cannot be
        read, InvalidCommand for what is no execution id, TopicsUnfit."""
        self._reader, self._names, self._folder, self._selection = reader, names, folder, selection
        count = topic_partitions(reader, names.events)
        self._wanted = tuple(range(count))
        if selection.executions is not None:
            for id in selection.executions:
                parse_execution_id(id)
            self._wanted = tuple(sorted({partition_of(id.encode(), count) for id in selection.executions}))
        begun = Manifest(
            log=address, prefix=names.prefix, partitions=count, selection=selection, exported_at=clock.now()
        )
        self.manifest = _resumed(folder, begun)

    def total(self) -> int:
        """Return how many offsets `run` will pass, for progress: each partition is read and read back."""
        passes = 2 if self._selection.closed_before is None else 3
        return passes * sum(self._reader.end(self._names.events, partition) for partition in self._missing())

    def run(self, *, seen: Seen = ignore) -> Iterator[Fault]:
        """Export what is missing; yield what the verification of that finds in the log itself, which is exported as it
        is. Raises ArchiveDamaged where the folder cannot be written to, or does not give back what was written, and as
        the reader does."""
        try:
            yield from self._run(seen)
        except OSError as fault:
            reason = f"cannot be written to: {fault.strerror or fault}"
            raise ArchiveDamaged(place=str(self._folder), reason=reason) from fault

    def _run(self, seen: Seen) -> Iterator[Fault]:
        self._folder.mkdir(parents=True, exist_ok=True)
        store_manifest(self._folder, replace(self.manifest, complete=False))
        # First the ends, then the definitions, always anew: parts that are to be written refer to them.
        ends = {partition: self._ends(partition) for partition in self._missing()}
        definitions = self._written("definitions.jsonl.gz", self._reader.read(self._names.definitions, 0))
        self._put(replace(self.manifest, definitions=definitions), definitions)
        for partition, (closed_end, end) in ends.items():
            part, faults = self._exported(partition, end, closed_end, seen)
            self._put(replace(self.manifest, parts=(*self.manifest.parts, part)), part.events, part.closed)
            yield from faults
        self.manifest = replace(self.manifest, complete=True)
        store_manifest(self._folder, self.manifest)

    def _missing(self) -> tuple[int, ...]:
        done = {part.partition for part in self.manifest.parts}
        return tuple(partition for partition in self._wanted if partition not in done)

    def _ends(self, partition: int) -> tuple[int, int]:
        """Return the ends of closed and of the events, taken in this order (see verification.py)."""
        return self._reader.end(self._names.closed, partition), self._reader.end(self._names.events, partition)

    def _exported(self, partition: int, end: int, closed_end: int, seen: Seen) -> tuple[Part, list[Fault]]:
        names, reader = self._names, self._reader
        wants = self._chosen(partition, end, seen)
        first: int | None = None
        records = 0

        def chosen_events() -> Iterator[Record]:
            nonlocal first, records
            passed = 0
            for record in reader.read(names.events, partition, end=end):
                first = record.offset if first is None else first
                seen(record.offset + 1 - passed)
                passed = record.offset + 1
                if wants(_id_of_batch(record)):
                    records += 1
                    yield record

        def chosen_ends() -> Iterator[Record]:
            last = {record.key: record for record in reader.read(names.closed, partition)}
            for record in sorted(last.values(), key=lambda record: record.offset):
                # A tombstone that came later than the events explains why there is no record of an end in them.
                tells = record.value is not None or record.offset >= closed_end
                if tells and wants((record.key or b"").decode("utf-8", "replace")):
                    yield record

        events = self._written(f"events-{partition:05}.jsonl.gz", chosen_events())
        closed = self._written(f"closed-{partition:05}.jsonl.gz", chosen_ends())
        part = Part(
            partition=partition,
            start=first or 0,
            end=end,
            closed_end=closed_end,
            records=records,
            executions=0,
            faults=0,
            events=events,
            closed=closed,
        )
        return self._folded(part, seen)

    def _folded(self, part: Part, seen: Seen) -> tuple[Part, list[Fault]]:
        """Verify the partition as it lies on the disk, under its temporary names."""
        temporary = replace(part, events=_temporary(part.events), closed=_temporary(part.closed))
        archive = ArchiveReader(self._folder, replace(self.manifest, parts=(temporary,)))
        verification = Verification(archive, self._names, complete=archive.complete)
        faults = verification.faults_of(part.partition, seen=seen)
        return replace(part, executions=verification.counts.executions, faults=len(faults)), faults

    def _chosen(self, partition: int, end: int, seen: Seen) -> Callable[[str | None], bool]:
        selection = self._selection
        if selection.executions is not None:
            return frozenset(selection.executions).__contains__
        if selection.closed_before is None:
            return lambda id: True
        ended = self._ended(partition, end, seen)
        return frozenset(id for id, at in ended.items() if at < selection.closed_before).__contains__

    def _ended(self, partition: int, end: int, seen: Seen) -> dict[str, Millis]:
        """Return when each execution ended that has, and was not redriven or purged since."""
        found: dict[str, Millis] = {}
        passed = 0
        for record in self._reader.read(self._names.events, partition, end=end):
            seen(record.offset + 1 - passed)
            passed = record.offset + 1
            if record.value is None:
                found.pop(_id_of_batch(record) or "", None)
                continue
            types = dict(record.headers).get(TYPES_HEADER)
            if types is None or not _CHANGES.isdisjoint(types.decode().split(",")):
                for event in _events_of(record.value):
                    if isinstance(event, e.TERMINAL_EVENTS):
                        found[event.execution_id] = event.time
                    elif isinstance(event, e.ExecutionRedriven):
                        found.pop(event.execution_id, None)
        return found

    # ---- files

    def _written(self, name: str, records: Iterator[Record]) -> File:
        """Write the records under the name's temporary one, and read them back."""
        path = self._folder / (name + _PART)
        expected, lines = sha256(), 0
        with path.open("wb") as file:
            hashing = _Hashing(file)
            with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=hashing, mtime=0) as packed:
                for record in records:
                    plain, told = lines_of(record, self._names)
                    expected.update(_identity(plain))
                    packed.write(b"\n".join((*told, b"")))
                    lines += len(told)
            file.flush()
            os.fsync(file.fileno())
        written = File(name=name, lines=lines, sha256=hashing.hash.hexdigest())
        found = sha256()
        for record in read_records(path, self._names, lines=lines):
            found.update(_identity(record))
        fault = file_fault(self._folder, _temporary(written))
        if fault is not None or found.digest() != expected.digest():
            raise ArchiveDamaged(place=str(path), reason=fault or "other records are read back than were written")
        return written

    def _put(self, manifest: Manifest, *files: File) -> None:
        for file in files:
            put_in_place(self._folder / (file.name + _PART), self._folder / file.name)
        self.manifest = manifest
        store_manifest(self._folder, manifest)


class _Hashing:
    """A file that hashes what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.hash = file, sha256()

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _resumed(folder: Path, begun: Manifest) -> Manifest:
    """Return the manifest to go on from: that of the same export, without the parts whose files are damaged."""
    example = "--to exports/2026-01, a folder that is empty or not there"
    found = load_manifest(folder)
    if found is None:
        strange = [path.name for path in folder.iterdir() if not path.name.endswith(_PART)] if folder.exists() else []
        if strange:
            rule = f"holds {sorted(strange)[0]}, and no {MANIFEST} of an export"
            raise InvalidSettings(setting="--to", rule=rule, example=example)
        return begun
    for name in ("log", "prefix", "partitions", "selection"):
        was, is_ = getattr(found, name), getattr(begun, name)
        if was != is_:
            rule = f"holds an export of another {name}: {was}, not {is_}"
            raise InvalidSettings(setting="--to", rule=rule, example=example)
    whole = (part for part in found.parts if not any(file_fault(folder, f) for f in (part.events, part.closed)))
    return replace(found, parts=tuple(whole))


def _temporary(file: File) -> File:
    return replace(file, name=file.name + _PART)


def _identity(record: Record) -> bytes:
    """Return what two records have in common that are the same."""
    parts = (record.topic, record.partition, record.offset, record.key, record.value, record.headers)
    return repr(parts).encode()


def _events_of(value: bytes) -> tuple[e.AnyEvent, ...]:
    """What does not decode ends nothing; the verification names it."""
    try:
        return decode_events(value)
    except DecodingFailed:
        return ()


def _id_of_batch(record: Record) -> str | None:
    key = parse_numbered_key((record.key or b"").decode("utf-8", "replace"))
    return None if key is None else key[0]
