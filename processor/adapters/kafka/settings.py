"""Properties of each kind of client: the user's, under those that correctness needs and over those that are tuning.

Figures were measured on Apache Kafka 4.4 with confluent-kafka 2.16 (docs/decisions/0005).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from processor.adapters.kafka.clients import Settings
from processor.engine.topics import TopicNames
from processor.errors import InvalidSettings

REPLICATION = "replication.factor"
"""Not librdkafka's: how many copies `create_topics` asks for."""

PROTOCOL = "group.protocol"

TRANSACTION_TIMEOUT_MS = 10_000
SESSION_TIMEOUT_MS = 6_000  # the least that brokers grant by default

# What these say decides whether a command is applied once; they are not for tuning.
RESERVED = frozenset(
    (
        "acks",
        "auto.offset.reset",
        "bootstrap.servers",
        "client.id",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "group.id",
        "group.instance.id",
        "isolation.level",
        "metadata.broker.list",
        "partition.assignment.strategy",
        "partitioner",
        "request.required.acks",
        "transactional.id",
    )
)
# librdkafka warns of each property that its kind of client does not know.
_CONSUMERS = ("group.", "session.", "heartbeat.", "max.poll.", "fetch.", "queued.", "max.partition.fetch", "check.crcs")
_MEMBERS = ("group.", "session.", "heartbeat.", "max.poll.")
_PRODUCERS = (
    "batch.",
    "compression.",
    "delivery.timeout",
    "linger.",
    "message.send.",
    "message.timeout",
    "queue.buffering.",
    "request.timeout",
    "retries",
    "transaction.",
)

# Back-to-back transactions meet CONCURRENT_TRANSACTIONS and wait for retry.backoff.ms: 100 ms each by default.
_LOW_LATENCY: Settings = {
    "linger.ms": 0,
    "retry.backoff.ms": 1,
    "retry.backoff.max.ms": 5,
    "compression.type": "lz4",
    "partitioner": "murmur2_random",  # not librdkafka's CRC32: Java producers must land on the same partition
}
_COMMON: Settings = {
    "socket.nagle.disable": True,
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 2_000,
    "socket.connection.setup.timeout.ms": 5_000,
}
_FETCHING: Settings = {
    # A fetch under way does not include a partition that was assigned or sought since: it waits for that long.
    "fetch.wait.max.ms": 100,
    # A backlog of a million commands waits in the broker, not in this process.
    "queued.min.messages": 10_000,
    "queued.max.messages.kbytes": 16_384,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Makes the properties of every client of one log. Raises InvalidSettings for a property that is not the user's."""

    bootstrap: str
    names: TopicNames
    properties: Mapping[str, str]

    def __post_init__(self) -> None:
        for name in self.properties:
            if name in RESERVED:
                raise InvalidSettings(
                    setting=f"kafka property {name}",
                    rule="is set by the processor, leave it out; others are handed on to librdkafka",
                    example="security.protocol=SSL",
                )
        if not self.properties.get(REPLICATION, "1").isdigit():
            raise InvalidSettings(
                setting=f"kafka property {REPLICATION}", rule="must be a number of brokers", example=f"{REPLICATION}=3"
            )

    @property
    def replication(self) -> int | None:
        wanted = self.properties.get(REPLICATION)
        return int(wanted) if wanted else None

    @property
    def static_membership(self) -> bool:
        """Under KIP-848 a restart of a static member is a fatal UNRELEASED_INSTANCE_ID: its members are dynamic."""
        return self.properties.get(PROTOCOL, "classic") == "classic"

    @property
    def transaction_timeout_seconds(self) -> float:
        return int(self.properties.get("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)) / 1_000

    def transactional_id(self, slot: str) -> str:
        return f"{self.names.processor_group}-{slot}"

    def member(self, group: str, *, slot: str | None = None) -> Settings:
        """A subscribed consumer. With a slot: one of the processors, which restart in their places."""
        if self.static_membership:
            grouping: Settings = {
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": SESSION_TIMEOUT_MS,
                # A rebalance waits until every member has heard of it by its heartbeat.
                "heartbeat.interval.ms": 200,
            }
            if slot is not None:
                grouping["group.instance.id"] = slot
        else:
            grouping = {}
        own = self._own(_PRODUCERS)
        if not self.static_membership:
            own = {k: v for k, v in own.items() if not k.startswith(("session.", "heartbeat."))}
        named: Settings = {"client.id": self.transactional_id(slot)} if slot is not None else {}
        table: Settings = {
            # A processor never guesses where to begin; a table without a committed offset is read whole.
            "auto.offset.reset": "earliest" if slot is None else "error",
            "enable.partition.eof": slot is None,
        }
        return _COMMON | _FETCHING | grouping | own | self._committed_only(group) | named | table

    def loner(self, group: str, *, committed: bool = True) -> Settings:
        """A consumer that never joins: it reads what it is assigned, and may ask for the group's offsets."""
        own = {k: v for k, v in self._own(_PRODUCERS).items() if not k.startswith(_MEMBERS)}
        isolation: Settings = {} if committed else {"isolation.level": "read_uncommitted"}
        # An end is only seen by a fetch that finds nothing, after waiting that long.
        waiting: Settings = {"fetch.wait.max.ms": 10}
        fixed = self._committed_only(group) | isolation
        return (
            _COMMON | _FETCHING | waiting | own | fixed | {"auto.offset.reset": "error", "enable.partition.eof": True}
        )

    def transactional(self, transactional_id: str, *, batch_bytes: int = 1_000_000) -> Settings:
        return (
            _COMMON
            | _LOW_LATENCY
            | {"transaction.timeout.ms": TRANSACTION_TIMEOUT_MS, "message.max.bytes": batch_bytes}
            | self._own(_CONSUMERS)
            | {
                "bootstrap.servers": self.bootstrap,
                "transactional.id": transactional_id,
                "client.id": transactional_id,
                "partitioner": "murmur2_random",
            }
        )

    def atomic_id(self, name: str) -> str:
        return self.names.prefix + name

    def atomic(self, name: str, *, batch_bytes: int) -> Settings:
        return self.transactional(self.atomic_id(name), batch_bytes=batch_bytes)

    def idempotent(self) -> Settings:
        timeout: Settings = {"message.timeout.ms": 10_000}
        fixed: Settings = {
            "bootstrap.servers": self.bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
        }
        own = {k: v for k, v in self._own(_CONSUMERS).items() if not k.startswith("transaction.")}
        return _COMMON | _LOW_LATENCY | timeout | own | fixed

    def admin(self) -> Settings:
        return _COMMON | self._own(_CONSUMERS + _PRODUCERS) | {"bootstrap.servers": self.bootstrap}

    def _own(self, without: tuple[str, ...]) -> Settings:
        return {k: v for k, v in self.properties.items() if k != REPLICATION and not k.startswith(without)}

    def _committed_only(self, group: str) -> Settings:
        return {
            "bootstrap.servers": self.bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
        }
