"""What the rebalance callbacks say, kept between them: whose metadata to send, and which partitions are owned.

The callbacks run inside `Consumer.poll` and `consume` only. Nothing is fetched for a partition until it is opened:
its takeover comes first. (Pausing instead was measured to cost up to a second on resuming, and the pause outlives
the assignment.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from confluent_kafka import KafkaException, TopicPartition

from processor.adapters.kafka.clients import Consumer, GroupMetadata

log = logging.getLogger(__name__)


class Membership:
    """Subscribes the consumer to one topic.

    `owned` is what the group assigned. `take_lost` gives what went since it was last asked, which includes partitions
    that are owned again, or still: everything is lost when the member id changed.
    """

    def __init__(self, consumer: Consumer, *, topic: str, slot: str) -> None:
        self._consumer, self._topic, self._slot = consumer, topic, slot
        self._fetching: set[int] = set()
        self._lost: list[int] = []
        self._member = ""
        self._metadata: GroupMetadata | None = None
        self.owned: set[int] = set()

    def subscribe(self) -> None:
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def unsubscribe(self) -> None:
        """Leave the group, with the polls that follow. A static member's `close` would not: the group keeps its place
        until the session ends (KIP-345)."""
        self._consumer.unsubscribe()

    @property
    def member(self) -> str:
        """The member id of the last callback; empty before the first and after an expulsion."""
        return self._member if self._metadata is not None else ""

    @property
    def metadata(self) -> GroupMetadata | None:
        """Of the last callback, never of now: librdkafka may have joined again without telling, and fresh metadata
        is accepted for partitions that another process owns."""
        return self._metadata if self._member else None

    @property
    def rightful(self) -> set[int]:
        """The partitions to hold: those owned, if this is a member at all."""
        return self.owned if self.member else set()

    def unchanged(self) -> bool:
        """Return whether the client still is the member that the last callback told of."""
        return bool(self.member) and self._consumer.memberid() == self._member

    def take_lost(self) -> list[int]:
        lost, self._lost = self._lost, []
        return lost

    def fetch(self, partition: int, *, offset: int) -> None:
        """Begin, or begin again, to fetch an owned partition at `offset`."""
        place = TopicPartition(self._topic, partition, offset)
        if partition in self._fetching:
            try:
                self._consumer.seek(place)
                return
            except KafkaException as error:  # not yet, or no longer, being fetched
                log.info("seek_refused", extra={"partition": partition, "reason": str(error)})
                self.leave([partition])
        self._consumer.incremental_assign([place])
        self._fetching.add(partition)

    def leave(self, partitions: Iterable[int]) -> None:
        """Stop fetching; the partitions stay owned."""
        if self._fetching.intersection(partitions):
            self._unassign(partitions)

    # ---- callbacks

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Called on every completed rebalance, with what is new: also with an empty list."""
        consumer.incremental_assign([])  # answers the callback, and fetches nothing yet
        # Empty where the callback was queued before an expulsion: owned in name only, until the next one.
        member = consumer.memberid() or ""
        if self._member and member != self._member and self.owned:
            log.warning("member_id_changed", extra={"slot": self._slot, "partitions": sorted(self.owned)})
            self._lose(self.owned)
        self._member, self._metadata = member, consumer.consumer_group_metadata()
        new = {p.partition for p in partitions}
        self.owned |= new
        log.info("partitions_assigned", extra={"slot": self._slot, "new": sorted(new), "owned": sorted(self.owned)})

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        gone = {p.partition for p in partitions}
        self._lose(gone)
        self.owned -= gone
        # No metadata is taken here: on_assign follows on every completed rebalance, and compares the member id.
        log.info("partitions_revoked", extra={"slot": self._slot, "gone": sorted(gone), "owned": sorted(self.owned)})

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """The group has expelled this member: another may own all of it already."""
        log.warning("partitions_lost", extra={"slot": self._slot, "partitions": sorted(self.owned)})
        self._lose(self.owned | {p.partition for p in partitions})
        self.owned = set()
        self._metadata = None

    def _lose(self, partitions: set[int]) -> None:
        self._lost += sorted(partitions)
        self._unassign(partitions)  # with an empty list too: the callback wants an answer

    def _unassign(self, partitions: Iterable[int]) -> None:
        fetched = self._fetching.intersection(partitions)
        self._fetching -= fetched
        self._consumer.incremental_unassign([TopicPartition(self._topic, p) for p in sorted(fetched)])
