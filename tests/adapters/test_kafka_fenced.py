"""Fatal errors of the consumer: as the client tells them, without the flag and the code of what it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError
from confluent_kafka import Message as KafkaMessage

from processor.adapters.kafka import KafkaLog
from processor.adapters.kafka.inbox import KafkaInbox
from processor.engine.topics import TopicNames
from processor.errors import LogUnavailable, SlotTaken
from tests.adapters.kafka_fakes import Cluster, FakeClients, FakeConsumer, ManualTiming

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

    assert told.value.fields() == {"slot": "z", "reason": f"_FATAL: {FENCED}"}


def test_another_fatal_error_ends_the_membership(cluster: Cluster, inbox: KafkaInbox) -> None:
    tell(cluster.consumers[0], KafkaError(KafkaError._FATAL, "Fatal error: Local: Inconsistent state"))

    with pytest.raises(LogUnavailable) as told:
        inbox.poll(timeout_seconds=0, max_commands=10)

    assert told.value.reason == "_FATAL: Fatal error: Local: Inconsistent state"
