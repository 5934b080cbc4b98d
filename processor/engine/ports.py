"""What the engine asks of a log, named by role. Adapters: memory, SQLite, Kafka; one contract suite for all.

Inbox    a processor's membership: commands and restored events in, transactions out
Feed     a group's share of an index topic (timers, tasks), read as a table
Outbox   messages sent outside any transaction
Reader   records of a partition up to its end, committed ones only
Survey   what can be seen of processors' partitions from outside
Log      makes the five, creates and checks topics
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from processor.engine.topics import Difference, TopicNames, TopicSpec
from processor.model.ids import Millis

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


class Clock(Protocol):
    def now(self) -> Millis:
        """Milliseconds UTC."""


class Entropy(Protocol):
    def seed(self) -> bytes:
        """16 unpredictable bytes."""


class Message(Struct, frozen=True, kw_only=True):
    """A record to be written. `topic` is its full name, prefix included; `value` None is a tombstone;
    `partition` None: murmur2 of the key, as Java's default partitioner has it."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()


class Record(Struct, frozen=True, kw_only=True):
    """A record that was read. `time` is the log's timestamp, never used to decide anything."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    time: Millis


# ---- Inbox


class PartitionTaken(Struct, frozen=True, kw_only=True):
    """The partition is ours; its state starts empty and is restored next. `assignment` counts up with every taking
    and tags all that belongs to it."""

    partition: int
    assignment: int


Restorable: TypeAlias = Literal["snapshots", "events", "closed"]
"""What a partition is restored from, in this order."""


class RecordsRestored(Struct, frozen=True, kw_only=True):
    """Committed records of one of the three, of this partition, in order; bounded in number per poll. `left`: how many
    offsets lie behind them, which may be more than there are records."""

    partition: int
    assignment: int
    of: Restorable
    records: tuple[Record, ...]
    left: int = 0


class AllRestored(Struct, frozen=True, kw_only=True):
    """All that was committed to one of the three before the taking has been delivered. After `snapshots` the adapter
    waits for `Inbox.restore_events`; after `events`, no command comes before `Inbox.open`; `closed` may come while
    commands flow already. `attempts`: how many owners have died since the partition's last progress, as far as the
    adapter can tell: the first of them of whatever it was, the others of what a Transaction called `trying`."""

    partition: int
    assignment: int
    of: Restorable
    attempts: int = 0


class PartitionLost(Struct, frozen=True, kw_only=True):
    """Revoked or lost: forget its state; nothing may be written for it any more. In the rebalance that takes it away a
    last transaction for it would carry the group's old generation and be refused: there is no time for one."""

    partition: int


class CommandArrived(Struct, frozen=True, kw_only=True):
    record: Record


Delivery: TypeAlias = PartitionTaken | RecordsRestored | AllRestored | PartitionLost | CommandArrived


class Transaction(Struct, frozen=True, kw_only=True):
    """All or nothing. `offsets`: per partition the next command to be read; every partition that a message is
    written for stands there, even with an unchanged offset, for that is what fences a stale owner. `attempts`: per
    partition what the next owner is to be told of deaths before this; a partition that is left out has made progress.
    `trying`: of a death from now on until the next transaction, that it is one more in these partitions.
    """

    offsets: Mapping[int, int]
    messages: tuple[Message, ...]
    attempts: Mapping[int, int] = {}
    trying: bool = False


class Committed(Struct, frozen=True, kw_only=True):
    """`ends`: per partition of the offsets a position of events[partition] after everything the transaction wrote
    there, and before whatever comes later. A partition may be missing where the adapter cannot tell."""

    ends: Mapping[int, int]


class Inbox(Protocol):
    @property
    def max_record_bytes(self) -> int:
        """What a record may take, key, value and headers together, as staging.record_bytes counts them."""

    @property
    def settled(self) -> bool:
        """The group has said what is this member's, and `poll` has told of all of it."""

    def poll(self, *, timeout_seconds: float, max_commands: int | None) -> Sequence[Delivery]:
        """Return what has arrived, waiting at most `timeout_seconds` for the first.

        Commands of a partition come in offset order and only between `open` and PartitionLost. `max_commands` may be
        0, to be told of partitions only; a log that cannot ask so delivers one command nevertheless. None, where none
        is wanted for longer, delivers none: what was read ahead is let go of, and read again afterwards. Raises
        SlotTaken, NotAuthorized, TopicsUnfit where going on is wrong. A broker out of reach is waited for inside, with
        backoff; a file that cannot be read is LogUnavailable.
        """

    def restore_events(self, *, partition: int, assignment: int, start: int) -> None:
        """Go on with events[partition] from `start`, or the first that is left. A stale `assignment` is ignored."""

    def open(self, *, partition: int, assignment: int, fallback_offset: int) -> int:
        """Let commands flow: from the group's committed offset, or from `fallback_offset` where it has none. Return
        that offset, which transactions without a command send unchanged, and which may be committed at once. A stale
        `assignment` is ignored. Raises as `poll`."""

    def commit(self, transaction: Transaction) -> Committed | None:
        """Tell of a transaction that was committed, and is known to be: fold the overlay. None: drop it; the commands
        since the last commit are delivered again, or PartitionLost follows. Unknown outcomes are settled inside.
        Raises as `poll`."""

    def leave(self) -> None:
        """Give up what is held, for good: others have it without waiting until this member is taken for dead. Only
        `close` follows. Does not raise where that cannot be had in a few seconds; others then wait."""

    def close(self) -> None:
        """Let go of everything. Without `leave`, who comes back in this slot soon has its partitions at once."""


# ---- Feed


class RecordArrived(Struct, frozen=True, kw_only=True):
    record: Record


class CaughtUp(Struct, frozen=True, kw_only=True):
    """Everything that stood in the partition when it was taken has been delivered."""

    partition: int


FeedDelivery: TypeAlias = PartitionTaken | RecordArrived | CaughtUp | PartitionLost


class Feed(Protocol):
    @property
    def settled(self) -> bool:
        """The group has said, once at least, what is this member's, and `poll` has told of it."""

    def poll(self, *, timeout_seconds: float, max_records: int = 500) -> Sequence[FeedDelivery]:
        """As Inbox.poll; PartitionTaken precedes a partition's records, CaughtUp comes once after each taking."""

    def commit(self, *, partition: int, offset: int) -> None:
        """Remember where the next owner of the partition begins to read. Not fenced; a hint, not a claim."""

    def close(self) -> None: ...


# ---- the rest


class Outbox(Protocol):
    def send(self, messages: Sequence[Message]) -> None:
        """Return when all are durably written. Raises LogUnavailable, NotAuthorized, and MessageTooLarge; some may
        then be written."""

    def close(self) -> None: ...


class Reader(Protocol):
    """All raise LogUnavailable where the log stays out of reach, and NotAuthorized."""

    def partitions(self, topic: str) -> int | None:
        """How many partitions the topic has, None where there is no such topic."""

    def end(self, topic: str, partition: int) -> int:
        """The offset after the last committed record."""

    def read(self, topic: str, partition: int, *, start: int = 0, end: int | None = None) -> Iterator[Record]:
        """Committed records from `start` (or the first that is left) to `end`, by default the end at the call."""

    def close(self) -> None: ...


class Backlog(Struct, frozen=True, kw_only=True):
    """What waits in a partition of commands behind the group's committed offset. `records` counts offsets, which may be
    more than there are records; `oldest`: the log's time of the first, None where none can be read."""

    records: int
    oldest: Millis | None


class Findings(Struct, frozen=True, kw_only=True):
    """`retention_ms`: how long commands are kept, None: for ever. `held_seconds`: for how long, at least, an open
    transaction has kept readers from what stands behind it, by topic and partition; `hanging`: how many of these are
    held for longer than any transaction in order may take."""

    backlogs: Mapping[int, Backlog]
    retention_ms: int | None
    held_seconds: Mapping[tuple[str, int], float]
    hanging: int


class Survey(Protocol):
    """Used by one thread, the one that asked for it."""

    def look(self, partitions: Sequence[int]) -> Findings:
        """Look at these partitions of the topics that go together. Raises as Reader."""

    def close(self) -> None: ...


class Log(Protocol):
    @property
    def address(self) -> str:
        """As the user wrote it: kafka:HOST:PORT, sqlite:PATH, memory:"""

    @property
    def names(self) -> TopicNames: ...

    def inbox(self, *, slot: str) -> Inbox:
        """Join the processor group in this slot. Raises TopicsUnfit where topics are missing or their counts differ
        from each other or from the count recorded at creation."""

    def feed(self, topic: str, *, group: str, from_beginning: bool) -> Feed:
        """Join a consumer group; `from_beginning` ignores what was committed."""

    def outbox(self) -> Outbox: ...

    def atomic_outbox(self, name: str) -> Outbox:
        """An outbox whose `send` writes all or nothing; on a cluster, one of that name that was made before this one
        writes nothing any more, once this one has sent."""

    def reader(self) -> Reader: ...

    def survey(self) -> Survey: ...

    def at_work(self) -> Sequence[str]:
        """Return who is at work, a line each: living members of the roles' groups, transactions that are open."""

    def committed(self) -> Mapping[int, int]:
        """Return the processors' next command per partition; a partition for which none is committed is missing."""

    def create_topics(self, specs: Sequence[TopicSpec]) -> Sequence[str]:
        """Create those that are missing and return their names; existing ones are left as they are."""

    def check_topics(self, specs: Sequence[TopicSpec]) -> Sequence[Difference]:
        """Return every setting that differs, in the order of `specs`; () where all fit."""

    def close(self) -> None: ...
