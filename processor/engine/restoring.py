"""How a partition comes back: snapshots, then the events behind the last checkpoint, then what is closed.

Snapshots are a cache: where this release cannot read one that stands, or the checkpoint, all are passed over and the
events are read from their beginning. Events are the truth: a history that does not fold stops the partition.
"""

from __future__ import annotations

import logging
from typing import assert_never

from msgspec.structs import replace

from processor.engine.closing import closed_value
from processor.engine.coverage import Coverage
from processor.engine.dealt_with import Named
from processor.engine.definitions import Definitions
from processor.engine.encoding import (
    STATE_FORMAT,
    TYPES_HEADER,
    BatchHead,
    decode_closed,
    decode_events,
    decode_execution,
    decode_snapshot_record,
    skim_events,
)
from processor.engine.encoding.wire import HEADER_LENGTH
from processor.engine.holdings import Holdings, RevisionMissing, workflow_of
from processor.engine.ports import Record, Restorable
from processor.engine.snapshots import Chunks, Complete
from processor.engine.topics import moved_from
from processor.errors import DecodingFailed, HistoryBroken
from processor.interpreter.evolve import begin, evolve
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.execution import Execution
from processor.model.ids import parse_numbered_key
from processor.model.records import Checkpoint, ClosedExecution, Snapshot

log = logging.getLogger(__name__)

_STARTED, _SUCCEEDED = (event.__name__.encode() for event in (e.ExecutionStarted, e.ExecutionSucceeded))


class Restoring:
    """Fills `holdings` and `coverage` of partition `number`.

    Every call may raise HistoryBroken and DecodingFailed: nothing of the partition may be written then.
    """

    def __init__(
        self,
        *,
        number: int,
        partitions: int,
        holdings: Holdings,
        coverage: Coverage,
        definitions: Definitions,
        max_record_bytes: int,
    ) -> None:
        self._number, self._partitions, self._max_record_bytes = number, partitions, max_record_bytes
        self._holdings, self._coverage, self._definitions = holdings, coverage, definitions
        self._chunks = Chunks()
        self._checkpoint: Checkpoint | None = None
        self._unreadable: dict[bytes | None, str] = {}  # by key, records of snapshots that stand, and why
        self._covered: set[str] = set()  # executions of which a snapshot is used, and no event behind it was met yet
        self._first_offset: int | None = None  # of the events
        self._skipped: dict[str, int] = {}  # cut off by retention and not ended yet: their next sequence
        self._succeeded: dict[str, int] = {}  # their last sequences; all else that matters of them is in closed
        self._suspects: dict[str, HistoryBroken] = {}
        self._closed: dict[str, bytes] = {}
        self._headers: set[bytes] = set()  # of records of closed: the schemas that they were written with
        self.events = 0
        self.cut_off = 0  # executions without their beginning, which was deleted by age
        self.named = Named()
        self._moved: set[str] = set()  # those whose last events were carried over, and are no success

    def take(self, of: Restorable, records: tuple[Record, ...]) -> None:
        match of:
            case "snapshots":
                self._snapshots(records)
            case "events":
                self._events(records)
            case "closed":
                self._take_closed(records)
            case _:
                assert_never(of)

    # ---- snapshots

    def _snapshots(self, records: tuple[Record, ...]) -> None:
        for record in records:
            self._unreadable.pop(record.key, None)  # the last record of a key is the one that stands
            try:
                self._snapshot(record)
            except DecodingFailed as fault:
                self._unreadable[record.key] = str(fault)
                if (key := _numbered(record)) is not None:
                    self._chunks.note(*key)

    def _snapshot(self, record: Record) -> None:
        if record.value is None:
            if (key := _numbered(record)) is not None:
                self._chunks.remove(*key)
            return
        found = decode_snapshot_record(record.value)
        match found:
            case Checkpoint():
                self._checkpoint = found
            case Snapshot():
                self._chunks.add(found)

    def end_snapshots(self) -> int:
        """Return where to begin with the events."""
        checkpoint, chunks = self._checkpoint, self._coverage.chunks
        chunks.update(self._chunks.counts())
        unusable = next(iter(self._unreadable.values()), None) or self._mismatch() or self._hold_all()
        self._chunks = Chunks()  # of a million that wait, nothing is held twice
        if unusable is not None:
            log.warning("snapshots_passed_over", extra={"partition": self._number, "reason": unusable})
            self.named = Named(done=None)
            return 0
        self._covered = set(chunks)
        if checkpoint is None:
            return 0
        self._coverage.position = self._coverage.end = checkpoint.position
        self.named = Named(done=checkpoint.commands_offset)
        return checkpoint.position

    def _mismatch(self) -> str | None:
        checkpoint, incomplete = self._checkpoint, self._chunks.incomplete()
        if checkpoint is not None and checkpoint.partitions != self._partitions:
            return f"written for {checkpoint.partitions} partitions"
        return None if incomplete is None else f"chunks of {incomplete} are missing"

    def _hold_all(self) -> str | None:
        """Return why they cannot be used, if so."""
        try:
            for snapshot in self._chunks.complete():
                self._hold(snapshot)
        except DecodingFailed as fault:
            for id in self._coverage.chunks:
                self._holdings.forget(id)
            return str(fault)
        return None

    def _hold(self, snapshot: Complete) -> None:
        try:
            self._holdings.put_idle(snapshot.execution_id, snapshot.state)
        except RevisionMissing as fault:
            raise self._broken(snapshot.execution_id, str(fault)) from fault

    # ---- events

    def _events(self, records: tuple[Record, ...]) -> None:
        for record in records:
            if self._first_offset is None:
                self._first_offset = record.offset
            if record.value is None:
                self._purge(record)
                continue
            self._coverage.end = record.offset + 1
            head, moved = skim_events(record.value), moved_from(record.headers) is not None
            id = head.execution_id
            self.named.note(head, record)
            if moved:
                self._moved.add(id)
            else:
                self._moved.discard(id)
            if id in self._suspects or self._takes_success(head, record):
                continue
            try:
                self._take_batch(id, decode_events(record.value), record.offset, moved=moved)
            except HistoryBroken as fault:
                self._suspects[id] = fault

    def _takes_success(self, head: BatchHead, record: Record) -> bool:
        """Return whether the header says that the execution succeeds by these events, and they are what comes next:
        then nothing within them is looked at."""
        types = dict(record.headers).get(TYPES_HEADER, b"")
        id = head.execution_id
        if not types.endswith(_SUCCEEDED) or id in self._covered:
            return False
        if not self._is_whole(id, head.sequence, starts=types.startswith(_STARTED)):
            return False
        self.events += head.count
        self._succeed(id, head.sequence + head.count - 1)
        return True

    def _succeed(self, id: str, last: int) -> None:
        self._holdings.forget(id)
        self._coverage.closed(id)
        self._succeeded[id] = last
        self._moved.discard(id)

    @property
    def next_command(self) -> int:
        return self.named.next_command

    @property
    def first_command(self) -> int:
        return self.named.first_command

    def end_events(self) -> None:
        """A history that does not fold may be what compaction has left of a purged one; whatever else is broken."""
        for fault in self._suspects.values():
            raise fault
        for id, sequence in self._skipped.items():
            raise self._broken(id, f"has no beginning, and no end up to number {sequence - 1}")
        for id in self._coverage.chunks:
            if not self._holdings.is_open(id):
                self._coverage.orphaned(id)
        self._covered = set()
        self._forget_causes()

    def _forget_causes(self) -> None:
        """What goes on by itself goes on under its last command, whose offset is none of ours where that was carried
        over: events that name it would have commands here taken for dealt with."""
        for id in [id for id in self._holdings.not_at_rest() if id in self._moved]:
            if isinstance(known := self._known(id), Execution):
                self._holdings.put(replace(known, caused_by=replace(known.caused_by, offset=None)))
        self._moved = set()

    def _purge(self, record: Record) -> None:
        """Forget what stood before the tombstone, be it whole or what compaction has left: it was of an execution that
        is purged. A snapshot is forgotten too: it is of a later one of that name, whose events all follow."""
        if (key := _numbered(record)) is not None:
            id = key[0]
            self._suspects.pop(id, None)
            self._skipped.pop(id, None)
            self._succeeded.pop(id, None)
            self._holdings.forget(id)
            self._coverage.purged(id, chunks=self._coverage.chunks.get(id, 0))

    def _take_batch(self, id: str, events: tuple[e.AnyEvent, ...], offset: int, *, moved: bool) -> None:
        covered = self._holdings.next_sequence(id) if id in self._covered else None
        if covered is not None and events[0].sequence < covered:
            events = tuple(event for event in events if event.sequence >= covered)
            if not events:
                return
        self._covered.discard(id)
        self.events += len(events)
        first, last = events[0], events[-1]
        starts = isinstance(first, e.ExecutionStarted)
        if isinstance(last, e.ExecutionSucceeded) and self._is_whole(id, first.sequence, starts=starts):
            self._succeed(id, last.sequence)
        else:
            self._fold(id, events, offset, moved=moved)

    def _is_whole(self, id: str, sequence: int, *, starts: bool) -> bool:
        """Return whether a history is there up to the event of that number, or begins with it, so that one that
        succeeds by what follows needs no folding: nobody asks for its state, and its record of closed, committed with
        its end, is read next."""
        if id in self._succeeded or self._holdings.is_closed(id):
            return False
        expected = self._holdings.next_sequence(id)
        if expected is None:
            return starts and sequence == 0
        return sequence == expected

    def _fold(self, id: str, events: tuple[e.AnyEvent, ...], offset: int, *, moved: bool) -> None:
        if (last := self._succeeded.get(id)) is not None:
            raise self._goes_on(id, events[0].sequence, last)
        known = self._known(id)
        if known is None and self._skips(id, events, moved=moved):
            return
        for event in events:
            if known is None:
                if not isinstance(event, e.ExecutionStarted) or event.sequence != 0:
                    raise self._broken(id, f"begins with {type(event).__name__} number {event.sequence}")
                known = begin(self._workflow(event), event)
            elif isinstance(known, Execution) and known.closed and not isinstance(event, e.ExecutionRedriven):
                raise self._goes_on(id, event.sequence, known.sequence - 1)
            else:
                known = self._evolved(known, event)
        assert isinstance(known, Execution)  # there is one event at least
        if known.closed:
            self._holdings.close(id, closed_value(known, max_record_bytes=self._max_record_bytes))
            self._coverage.closed(id)
        else:
            self._holdings.put(known)
            self._coverage.touched(id, position=offset)

    def _known(self, id: str) -> Execution | ClosedExecution | None:
        try:
            return self._holdings.find(id)
        except RevisionMissing as fault:
            raise self._broken(id, str(fault)) from fault

    def _evolved(self, known: Execution | ClosedExecution, event: e.AnyEvent) -> Execution:
        id, number = event.execution_id, event.sequence
        if isinstance(known, ClosedExecution):
            if known.state is None or known.format != STATE_FORMAT or not isinstance(event, e.ExecutionRedriven):
                raise self._goes_on(id, number, known.last_sequence)
            known = decode_execution(known.state, workflow_of(self._definitions, known.state_machine, known.revision))
        if number != known.sequence:
            raise self._broken(id, f"goes on with number {number}, {known.sequence} is missing")
        try:
            after = evolve(known, event)
            return self._with_revision(after, event) if isinstance(event, e.ExecutionRedriven) else after
        except RevisionMissing as fault:
            raise self._broken(id, str(fault)) from fault
        except Exception as fault:  # a bug of ours: of this partition nothing is known, the others go on
            raise self._broken(id, f"number {number} raises {type(fault).__name__}: {fault}") from fault

    def _with_revision(self, execution: Execution, event: e.ExecutionRedriven) -> Execution:
        workflow = workflow_of(self._definitions, execution.started.state_machine, event.revision)
        return replace(execution, workflow=workflow)

    def _skips(self, id: str, events: tuple[e.AnyEvent, ...], *, moved: bool) -> bool:
        """Return whether the events are of an execution whose beginning was deleted by age, which is so only where all
        is read and the partition no longer begins with its first record, or they come from one that may not have.
        It must have ended since."""
        expected, first, last = self._skipped.get(id), events[0].sequence, events[-1]
        deleted = self._coverage.position == 0 and (moved or bool(self._first_offset))
        if expected is None and (first == 0 or not deleted):
            return False
        if expected is not None and first != expected:
            raise self._broken(id, f"goes on with number {first}, {expected} is missing")
        if expected is None:
            self.cut_off += 1
        if isinstance(last, e.TERMINAL_EVENTS):
            self._skipped.pop(id, None)
        else:
            self._skipped[id] = last.sequence + 1
        return True

    def _workflow(self, event: e.ExecutionStarted) -> Workflow:
        try:
            return workflow_of(self._definitions, event.state_machine, event.revision)
        except RevisionMissing as fault:
            raise self._broken(event.execution_id, str(fault)) from fault

    def _goes_on(self, id: str, number: int, last: int) -> HistoryBroken:
        return self._broken(id, f"goes on with number {number} after it ended with {last}")

    def _broken(self, id: str, reason: str) -> HistoryBroken:
        return HistoryBroken(partition=self._number, execution_id=id, reason=reason)

    # ---- closed

    def _take_closed(self, records: tuple[Record, ...]) -> None:
        for record in records:
            id = (record.key or b"").decode()
            if record.value is None:
                self._closed.pop(id, None)
            else:
                if (header := record.value[:HEADER_LENGTH]) not in self._headers:
                    decode_closed(record.value)  # the rest of its kind when somebody asks
                    self._headers.add(header)
                self._closed[id] = record.value

    def end_closed(self) -> None:
        """What the events, or commands since, have told of an execution is newer."""
        for id, last in self._succeeded.items():
            if id not in self._closed:
                raise self._broken(id, f"ended with number {last}, but closed has no record of it")
        self._succeeded = {}
        for id, value in self._closed.items():
            if not self._holdings.is_open(id) and not self._holdings.is_closed(id):
                self._holdings.close(id, value)
        self._closed = {}


def _numbered(record: Record) -> tuple[str, int] | None:
    return parse_numbered_key((record.key or b"").decode("utf-8", "replace"))
