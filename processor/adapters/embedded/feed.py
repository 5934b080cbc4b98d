"""A group's share of a topic in an embedded log, read as a table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from processor.adapters.embedded.store import Group, Store
from processor.engine.ports import CaughtUp, FeedDelivery, PartitionLost, PartitionTaken, RecordArrived

FETCH_BYTES = 4 << 20


class _Holding:
    """A partition of ours: read up to `next`; `end` is where it ended when it was taken, None once caught up."""

    def __init__(self, *, epoch: int, next: int, end: int) -> None:
        self.epoch, self.next = epoch, next
        self.end: int | None = end


class EmbeddedFeed:
    """Polled by one thread; `commit` may be called from others."""

    def __init__(self, store: Store, *, topic: str, group: str, from_beginning: bool) -> None:
        self._store, self._topic, self._from_beginning = store, topic, from_beginning
        self.member = store.join(Group(group, topic), slot=None)
        self._held: dict[int, _Holding] = {}
        self._turn = 0
        self.settled = False
        self._closed = False

    def poll(self, *, timeout_seconds: float, max_records: int = 500) -> Sequence[FeedDelivery]:
        deadline = time.monotonic() + timeout_seconds
        while True:
            seen = self._store.version()
            deliveries = (*self._rebalance(), *self._records(max_records))
            self.settled = True
            remaining = deadline - time.monotonic()
            if deliveries or remaining <= 0:
                return deliveries
            self._store.wait(seen, seconds=remaining)

    def commit(self, *, partition: int, offset: int) -> None:
        self._store.remember(self.member.group, partition, offset)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._store.leave(self.member, orderly=True)
            self._store.close()

    def _rebalance(self) -> Iterator[FeedDelivery]:
        change = self._store.sync(self.member, {p: holding.epoch for p, holding in self._held.items()})
        for partition in change.lost:
            del self._held[partition]
            yield PartitionLost(partition=partition)
        if change.taken:
            ends = self._store.ends(self._topic)
            for partition, epoch in change.taken.items():
                start = None if self._from_beginning else self._store.committed(self.member.group, partition)
                self._held[partition] = _Holding(epoch=epoch, next=start or 0, end=ends[partition])
                yield PartitionTaken(partition=partition, assignment=epoch)

    def _records(self, max_records: int) -> Iterator[FeedDelivery]:
        if not self._held:
            return
        ends = self._store.ends(self._topic)
        partitions = sorted(self._held)
        self._turn += 1
        first = self._turn % len(partitions)
        for partition in (*partitions[first:], *partitions[:first]):
            holding, end = self._held[partition], ends[partition]
            if max_records > 0 and holding.next < end:
                records = self._store.fetch(
                    self._topic,
                    partition,
                    start=holding.next,
                    end=end,
                    max_records=max_records,
                    max_bytes=FETCH_BYTES,
                )
                # Nothing between here and the end: compacted away.
                holding.next = records[-1].offset + 1 if records else end
                max_records -= len(records)
                for record in records:
                    yield RecordArrived(record=record)
            if holding.end is not None and holding.next >= holding.end:
                holding.end = None
                yield CaughtUp(partition=partition)
