"""The broker itself does what the engine relies on; a fault here explains every other red integration test."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.broker import Broker


def read_to_the_end(broker: Broker, topic: str, *, isolation: str) -> list[bytes | None]:
    """Return the values of partition 0, from its beginning to where this isolation level says that it ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": f"{topic}-{isolation}",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        values = []
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            message = consumer.poll(1.0)
            if message is None:
                continue
            error = message.error()
            if error is None:
                values.append(message.value())
            elif error.code() == KafkaError._PARTITION_EOF:
                return values
            else:
                raise KafkaException(error)
        raise AssertionError(f"{topic} has no end within 30 s")
    finally:
        consumer.close()


def test_an_aborted_transaction_is_hidden_from_read_committed_only(kafka: Broker, topic_prefix: str) -> None:
    topic = f"{topic_prefix}letters"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for created in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        created.result(30)

    for value, commits in ((b"kept", True), (b"lost", False), (b"also kept", True)):
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{topic_prefix}slot-0"})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(topic, value, partition=0)
        producer.flush(30)
        if commits:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)

    # The coordinator answers before its markers are written: read until the last value can be seen.
    deadline = time.monotonic() + 30
    committed = read_to_the_end(kafka, topic, isolation="read_committed")
    while committed[-1:] != [b"also kept"] and time.monotonic() < deadline:
        committed = read_to_the_end(kafka, topic, isolation="read_committed")
    assert committed == [b"kept", b"also kept"]
    assert read_to_the_end(kafka, topic, isolation="read_uncommitted") == [b"kept", b"lost", b"also kept"]


def test_a_mistyped_topic_is_an_error(kafka: Broker, topic_prefix: str) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "topic.metadata.propagation.max.ms": 0})
    failed: list[KafkaError | None] = []
    producer.produce(f"{topic_prefix}nowhere", b"?", on_delivery=lambda error, _: failed.append(error))
    producer.flush(30)
    assert [error and error.code() for error in failed] == [KafkaError.UNKNOWN_TOPIC_OR_PART]
