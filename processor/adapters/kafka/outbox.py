"""Messages sent outside any transaction: idempotent, acknowledged by all in-sync replicas."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage

from processor.adapters.kafka.clients import Producer, error_of
from processor.adapters.kafka.connection import Connection
from processor.adapters.kafka.faults import lacking
from processor.adapters.kafka.rights import WRITE, require
from processor.adapters.kafka.topics import max_batch_bytes
from processor.engine.ports import Message

POLL_SECONDS = 0.05
TRANSACTION_SECONDS = 60.0
# What a transaction fails with where one of its topics may not be written to. It does not say which.
_REFUSED = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._INCONSISTENT)


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


class AtomicOutbox:
    """As KafkaOutbox, a transaction for each `send`. The first one shuts out whoever was before it under this name; an
    error ends it, for what became of the transaction is then for the next one to settle."""

    def __init__(self, connection: Connection, *, name: str) -> None:
        self._connection, self._name = connection, name
        self._producer: Producer | None = None

    def send(self, messages: Sequence[Message]) -> None:
        try:
            producer = self._producer = self._producer or self._make()
            if not messages:
                return
            producer.begin_transaction()
            for message in messages:
                self._produce(producer, message)
            producer.commit_transaction(TRANSACTION_SECONDS)
        except KafkaException as exception:
            if error_of(exception).code() in _REFUSED:
                self._name_refused({message.topic for message in messages})
            raise self._connection.translate(exception) from exception

    def _name_refused(self, topics: Collection[str]) -> None:
        """Raise what is missing, if that is a right."""
        connection = self._connection
        try:
            require(connection.role, connection.admin.topics(topics), dict.fromkeys(topics, WRITE))
        except KafkaException as exception:
            raise connection.translate(exception) from exception

    def close(self) -> None:
        self._producer = None

    def _make(self) -> Producer:
        batch = max_batch_bytes(self._connection.admin, self._connection.names)
        producer = self._connection.producer(self._connection.settings.atomic(self._name, batch_bytes=batch))
        producer.init_transactions(TRANSACTION_SECONDS)
        return producer

    def _produce(self, producer: Producer, message: Message) -> None:
        partition = -1 if message.partition is None else message.partition
        while True:
            try:
                headers = list(message.headers) or None
                return producer.produce(message.topic, message.value, message.key, partition, headers=headers)
            except BufferError:  # the client's queue is full: let it drain
                producer.poll(POLL_SECONDS)


class _Sending:
    """Counts what one `send` waits for."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.failed: KafkaError | None = None

    def delivered(self, error: KafkaError | None, message: KafkaMessage) -> None:
        self.left -= 1
        if error is not None and self.failed is None:
            self.failed = lacking(error, "WRITE", "topic", message.topic() or "")
