"""The processor's membership in an embedded log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from processor.adapters.embedded.store import MAX_RECORD_BYTES, Group, Store
from processor.engine.ports import (
    AllRestored,
    CommandArrived,
    Committed,
    Delivery,
    PartitionLost,
    PartitionTaken,
    RecordsRestored,
    Restorable,
    Transaction,
)
from processor.engine.staging import record_bytes
from processor.engine.topics import TopicNames

# One poll restores no more than this, so that commands of the other partitions are not kept waiting.
RESTORE_RECORDS = 500
RESTORE_BYTES = 4 << 20
FETCH_BYTES = 4 << 20


# What is restored after what; before the events the engine says where they begin.
_AFTER: Mapping[Restorable, Restorable | None] = {"snapshots": None, "events": "closed", "closed": None}


class _Holding:
    """A partition of ours. `restoring` is read up to `position` of its end; commands from `next` once it is open."""

    def __init__(self, *, epoch: int, ends: Mapping[Restorable, int], attempts: int) -> None:
        self.epoch, self.ends, self.attempts = epoch, ends, attempts
        self.restoring: Restorable | None = "snapshots"
        self.position = 0
        self.next: int | None = None
        self.fallback = 0


class EmbeddedInbox:
    """Used by one thread. Restores come first in a poll's answer, then commands, partitions taking turns."""

    max_record_bytes = MAX_RECORD_BYTES

    def __init__(self, store: Store, *, names: TopicNames, slot: str) -> None:
        self._store, self._names = store, names
        self.member = store.join(Group(names.processor_group, names.commands), slot=slot)
        self._topics: Mapping[Restorable, str] = {
            "snapshots": names.snapshots,
            "events": names.events,
            "closed": names.closed,
        }
        self._held: dict[int, _Holding] = {}
        self._room = self._size = 0
        self._turn = 0
        self.settled = False
        self._closed = self._orderly = False

    def poll(self, *, timeout_seconds: float, max_commands: int | None) -> Sequence[Delivery]:
        deadline = time.monotonic() + timeout_seconds
        while True:
            # Read before looking: what is written after this ends the wait.
            seen = self._store.version()
            deliveries = (*self._rebalance(), *self._restore(), *self._commands(max_commands or 0))
            self.settled = True
            remaining = deadline - time.monotonic()
            if deliveries or remaining <= 0:
                return deliveries
            self._store.wait(seen, seconds=remaining)

    def restore_events(self, *, partition: int, assignment: int, start: int) -> None:
        holding = self._held.get(partition)
        if holding is not None and holding.epoch == assignment:
            holding.restoring, holding.position = "events", start

    def open(self, *, partition: int, assignment: int, fallback_offset: int) -> int:
        holding = self._held.get(partition)
        if holding is None or holding.epoch != assignment:
            return fallback_offset
        if holding.next is None:
            holding.fallback = fallback_offset
            return self._seek(partition, holding)
        return holding.next

    def commit(self, transaction: Transaction) -> Committed | None:
        epochs = {p: holding.epoch for p, holding in self._held.items() if holding.next is not None}
        # Without offsets nothing would be fenced; a record that Kafka would refuse is refused here too.
        committed = (
            bool(transaction.offsets)
            and transaction.offsets.keys() <= epochs.keys()
            and all(record_bytes(message) <= MAX_RECORD_BYTES for message in transaction.messages)
            and self._store.commit(
                transaction.messages,
                member=self.member,
                offsets=transaction.offsets,
                epochs=epochs,
                attempts=transaction.attempts,
            )
        )
        if not committed:
            for partition, holding in self._held.items():
                if holding.next is not None:
                    self._seek(partition, holding)
            return None
        ends = self._store.ends(self._names.events)
        return Committed(ends={partition: ends[partition] for partition in transaction.offsets})

    def leave(self) -> None:
        """`close` follows, and gives up everything."""
        self._orderly = True

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._store.leave(self.member, orderly=self._orderly)
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
            ends = {of: self._store.ends(topic) for of, topic in self._topics.items()}
            for partition, epoch in change.taken.items():
                own_ends, attempts = {of: ends[of][partition] for of in ends}, change.attempts.get(partition, 0)
                self._held[partition] = _Holding(epoch=epoch, ends=own_ends, attempts=attempts)
                yield PartitionTaken(partition=partition, assignment=epoch)

    def _restore(self) -> Iterator[Delivery]:
        self._room, self._size = RESTORE_RECORDS, RESTORE_BYTES
        # What is closed comes last: without the rest no command flows.
        for of in self._topics:
            for partition, holding in sorted(self._held.items()):
                if holding.restoring == of:
                    yield from self._restore_one(partition, holding, of)

    def _restore_one(self, partition: int, holding: _Holding, of: Restorable) -> Iterator[Delivery]:
        while holding.position < holding.ends[of]:
            if self._room <= 0 or self._size <= 0:
                return
            records = self._store.fetch(
                self._topics[of],
                partition,
                start=holding.position,
                end=holding.ends[of],
                max_records=self._room,
                max_bytes=self._size,
            )
            # Nothing between here and the end: deleted by age, or compacted.
            holding.position = records[-1].offset + 1 if records else holding.ends[of]
            self._room -= len(records)
            self._size -= sum(len(record.value or b"") for record in records)
            if records:
                yield RecordsRestored(
                    partition=partition,
                    assignment=holding.epoch,
                    of=of,
                    records=tuple(records),
                    left=holding.ends[of] - holding.position,
                )
        holding.restoring, holding.position = _AFTER[of], 0
        yield AllRestored(partition=partition, assignment=holding.epoch, of=of, attempts=holding.attempts)

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
