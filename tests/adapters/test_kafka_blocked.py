"""A takeover that somebody's transaction holds up: whom it fences, and what it says when that does not help."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError

from processor.adapters.kafka import KafkaLog
from processor.adapters.kafka.clients import Member
from processor.adapters.kafka.inbox import KafkaInbox
from processor.adapters.kafka.transactions import Author
from processor.engine.ports import AllRestored, Delivery, PartitionTaken
from processor.engine.topics import TopicNames
from tests.adapters.kafka_fakes import Cluster, FakeClients, ManualTiming, fault

NAMES = TopicNames(prefix="t.")
OWNER = "t.processor-9"


class Blocked:
    """Slot 0, given partitions whose stable offsets cannot be read; the unstable ones name slot 9."""

    def __init__(self, *partitions: int) -> None:
        self.cluster, self.timing = Cluster(), ManualTiming()
        for partition in partitions:
            self.cluster.offsets[partition] = (7, Author(transactional_id=OWNER, process="q", counter=3).encode())
        self.cluster.faults["committed"] = [fault(KafkaError._TIMED_OUT)] * 1_000
        self.cluster.group = [Member("0-first", "0", "t.processor-0")]
        clients = FakeClients(self.cluster)
        log = KafkaLog(
            "fake:9092", names=NAMES, clients=clients, timing=self.timing, process="p", restore_in_thread=False
        )
        self.inbox: KafkaInbox = log.inbox(slot="0")
        (consumer,) = self.cluster.consumers
        consumer.member = "0-first"
        consumer.moves.append(("assign", list(partitions)))
        self.poll()
        self.cluster.calls.clear()

    def poll(self) -> list[Delivery]:
        deliveries = self.inbox.poll(timeout_seconds=0, max_commands=10)
        for delivery in deliveries:
            if isinstance(delivery, AllRestored) and delivery.of == "snapshots":
                self.inbox.restore_events(partition=delivery.partition, assignment=delivery.assignment, start=0)
        return [d for d in deliveries if not isinstance(d, AllRestored) or d.of == "events"]

    def after(self, seconds: float) -> list[Delivery]:
        self.timing.sleep(seconds)
        return self.poll()


@pytest.fixture
def blocked() -> Iterator[Blocked]:
    blocked = Blocked(0)
    yield blocked
    blocked.inbox.close()


def test_a_dead_owner_is_fenced_after_half_a_second_and_not_before(blocked: Blocked) -> None:
    blocked.after(0.4)
    assert "init" not in blocked.cluster.calls

    blocked.after(0.2)
    assert blocked.cluster.calls[-2:] == ["members", "init"]


def test_who_owned_many_partitions_is_asked_for_and_fenced_once_for_all_of_them() -> None:
    blocked = Blocked(0, 1, 2)
    blocked.after(0.6)
    blocked.inbox.close()

    # All at once, then one by one; whom they name; whether that one lives.
    assert blocked.cluster.calls == [*["committed"] * 4, "unstable", "members", "init"]


def test_a_dead_owner_is_fenced_once_for_a_while(blocked: Blocked) -> None:
    for _ in range(8):
        blocked.after(0.6)

    assert blocked.cluster.calls.count("init") == 1


@pytest.mark.parametrize("alive", [Member("9-x", "9", "anything"), Member("kip-848", None, OWNER)])
def test_a_live_member_is_never_fenced(blocked: Blocked, alive: Member) -> None:
    blocked.cluster.group.append(alive)

    for _ in range(10):
        blocked.after(1)

    assert "members" in blocked.cluster.calls
    assert "init" not in blocked.cluster.calls


def test_nobody_fences_himself(blocked: Blocked) -> None:
    blocked.cluster.offsets[0] = (7, Author(transactional_id="t.processor-0", process="q", counter=3).encode())

    for _ in range(10):
        blocked.after(1)

    assert "init" not in blocked.cluster.calls


def test_a_hanging_transaction_is_told_once_and_never_skipped(
    blocked: Blocked, caplog: pytest.LogCaptureFixture
) -> None:
    deliveries = [delivery for _ in range(60) for delivery in blocked.after(1)]

    assert deliveries == []
    assert [r.getMessage() for r in caplog.records].count("transaction_hanging") == 1

    blocked.cluster.faults["committed"].clear()
    settled = [delivery for _ in range(3) for delivery in blocked.after(1)]

    assert settled == [AllRestored(partition=0, assignment=1, of="events", attempts=1)]
    assert blocked.inbox.open(partition=0, assignment=1, fallback_offset=0) == 7


def test_a_takeover_that_is_over_is_forgotten(blocked: Blocked) -> None:
    (consumer, *_) = blocked.cluster.consumers
    blocked.cluster.faults["committed"].clear()
    consumer.moves += [("revoke", [0]), ("assign", [0])]

    deliveries = [delivery for _ in range(3) for delivery in blocked.poll()]

    assert [d for d in deliveries if isinstance(d, PartitionTaken)] == [PartitionTaken(partition=0, assignment=2)]
    assert deliveries[-1] == AllRestored(partition=0, assignment=2, of="events", attempts=1)
    assert blocked.inbox.open(partition=0, assignment=1, fallback_offset=3) == 3
    assert consumer.fetching == {}
