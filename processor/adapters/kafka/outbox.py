"""Messages sent outside any transaction: idempotent, acknowledged by all in-sync replicas."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage

from processor.adapters.kafka.clients import Producer, error_of
from processor.adapters.kafka.connection import Connection
from processor.engine.ports import Message

POLL_SECONDS = 0.05


class KafkaOutbox:
    """Implements ports.Outbox; threads may share it. How long a message is tried for is `message.timeout.ms`, ten
    seconds unless set; order within a partition is that of `send`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._producer: Producer | None = None
        self._making = threading.Lock()

    def send(self, messages: Sequence[Message]) -> None:
        with self._making:
            if self._producer is None:
                self._producer = self._connection.producer(self._connection.settings.idempotent())
            producer = self._producer
        sending = _Sending(len(messages))
        for message in messages:
            self._produce(producer, message, sending)
        while sending.left and not sending.failed:
            if self._connection.refusals.latest is not None:
                break  # it would be tried again until the message's own timeout
            producer.poll(POLL_SECONDS)
        error = sending.failed or (self._connection.refusals.latest if sending.left else None)
        if error is not None:
            self._give_up(producer, error)

    def close(self) -> None:
        if self._producer is not None:
            self._producer.flush(0)
            self._producer = None

    def _produce(self, producer: Producer, message: Message, sending: _Sending) -> None:
        partition = -1 if message.partition is None else message.partition
        headers = list(message.headers) or None
        while True:
            try:
                producer.produce(
                    message.topic, message.value, message.key, partition, on_delivery=sending.delivered, headers=headers
                )
                return
            except BufferError:  # the client's queue is full: let it drain
                producer.poll(POLL_SECONDS)
            except KafkaException as exception:
                self._give_up(producer, error_of(exception))

    def _give_up(self, producer: Producer, error: KafkaError) -> None:
        if error.fatal() and self._producer is producer:
            self._producer = None  # an idempotent producer is of no use after that; the next send makes another
        raise self._connection.translate(error)


class _Sending:
    """Counts what one `send` waits for."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.failed: KafkaError | None = None

    def delivered(self, error: KafkaError | None, message: KafkaMessage) -> None:
        self.left -= 1
        if error is not None and self.failed is None:
            refused = error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
            self.failed = KafkaError(error.code(), f"it lacks WRITE on topic {message.topic()}") if refused else error
