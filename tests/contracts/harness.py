"""How each adapter is made, seen from a second process, and how one of its members is made to die.

`Party` and `Consumer` drive an Inbox and a Feed as the engine does, remember what came, and check at every delivery
what holds always: nothing of a partition that is not held, nothing of another assignment, no command before `open`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeAlias
from uuid import uuid4

from processor.adapters.memory import MemoryLog
from processor.adapters.sqlite import SqliteLog
from processor.engine.ports import (
    AllRestored,
    CaughtUp,
    CommandArrived,
    Committed,
    Feed,
    Inbox,
    Log,
    Message,
    PartitionLost,
    PartitionTaken,
    Record,
    RecordArrived,
    RecordsRestored,
    Restorable,
    Transaction,
)
from processor.engine.topics import TopicNames, topic_specs

PARTITIONS = 4

Written: TypeAlias = tuple[bytes | None, bytes | None]
"""Key and value: what of a record is the same in every log. Offsets only grow, with gaps where a log needs them."""


class Harness(Protocol):
    """One fresh log, `log`. `patience_seconds`: how long its members may take to settle."""

    patience_seconds: float

    @property
    def log(self) -> Log: ...

    def second(self) -> Log:
        """The same log as another process has it."""

    def expire(self, member: Inbox | Feed) -> None:
        """Let a member be taken for dead, without a word to it. It is not polled until others have taken over."""

    def close(self) -> None: ...


class MemoryHarness:
    patience_seconds = 5.0

    def __init__(self) -> None:
        self.log = MemoryLog()

    def second(self) -> MemoryLog:
        return self.log

    def expire(self, member: Inbox | Feed) -> None:
        self.log.expire(member)  # type: ignore[arg-type]  # its own kind

    def close(self) -> None:
        self.log.close()


class SqliteHarness:
    patience_seconds = 5.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = ExitStack()
        self.log = self.second()

    def second(self) -> SqliteLog:
        # So long that nothing here can rest on a lease's running out.
        log = SqliteLog(self._path, lease_seconds=600)
        self._opened.callback(log.close)
        return log

    def expire(self, member: Inbox | Feed) -> None:
        self.log.expire(member)  # type: ignore[arg-type]  # its own kind

    def close(self) -> None:
        self._opened.close()


class KafkaHarness:
    patience_seconds = 60.0

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._names = TopicNames(prefix=f"contract-{uuid4().hex[:8]}.")
        self._opened = ExitStack()
        self.log = self.second()

    def second(self) -> Log:
        from processor.adapters.kafka import KafkaLog

        # A member that does not poll is out after six seconds: `expire` has only to leave it alone.
        properties = {"max.poll.interval.ms": "6000", "session.timeout.ms": "6000"}
        log: Log = KafkaLog(self._bootstrap, names=self._names, properties=properties)
        self._opened.callback(log.close)
        return log

    def expire(self, member: Inbox | Feed) -> None:
        pass

    def close(self) -> None:
        self._opened.close()


class Party:
    """An Inbox as the engine uses it. `events_from`: where each partition's events are to begin."""

    def __init__(self, inbox: Inbox, *, opens: bool = True, events_from: int = 0) -> None:
        self.inbox, self._opens, self._events_from = inbox, opens, events_from
        self.assignments: dict[int, int] = {}
        self.restoring: dict[int, Restorable] = {}
        self.opened: set[int] = set()
        self.restored: dict[int, list[Record]] = {}
        self.left: list[tuple[int, Restorable, int]] = []
        self.others: dict[Restorable, list[Record]] = {"snapshots": [], "closed": []}
        self.commands: list[Record] = []
        self.lost: list[int] = []

    def poll(self, *, max_commands: int | None = 100, timeout_seconds: float = 0.0) -> None:
        for delivery in self.inbox.poll(timeout_seconds=timeout_seconds, max_commands=max_commands):
            match delivery:
                case PartitionTaken(partition=partition, assignment=assignment):
                    assert partition not in self.assignments
                    self.assignments[partition] = assignment
                    self.restored[partition] = []
                    self.restoring[partition] = "snapshots"
                case RecordsRestored(partition=partition, assignment=assignment, of=of, records=records, left=left):
                    assert self.assignments[partition] == assignment
                    assert self.restoring[partition] == of
                    self.left.append((partition, of, left))
                    (self.restored[partition] if of == "events" else self.others[of]).extend(records)
                case AllRestored(partition=partition, assignment=assignment, of=of):
                    assert self.assignments[partition] == assignment
                    assert self.restoring[partition] == of
                    self._go_on(partition, of)
                case PartitionLost(partition=partition):
                    del self.assignments[partition]
                    self.restoring.pop(partition, None)
                    self.opened.discard(partition)
                    self.lost.append(partition)
                case CommandArrived(record=record):
                    assert record.partition in self.opened
                    self.commands.append(record)

    def _go_on(self, partition: int, of: Restorable) -> None:
        match of:
            case "snapshots":
                self.restoring[partition] = "events"
                assignment = self.assignments[partition]
                self.inbox.restore_events(partition=partition, assignment=assignment, start=self._events_from)
            case "events":
                self.restoring[partition] = "closed"
                if self._opens:
                    self.open(partition)
            case "closed":
                del self.restoring[partition]

    def open(self, partition: int, *, fallback_offset: int = 0) -> None:
        self.inbox.open(partition=partition, assignment=self.assignments[partition], fallback_offset=fallback_offset)
        self.opened.add(partition)

    @property
    def ready(self) -> set[int]:
        """The partitions held and restored."""
        return self.assignments.keys() - self.restoring.keys()

    def arrived(self, partition: int) -> list[Written]:
        return [written(record) for record in self.commands if record.partition == partition]

    def commit(self, offsets: dict[int, int], *messages: Message) -> Committed | None:
        return self.inbox.commit(Transaction(offsets=offsets, messages=messages))


class Consumer:
    """A Feed as timer services and workers use it."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.held: set[int] = set()
        self.caught_up: list[int] = []
        self.records: list[Record] = []
        self.lost: list[int] = []

    def poll(self, *, timeout_seconds: float = 0.0) -> None:
        for delivery in self.feed.poll(timeout_seconds=timeout_seconds):
            match delivery:
                case PartitionTaken(partition=partition):
                    assert partition not in self.held
                    self.held.add(partition)
                case RecordArrived(record=record):
                    assert record.partition in self.held
                    self.records.append(record)
                case CaughtUp(partition=partition):
                    assert partition in self.held
                    self.caught_up.append(partition)
                case PartitionLost(partition=partition):
                    self.held.remove(partition)
                    self.lost.append(partition)

    def arrived(self, partition: int) -> list[Written]:
        return [written(record) for record in self.records if record.partition == partition]


def settle(harness: Harness, members: Sequence[Party | Consumer], condition: Callable[[], bool]) -> None:
    """Poll the members in turn until the condition holds; fail where it does not within the harness's patience."""
    deadline = time.monotonic() + harness.patience_seconds
    while not condition():
        assert time.monotonic() < deadline, [vars(member) for member in members]
        for member in members:
            member.poll(timeout_seconds=0.01)


def still(harness: Harness, members: Sequence[Party | Consumer], *, polls: int = 5) -> None:
    """Poll the members some more: what must not come would have come by now."""
    for _ in range(polls):
        for member in members:
            member.poll(timeout_seconds=0.02)


def written(record: Record) -> Written:
    return record.key, record.value


def contents(log: Log, topic: str, partition: int) -> list[Written]:
    """Everything that was committed to a partition, as an outsider reads it."""
    reader = log.reader()
    try:
        return [written(record) for record in reader.read(topic, partition)]
    finally:
        reader.close()


def send(log: Log, *messages: Message) -> None:
    outbox = log.outbox()
    try:
        outbox.send(messages)
    finally:
        outbox.close()


def make_topics(log: Log) -> None:
    log.create_topics(topic_specs(log.names, partitions=PARTITIONS))
