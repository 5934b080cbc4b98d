"""Chunks of snapshots as they are read, put together again, and held no longer than a restore needs them."""

from __future__ import annotations

import sys
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from processor.engine.encoding import STATE_FORMAT
from processor.engine.partitions import Partition
from processor.engine.ports import Record
from processor.engine.snapshots import Chunks, Complete
from processor.model.records import Snapshot
from tests.engine.world import TASK, World

IDS = ("task:a", "task:b")


def chunk(id: str, *, number: int, of: int, sequence: int = 1) -> Snapshot:
    state = f"{id} {number} of {of}, {sequence};".encode()
    return Snapshot(execution_id=id, chunk=number, chunks=of, sequence=sequence, format=STATE_FORMAT, state=state)


WRITTEN = st.builds(
    lambda id, number, more, sequence: chunk(id, number=number, of=number + 1 + more, sequence=sequence),
    st.sampled_from(IDS),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(1, 2),
)
REMOVED = st.tuples(st.sampled_from(IDS), st.integers(0, 2))


@given(st.lists(WRITTEN | REMOVED, max_size=20))
def test_the_last_record_of_each_key_counts(records: list[Snapshot | tuple[str, int]]) -> None:
    chunks, rows = Chunks(), dict[tuple[str, int], Snapshot]()
    for record in records:
        if isinstance(record, Snapshot):
            chunks.add(record)
            rows[record.execution_id, record.chunk] = record
        else:
            chunks.remove(*record)
            rows.pop(record, None)

    standing = {id: [row for (of, _), row in sorted(rows.items(), key=lambda kv: kv[0]) if of == id] for id in IDS}
    numbers = {id: [row.chunk for row in found] for id, found in standing.items() if found}
    whole = {
        id: numbers[id] == list(range(standing[id][0].chunks)) and len({row.sequence for row in standing[id]}) == 1
        for id in numbers
    }
    assert chunks.counts() == {id: found[-1] + 1 for id, found in numbers.items()}
    incomplete = chunks.incomplete()
    assert incomplete is None if all(whole.values()) else whole[incomplete or ""] is False
    if incomplete is None:
        states = {id: b"".join(row.state for row in standing[id]) for id in numbers}
        assert {found.execution_id: found for found in chunks.complete()} == {
            id: Complete(id, state) for id, state in states.items()
        }


def test_an_idle_execution_that_was_restored_is_held_once() -> None:
    """Its state, its id, and its places in the two dicts that name it; nothing of what it was restored from."""
    count = 3_000
    world = World(partitions=1)
    world.deploy("task", TASK)
    for number in range(count):
        world.start(f"task:{number:06}", input="x" * 600)
    world.settle()
    world.advance(60)
    world.settle()
    [written] = world.processor._partitions.values()
    records = tuple(world.log.reader().read(world.names.snapshots, 0))
    taken = Partition(
        number=0, assignment=1, partitions=1, definitions=written.holdings._definitions, max_record_bytes=1_000_000
    )

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    restore(taken, records)
    held = (tracemalloc.get_traced_memory()[0] - before) / count
    tracemalloc.stop()

    states = sum(sys.getsizeof(taken.holdings.state(f"task:{number:06}")) for number in range(count)) / count
    assert taken.holdings.open_count == count
    assert held - states - sys.getsizeof("task:000000") < 150


def restore(partition: Partition, records: tuple[Record, ...]) -> None:
    restoring = partition.restoring
    restoring.take("snapshots", records)
    restoring.end_snapshots()
    restoring.end_events()
    partition.end_restore()
