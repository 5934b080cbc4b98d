"""A group's share of an index topic, read as a table: each partition from its start or committed offset, and on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, OFFSET_STORED, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from processor.adapters.kafka.clients import Consumer, error_of
from processor.adapters.kafka.connection import Connection
from processor.adapters.kafka.convert import record_of
from processor.adapters.kafka.faults import NOT_AUTHORIZED, UNKNOWN_TOPIC, describe, is_passing
from processor.engine.ports import CaughtUp, FeedDelivery, PartitionLost, PartitionTaken, RecordArrived
from processor.errors import TopicsUnfit

log = logging.getLogger(__name__)

ASK_SECONDS = 0.2
SLICE_SECONDS = 0.5


@dataclass(slots=True, kw_only=True)
class Table:
    """A partition held. `end` is the high watermark as of its taking, once known; None again when caught up."""

    position: int = 0
    end: int | None = None
    caught_up: bool = False


class KafkaFeed:
    """Implements ports.Feed. Not thread-safe. Commits are sent with the next poll, and waited for by `close`."""

    def __init__(
        self,
        connection: Connection,
        *,
        consumer: Consumer,
        topic: str,
        group: str,
        from_beginning: bool,
    ) -> None:
        self._connection, self._timing = connection, connection.timing
        self._consumer, self._topic, self._group = consumer, topic, group
        self._from = OFFSET_BEGINNING if from_beginning else OFFSET_STORED
        self._held: dict[int, Table] = {}
        self._moved: list[FeedDelivery] = []  # what the rebalance callbacks said, in order
        self._commits: dict[int, int] = {}
        self._assignments = 0
        self._asked_at = float("-inf")
        self.settled = self._closed = False
        consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def poll(self, *, timeout_seconds: float, max_records: int = 500) -> Sequence[FeedDelivery]:
        deadline = self._timing.now() + timeout_seconds
        deliveries: list[FeedDelivery] = []
        while True:
            self._send_commits(wait=False)
            left = max(0.0, deadline - self._timing.now())
            first = self._consumer.poll(min(left, SLICE_SECONDS))
            messages = [] if first is None else [first, *self._consumer.consume(max_records - 1, 0)]
            moved, self._moved = self._moved, []
            deliveries += moved
            self._ask_ends()
            self._deliver(messages, deliveries)
            self._connection.raise_refusal()
            if deliveries or self._timing.now() >= deadline:
                return deliveries

    def commit(self, *, partition: int, offset: int) -> None:
        self._commits[partition] = offset

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._send_commits(wait=True)
        self._consumer.close()

    # ---- inside poll

    def _deliver(self, messages: Sequence[KafkaMessage], deliveries: list[FeedDelivery]) -> None:
        for message in messages:
            error, partition, offset = message.error(), message.partition(), message.offset()
            table = self._held.get(-1 if partition is None else partition)
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                self._fault(error)
            elif table is not None and offset is not None:
                # An end steps over markers, aborted records and what was compacted away.
                table.position = offset if error is not None else offset + 1
                if error is None:
                    deliveries.append(RecordArrived(record=record_of(message)))
        for partition, table in self._held.items():
            if not table.caught_up and table.end is not None and table.position >= table.end:
                table.caught_up = True
                deliveries.append(CaughtUp(partition=partition))

    def _ask_ends(self) -> None:
        """Read the high watermarks of partitions newly taken: uncommitted, so that a transaction that was open then is
        waited for."""
        unknown = [p for p, table in self._held.items() if table.end is None]
        now = self._timing.now()
        if not unknown or now - self._asked_at < ASK_SECONDS:
            return
        try:
            ends = self._connection.admin.ends([(self._topic, p) for p in unknown], committed=False)
        except KafkaException as exception:
            if not is_passing(error_of(exception)):
                raise self._connection.translate(exception) from exception
            self._asked_at = now
            return
        for (_, partition), end in ends.items():
            self._held[partition].end = end

    def _send_commits(self, *, wait: bool) -> None:
        places = [TopicPartition(self._topic, p, offset) for p, offset in self._commits.items() if p in self._held]
        self._commits.clear()
        if not places:
            return
        try:
            self._consumer.commit(offsets=places, asynchronous=not wait)
        except KafkaException as error:  # a hint, not a claim: the next owner reads a little more
            log.info("feed_commit_failed", extra={"group": self._group, "reason": describe(error_of(error))})

    def _fault(self, error: KafkaError) -> None:
        if error.code() in UNKNOWN_TOPIC:
            raise TopicsUnfit([f"{self._topic}: {error.str()}"])
        if error.fatal() or error.code() in NOT_AUTHORIZED:
            raise self._connection.translate(error)
        log.warning("consumer_fault", extra={"group": self._group, "reason": describe(error)})

    # ---- callbacks

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.settled = True
        consumer.incremental_assign([TopicPartition(self._topic, p.partition, self._from) for p in partitions])
        for place in partitions:
            self._assignments += 1
            self._held[place.partition] = Table()
            self._moved.append(PartitionTaken(partition=place.partition, assignment=self._assignments))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._send_commits(wait=True)
        self._on_lost(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_unassign([TopicPartition(self._topic, p.partition) for p in partitions])
        for place in partitions:
            if self._held.pop(place.partition, None) is not None:
                self._moved.append(PartitionLost(partition=place.partition))
