"""A snapshot in records no larger than the log takes, and back."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from processor.engine.encoding import STATE_FORMAT, execution_header
from processor.errors import UnknownSchema
from processor.model.records import Snapshot

_ROOM = 1_024  # of a record, for the fields beside the state, its key and the header


class Complete(Struct, frozen=True):
    execution_id: str
    state: bytes


def snapshot_records(execution_id: str, state: bytes, *, max_bytes: int) -> list[Snapshot]:
    """Return the records that hold the encoded `state`, each of at most `max_bytes`."""
    room = max_bytes - _ROOM
    parts = [state[at : at + room] for at in range(0, len(state), room)]
    sequence = execution_header(state).sequence
    return [
        Snapshot(
            execution_id=execution_id,
            chunk=number,
            chunks=len(parts),
            sequence=sequence,
            format=STATE_FORMAT,
            state=part,
        )
        for number, part in enumerate(parts)
    ]


class Chunks:
    """What was read of a partition's snapshots: the last record of each key. There may be a million that are one record
    each: of such only the state is kept."""

    def __init__(self) -> None:
        self._single: dict[str, bytes] = {}  # states that are chunk 0 of 1
        self._parts: dict[str, dict[int, Snapshot | None]] = {}  # all other chunks; None where it cannot be read

    def note(self, execution_id: str, chunk: int) -> None:
        """There is such a record, and it cannot be read."""
        if chunk == 0:
            self._single.pop(execution_id, None)
        self._parts.setdefault(execution_id, {})[chunk] = None

    def add(self, chunk: Snapshot) -> None:
        """Raises UnknownSchema where another release wrote it."""
        if chunk.format != STATE_FORMAT:
            raise UnknownSchema(what="state", fingerprint=chunk.format)
        if (chunk.chunk, chunk.chunks) == (0, 1):
            self._remove_part(chunk.execution_id, 0)
            self._single[chunk.execution_id] = chunk.state
            return
        if chunk.chunk == 0:
            self._single.pop(chunk.execution_id, None)
        self._parts.setdefault(chunk.execution_id, {})[chunk.chunk] = chunk

    def remove(self, execution_id: str, chunk: int) -> None:
        if chunk == 0:
            self._single.pop(execution_id, None)
        self._remove_part(execution_id, chunk)

    def _remove_part(self, execution_id: str, chunk: int) -> None:
        found = self._parts.get(execution_id)
        if found is not None:
            found.pop(chunk, None)
            if not found:
                del self._parts[execution_id]

    def counts(self) -> dict[str, int]:
        """Return how many chunks of each execution there are to be removed some day, whole or not."""
        return dict.fromkeys(self._single, 1) | {id: max(found) + 1 for id, found in self._parts.items()}

    def incomplete(self) -> str | None:
        """Return an execution whose chunks do not make one snapshot, if there is one."""
        return next((id for id, found in self._parts.items() if id in self._single or not _is_whole(found)), None)

    def complete(self) -> Iterator[Complete]:
        for id, state in self._single.items():
            yield Complete(id, state)
        for id, found in self._parts.items():
            parts = [found[number] for number in range(len(found))]
            yield Complete(id, b"".join(part.state for part in parts if part is not None))


def _is_whole(found: dict[int, Snapshot | None]) -> bool:
    # Written in one transaction, with tombstones for what an older and larger one had more.
    first = found.get(0)
    return (
        first is not None
        and sorted(found) == list(range(first.chunks))
        and all(chunk is not None and chunk.sequence == first.sequence for chunk in found.values())
    )
