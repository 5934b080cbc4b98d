"""An exported folder, read as a log is read: manifest.json, and lines of JSON compressed by gzip (decision 0028).

    manifest.json             what was asked for, and of each file how many lines it has, and its SHA-256
    definitions.jsonl.gz      a line for each revision
    events-00003.jsonl.gz     a line for each event of partition 3
    closed-00003.jsonl.gz     a line for each execution of partition 3 that has ended

A file stands under its name, and in the manifest, only when it is whole and was read back; a manifest says itself
whether the export is complete.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from hashlib import file_digest
from itertools import groupby
from pathlib import Path
from typing import Final, cast

import msgspec
from msgspec import Struct

from processor.apps.audit.lines import record_of
from processor.apps.render.values import render_time
from processor.engine.ports import Record
from processor.engine.topics import TopicNames
from processor.errors import ArchiveDamaged, DecodingFailed
from processor.model.ids import Millis
from processor.model.json import Json, parse_json

MANIFEST: Final = "manifest.json"
FORMAT: Final = "asl-export/1"


class Selection(Struct, frozen=True, kw_only=True):
    """Which executions: those that ended before, in milliseconds UTC; or these; or, with neither, all."""

    closed_before: Millis | None = None
    executions: tuple[str, ...] | None = None

    def __str__(self) -> str:
        if self.executions is not None:
            return "the executions " + ", ".join(self.executions)
        if self.closed_before is not None:
            return f"what ended before {render_time(self.closed_before)}"
        return "all executions"


class File(Struct, frozen=True, kw_only=True):
    name: str
    lines: int
    sha256: str


class Part(Struct, frozen=True, kw_only=True):
    """What of a partition was exported: events at offsets from `start` to before `end`. `closed_end`: the end of its
    closed when that of its events was taken; what stands there later may be newer than the events. `faults`: those
    that its verification found."""

    partition: int
    start: int
    end: int
    closed_end: int
    records: int
    executions: int
    faults: int
    events: File
    closed: File


class Manifest(Struct, frozen=True, kw_only=True):
    """`complete`: nothing is missing of what was asked for."""

    format: str = FORMAT
    log: str
    prefix: str
    partitions: int
    selection: Selection
    exported_at: Millis
    complete: bool = False
    definitions: File | None = None
    parts: tuple[Part, ...] = ()

    @property
    def names(self) -> TopicNames:
        return TopicNames(self.prefix)

    @property
    def files(self) -> tuple[File, ...]:
        parts = tuple(file for part in self.parts for file in (part.events, part.closed))
        return parts if self.definitions is None else (self.definitions, *parts)


def load_manifest(folder: Path) -> Manifest | None:
    """Return the folder's manifest, None where it has none. Raises ArchiveDamaged."""
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise ArchiveDamaged(place=str(path), reason=f"cannot be read: {fault}") from None
    if manifest.format != FORMAT:
        raise ArchiveDamaged(place=str(path), reason=f"is of format {manifest.format}, this release reads {FORMAT}")
    return manifest


def store_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest: after a crash it is the old one or the new one."""
    temporary = folder / (MANIFEST + ".part")
    with temporary.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    put_in_place(temporary, folder / MANIFEST)


def put_in_place(temporary: Path, path: Path) -> None:
    temporary.replace(path)
    opened = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(opened)  # a name is durable when its folder is
    finally:
        os.close(opened)


def file_fault(folder: Path, file: File) -> str | None:
    """Return how a file differs from what the manifest says of it."""
    try:
        with (folder / file.name).open("rb") as opened:
            found = file_digest(opened, "sha256").hexdigest()
    except OSError as fault:
        return f"{file.name} cannot be read: {fault.strerror}"
    return None if found == file.sha256 else f"{file.name} has the SHA-256 {found}, the manifest says {file.sha256}"


class ArchiveReader:
    """Implements ports.Reader on an exported folder. Snapshots are not exported: there are none.

    Reading raises ArchiveDamaged where a file is missing, cut off, or no such lines.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder, self._manifest, self._names = folder, manifest, manifest.names
        self._parts = {part.partition: part for part in manifest.parts}

    @classmethod
    def open(cls, folder: Path) -> ArchiveReader:
        """Raises ArchiveDamaged where the folder has no manifest, or the export is not complete."""
        manifest = load_manifest(folder)
        if manifest is None:
            raise ArchiveDamaged(place=str(folder), reason=f"has no {MANIFEST}; asl export --to writes such a folder")
        if not manifest.complete:
            raise ArchiveDamaged(place=str(folder), reason="is not complete; the same asl export goes on with it")
        return cls(folder, manifest)

    @property
    def names(self) -> TopicNames:
        return self._names

    @property
    def place(self) -> str:
        return str(self._folder)

    @property
    def complete(self) -> dict[int, bool]:
        """By partition, whether nothing of its beginning was deleted by age when it was exported."""
        return {part.partition: part.start == 0 for part in self._manifest.parts}

    def file_faults(self) -> Iterator[tuple[int, str]]:
        """Yield for each file that is not what was written its partition, and how it differs."""
        if self._manifest.definitions is not None and (fault := file_fault(self._folder, self._manifest.definitions)):
            yield 0, fault
        for part in self._manifest.parts:
            for file in (part.events, part.closed):
                if fault := file_fault(self._folder, file):
                    yield part.partition, fault

    # ---- ports.Reader

    def partitions(self, topic: str) -> int | None:
        if topic in (self._names.events, self._names.closed, self._names.snapshots):
            return self._manifest.partitions
        return 1 if topic == self._names.definitions else None

    def end(self, topic: str, partition: int) -> int:
        part = self._parts.get(partition)
        if part is not None and topic == self._names.events:
            return part.end
        return part.closed_end if part is not None and topic == self._names.closed else 0

    def read(self, topic: str, partition: int, *, start: int = 0, end: int | None = None) -> Iterator[Record]:
        """Of closed and of the definitions everything that was exported, up to `end` where that is given."""
        file, part = self._manifest.definitions, self._parts.get(partition)
        if topic != self._names.definitions:
            known = {} if part is None else {self._names.events: part.events, self._names.closed: part.closed}
            file = known.get(topic)
        return iter(()) if file is None else self._records(file, start, end)

    def close(self) -> None:
        pass

    def _records(self, file: File, start: int, end: int | None) -> Iterator[Record]:
        for record in read_records(self._folder / file.name, self._names, lines=file.lines):
            if end is not None and record.offset >= end:
                return
            if record.offset >= start:
                yield record


def read_records(path: Path, names: TopicNames, *, lines: int) -> Iterator[Record]:
    """Yield the records of a file of so many lines. Raises ArchiveDamaged."""
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            parsed = (cast("dict[str, Json]", parse_json(line)) for line in file)
            for _, group in groupby(parsed, key=lambda line: line["record"]):
                of_record = list(group)
                number += len(of_record)
                yield record_of(of_record, names)
    except (OSError, EOFError, zlib.error) as fault:
        raise ArchiveDamaged(place=str(path), reason=f"cannot be read after line {number}: {fault}") from None
    except (DecodingFailed, TypeError, KeyError) as fault:
        raise ArchiveDamaged(place=str(path), reason=f"after line {number} no line of an export: {fault}") from None
    if number != lines:
        raise ArchiveDamaged(place=str(path), reason=f"has {number} lines, and should have {lines}")
