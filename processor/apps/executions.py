"""What has become of executions, told from the events topic alone: folded for people, not for the interpreter.

Reading is bounded: from an offset to the end as it stood when reading began. An execution's events lie in one
partition, so `describe` and `history` read one; `list` reads all, and decodes only batches that change a status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from processor.engine.encoding import TYPES_HEADER, decode_events, decode_rejection
from processor.engine.ports import Clock, Reader, Record
from processor.engine.topics import TopicNames, partition_of
from processor.errors import TopicsUnfit
from processor.interpreter.redrive import hindrance, open_run
from processor.model import events as e
from processor.model.commands import token_of
from processor.model.ids import Millis, ScopeKey, parse_execution_id, parse_numbered_key
from processor.model.json import Json
from processor.model.records import Rejection, Status

Seen: TypeAlias = Callable[[int], None]
"""Told how many further offsets have been passed, for progress."""


def ignore(passed: int) -> None:
    pass


RedriveStatus: TypeAlias = Literal["REDRIVABLE", "NOT_REDRIVABLE"]


class Summary(Struct, frozen=True, kw_only=True):
    """`revision`: the one it runs on now, that it was last redriven on or else started with."""

    execution_id: str
    state_machine: str
    revision: str
    status: Status
    started_at: Millis
    stopped_at: Millis | None = None


class ActiveState(Struct, frozen=True, kw_only=True):
    """`token`: of the task that it waits for, with which CompleteTask and FailTask answer."""

    scope: ScopeKey
    state: str
    entered_at: Millis
    token: str | None = None


class Description(Summary, frozen=True, kw_only=True):
    """`output` only where it succeeded; `error` and `cause` where it did not. `active`: the states it is in.

    `redrive_count`, `redriven_at` (None where it never was), `redrive_status` and, where it is NOT_REDRIVABLE,
    `redrive_status_reason` are those of AWS's DescribeExecution, as far as events tell: they do not tell that an
    execution's state was too large to be kept, nor that its history is full, and its redrive is refused.
    """

    input: Json
    context: Json = None
    output: Json = None
    error: str | None = None
    cause: str | None = None
    quarantined: str | None = None
    active: tuple[ActiveState, ...] = ()
    redrive_count: int = 0
    redriven_at: Millis | None = None
    redrive_status: RedriveStatus = "NOT_REDRIVABLE"
    redrive_status_reason: str | None = None
    last_sequence: int


class Chronicle:
    """Folds one execution's events into a Description, one by one."""

    def __init__(self, started: e.ExecutionStarted) -> None:
        self._started = started
        self._status: Status = "RUNNING"
        self._last: e.Event = started
        self._end: e.TerminalEvent | None = None
        self._quarantined: str | None = None
        self._active: dict[ScopeKey, ActiveState] = {}
        self._revision = started.revision
        self._redriven: e.ExecutionRedriven | None = None
        self._runs: dict[ScopeKey, str] = {}  # of distributed Maps that have not been left: the state of each

    def add(self, event: e.AnyEvent) -> None:
        self._last = event
        match event:
            case e.StateEntered(scope=scope, state=state):
                self._active[scope] = ActiveState(scope=scope, state=state, entered_at=event.time)
            case e.TaskScheduled(scope=scope):
                self._waits(scope, token=token_of(event))
            case e.TaskSucceeded(scope=scope) | e.TaskFailed(scope=scope) | e.TaskTimedOut(scope=scope):
                self._waits(scope, token=None)
            case e.StateExited(scope=scope):
                self._leave(scope)
            case e.ExecutionSucceeded() | e.ExecutionFailed() | e.ExecutionTimedOut() | e.ExecutionAborted():
                self._status, self._end, self._quarantined = status_of(event), event, None
            case e.ExecutionRedriven():
                self._status, self._end = "RUNNING", None
                self._revision, self._redriven = event.revision or self._revision, event
            case e.MapRunStarted(scope=scope, state=state):
                self._runs[scope] = state
            case e.MapStarted(scope=scope) | e.ParallelStarted(scope=scope):  # a new attempt: the last one's runs end
                self._end_runs(scope)
            case e.ExecutionQuarantined(reason=reason):
                self._quarantined = reason
            case e.ExecutionReleased():
                self._quarantined = None
            case _:
                pass

    def description(self) -> Description:
        started, end, redriven = self._started, self._end, self._redriven
        reason = self._hindrance()
        return Description(
            execution_id=started.execution_id,
            state_machine=started.state_machine,
            revision=self._revision,
            status=self._status,
            started_at=started.time,
            stopped_at=None if end is None else end.time,
            input=started.input,
            context=started.context,
            output=end.output if isinstance(end, e.ExecutionSucceeded) else None,
            error=None if end is None or isinstance(end, e.ExecutionSucceeded) else end.error,
            cause=None if end is None or isinstance(end, e.ExecutionSucceeded) else end.cause,
            quarantined=self._quarantined,
            active=() if end is not None else tuple(self._active[scope] for scope in sorted(self._active)),
            redrive_count=self._redrive_count,
            redriven_at=None if redriven is None else redriven.time,
            redrive_status="REDRIVABLE" if reason is None else "NOT_REDRIVABLE",
            redrive_status_reason=reason,
            last_sequence=self._last.sequence,
        )

    @property
    def _redrive_count(self) -> int:
        return 0 if self._redriven is None else self._redriven.redrive_count

    def _hindrance(self) -> str | None:
        """Return why a redrive would be refused."""
        runs = map(open_run, self._runs.values())
        reason = hindrance(status=self._status, type=self._started.type, redrive_count=self._redrive_count)
        return reason or next(runs, None)

    def _waits(self, scope: ScopeKey, *, token: str | None) -> None:
        self._active[scope] = replace(self._active[scope], token=token)

    def _leave(self, scope: ScopeKey) -> None:
        # A container's exit ends what a failure left behind in its branches and iterations.
        for inner in [key for key in self._active if key[: len(scope)] == scope]:
            del self._active[inner]
        self._end_runs(scope)

    def _end_runs(self, scope: ScopeKey) -> None:
        for inner in [key for key in self._runs if key[: len(scope)] == scope]:
            del self._runs[inner]


def status_of(event: e.TerminalEvent) -> Status:
    match event:
        case e.ExecutionSucceeded():
            return "SUCCEEDED"
        case e.ExecutionFailed():
            return "FAILED"
        case e.ExecutionTimedOut():
            return "TIMED_OUT"
        case e.ExecutionAborted():
            return "ABORTED"


def events_partition(reader: Reader, names: TopicNames, execution_id: str) -> int:
    """Return the partition of the events topic that holds the execution.

    Raises InvalidCommand for what is no execution id, TopicsUnfit where there is no such topic.
    """
    parse_execution_id(execution_id)
    return partition_of(execution_id.encode(), topic_partitions(reader, names.events))


class History:
    """Reads one execution's batches, on and on: each call of `read` goes from where the last one ended."""

    def __init__(self, reader: Reader, names: TopicNames, execution_id: str, *, start: int = 0) -> None:
        self._reader, self._topic, self.execution_id = reader, names.events, execution_id
        self.partition = events_partition(reader, names, execution_id)
        self._key = f"{execution_id}#".encode()
        self.offset = start
        self._next_sequence: int | None = None

    def end(self) -> int:
        return self._reader.end(self._topic, self.partition)

    def read(self, *, seen: Seen = ignore) -> Iterator[tuple[e.AnyEvent, ...]]:
        """Yield the batches up to the end as it is now, each event once, and none that is purged before that end."""
        found: list[tuple[e.AnyEvent, ...]] = []
        for record in self._reader.read(self._topic, self.partition, start=self.offset):
            seen(record.offset + 1 - self.offset)
            self.offset = record.offset + 1
            if record.key is None or not record.key.startswith(self._key):
                continue
            if record.value is None:  # the log may hold what stood before a purge for a while
                self._next_sequence = None
                found.clear()
                continue
            batch = tuple(event for event in decode_events(record.value) if self._is_new(event))
            if batch:
                self._next_sequence = batch[-1].sequence + 1
                found.append(batch)
        yield from found

    def _is_new(self, event: e.AnyEvent) -> bool:
        return self._next_sequence is None or event.sequence >= self._next_sequence


class Rejections:
    """Looks for the refusal of one command."""

    def __init__(self, reader: Reader, names: TopicNames, *, execution_id: str, command_id: str) -> None:
        self._reader, self._topic, self._command_id = reader, names.rejections, command_id
        self._partition = partition_of(execution_id.encode(), topic_partitions(reader, names.rejections))
        self._offset = reader.end(self._topic, self._partition)

    def find(self) -> Rejection | None:
        """Return it if it has been written since this object was made, before the command was sent."""
        for record in self._reader.read(self._topic, self._partition, start=self._offset):
            self._offset = record.offset + 1
            if record.value is not None:
                rejection = decode_rejection(record.value)
                if rejection.command_id == self._command_id:
                    return rejection
        return None


def await_start(
    history: History, *, clock: Clock, pause: Callable[[], object], within: timedelta
) -> list[tuple[e.AnyEvent, ...]]:
    """Return the first batches of an execution that may just have been started; [] where none come within that time."""
    deadline = clock.now() + within // timedelta(milliseconds=1)
    while not (batches := list(history.read())) and clock.now() < deadline:
        pause()
    return batches


def follow(
    history: History, *, pause: Callable[[], bool], rejections: Rejections | None = None
) -> Iterator[tuple[e.AnyEvent, ...] | Rejection]:
    """Yield batches as they come, to the execution's end or to the refusal that `rejections` looks for.

    `pause` is called where there is nothing new; it waits a little and returns whether to give up.
    """
    while True:
        for batch in history.read():
            yield batch
            if isinstance(batch[-1], e.TERMINAL_EVENTS):
                return
        if rejections is not None and (rejection := rejections.find()) is not None:
            yield rejection
            return
        if pause():
            return


def describe(history: History, *, seen: Seen = ignore) -> Description | None:
    """Return what the execution has come to; None where the events topic holds nothing of it."""
    chronicle: Chronicle | None = None
    for batch in history.read(seen=seen):
        for event in batch:
            if isinstance(event, e.ExecutionStarted):
                chronicle = Chronicle(event)
            elif chronicle is not None:
                chronicle.add(event)
    return None if chronicle is None else chronicle.description()


def summaries(reader: Reader, names: TopicNames, *, seen: Seen = ignore) -> list[Summary]:
    """Return every execution that the events topic holds, in the order of their starts."""
    found: dict[str, Summary] = {}
    for partition in range(topic_partitions(reader, names.events)):
        passed = 0
        for record in reader.read(names.events, partition):
            seen(record.offset + 1 - passed)
            passed = record.offset + 1
            if record.value is None:
                found.pop(purged_id(record), None)
            elif _changes_a_status(record):
                for event in decode_events(record.value):
                    _summarize(found, event)
    return sorted(found.values(), key=lambda summary: (summary.started_at, summary.execution_id))


def purged_id(tombstone: Record) -> str:
    """Return whose purge a tombstone of the events topic is part of; what stood of it before counts no longer."""
    key = parse_numbered_key((tombstone.key or b"").decode("utf-8", "replace"))
    return "" if key is None else key[0]


def total_events_offsets(reader: Reader, names: TopicNames) -> int:
    """Return how many offsets `summaries` will pass, for progress."""
    return sum(reader.end(names.events, partition) for partition in range(topic_partitions(reader, names.events)))


_STATUS_TYPES: Final = frozenset(t.__name__ for t in (e.ExecutionStarted, e.ExecutionRedriven, *e.TERMINAL_EVENTS))


def _changes_a_status(record: Record) -> bool:
    types = dict(record.headers).get(TYPES_HEADER)
    return types is None or not _STATUS_TYPES.isdisjoint(types.decode().split(","))


def _summarize(found: dict[str, Summary], event: e.AnyEvent) -> None:
    match event:
        case e.ExecutionStarted():
            found[event.execution_id] = Summary(
                execution_id=event.execution_id,
                state_machine=event.state_machine,
                revision=event.revision,
                status="RUNNING",
                started_at=event.time,
            )
        case e.ExecutionSucceeded() | e.ExecutionFailed() | e.ExecutionTimedOut() | e.ExecutionAborted():
            _update(found, event, status_of(event), event.time)
        case e.ExecutionRedriven():
            _update(found, event, "RUNNING", None, revision=event.revision)
        case _:
            pass


def _update(
    found: dict[str, Summary], event: e.Event, status: Status, stopped_at: Millis | None, *, revision: str = ""
) -> None:
    known = found.get(event.execution_id)
    if known is not None:  # its start may have gone by age
        found[event.execution_id] = replace(
            known, status=status, stopped_at=stopped_at, revision=revision or known.revision
        )


def topic_partitions(reader: Reader, topic: str) -> int:
    """Return how many partitions the topic has. Raises TopicsUnfit where there is no such topic."""
    partitions = reader.partitions(topic)
    if partitions is None:
        raise TopicsUnfit([f"{topic}: does not exist; asl topics create makes it"])
    return partitions
