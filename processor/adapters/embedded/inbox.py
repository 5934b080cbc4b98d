"""The processor's membership in an embedded log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from processor.adapters.embedded.store import MAX_RECORD_BYTES, Group, Store
from processor.engine.ports import (
    CommandArrived,
    Delivery,
    EventsRestored,
    PartitionLost,
    PartitionRestored,
    PartitionTaken,
    Transaction,
)
from processor.engine.staging import record_bytes
from processor.engine.topics import TopicNames

# One poll restores no more than this, so that commands of the other partitions are not kept waiting.
RESTORE_RECORDS = 500
RESTORE_BYTES = 4 << 20
FETCH_BYTES = 4 << 20


class _Holding:
    """A partition of ours: restored up to `position` of `end`, then read from `next` once it is open."""

    def __init__(self, *, epoch: int, end: int) -> None:
        self.epoch, self.end = epoch, end
        self.position = 0
        self.restored = False
        self.next: int | None = None
        self.fallback = 0


class EmbeddedInbox:
    """Used by one thread. Restores come first in a poll's answer, then commands, partitions taking turns."""

    max_record_bytes = MAX_RECORD_BYTES

    def __init__(self, store: Store, *, names: TopicNames, slot: str) -> None:
        self._store, self._names = store, names
        self.member = store.join(Group(names.processor_group, names.commands), slot=slot)
        self._held: dict[int, _Holding] = {}
        self._turn = 0
        self._closed = False

    def poll(self, *, timeout_seconds: float, max_commands: int) -> Sequence[Delivery]:
        deadline = time.monotonic() + timeout_seconds
        while True:
            # Read before looking: what is written after this ends the wait.
            seen = self._store.version()
            deliveries = (*self._rebalance(), *self._restore(), *self._commands(max_commands))
            remaining = deadline - time.monotonic()
            if deliveries or remaining <= 0:
                return deliveries
            self._store.wait(seen, seconds=remaining)

    def open(self, *, partition: int, assignment: int, fallback_offset: int) -> int:
        holding = self._held.get(partition)
        if holding is None or holding.epoch != assignment:
            return fallback_offset
        if holding.next is None:
            holding.fallback = fallback_offset
            return self._seek(partition, holding)
        return holding.next

    def commit(self, transaction: Transaction) -> bool:
        epochs = {p: holding.epoch for p, holding in self._held.items() if holding.next is not None}
        # Without offsets nothing would be fenced; a record that Kafka would refuse is refused here too.
        committed = (
            bool(transaction.offsets)
            and transaction.offsets.keys() <= epochs.keys()
            and all(record_bytes(message) <= MAX_RECORD_BYTES for message in transaction.messages)
            and self._store.commit(transaction.messages, member=self.member, offsets=transaction.offsets, epochs=epochs)
        )
        if not committed:
            for partition, holding in self._held.items():
                if holding.next is not None:
                    self._seek(partition, holding)
        return committed

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._store.leave(self.member)
            self._store.close()

    def _seek(self, partition: int, holding: _Holding) -> int:
        committed = self._store.committed(self.member.group, partition)
        holding.next = holding.fallback if committed is None else committed
        return holding.next

    def _rebalance(self) -> Iterator[Delivery]:
        change = self._store.sync(self.member, {p: holding.epoch for p, holding in self._held.items()})
        for partition in change.lost:
            del self._held[partition]
            yield PartitionLost(partition=partition)
        if change.taken:
            # After the taking: nobody else can write there any more.
            ends = self._store.ends(self._names.events)
            for partition, epoch in change.taken.items():
                self._held[partition] = _Holding(epoch=epoch, end=ends[partition])
                yield PartitionTaken(partition=partition, assignment=epoch)

    def _restore(self) -> Iterator[Delivery]:
        room, size = RESTORE_RECORDS, RESTORE_BYTES
        for partition, holding in sorted(self._held.items()):
            while not holding.restored and room > 0 and size > 0:
                records = self._store.fetch(
                    self._names.events,
                    partition,
                    start=holding.position,
                    end=holding.end,
                    max_records=room,
                    max_bytes=size,
                )
                if records:
                    holding.position = records[-1].offset + 1
                    room -= len(records)
                    size -= sum(len(record.value or b"") for record in records)
                    yield EventsRestored(partition=partition, assignment=holding.epoch, records=tuple(records))
                if not records or holding.position >= holding.end:
                    holding.restored = True
                    yield PartitionRestored(partition=partition, assignment=holding.epoch)

    def _commands(self, max_commands: int) -> Iterator[Delivery]:
        ready = sorted(p for p, holding in self._held.items() if holding.next is not None)
        if not ready:
            return
        ends = self._store.ends(self._names.commands)
        self._turn += 1
        first = self._turn % len(ready)
        for partition in (*ready[first:], *ready[:first]):
            holding, end = self._held[partition], ends[partition]
            assert holding.next is not None
            if max_commands <= 0 or holding.next >= end:
                continue
            records = self._store.fetch(
                self._names.commands,
                partition,
                start=holding.next,
                end=end,
                max_records=max_commands,
                max_bytes=FETCH_BYTES,
            )
            # Nothing between here and the end: deleted by age.
            holding.next = records[-1].offset + 1 if records else end
            max_commands -= len(records)
            for record in records:
                yield CommandArrived(record=record)
