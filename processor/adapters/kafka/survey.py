"""What can be seen of processors' partitions from outside: commands not yet applied, and readers that are held up.

The client has no way to ask for transactions (KIP-664). What one of them does is seen: the last stable offset stands
still although records lie behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processor.adapters.kafka.clients import REQUEST_SECONDS, Consumer, Place, error_of
from processor.adapters.kafka.connection import Connection
from processor.adapters.kafka.faults import SETTLING
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.restore import HANGING_SECONDS
from processor.adapters.kafka.timing import backing_off
from processor.engine.ports import Backlog, Findings
from processor.model.ids import Millis

T = TypeVar("T")


class KafkaSurvey:
    """Implements ports.Survey. A partition is seen to be held from the first look that finds it so."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._admin, self._names = connection, connection.admin, connection.names
        self._reader = KafkaReader(connection)
        self._consumer: Consumer | None = None
        self._hangs_after = connection.settings.transaction_timeout_seconds + HANGING_SECONDS
        self._held: dict[Place, tuple[int, float]] = {}  # the last stable offset, and since when it is that
        self._oldest: dict[int, tuple[int, Millis]] = {}  # the first waiting command's offset and time

    def look(self, partitions: Sequence[int]) -> Findings:
        self._reader.serve()
        if self._consumer is not None:
            self._consumer.poll(0)  # as the reader's
        places = [(topic, partition) for topic in self._names.co_partitioned for partition in partitions]
        held = self._look_at_transactions(places)
        return Findings(
            backlogs=self._look_at_commands(partitions),
            retention_ms=self._retention(),
            held_seconds=held,
            hanging=sum(seconds > self._hangs_after for seconds in held.values()),
        )

    def close(self) -> None:
        self._reader.close()
        if self._consumer is not None:
            self._consumer.close()

    # ---- commands

    def _look_at_commands(self, partitions: Sequence[int]) -> dict[int, Backlog]:
        if not partitions:
            return {}
        places = [(self._names.commands, partition) for partition in partitions]
        # The committed first: what comes in between is waiting, and none seems to be applied before it came.
        committed = self._ask(lambda: self._committed(places))
        starts = self._ask(lambda: self._admin.starts(places))
        ends = self._ask(lambda: self._admin.ends(places, committed=True))
        found = {}
        for place in places:
            start = max(committed.get(place, 0), starts[place])
            records = max(0, ends[place] - start)
            oldest = self._time_of(place, start) if records else None
            # What transactions leave behind, of aborted records and at their ends, is no command.
            found[place[1]] = Backlog(records=0 if oldest is None else records, oldest=oldest)
        return found

    def _committed(self, places: Sequence[Place]) -> dict[Place, int]:
        """Of those that have an offset; one that a transaction is about to replace still counts."""
        if self._consumer is None:
            settings = self._connection.settings.loner(self._names.processor_group, committed=False)
            self._consumer = self._connection.consumer(settings)
        found = {}
        for place in self._consumer.committed([TopicPartition(*place) for place in places], REQUEST_SECONDS):
            if place.error is not None:
                raise KafkaException(place.error)
            if place.offset >= 0:
                found[place.topic, place.partition] = place.offset
        return found

    def _time_of(self, place: Place, offset: int) -> Millis | None:
        topic, partition = place
        known = self._oldest.get(partition)
        if known is not None and known[0] == offset:
            return known[1]
        first = next(self._reader.read(topic, partition, start=offset), None)
        if first is None:  # nothing but aborted records
            return None
        self._oldest[partition] = offset, first.time
        return first.time

    def _retention(self) -> int | None:
        topic = self._names.commands
        milliseconds = int(self._ask(lambda: self._admin.configs([topic]))[topic].get("retention.ms", -1))
        return milliseconds if milliseconds >= 0 else None

    # ---- transactions

    def _look_at_transactions(self, places: Sequence[Place]) -> dict[Place, float]:
        if not places:
            return {}
        stable = self._ask(lambda: self._admin.ends(places, committed=True))
        written = self._ask(lambda: self._admin.ends(places, committed=False))
        now = self._connection.timing.now()
        held = {}
        for place in places:
            if written[place] > stable[place]:
                before = self._held.get(place)
                held[place] = before if before is not None and before[0] == stable[place] else (stable[place], now)
        self._held = held
        return {place: now - since for place, (_, since) in held.items()}

    def _ask(self, question: Callable[[], T]) -> T:
        asking = backing_off(
            self._connection.timing,
            retry=lambda error: error_of(error).code() in SETTLING | {KafkaError.NOT_COORDINATOR},
            within_seconds=REQUEST_SECONDS,
            event="leaders_settle",
        )
        try:
            return asking(question)
        except KafkaException as exception:
            raise self._connection.translate(exception) from exception
