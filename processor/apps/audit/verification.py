"""Whether a log holds what it promises: every history whole and once, and every state what its events fold to.

A partition is read as a processor restores it, snapshots first, then all of its events, then what is closed; faults
are collected where a processor would stop. Compaction and retention take only what docs/architecture.md lets them:
what was purged, and the oldest segments (decision 0028 lists what may be missing).

The ends of snapshots and of closed are taken before that of the events, so that everything before them is in the
events that are read. Of closed more is read afterwards, which can only explain what is new: a live log may be verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from processor.apps.audit.checks import Counts, Fault, Rule, continuation_faults, record_faults
from processor.apps.audit.closed import Closed
from processor.apps.audit.folding import first_state, next_state
from processor.apps.audit.held import Broken, Held
from processor.apps.audit.snapshots import Snapshots
from processor.apps.executions import Seen, ignore, topic_partitions
from processor.engine.definitions import Definitions
from processor.engine.encoding import decode_events
from processor.engine.ports import Reader, Record
from processor.engine.topics import TopicNames, moved_from, moves_of, partition_of
from processor.errors import DecodingFailed, InvalidDefinition
from processor.model import events as e
from processor.model.execution import Execution
from processor.model.ids import parse_numbered_key


class Verification:
    """Of a whole log, or of `only` these executions. `counts` fills while `faults` is read.

    `complete`: by partition whether the log says itself that nothing of its beginning was deleted by age; where it
    does not, the first offset tells, as it tells a processor. `without`: partitions that are passed over.
    """

    def __init__(
        self,
        reader: Reader,
        names: TopicNames,
        *,
        only: frozenset[str] | None = None,
        complete: Mapping[int, bool] | None = None,
        without: frozenset[int] = frozenset(),
    ) -> None:
        self._reader, self._names, self._only, self._without = reader, names, only, without
        self._complete = complete or {}
        self._definitions = Definitions(reader, names)
        self._revisions: set[tuple[str, str, bytes]] = set()  # that were looked up
        self.count = topic_partitions(reader, names.events)
        self.counts = Counts()

    @property
    def partitions(self) -> tuple[int, ...]:
        chosen: Iterable[int] = range(self.count)
        if self._only is not None:
            chosen = {partition_of(id.encode(), self.count) for id in self._only}
        return tuple(sorted(set(chosen) - self._without))

    def total(self) -> int:
        """Return how many offsets `faults` will pass, for progress."""
        return sum(self._reader.end(self._names.events, partition) for partition in self.partitions)

    def faults(self, *, seen: Seen = ignore) -> Iterator[Fault]:
        """Yield every fault, partition by partition, in the order of its offsets. Raises as the reader does."""
        for partition in self.partitions:
            self.counts.partitions += 1
            for fault in self.faults_of(partition, seen=seen):
                self.counts.faults += 1
                yield fault

    def faults_of(self, partition: int, *, seen: Seen = ignore) -> list[Fault]:
        of_one = _Partition(self, partition, seen)
        return sorted(of_one.verify(), key=lambda fault: (fault.topic, fault.offset is None, fault.offset or 0))

    def wants(self, id: str) -> bool:
        return self._only is None or id in self._only

    def lacks_definition(self, machine: str, revision: str, definition_hash: bytes) -> str | None:
        """Return what is wrong with a revision, when it is asked for the first time."""
        asked = machine, revision, definition_hash
        if asked in self._revisions:
            return None
        self._revisions.add(asked)
        try:
            self._definitions.expire()
            workflow = self._definitions.workflow(machine, revision)
        except InvalidDefinition as fault:
            return f"revision {revision} of {machine} cannot run: {fault}"
        if workflow is None:
            return f"revision {revision} of {machine} is not among the definitions"
        if workflow.definition_hash != definition_hash:
            return f"revision {revision} of {machine} has another hash among the definitions"
        return None

    @property
    def reader(self) -> Reader:
        return self._reader

    @property
    def names(self) -> TopicNames:
        return self._names

    def complete(self, partition: int) -> bool | None:
        return self._complete.get(partition)


class _Partition:
    """One partition. `_suspects`: faults that a later purge explains, by execution: of a purged history compaction
    may take some records before others."""

    def __init__(self, of: Verification, number: int, seen: Seen) -> None:
        self._of, self._number, self._seen = of, number, seen
        self._reader, self._names, self._counts = of.reader, of.names, of.counts
        self._held = Held()
        self._complete = of.complete(number)
        self._faults: list[Fault] = []
        self._suspects: dict[str, list[Fault]] = {}
        self._moves: dict[str, int] = {}  # of open executions: how often their last events were carried over, if ever
        self._snapshots = Snapshots(of.names.snapshots, number, partitions=of.count)

    def verify(self) -> list[Fault]:
        names, number, reader = self._names, self._number, self._reader
        closed_end, snapshots_end = reader.end(names.closed, number), reader.end(names.snapshots, number)
        events_end = reader.end(names.events, number)
        self._snapshots.read(reader, end=snapshots_end, wants=self._of.wants)
        passed = 0
        for record in reader.read(names.events, number, end=events_end):
            if self._complete is None:
                self._complete = record.offset == 0
            if moved_from(record.headers) is not None:
                self._complete = False  # age may have deleted something before it was carried over
            self._record(record)
            self._seen(record.offset + 1 - passed)
            passed = record.offset + 1
        self._seen(events_end - passed)
        self._end_of_events()
        complete = self._complete is not False
        self._faults += self._snapshots.faults(self._held, self._counts, complete=complete, events_end=events_end)
        closed = Closed(names.closed, number, self._held, self._counts, complete=complete)
        closed.read(reader, wants=self._of.wants)
        self._faults += closed.faults(before=closed_end)
        return self._faults

    def _record(self, record: Record) -> None:
        key = parse_numbered_key((record.key or b"").decode("utf-8", "replace"))
        if key is not None and not self._of.wants(key[0]):
            return
        self._counts.records += 1
        if record.value is None:
            self._tombstone(record, key)
            return
        try:
            events = decode_events(record.value)
            if not events:
                raise DecodingFailed(what="EventBatch", reason="it holds no event")
        except DecodingFailed as fault:
            self._tell("UNREADABLE", record, str(fault), id=None if key is None else key[0])
            if key is not None:
                self._held.break_off(key[0], Broken(next=None, cut_off=False))
            return
        self._counts.events += len(events)
        for rule, what in record_faults(record, events):
            self._tell(rule, record, what, id=events[0].execution_id)
        self._batch(record, events)

    def _batch(self, record: Record, events: tuple[e.AnyEvent, ...]) -> None:
        first = events[0]
        id = first.execution_id
        broken = self._held.broken.get(id)
        if broken is not None:
            self._follow(broken, record, events)
            return
        execution = self._held.open(id)
        if execution is None and (ended := self._held.ended(id)) is not None:
            execution = self._held.state_of(ended)
            if first.sequence <= ended.last_sequence:
                what = f"numbers {first.sequence} to {events[-1].sequence} come again, after its end"
                self._tell("DOUBLED", record, what, id=id)
                return
            if execution is None or not isinstance(first, e.ExecutionRedriven):
                self._tell("AFTER_END", record, f"number {first.sequence} comes after its end as {ended.status}", id=id)
                self._break(id, events)
                return
        if execution is None:
            self._begin(record, events)
        elif first.sequence < execution.sequence:
            what = f"numbers {first.sequence} to {events[-1].sequence} come again, {execution.sequence} should be next"
            self._tell("DOUBLED", record, what, id=id)
        elif first.sequence > execution.sequence:
            self._suspect("GAP", record, f"goes on with number {first.sequence}, {execution.sequence} is missing", id)
            self._break(id, events)
        else:
            comparable = self._moves.get(id, 0) == len(moves_of(record.headers))
            for rule, what in continuation_faults(execution, first, comparable=comparable):
                self._tell(rule, record, what, id=id)
            self._fold(record, execution, events)

    def _begin(self, record: Record, events: tuple[e.AnyEvent, ...]) -> None:
        first = events[0]
        id = first.execution_id
        self._counts.executions += 1
        home = partition_of(id.encode(), self._of.count)
        if home != self._number:
            self._tell("PARTITION", record, f"it belongs in partition {home}", id=id)
        if isinstance(first, e.ExecutionStarted) and first.sequence == 0:
            self._need_definition(record, first, first.state_machine, first.revision)
            self._fold(record, first_state(first), events[1:])
        elif first.sequence > 0 and self._complete is False:
            self._counts.cut_off += 1
            self._break(id, events, cut_off=True)
        else:
            self._suspect("NO_BEGINNING", record, f"begins with {type(first).__name__} number {first.sequence}", id)
            self._break(id, events)

    def _fold(self, record: Record, execution: Execution, events: tuple[e.AnyEvent, ...]) -> None:
        id, redriven = execution.execution_id, False
        wanted = self._snapshots.wanted(id)
        if execution.sequence == wanted:
            self._snapshots.compare(execution)
        for event in events:
            after: Execution | None = None
            if execution.closed and not isinstance(event, e.ExecutionRedriven):
                what = f"number {event.sequence} comes after its end as {execution.status}"
                self._tell("AFTER_END", record, what, id=id)
            else:
                if isinstance(event, e.ExecutionRedriven):
                    redriven = True
                    self._need_definition(record, event, execution.started.state_machine, event.revision)
                after = self._evolved(record, execution, event)
            if after is None:
                self._break(id, events)
                return
            execution = after
            if execution.sequence == wanted:
                self._snapshots.compare(execution)
        self._snapshots.cover(execution, offset=record.offset, redriven=redriven)
        self._held.put(execution)
        if moves := len(moves_of(record.headers)):
            self._moves[id] = moves
        else:
            self._moves.pop(id, None)

    def _evolved(self, record: Record, before: Execution, event: e.AnyEvent) -> Execution | None:
        try:
            return next_state(before, event)
        except Exception as fault:  # whatever it is: the history is what is looked at, not the program
            name = type(event).__name__
            what = f"{name} number {event.sequence} cannot follow: {type(fault).__name__}: {fault}"
            self._tell("FOLD", record, what, id=event.execution_id)
            return None

    def _need_definition(
        self, record: Record, event: e.ExecutionStarted | e.ExecutionRedriven, machine: str, revision: str
    ) -> None:
        lack = self._of.lacks_definition(machine, revision, event.definition_hash)
        if lack is not None:
            self._tell("DEFINITION", record, lack, id=event.execution_id)

    # ---- histories that are not folded any longer

    def _follow(self, broken: Broken, record: Record, events: tuple[e.AnyEvent, ...]) -> None:
        first, last = events[0], events[-1]
        id, number = first.execution_id, first.sequence
        if broken.next is not None and number < broken.next:
            what = f"numbers {number} to {last.sequence} come again, {broken.next} should be next"
            self._tell("DOUBLED", record, what, id=id)
            return
        if broken.next is not None and number > broken.next:
            self._suspect("GAP", record, f"goes on with number {number}, {broken.next} is missing", id)
        broken.next, broken.ended = last.sequence + 1, isinstance(last, e.TERMINAL_EVENTS)

    def _break(self, id: str, events: tuple[e.AnyEvent, ...], *, cut_off: bool = False) -> None:
        last = events[-1]
        ended = isinstance(last, e.TERMINAL_EVENTS)
        self._held.break_off(id, Broken(next=last.sequence + 1, cut_off=cut_off, ended=ended))

    def _tombstone(self, record: Record, key: tuple[str, int] | None) -> None:
        if key is None:
            self._tell("KEY", record, f"a tombstone of {record.key!r}, which is no batch's key", id=None)
        elif self._held.is_open(key[0]):
            self._tell("TOMBSTONE", record, f"number {key[1]} is removed while it is open", id=key[0])
        else:
            self._suspects.pop(key[0], None)
            self._counts.purged += self._held.purge(key[0])
            self._snapshots.purged(key[0])

    def _end_of_events(self) -> None:
        for suspects in self._suspects.values():
            self._faults += suspects
        for id, broken in self._held.broken.items():
            if broken.cut_off and not broken.ended:
                what = f"has no beginning, which was deleted by age, and no end up to number {(broken.next or 0) - 1}"
                self._faults.append(
                    Fault(rule="NO_END", topic=self._names.events, partition=self._number, execution_id=id, what=what)
                )
        self._counts.ended += sum(1 for _ in self._held.ended_ids())

    # ---- telling

    def _tell(self, rule: Rule, record: Record, what: str, *, id: str | None) -> None:
        self._faults.append(self._fault(rule, record, what, id))

    def _suspect(self, rule: Rule, record: Record, what: str, id: str) -> None:
        self._suspects.setdefault(id, []).append(self._fault(rule, record, what, id))

    def _fault(self, rule: Rule, record: Record, what: str, id: str | None) -> Fault:
        return Fault(
            rule=rule, topic=record.topic, partition=record.partition, offset=record.offset, execution_id=id, what=what
        )
