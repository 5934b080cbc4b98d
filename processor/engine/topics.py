"""The topics: names, keys' partitioner, settings. Source of the settings: docs/architecture.md, "Topics"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from msgspec import Struct

DEFAULT_PREFIX = "asl."
DEFAULT_PARTITIONS = 24
DEFAULT_RETENTION = timedelta(days=30)
"""How long ended executions are kept where their definition does not say."""
PARTITIONS_KEY = b"#partitions"
MIGRATED_KEY = b"#migrated"
ORIGIN_KEY = b"#origin#"
"""In the topic of definitions; `#` begins no state machine's name. The last one is followed by a prefix that the topics
were carried over from."""

MOVED_HEADER = "asl-moved"
"""Of a record that was carried over from another prefix: `<partition>/<offset>` there."""
WRITTEN_HEADER = "asl-written"
"""Of a dead letter that was carried over: when it was written first, in milliseconds since the epoch."""

_DAY_MS = 86_400_000
_LONGEST = timedelta(days=365)


class TopicNames(Struct, frozen=True):
    """Full names under one prefix."""

    prefix: str = DEFAULT_PREFIX

    @property
    def commands(self) -> str:
        return self.prefix + "commands"

    @property
    def events(self) -> str:
        return self.prefix + "events"

    @property
    def snapshots(self) -> str:
        return self.prefix + "snapshots"

    @property
    def closed(self) -> str:
        return self.prefix + "closed"

    @property
    def timers(self) -> str:
        return self.prefix + "timers"

    @property
    def tasks(self) -> str:
        return self.prefix + "tasks"

    @property
    def definitions(self) -> str:
        return self.prefix + "definitions"

    @property
    def replies(self) -> str:
        return self.prefix + "replies"

    @property
    def rejections(self) -> str:
        return self.prefix + "rejections"

    @property
    def dead_letters(self) -> str:
        return self.prefix + "dead-letters"

    def reply_topic(self, asked: str, origins: Iterable[str]) -> str:
        """Return the topic for replies that were asked for in `asked`: the one of that name here, where that was under
        a prefix that these topics were carried over from."""
        for origin in origins:
            there = TopicNames(origin).replies
            if asked == there or asked.startswith(there + "."):
                return self.replies + asked[len(there) :]
        return asked

    @property
    def processor_group(self) -> str:
        return self.prefix + "processor"

    @property
    def named_groups(self) -> tuple[str, ...]:
        """Those of the roles that have one; each of the workers' services has its own."""
        return (self.processor_group, self.prefix + "timers", self.prefix + "janitor")

    def is_group(self, group: str) -> bool:
        """Return whether it is the group of one of the roles."""
        return group in self.named_groups or group.startswith(self.prefix + "worker.")

    @property
    def co_partitioned(self) -> tuple[str, ...]:
        """Those that have one partition count, fixed at creation."""
        return (self.commands, self.events, self.snapshots, self.closed, self.timers)

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.co_partitioned, self.tasks, self.definitions, self.replies, self.rejections, self.dead_letters)


class TopicSpec(Struct, frozen=True, kw_only=True):
    name: str
    partitions: int
    config: Mapping[str, str]


class Difference(Struct, frozen=True, kw_only=True):
    """A setting of a topic that is not as it should be. `found` None: there is no such topic."""

    topic: str
    setting: str
    expected: str
    found: str | None

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.topic}: does not exist; asl topics create makes it"
        return f"{self.topic}: {self.setting} is {self.found or 'not set'}, should be {self.expected}"


def differences(spec: TopicSpec, *, partitions: int | None, config: Mapping[str, str]) -> Iterator[Difference]:
    """Yield what differs of a topic that has so many partitions, None where it is not there, and this `config`."""
    found = {} if partitions is None else {"partitions": str(partitions), **config}
    for setting, expected in {"partitions": str(spec.partitions), **spec.config}.items():
        value = found.get(setting, "")
        if not _same(value, expected):
            told = None if partitions is None else value
            yield Difference(topic=spec.name, setting=setting, expected=expected, found=told)
        if partitions is None:
            return


def _same(one: str, other: str) -> bool:
    """0.1 is 0.10, and compact,delete is delete,compact."""
    try:
        return float(one) == float(other)
    except ValueError:
        return sorted(one.replace(" ", "").split(",")) == sorted(other.split(","))


def topic_specs(
    names: TopicNames,
    *,
    partitions: int = DEFAULT_PARTITIONS,
    task_partitions: int | None = None,
    retention: timedelta = DEFAULT_RETENTION,
) -> tuple[TopicSpec, ...]:
    """Return every topic as `asl topics create` makes it. Events go by age after the longest an execution may run, a
    year, and `retention`; before that only a purge takes them away."""
    # By age alone: a broker's log.retention.bytes would delete commands not applied yet, and histories.
    deleted = {"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS), "retention.bytes": "-1"}
    # Small segments: the cleaner never touches the active one, and an index should stay near its live size.
    index = {
        "cleanup.policy": "compact",
        "segment.bytes": str(64 << 20),
        "segment.ms": "3600000",
        "min.cleanable.dirty.ratio": "0.1",
        "delete.retention.ms": str(_DAY_MS),
        "min.compaction.lag.ms": str(_DAY_MS),
    }
    events = {
        "cleanup.policy": "compact,delete",
        "retention.ms": str((_LONGEST + retention) // timedelta(milliseconds=1)),
        "retention.bytes": "-1",
        "min.compaction.lag.ms": str(_DAY_MS),
    }
    definitions = {"cleanup.policy": "compact", "min.compaction.lag.ms": str(_DAY_MS)}
    settings: dict[str, tuple[int, dict[str, str]]] = {
        names.commands: (partitions, deleted),
        names.events: (partitions, events),
        names.snapshots: (partitions, index),
        names.closed: (partitions, index),
        names.timers: (partitions, index),
        names.tasks: (task_partitions or partitions, index),
        names.definitions: (1, definitions),
        names.replies: (partitions, deleted),
        names.rejections: (partitions, deleted),
        names.dead_letters: (partitions, deleted),
    }
    return tuple(TopicSpec(name=n, partitions=count, config=config) for n, (count, config) in settings.items())


def moved_from(headers: Sequence[tuple[str, bytes]]) -> tuple[int, int] | None:
    """Return partition and offset that a record had under the prefix before this; None where it was written here."""
    return next(_moves(headers), None)


def moves_of(headers: Sequence[tuple[str, bytes]]) -> tuple[tuple[int, int], ...]:
    """Return partition and offset that a record had under each prefix before this, the latest first. Records with as
    many of them were written under the same prefix."""
    return tuple(_moves(headers))


def _moves(headers: Sequence[tuple[str, bytes]]) -> Iterator[tuple[int, int]]:
    for name, value in headers:
        if name == MOVED_HEADER:
            partition, _, offset = value.decode("ascii", "replace").partition("/")
            if partition.isdecimal() and offset.isdecimal():
                yield int(partition), int(offset)


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition Java's default partitioner gives (murmur2, seed 0x9747b28c, sign bit off).

    Source: Apache Kafka, org.apache.kafka.common.utils.Utils.murmur2; librdkafka calls it murmur2_random.
    """
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    m, mask, length = 0x5BD1E995, 0xFFFFFFFF, len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
