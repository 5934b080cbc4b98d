"""Committed records of a partition, up to its end, without any group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processor.adapters.kafka.clients import REQUEST_SECONDS, Consumer, Place, error_of
from processor.adapters.kafka.connection import Connection
from processor.adapters.kafka.convert import record_of
from processor.adapters.kafka.faults import SETTLING, describe, lacking
from processor.adapters.kafka.timing import backing_off
from processor.engine.ports import Record
from processor.errors import LogUnavailable

CHUNK = 500
POLL_SECONDS = 0.2
MARKERS_SECONDS = 0.5
MARKERS_STEP_SECONDS = 0.005
SILENCE_SECONDS = 15.0
"""A partition that gives nothing for so long, though its end is not reached, counts as out of reach."""


class KafkaReader:
    """Implements ports.Reader. Consumers are kept for the next read; reads may be interleaved."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._admin, self._timing = connection, connection.admin, connection.timing
        self._idle: list[Consumer] = []
        self._closed = False

    def partitions(self, topic: str) -> int | None:
        try:
            found = self._admin.topics([topic]).get(topic)
        except KafkaException as exception:
            raise self._translate(exception) from exception
        return found.partitions if found else None

    def end(self, topic: str, partition: int) -> int:
        """A commit returns before its markers are written, so an end that lags behind the high watermark is waited
        for, though not long: whoever committed, or heard of it, then reads it here."""
        self.serve()
        place = (topic, partition)
        written = self._ask(lambda: self._admin.ends([place], committed=False))[place]
        deadline = self._timing.now() + MARKERS_SECONDS
        while True:
            stable = self._ask(lambda: self._admin.ends([place], committed=True))[place]
            if stable >= written or self._timing.now() >= deadline:
                return stable
            self._timing.sleep(MARKERS_STEP_SECONDS)

    def read(self, topic: str, partition: int, *, start: int = 0, end: int | None = None) -> Iterator[Record]:
        stop = self.end(topic, partition)  # now, not at the first record
        if end is not None:
            stop = min(stop, end)
        return self._read(topic, partition, start, stop)

    def serve(self) -> None:
        """Hear what the kept consumers have to say of their brokers: until then it waits, and takes memory."""
        for consumer in self._idle:
            consumer.poll(0)

    def close(self) -> None:
        self._closed = True
        for consumer in self._idle:
            consumer.close()
        self._idle.clear()

    def _read(self, topic: str, partition: int, start: int, stop: int) -> Iterator[Record]:
        place = (topic, partition)
        position = max(start, self._ask(lambda: self._admin.starts([place]))[place])
        if position >= stop:
            return
        consumer = self._idle.pop() if self._idle else self._make_consumer()
        try:
            # Makes it learn the leader: without, the first fetch was measured to wait 0.95 s, with it 1 ms.
            consumer.list_topics(topic, REQUEST_SECONDS)
            consumer.assign([TopicPartition(topic, partition, position)])
            heard = self._timing.now()
            while position < stop:
                first = consumer.poll(POLL_SECONDS)
                messages = [] if first is None else [first, *consumer.consume(CHUNK, 0)]
                if messages:
                    heard = self._timing.now()
                elif self._timing.now() - heard > SILENCE_SECONDS:
                    reason = f"nothing from {topic}[{partition}] at {position}, before its end {stop}"
                    raise LogUnavailable(address=self._connection.address, reason=reason)
                for message in messages:
                    if (message.topic(), message.partition()) != place:
                        continue  # of the consumer's last read
                    error, offset = message.error(), message.offset()
                    if error is not None and error.code() != KafkaError._PARTITION_EOF:
                        if error.retriable() or error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
                            continue  # the client tries again; silence ends it
                        raise self._translate(lacking(error, "READ", "topic", topic))
                    assert offset is not None
                    if error is None and offset < stop:
                        yield record_of(message)
                    # An end steps over markers and aborted records.
                    position = max(position, offset if error is not None else offset + 1)
        finally:
            self._put_back(consumer)

    def _ask(self, question: Callable[[], Mapping[Place, int]]) -> Mapping[Place, int]:
        asking = backing_off(
            self._timing,
            retry=lambda error: error_of(error).code() in SETTLING,
            within_seconds=SILENCE_SECONDS,
            event="leaders_settle",
        )
        try:
            return asking(question)
        except KafkaException as exception:
            raise self._translate(exception) from exception

    def _make_consumer(self) -> Consumer:
        # A client needs a group's name, though this one never joins.
        return self._connection.consumer(self._connection.settings.loner(self._connection.names.prefix + "reader"))

    def _put_back(self, consumer: Consumer) -> None:
        if self._closed:
            consumer.close()
        else:
            consumer.assign([])
            self._idle.append(consumer)

    def _translate(self, exception: KafkaException | KafkaError) -> Exception:
        error = exception if isinstance(exception, KafkaError) else error_of(exception)
        silent = error.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT)
        if silent and self._connection.refusals.latest is None:
            return LogUnavailable(address=self._connection.address, reason=f"no broker answers ({describe(error)})")
        return self._connection.translate(error)
