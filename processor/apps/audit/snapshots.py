"""Snapshots and checkpoints of a partition against the fold of its events."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from processor.apps.audit.checks import Counts, Fault, Rule
from processor.apps.audit.differences import differences
from processor.apps.audit.folding import unwritten
from processor.apps.audit.held import Held
from processor.apps.render.state import state_json
from processor.engine.encoding import STATE_FORMAT, decode_execution, decode_snapshot_record, execution_header
from processor.engine.ports import Reader, Record
from processor.engine.snapshots import Chunks
from processor.errors import DecodingFailed
from processor.model.execution import Execution
from processor.model.ids import CHECKPOINT_KEY, parse_numbered_key, snapshot_key
from processor.model.records import Checkpoint, Snapshot


class _Kept(Struct, frozen=True):
    """A snapshot that is to be compared. `offset`: of its last chunk."""

    sequence: int
    state: bytes
    offset: int


class Snapshots:
    """`read` first; then `compare` each with the state that the events before it come to, and `faults` at the end.

    Whatever another release wrote is passed over, as a restore passes it over, and counted as unchecked.
    """

    def __init__(self, topic: str, number: int, *, partitions: int) -> None:
        self._topic, self._number, self._partitions = topic, number, partitions
        self._rows: dict[tuple[str, int], tuple[Snapshot, int]] = {}  # by key: the last, and its offset
        self._kept: dict[str, _Kept] = {}  # and not compared yet
        self._compared: dict[str, tuple[_Kept, Fault | None]] = {}
        self._covered: dict[str, int] = {}  # by execution: the number after the last that a snapshot covers
        self._uncovered: dict[str, int] = {}  # by open execution: the offset of the first event beyond
        self._ended: dict[str, int] = {}  # by execution that has a snapshot: the offset of the event that ended it
        self._checkpoint: tuple[Checkpoint, int] | None = None
        self._faults: list[Fault] = []
        self._foreign = 0

    def read(self, reader: Reader, *, end: int, wants: Callable[[str], bool]) -> None:
        for record in reader.read(self._topic, self._number, end=end):
            key = (record.key or b"").decode("utf-8", "replace")
            numbered = parse_numbered_key(key)
            if numbered is not None and not wants(numbered[0]):
                continue
            if record.value is None:
                if numbered is not None:
                    self._rows.pop(numbered, None)
            else:
                self._take(record, key, record.value)
        self._assemble()

    def wanted(self, id: str) -> int | None:
        """Return after how many events of the execution `compare` is to be called."""
        kept = self._kept.get(id)
        return None if kept is None else kept.sequence

    def compare(self, execution: Execution) -> None:
        id = execution.execution_id
        kept = self._kept.pop(id)
        self._compared[id] = kept, self._difference(execution, kept)

    def purged(self, id: str) -> None:
        """What there is of it is of a later execution of that name, whose events all follow."""
        if id in self._compared:
            self._kept[id], _ = self._compared.pop(id)

    def _difference(self, execution: Execution, kept: _Kept) -> Fault | None:
        id = execution.execution_id
        try:
            header = execution_header(kept.state)
            found = decode_execution(kept.state, unwritten(execution.workflow.definition_hash))
        except DecodingFailed as fault:
            return self._fault("SNAPSHOT", str(fault), offset=kept.offset, id=id)
        different = tuple(differences(state_json(execution), state_json(found) | {"revision": header.revision}))
        what = f"it is not what the events up to number {kept.sequence - 1} come to"
        return (
            replace(self._fault("SNAPSHOT", what, offset=kept.offset, id=id), differences=different)
            if different
            else None
        )

    def cover(self, execution: Execution, *, offset: int, redriven: bool) -> None:
        """Note where the first event stands that no snapshot covers; with a redrive goes a snapshot of what was."""
        id = execution.execution_id
        if execution.closed or redriven:
            self._uncovered.pop(id, None)
        if execution.closed and id in self._covered:
            self._ended[id] = offset
        if not execution.closed and id not in self._uncovered and execution.sequence > self._covered.get(id, 0):
            self._uncovered[id] = offset

    def faults(self, held: Held, counts: Counts, *, complete: bool, events_end: int) -> list[Fault]:
        """Return all that was found. `complete`: nothing was deleted by age."""
        counts.snapshots += len(self._compared)
        self._faults += [fault for _, fault in self._compared.values() if fault is not None]
        counts.unchecked += self._foreign
        for id, kept in self._kept.items():
            if id in held.gone:
                continue
            if id in held.broken or (not complete and not held.is_open(id) and held.ended(id) is None):
                counts.unchecked += 1
            else:
                what = f"it is of number {kept.sequence}, which the execution has not come to"
                self._tell("SNAPSHOT", what, offset=kept.offset, id=id)
        if self._checkpoint is not None and not self._foreign:
            self._check_coverage(*self._checkpoint, held=held, events_end=events_end)
        return self._faults

    def _check_coverage(self, checkpoint: Checkpoint, offset: int, *, held: Held, events_end: int) -> None:
        position = checkpoint.position
        if position > events_end:
            self._tell("CHECKPOINT", f"it stands at {position}, the events end at {events_end}", offset=offset, id=None)
        for id, last in self._ended.items():
            if last < position and held.ended(id) is not None:
                what = f"it stands at {position}, behind the end of an execution at {last} that has a snapshot still"
                self._tell("CHECKPOINT", what, offset=offset, id=id)
        for id, first in self._uncovered.items():
            if first < position and held.is_open(id):
                what = f"it stands at {position}, the event at {first} is covered by no snapshot"
                self._tell("CHECKPOINT", what, offset=offset, id=id)

    def _take(self, record: Record, key: str, value: bytes) -> None:
        try:
            found = decode_snapshot_record(value)
        except DecodingFailed as fault:
            self._tell("UNREADABLE", str(fault), offset=record.offset, id=key.rpartition("#")[0] or None)
            return
        if isinstance(found, Checkpoint):
            own = CHECKPOINT_KEY
            # A restore passes over what another release, or a log of other partitions, was covered by.
            usable = found.format == STATE_FORMAT and found.partitions == self._partitions
            self._checkpoint = (found, record.offset) if usable else None
        else:
            own = snapshot_key(found.execution_id, found.chunk)
            self._rows[found.execution_id, found.chunk] = found, record.offset
        if key != own:
            self._tell("KEY", f"the key is {key}, of what belongs under {own}", offset=record.offset, id=None)

    def _assemble(self) -> None:
        by_execution: dict[str, list[tuple[Snapshot, int]]] = {}
        for (id, _), row in self._rows.items():
            by_execution.setdefault(id, []).append(row)
        self._rows.clear()
        for id, rows in by_execution.items():
            offset = max(place for _, place in rows)
            if any(chunk.format != STATE_FORMAT for chunk, _ in rows):
                self._foreign += 1
                continue
            chunks = Chunks()
            for chunk, _ in rows:
                chunks.add(chunk)
            if chunks.incomplete() is not None:
                self._tell("SNAPSHOT", "some of its chunks are missing", offset=offset, id=id)
                continue
            [whole] = chunks.complete()
            self._kept[id] = _Kept(rows[0][0].sequence, whole.state, offset)
            self._covered[id] = rows[0][0].sequence

    def _tell(self, rule: Rule, what: str, *, offset: int, id: str | None) -> None:
        self._faults.append(self._fault(rule, what, offset=offset, id=id))

    def _fault(self, rule: Rule, what: str, *, offset: int, id: str | None) -> Fault:
        return Fault(rule=rule, topic=self._topic, partition=self._number, offset=offset, execution_id=id, what=what)
