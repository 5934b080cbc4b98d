"""What a round of checkpointing writes for a partition: the oldest uncovered executions' snapshots, then how far all
is covered now. In one transaction, so that no checkpoint is ahead of its snapshots."""

from __future__ import annotations

from msgspec import Struct

from processor.engine.encoding import STATE_FORMAT, encode_snapshot_record
from processor.engine.partitions import Partition
from processor.engine.ports import Message
from processor.engine.snapshots import snapshot_records
from processor.engine.topics import TopicNames
from processor.model.ids import CHECKPOINT_KEY, Millis, snapshot_key
from processor.model.records import Checkpoint

SNAPSHOTS = 500
SNAPSHOT_BYTES = 2 << 20
TOMBSTONES = 2_000
"""What one transaction holds at most, so that commands behind it do not wait for long; one execution at least, and all
closed ones whose last events were written in one transaction."""


class Round(Struct, kw_only=True):
    """One transaction of a round. `taken`: the executions that it covers, and in how many chunks."""

    position: int
    messages: list[Message]
    taken: list[tuple[str, int]]
    disposed: list[str]


def next_round(
    partition: Partition, *, names: TopicNames, partitions: int, max_record_bytes: int, now: Millis
) -> Round:
    coverage = partition.coverage
    messages: list[Message] = []
    taken: list[tuple[str, int]] = []
    size = 0
    for id in coverage.dirty:
        if len(taken) >= SNAPSHOTS or size >= SNAPSHOT_BYTES:
            break
        records = snapshot_records(id, partition.holdings.state(id), max_bytes=max_record_bytes)
        for record in records:
            value = encode_snapshot_record(record)
            size += len(value)
            messages.append(_message(names, partition, snapshot_key(id, record.chunk), value))
        for chunk in range(len(records), coverage.chunks.get(id, 0)):
            messages.append(_message(names, partition, snapshot_key(id, chunk), None))
        taken.append((id, len(records)))
    position, disposed = coverage.next_checkpoint(len(taken), limit=TOMBSTONES)
    for id in disposed:
        messages += [_message(names, partition, snapshot_key(id, chunk), None) for chunk in range(coverage.chunks[id])]
    checkpoint = Checkpoint(
        position=position,
        commands_offset=partition.position(applied=partition.applied, woken=0),
        partitions=partitions,
        format=STATE_FORMAT,
        time=now,
    )
    messages.append(_message(names, partition, CHECKPOINT_KEY, encode_snapshot_record(checkpoint)))
    return Round(position=position, messages=messages, taken=taken, disposed=disposed)


def _message(names: TopicNames, partition: Partition, key: str, value: bytes | None) -> Message:
    return Message(topic=names.snapshots, key=key.encode(), value=value, partition=partition.number)
