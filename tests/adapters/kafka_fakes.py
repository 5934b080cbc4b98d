"""A broker of one transactional.id and one group, as far as the adapter's narrow port sees it: real classes, scripted.

`Cluster.faults` says what goes wrong: at the next call of that name, in order. A fault "after" its call did happen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from processor.adapters.kafka.clients import (
    GroupMetadata,
    Member,
    NewTopicSettings,
    OnDelivery,
    OnError,
    OnRebalance,
    Place,
    Settings,
    TopicState,
)


class Fault(NamedTuple):
    error: KafkaError
    after: bool = False


def fault(
    code: int, *, retriable: bool = False, abort: bool = False, fatal: bool = False, after: bool = False
) -> Fault:
    return Fault(KafkaError(code, "scripted", fatal, retriable, abort), after)


class ManualTiming:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Cluster:
    """What stands in it: committed records, and each partition's committed offset with its metadata."""

    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    calls: list[str] = field(default_factory=list)
    records: list[tuple[str, bytes | None]] = field(default_factory=list)
    offsets: dict[int, tuple[int, str | None]] = field(default_factory=dict)
    ends: dict[Place, int] = field(default_factory=dict)
    producers: int = 0
    group: list[Member] = field(default_factory=list)
    consumers: list[FakeConsumer] = field(default_factory=list)

    def call(self, name: str) -> KafkaException | None:
        """Note a call; raise the fault that comes before it, return the one that comes after."""
        self.calls.append(name)
        if not self.faults[name]:
            return None
        found = self.faults[name].pop(0)
        if not found.after:
            raise KafkaException(found.error)
        return KafkaException(found.error)


class FakeProducer:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._records: list[tuple[str, bytes | None]] = []
        self._offsets: dict[int, tuple[int, str | None]] = {}

    def _call(self, name: str) -> KafkaException | None:
        return self._cluster.call(name)

    def init_transactions(self, timeout: float) -> None:
        self._call("init")

    def begin_transaction(self) -> None:
        self._call("begin")

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: GroupMetadata, timeout: float
    ) -> None:
        self._call("offsets")
        self._offsets = {p.partition: (p.offset, p.metadata) for p in positions}

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = -1,
        *,
        on_delivery: OnDelivery | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        self._call("produce")
        self._records.append((topic, value))

    def commit_transaction(self, timeout: float) -> None:
        late = self._call("commit")
        self._cluster.records += self._records
        self._cluster.offsets |= self._offsets
        if late is not None:
            raise late

    def abort_transaction(self, timeout: float) -> None:
        self._call("abort")

    def poll(self, timeout: float) -> int:
        return 0

    def flush(self, timeout: float) -> int:
        return 0


class FakeConsumer:
    """A member of the group that a test moves by hand."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster, self.settings = cluster, settings
        self.member: str | None = None
        self.generation = 0
        self.fetching: dict[int, int] = {}
        self.inbox: list[Message] = []
        self.moves: list[tuple[str, list[int]]] = []
        self._callbacks: dict[str, OnRebalance] = {}
        self._topic = ""

    def subscribe(
        self, topics: list[str], *, on_assign: OnRebalance, on_revoke: OnRebalance, on_lost: OnRebalance
    ) -> None:
        (self._topic,) = topics
        self._callbacks = {"assign": on_assign, "revoke": on_revoke, "lost": on_lost}

    def unsubscribe(self) -> None:
        self._cluster.call("unsubscribe")
        self.moves.append(("revoke", sorted(self.fetching)))
        self._cluster.group = [m for m in self._cluster.group if m.member_id != self.member]

    def poll(self, timeout: float) -> Message | None:
        moves, self.moves = self.moves, []
        for kind, partitions in moves:
            self._callbacks[kind](self, [TopicPartition(self._topic, p) for p in partitions])
        return self.inbox.pop(0) if self.inbox else None

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        found, self.inbox = self.inbox[:num_messages], self.inbox[num_messages:]
        return found

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.fetching = {p.partition: p.offset for p in partitions}

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.fetching |= {p.partition: p.offset for p in partitions}

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        for place in partitions:
            del self.fetching[place.partition]

    def seek(self, partition: TopicPartition) -> None:
        assert partition.partition in self.fetching
        self.fetching[partition.partition] = partition.offset

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self._cluster.call("committed" if self.settings["isolation.level"] == "read_committed" else "unstable")
        found = [(p, *self._cluster.offsets.get(p.partition, (-1001, None))) for p in partitions]
        return [TopicPartition(p.topic, p.partition, offset, metadata or "") for p, offset, metadata in found]

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition] | None:
        self._cluster.call("name")
        self._cluster.offsets |= {p.partition: (p.offset, p.metadata) for p in offsets}
        return offsets

    def consumer_group_metadata(self) -> GroupMetadata:
        return (self.member, self.generation)

    def memberid(self) -> str | None:
        return self.member

    def list_topics(self, topic: str, timeout: float) -> object:
        return None

    def close(self) -> None:
        self.inbox.clear()


class FakeAdmin:
    """Topics of two partitions that begin at 0 and end where the test says; the group as the test has it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def brokers(self) -> int:
        return 1

    def topics(self, names: Iterable[str]) -> Mapping[str, TopicState]:
        return {name: TopicState(partitions=2, replication=1) for name in names}

    def configs(self, names: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        return {name: {"max.message.bytes": "10000", "retention.ms": "60000"} for name in names}

    def create(self, topics: Sequence[NewTopicSettings]) -> Sequence[str]:
        return []

    def starts(self, places: Iterable[Place]) -> Mapping[Place, int]:
        self._cluster.call("starts")
        return dict.fromkeys(places, 0)

    def ends(self, places: Iterable[Place], *, committed: bool) -> Mapping[Place, int]:
        return {place: self._cluster.ends.get(place, 0) for place in places}

    def groups(self) -> Sequence[str]:
        return []

    def members(self, group: str) -> Sequence[Member]:
        self._cluster.call("members")
        return self._cluster.group


class FakeClients:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def consumer(self, settings: Settings, *, on_error: OnError) -> FakeConsumer:
        consumer = FakeConsumer(self._cluster, settings)
        self._cluster.consumers.append(consumer)
        return consumer

    def producer(self, settings: Settings, *, on_error: OnError) -> FakeProducer:
        self._cluster.producers += 1
        return FakeProducer(self._cluster)

    def admin(self, settings: Settings, *, on_error: OnError) -> FakeAdmin:
        return FakeAdmin(self._cluster)
