"""The least that exactly-once on Kafka can cost: python -m benchmarks.copy_loop BOOTSTRAP PREFIX FROM TO RECORDS BYTES

A transactional copy with the processor's own client settings and its rule for the size of a batch: one record in,
RECORDS of BYTES out, nothing computed. Ends with its parent.
"""

from __future__ import annotations

import sys
import time

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from processor.adapters.kafka.settings import ClientSettings
from processor.engine.processor import MAX_BATCH, TRANSACTION_MS
from processor.engine.topics import TopicNames


def main(bootstrap: str, prefix: str, *, source: str, target: str, records: int, size: int) -> None:
    names = TopicNames(prefix + "copy.")
    settings = ClientSettings(bootstrap=bootstrap, names=names, properties={})
    consumer = Consumer({**settings.member(names.processor_group, slot="0"), "auto.offset.reset": "earliest"})
    producer = Producer(settings.transactional(settings.transactional_id("0")))
    producer.init_transactions(30)
    consumer.subscribe([source])
    value, batch_size = bytes(size), 100
    while True:
        first = consumer.poll(0.5)
        if first is None:
            continue
        messages = [m for m in [first, *consumer.consume(batch_size - 1, 0)] if m.error() is None]
        if not messages:
            continue
        began = time.monotonic()
        producer.begin_transaction()
        producer.send_offsets_to_transaction(_positions(messages), consumer.consumer_group_metadata(), 30)
        for message in messages:
            key, partition = message.key() or b"", message.partition() or 0
            for number in range(records):
                while True:
                    try:
                        producer.produce(target, value, b"%s#%d" % (_bytes(key), number), partition)
                        break
                    except BufferError:
                        producer.poll(0.05)
        producer.commit_transaction(30)
        took_ms = (time.monotonic() - began) * 1_000
        if took_ms > TRANSACTION_MS:
            batch_size = max(1, batch_size // 2)
        elif len(messages) == batch_size and took_ms * 2 < TRANSACTION_MS:
            batch_size = min(MAX_BATCH, batch_size * 2)


def _bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key


def _positions(messages: list[Message]) -> list[TopicPartition]:
    """One past the last of each partition."""
    offsets: dict[int, int] = {}
    for message in messages:
        offsets[message.partition() or 0] = (message.offset() or 0) + 1
    topic = messages[0].topic() or ""
    return [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]


if __name__ == "__main__":
    _, bootstrap, prefix, source, target, records, size = sys.argv
    main(bootstrap, prefix, source=source, target=target, records=int(records), size=int(size))
