"""A purge: what it takes away, what it is refused for, and that no restart brings anything of it back."""

from __future__ import annotations

import pytest

from processor.engine import purging
from processor.engine.encoding import decode_closed
from processor.engine.ports import Message
from processor.model import commands as c
from processor.model.execution import Execution
from processor.model.ids import Millis
from processor.model.records import ClosedExecution
from tests.engine.test_checkpoints import checkpoint, keys, partition, restored
from tests.engine.test_processor_crashes import Fuse, Unlucky
from tests.engine.world import PASS, TASK, World, scheduled

ID = "pass:a"


@pytest.fixture
def world() -> World:
    world = World(partitions=1)
    world.deploy("task", TASK)
    world.deploy("pass", PASS)
    world.settle()
    return world


def ended(world: World, id: str = ID) -> ClosedExecution:
    """Return the record of an execution that is run to its end now."""
    world.start(id, command_id="start")
    world.settle()
    finish(world, id)
    return closed(world)[id]


def finish(world: World, id: str) -> None:
    """Complete its task, if it has one."""
    for task in world.tasks():
        if task.execution_id == id:
            world.send(c.CompleteTask(execution_id=id, token=task.token, output="done"))
    world.settle()


def closed(world: World) -> dict[str, ClosedExecution]:
    return {key.decode(): decode_closed(value) for key, value in world.table(world.names.closed).items()}


def purge(world: World, record: ClosedExecution, *, ended_at: Millis | None = None) -> None:
    world.send(
        c.PurgeExecution(execution_id=record.execution_id, last_sequence=record.last_sequence, ended_at=ended_at)
    )
    world.settle()


def held(world: World, id: str = ID) -> Execution | ClosedExecution | None:
    return partition(world).holdings.find(id)


def gone(world: World, id: str = ID) -> bool:
    """Whether nothing of it is left: no live record, nothing in memory."""
    prefix = id.encode() + b"#"
    topics = (world.names.events, world.names.snapshots, world.names.closed)
    left = [key for topic in topics for key in world.table(topic) if (key + b"#").startswith(prefix)]
    return left == [] and held(world, id) is None


def test_a_purge_leaves_nothing_of_an_ended_execution_and_no_restart_brings_it_back(world: World) -> None:
    record = ended(world)
    purge(world, record)

    assert gone(world)
    assert world.rejections() == []
    assert world.counts()["purged"] == 1
    restored(world)
    assert gone(world)
    checkpoint(world)
    restored(world)
    assert gone(world)
    assert world.processor.stopped == {}


def test_each_event_has_a_tombstone_so_that_each_batch_has_one(world: World) -> None:
    record = ended(world, "task:a")
    purge(world, record)

    tombstones = [r.key for r in world.records(world.names.events) if r.value is None]
    assert tombstones == [f"task:a#{n}".encode() for n in range(record.last_sequence + 1)]


def test_its_name_is_free_again(world: World) -> None:
    record = ended(world)
    world.start(ID)
    world.settle()
    purge(world, record)

    assert world.reasons() == [("StartExecution", "ExecutionAlreadyExists")]
    assert ended(world) == record  # nothing of it tells of the one before
    restored(world)
    assert held(world) == record


def test_its_snapshot_goes_with_it(world: World) -> None:
    world.start("task:a")
    checkpoint(world)
    record = ended(world, "task:a")
    assert keys(world, world.names.snapshots)[b"task:a#0"]
    purge(world, record)

    assert gone(world, "task:a")
    restored(world)  # its last events stand behind the checkpoint, and their beginning nowhere
    assert world.processor.stopped == {}
    assert gone(world, "task:a")


def test_the_reply_comes_when_all_is_done(world: World) -> None:
    record = ended(world)
    world.send(
        c.PurgeExecution(
            execution_id=ID, command_id="p", last_sequence=record.last_sequence, reply_to=world.names.replies
        )
    )
    world.settle()

    assert [(reply.kind, reply.command_id) for reply in world.replies()] == [("ACCEPTED", "p")]


# ---- refused


def test_what_is_open_unknown_or_another_is_refused_by_name(world: World) -> None:
    record = ended(world)
    world.start("task:open")
    world.settle()
    world.send(
        c.PurgeExecution(execution_id="task:open", last_sequence=2),
        c.PurgeExecution(execution_id="task:never", last_sequence=2),
        c.PurgeExecution(execution_id=ID, last_sequence=record.last_sequence - 1),
        c.PurgeExecution(execution_id=ID, last_sequence=record.last_sequence, ended_at=Millis(7)),
    )
    world.settle()
    purge(world, record)
    purge(world, record)

    last = record.last_sequence
    assert [(r.execution_id, r.reason, r.detail) for r in world.rejections()] == [
        (
            "task:open",
            "ExecutionNotPurgeable",
            "task:open is RUNNING: only an ended execution can be purged, and by a processor",
        ),
        ("task:never", "UnknownExecution", "task:never was never started here"),
        (ID, "ExecutionNotPurgeable", f"{ID} has ended with event {last}, not {last - 1}"),
        (ID, "ExecutionNotPurgeable", f"{ID} has ended at {record.ended_at}, not 7"),
        (ID, "UnknownExecution", f"{ID} was never started here"),
    ]


def test_a_second_purge_does_not_take_the_next_of_that_name(world: World) -> None:
    record = ended(world)
    purge(world, record, ended_at=record.ended_at)
    world.advance(1)
    again = ended(world)
    purge(world, record, ended_at=record.ended_at)

    assert (again.last_sequence, again.ended_at) == (record.last_sequence, record.ended_at + 1_000)
    assert world.reasons() == [("PurgeExecution", "ExecutionNotPurgeable")]
    assert held(world) == again


def test_one_that_was_redriven_is_not_purged(world: World) -> None:
    world.start("task:a")
    world.settle()
    world.send(c.FailTask.of(scheduled(world, "task:a"), error="E"))
    world.settle()
    record = closed(world)["task:a"]
    world.send(c.RedriveExecution(execution_id="task:a"))
    purge(world, record)
    world.answer("done")
    purge(world, record)

    assert world.reasons() == [("PurgeExecution", "ExecutionNotPurgeable")] * 2
    assert world.types("task:a")[-1] == "ExecutionSucceeded"


# ---- in one transaction with other commands


def test_all_of_it_can_come_in_one_batch(world: World) -> None:
    record = ended(world)
    purge(world, record)
    start = c.StartExecution(execution_id=ID, command_id="start", input=None)
    remove = c.PurgeExecution(execution_id=ID, last_sequence=record.last_sequence)
    world.send(start, remove, remove, start, start, remove, start)
    world.settle()

    assert world.reasons() == [("PurgeExecution", "UnknownExecution"), ("StartExecution", "ExecutionAlreadyExists")]
    assert closed(world) == {ID: record}
    restored(world)
    assert held(world) == record


def test_a_purge_that_is_not_committed_comes_again(world: World) -> None:
    record = ended(world)
    world.log.refuse_commits(1)
    purge(world, record)

    assert gone(world)
    assert world.counts()["dropped_transactions"] == 1


def test_a_purge_waits_until_it_is_known_what_is_closed(world: World) -> None:
    record = ended(world)
    checkpoint(world)
    world.restart()
    world.send(c.PurgeExecution(execution_id=ID, last_sequence=record.last_sequence))
    world.settle()

    assert gone(world)
    restored(world)
    assert gone(world)


# ---- a later one of that name


@pytest.mark.parametrize("covered", [True, False], ids=["behind a checkpoint", "in the tail"])
def test_what_stands_before_the_tombstones_is_never_folded_into_the_next_of_that_name(
    world: World, covered: bool
) -> None:
    """Its snapshot is read first, then events of the one before whose numbers would fit."""
    world.start("task:before")  # holds the checkpoint back
    first = ended(world, "task:a")
    purge(world, first)
    world.start("task:a", "second")
    world.settle()
    if covered:
        for execution in ("task:a", "task:before"):  # snapshots without a checkpoint behind the first one
            chunk(world, execution)
    restored(world)

    found = held(world, "task:a")
    assert isinstance(found, Execution)
    assert (found.started.input, found.sequence) == ("second", 3)
    assert world.processor.stopped == {}
    checkpoint(world)
    assert restored(world) == 0  # its snapshot is not taken for that of the one before
    finish(world, "task:a")
    assert closed(world)["task:a"].last_sequence == first.last_sequence
    checkpoint(world)
    assert restored(world) == 0


def chunk(world: World, id: str) -> None:
    """Write the execution's snapshot, and no checkpoint."""
    from processor.engine.encoding import encode_snapshot_record
    from processor.engine.snapshots import snapshot_records

    for record in snapshot_records(id, partition(world).holdings.state(id), max_bytes=1_000_000):
        value = encode_snapshot_record(record)
        world.write(Message(topic=world.names.snapshots, key=f"{id}#{record.chunk}".encode(), value=value, partition=0))


# ---- one with more events than a transaction removes


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "PURGED_AT_ONCE", 2)


def test_a_long_one_is_purged_in_several_transactions_that_survive_their_processors(world: World, few: None) -> None:
    record = ended(world, "task:a")
    world.send(c.PurgeExecution(execution_id="task:a", last_sequence=record.last_sequence))
    for _ in range(4):
        world.step()
        world.restart()
    world.settle()

    left = [r.value and decode_closed(r.value).purged for r in world.records(world.names.closed)]
    assert left == [0, 2, 4, None]
    assert gone(world, "task:a")
    assert world.rejections() == []
    assert world.processor.stopped == {}


def test_one_that_is_being_purged_cannot_be_redriven_and_keeps_its_name(world: World, few: None) -> None:
    world.start("task:a")
    world.settle()
    world.send(c.StopExecution(execution_id="task:a"))
    world.settle()
    record = closed(world)["task:a"]
    assert record.state is not None
    world.send(
        c.PurgeExecution(execution_id="task:a", last_sequence=record.last_sequence),
        c.RedriveExecution(execution_id="task:a"),
        c.StartExecution(execution_id="task:a", input=None),
    )
    world.settle()

    assert [(r.type, r.detail) for r in world.rejections()] == [
        ("RedriveExecution", "Execution is ABORTED and cannot be redriven: it is being purged"),
        ("StartExecution", "task:a has ended as ABORTED"),
    ]
    assert gone(world, "task:a")


# ---- deaths


def purged_and_begun_again(world: World) -> dict[str, object]:
    """Purge a few, begin one again; return what is left on the topics."""
    world.deploy("task", TASK)
    world.deploy("pass", PASS)
    world.start("task:a")
    world.start("task:b")
    world.start(ID)
    world.settle()
    world.answer("done")
    world.send(
        c.PurgeExecution(execution_id=ID, last_sequence=3),
        c.PurgeExecution(execution_id="task:a", last_sequence=5),
        c.PurgeExecution(execution_id="task:open", last_sequence=5),
    )
    world.settle()
    world.start(ID, "again")
    world.settle()
    return {
        "events": sorted(world.table(world.names.events)),
        "closed": sorted(world.table(world.names.closed)),
        "rejections": world.reasons(),
    }


def test_a_death_between_any_two_calls_changes_nothing_of_a_purge(few: None) -> None:
    fuse = Fuse()
    undisturbed = purged_and_begun_again(Unlucky(fuse))
    assert undisturbed["closed"] == [b"pass:a", b"task:b"]
    assert undisturbed["rejections"] == [("PurgeExecution", "UnknownExecution")]
    for moment in range(1, fuse.passed + 1):
        world = Unlucky(Fuse(moment))
        assert purged_and_begun_again(world) == undisturbed, moment
        assert world.processor.stopped == {}
        assert world.deaths == 1, moment
