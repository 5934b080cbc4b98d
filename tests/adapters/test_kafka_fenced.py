"""Fatal errors of the consumer: as the client tells them, without the flag and the code of what it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError
from confluent_kafka import Message as KafkaMessage

from processor.adapters.kafka import KafkaLog
from processor.adapters.kafka.clients import Member
from processor.adapters.kafka.inbox import KafkaInbox
from processor.engine.ports import Transaction
from processor.engine.topics import TopicNames
from processor.errors import LogUnavailable, SlotTaken
from tests.adapters.kafka_fakes import Cluster, FakeClients, FakeConsumer, ManualTiming, fault

FENCED = "Fatal error: Broker: Static consumer fenced by other consumer with same group.instance.id"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def inbox(cluster: Cluster) -> Iterator[KafkaInbox]:
    names, clients = TopicNames(prefix="t."), FakeClients(cluster)
    log = KafkaLog("fake:9092", names=names, clients=clients, timing=ManualTiming(), restore_in_thread=False)
    inbox = log.inbox(slot="z")
    yield inbox
    inbox.close()


def tell(consumer: FakeConsumer, error: KafkaError) -> None:
    consumer.inbox.append(KafkaMessage("t.commands", 0, -1001, None, None, error=error))


def test_an_idle_processor_that_another_in_its_slot_has_fenced_ends_naming_the_slot(
    cluster: Cluster, inbox: KafkaInbox
) -> None:
    tell(cluster.consumers[0], KafkaError(KafkaError._FATAL, FENCED))

    with pytest.raises(SlotTaken) as told:
        inbox.poll(timeout_seconds=0, max_commands=10)

    assert told.value.fields() == {"slot": "z", "reason": f"_FATAL: {FENCED}", "doubtful": True}


def joined(cluster: Cluster, inbox: KafkaInbox) -> FakeConsumer:
    consumer = cluster.consumers[0]
    consumer.member = "z-1"
    cluster.group = [Member("z-1", "z", "t.processor-z"), Member("y-1", "y", "t.processor-y")]
    consumer.moves.append(("assign", [0]))
    inbox.poll(timeout_seconds=0, max_commands=0)
    return consumer


def test_who_leaves_polls_until_the_group_no_longer_has_it(cluster: Cluster, inbox: KafkaInbox) -> None:
    joined(cluster, inbox)
    cluster.calls.clear()
    inbox.leave()

    assert cluster.calls == ["unsubscribe", "members"]
    assert [m.member_id for m in cluster.group] == ["y-1"]
    transaction = Transaction(offsets={0: 1}, messages=())
    assert inbox.commit(transaction) is None  # nothing may be written any more


def test_who_cannot_ask_whether_it_has_left_closes_all_the_same(cluster: Cluster, inbox: KafkaInbox) -> None:
    joined(cluster, inbox)
    cluster.faults["members"].append(fault(KafkaError._TIMED_OUT))
    inbox.leave()

    assert cluster.calls[-2:] == ["unsubscribe", "members"]


def test_who_never_joined_has_nothing_to_leave(cluster: Cluster, inbox: KafkaInbox) -> None:
    inbox.leave()

    assert cluster.calls == []


def test_another_fatal_error_ends_the_membership(cluster: Cluster, inbox: KafkaInbox) -> None:
    tell(cluster.consumers[0], KafkaError(KafkaError._FATAL, "Fatal error: Local: Inconsistent state"))

    with pytest.raises(LogUnavailable) as told:
        inbox.poll(timeout_seconds=0, max_commands=10)

    assert told.value.reason == "_FATAL: Fatal error: Local: Inconsistent state"
