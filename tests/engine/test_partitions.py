"""Restoring a partition: what was there goes on; what cannot be folded stops that partition, is named, and no other."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from processor.adapters.embedded.store import Group
from processor.engine import restoring
from processor.engine.encoding import decode_closed, decode_events, encode_command, encode_events
from processor.engine.ports import (
    AllRestored,
    CommandArrived,
    Committed,
    Delivery,
    Headers,
    Message,
    PartitionLost,
    PartitionTaken,
    Record,
    RecordsRestored,
    Restorable,
    Transaction,
)
from processor.engine.topics import MOVED_HEADER, partition_of
from processor.interpreter.evolve import evolve
from processor.model import commands as c
from processor.model import events as e
from processor.model.execution import Execution
from tests.engine.world import PASS, TASK, WAIT, World, now_of, scheduled

RESTORED: tuple[Restorable, ...] = ("snapshots", "events", "closed")


@pytest.fixture
def world() -> World:
    world = World(partitions=3)
    world.deploy("pass", PASS)
    world.deploy("task", TASK)
    world.deploy("wait", WAIT)
    for number in range(9):
        world.start(f"task:{number}")
        world.start(f"pass:{number}")
    world.settle()
    return world


def home(world: World, id: str) -> int:
    return partition_of(id.encode(), world.partitions)


def broken_start(world: World) -> tuple[int, str]:
    """Start one task in every partition after a restart; return the partition stopped, and what was logged of it."""
    world.restart()
    world.settle()
    [stopped] = [p for p in range(world.partitions) if p not in world.processor.partitions]
    return stopped, world.processor.stopped[stopped]


def test_a_restarted_processor_goes_on_where_the_last_one_ended(world: World) -> None:
    world.restart()
    world.settle()
    assert world.processor.partitions == (0, 1, 2)
    assert world.processor.ready
    world.answer("done")

    assert {tuple(world.types(f"task:{n}")[3:]) for n in range(9)} == {
        ("TaskSucceeded", "StateExited", "ExecutionSucceeded")
    }


def test_an_ended_execution_is_remembered(world: World) -> None:
    world.restart()
    world.start("pass:0")
    world.send(c.StopExecution(execution_id="pass:1"))
    world.settle()

    assert sorted(world.reasons()) == [
        ("StartExecution", "ExecutionAlreadyExists"),
        ("StopExecution", "ExecutionEnded"),
    ]


def test_a_tombstone_in_the_events_topic_is_passed_over(world: World) -> None:
    world.write(Message(topic=world.names.events, key=b"gone:1#0", value=None, partition=0))
    world.restart()
    world.settle()

    assert world.processor.partitions == (0, 1, 2)


def others_go_on(world: World, stopped: int) -> None:
    ids = [f"pass:new-{number}" for number in range(9)]
    for id in ids:
        world.start(id)
    world.settle()
    keys = {record.key for record in world.records(world.names.events)}
    assert {id for id in ids if f"{id}#0".encode() in keys} == {id for id in ids if home(world, id) != stopped}


def test_a_schema_that_is_not_shipped_stops_its_partition(world: World, caplog: pytest.LogCaptureFixture) -> None:
    strange = b"\xc3\x01" + bytes.fromhex("0123456789abcdef") + b"whatever"
    world.write(Message(topic=world.names.events, key=b"task:0#9", value=strange, partition=1))
    with caplog.at_level(logging.ERROR):
        stopped, reason = broken_start(world)

    assert stopped == 1
    assert reason.endswith("schema 0123456789abcdef is not one this release ships; upgrade the reader")
    assert [(r.message, vars(r)["partition"], vars(r)["reason"]) for r in caplog.records] == [
        ("partition_stopped", 1, reason)
    ]
    assert not world.processor.ready
    assert world.counts()["stopped_partitions"] == 1
    others_go_on(world, stopped)


def test_nothing_more_is_read_of_a_stopped_partition(world: World) -> None:
    strange = Message(topic=world.names.events, key=b"x", value=b"\xc3\x01unknown schema", partition=1)
    world.write(strange)
    for _ in range(1_200):  # more than one poll restores
        world.write(strange)
    stopped, _ = broken_start(world)

    assert stopped == 1
    assert world.counts()["stopped_partitions"] == 1
    others_go_on(world, stopped)


def lies(world: World, id: str, *, drop: int) -> None:
    """Write an event as if `drop` others had been lost before it."""
    last = world.events(id)[-1]
    later = e.StateAborted(
        execution_id=id,
        sequence=last.sequence + 1 + drop,
        time=last.time,
        caused_by=last.caused_by,
        state="Work",
    )
    [batch] = encode_events([later])
    world.write(Message(topic=world.names.events, key=batch.key, value=batch.value, partition=home(world, id)))


def test_a_gap_in_a_history_stops_its_partition(world: World) -> None:
    lies(world, "task:0", drop=1)
    stopped, reason = broken_start(world)

    assert stopped == home(world, "task:0")
    assert reason == (f"events of partition {stopped} cannot be folded: task:0: goes on with number 4, 3 is missing")
    others_go_on(world, stopped)


def test_a_history_that_goes_on_after_its_end_stops_its_partition(world: World) -> None:
    lies(world, "pass:0", drop=0)
    stopped, reason = broken_start(world)

    assert stopped == home(world, "pass:0")
    assert reason == (
        f"events of partition {stopped} cannot be folded: pass:0: goes on with number 4 after it ended with 3"
    )


def test_a_history_without_its_beginning_stops_its_partition(world: World) -> None:
    last = world.events("task:0")[-1]
    other = e.StateAborted(execution_id="task:lost", sequence=7, time=last.time, caused_by=last.caused_by, state="W")
    [batch] = encode_events([other])
    world.write(Message(topic=world.names.events, key=batch.key, value=batch.value, partition=2))
    stopped, reason = broken_start(world)

    assert stopped == 2
    assert reason == "events of partition 2 cannot be folded: task:lost: begins with StateAborted number 7"


# ---- beginnings that were deleted by age


def aged(
    world: World, *kept: e.AnyEvent, first_offset: int = 5, headers: Headers = (), closed: tuple[str, ...] = ()
) -> list[Delivery]:
    """Return what is delivered of a partition of which only these events are left, one in a record, and the records of
    these `closed` executions."""
    records = tuple(
        Record(
            topic=world.names.events,
            partition=0,
            offset=first_offset + n,
            key=b.key,
            value=b.value,
            headers=headers,
            time=now_of(world),
        )
        for n, event in enumerate(kept)
        for b in encode_events([event])
    )
    return [
        PartitionTaken(partition=0, assignment=1),
        AllRestored(partition=0, assignment=1, of="snapshots"),
        RecordsRestored(partition=0, assignment=1, of="events", records=records),
        AllRestored(partition=0, assignment=1, of="events"),
        RecordsRestored(partition=0, assignment=1, of="closed", records=of_closed(world, *closed)),
        AllRestored(partition=0, assignment=1, of="closed"),
    ]


def of_closed(world: World, *ids: str) -> tuple[Record, ...]:
    return tuple(record for record in world.records(world.names.closed) if (record.key or b"").decode() in ids)


def test_an_ended_history_without_its_beginning_is_passed_over_where_records_were_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.answer("done")
    ended, whole = world.events("task:0")[3:], world.events("pass:1")
    deliveries = aged(world, *ended[:2], *whole[:1], ended[2], *whole[1:], closed=("pass:1",))
    after, inbox = scripted(monkeypatch, deliveries)

    assert (after.processor.partitions, after.processor.stopped) == ((0,), {})
    assert [vars(r)["executions"] for r in caplog.records if r.message == "histories_cut_off_by_retention"] == [1]
    [partition] = after.processor._partitions.values()
    assert (partition.holdings.is_closed("pass:1"), partition.holdings.closed_count) == (True, 1)
    assert partition.restoring.next_command == 1 + max(event.caused_by.offset or 0 for event in (*ended, *whole))
    assert inbox.committed == []


def test_one_that_was_carried_over_from_another_prefix_may_have_lost_its_beginning_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.answer("done")
    deliveries = aged(world, *world.events("task:0")[3:], first_offset=0, headers=((MOVED_HEADER, b"1/77"),))
    after, _ = scripted(monkeypatch, deliveries)

    assert (after.processor.partitions, after.processor.stopped) == ((0,), {})
    [partition] = after.processor._partitions.values()
    assert partition.restoring.next_command == 0  # their causes are commands of that prefix


@pytest.mark.parametrize(
    ("numbers", "first_offset", "reason"),
    [
        ([3, 4, 5], 0, "begins with TaskSucceeded number 3"),  # nothing was deleted
        ([3, 4], 5, "has no beginning, and no end up to number 4"),
        ([3, 5], 5, "goes on with number 5, 4 is missing"),
    ],
)
def test_a_history_without_its_beginning_that_no_retention_explains_stops_its_partition(
    world: World, monkeypatch: pytest.MonkeyPatch, numbers: list[int], first_offset: int, reason: str
) -> None:
    world.answer("done")
    events = world.events("task:0")
    deliveries = aged(world, *(events[n] for n in numbers), first_offset=first_offset)
    after, _ = scripted(monkeypatch, deliveries)

    assert after.processor.stopped == {0: f"events of partition 0 cannot be folded: task:0: {reason}"}
    assert after.processor.partitions == ()


def test_a_history_of_a_revision_that_is_gone_stops_its_partition(world: World) -> None:
    started = world.events("task:0")[0]
    assert isinstance(started, e.ExecutionStarted)
    fields = {name: getattr(started, name) for name in started.__struct_fields__}
    orphan = e.ExecutionStarted(**{**fields, "execution_id": "gone:1", "state_machine": "gone", "revision": "0" * 16})
    [batch] = encode_events([orphan])
    world.write(Message(topic=world.names.events, key=batch.key, value=batch.value, partition=2))
    stopped, reason = broken_start(world)

    assert stopped == 2
    assert reason == (
        "events of partition 2 cannot be folded: gone:1: revision 0000000000000000 of gone is not among the definitions"
    )


def test_a_revision_that_no_longer_parses_stops_its_partition(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from processor.engine import definitions
    from processor.errors import Diagnostic, InvalidDefinition

    def refuses(*_: object, **__: object) -> object:
        raise InvalidDefinition([Diagnostic(pointer="/States", code="NO_PATH", message="is too old")])

    monkeypatch.setattr(definitions, "parse", refuses)
    world.restart()
    world.settle()

    assert world.processor.partitions == ()
    assert all("cannot run: /States: is too old" in reason for reason in world.processor.stopped.values())
    assert len(world.processor.stopped) == 3


def test_an_event_that_evolve_cannot_fold_stops_its_partition(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(execution: Execution, event: e.AnyEvent) -> Execution:
        if event.execution_id == "task:0":
            raise ZeroDivisionError("planted")
        return evolve(execution, event)

    monkeypatch.setattr(restoring, "evolve", raises)
    stopped, reason = broken_start(world)

    assert stopped == home(world, "task:0")
    assert reason == (
        f"events of partition {stopped} cannot be folded: task:0: number 1 raises ZeroDivisionError: planted"
    )


# ---- what succeeded


@pytest.mark.parametrize("headers", [True, False], ids=["types told", "types not told"])
def test_a_batch_that_ends_in_success_is_not_folded_and_its_execution_is_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch, headers: bool
) -> None:
    folded: list[tuple[str, int]] = []

    def evolved(execution: Execution, event: e.AnyEvent) -> Execution:
        folded.append((event.execution_id, event.sequence))
        return evolve(execution, event)

    monkeypatch.setattr(restoring, "evolve", evolved)
    one, other = world.histories()["pass:0"], world.histories()["pass:1"]
    after, _ = scripted(
        monkeypatch, whole(world, one, other[:2], other[2:], closed=("pass:0", "pass:1"), headers=headers)
    )

    assert (after.processor.partitions, after.processor.stopped) == ((0,), {})
    assert folded == [("pass:1", 1)]
    [partition] = after.processor._partitions.values()
    assert partition.restoring.events == len(one) + len(other)
    known = {decode_closed(record.value or b"") for record in of_closed(world, "pass:0", "pass:1")}
    assert {partition.holdings.find(id) for id in ("pass:0", "pass:1")} == known
    assert (partition.holdings.open_count, partition.holdings.closed_count) == (0, 2)


def test_a_batch_whose_header_tells_of_success_is_not_even_decoded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def decode(value: bytes) -> tuple[e.AnyEvent, ...]:
        events = decode_events(value)
        decoded.append(f"{events[0].execution_id} from {events[0].sequence}")
        return events

    monkeypatch.setattr(restoring, "decode_events", decode)
    one, other = world.histories()["pass:0"], world.histories()["pass:1"]
    after, _ = scripted(monkeypatch, whole(world, one, other[:2], other[2:], closed=("pass:0", "pass:1")))

    assert (after.processor.partitions, after.processor.stopped) == ((0,), {})
    assert decoded == ["pass:1 from 0"]


def test_one_that_succeeded_and_of_which_closed_has_no_record_stops_its_partition(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name would be free again."""
    after, _ = scripted(monkeypatch, whole(world, world.histories()["pass:0"], closed=("pass:1",)))

    assert after.processor.stopped == {
        0: "events of partition 0 cannot be folded: pass:0: ended with number 3, but closed has no record of it"
    }
    assert (after.processor.partitions, after.processor.ready) == ((), False)


def test_a_success_that_comes_twice_stops_its_partition(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a reader of what was aborted would find it."""
    history = world.histories()["pass:0"]
    after, _ = scripted(monkeypatch, whole(world, history, history, closed=("pass:0",)))

    assert after.processor.stopped == {
        0: "events of partition 0 cannot be folded: pass:0: goes on with number 0 after it ended with 3"
    }


def test_a_success_behind_a_gap_stops_its_partition(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    history = world.histories()["pass:0"]
    after, _ = scripted(monkeypatch, whole(world, history[:1], history[2:], closed=("pass:0",)))

    assert after.processor.stopped == {
        0: "events of partition 0 cannot be folded: pass:0: goes on with number 2, 1 is missing"
    }


def whole(
    world: World, *batches: Sequence[e.AnyEvent], closed: tuple[str, ...], headers: bool = True
) -> list[Delivery]:
    """Return what is delivered of a partition that holds these batches, with the records of these `closed`."""
    records = tuple(
        Record(
            topic=world.names.events,
            partition=0,
            offset=n,
            key=b.key,
            value=b.value,
            headers=b.headers if headers else (),
            time=now_of(world),
        )
        for n, events in enumerate(batches)
        for b in encode_events(events)
    )
    deliveries = aged(world, closed=closed)
    deliveries[2] = RecordsRestored(partition=0, assignment=1, of="events", records=records)
    return deliveries


def test_a_snapshot_covers_nothing_that_comes_after_an_event_behind_it(world: World) -> None:
    """Only what the snapshot holds may be passed over, and only before anything later."""
    world.advance(60)
    world.settle()
    last = world.events("task:0")[-1]
    for sequence in (3, 2):
        event = e.TaskStarted(execution_id="task:0", sequence=sequence, time=last.time, caused_by=last.caused_by)
        [batch] = encode_events([event])
        world.write(
            Message(topic=world.names.events, key=batch.key, value=batch.value, partition=home(world, "task:0"))
        )
    stopped, reason = broken_start(world)

    assert stopped == home(world, "task:0")
    assert reason == (f"events of partition {stopped} cannot be folded: task:0: goes on with number 2, 4 is missing")


def test_a_revision_deployed_between_two_batches_is_found_by_a_restore() -> None:
    """One processor has read the definitions; then another runs a new one, and the first takes its partition over."""
    world = World(partitions=2)
    world.deploy("task", TASK)
    world.settle()
    both = world.processor_on(world.log, slot="1")
    for _ in range(5):
        world.step()
        both.step(timeout_seconds=0)
    [theirs] = both.partitions
    id = next(f"late:{n}" for n in range(100) if home(world, f"late:{n}") == theirs)
    world.start(next(f"task:{n}" for n in range(100) if home(world, f"task:{n}") != theirs))
    world.step()
    world.deploy("late", TASK)
    world.start(id)
    both.step(timeout_seconds=0)
    assert world.types(id) == ["ExecutionStarted", "StateEntered", "TaskScheduled"]
    both.close()
    world.settle()

    assert world.processor.partitions == (0, 1)
    world.answer()
    assert world.types(id)[-1] == "ExecutionSucceeded"


def test_two_processors_share_the_partitions_and_one_takes_over_from_the_other(world: World) -> None:
    second = world.processor_on(world.log, slot="1")
    for _ in range(6):
        world.step()
        second.step(timeout_seconds=0)
    assert sorted((*world.processor.partitions, *second.partitions)) == [0, 1, 2]
    assert world.processor.partitions != ()
    assert second.partitions != ()
    second.close()
    world.answer("done")

    assert world.processor.partitions == (0, 1, 2)
    assert {world.types(f"task:{n}")[-1] for n in range(9)} == {"ExecutionSucceeded"}


def test_commands_that_arrived_with_the_loss_of_their_partition_are_left_to_the_next_owner(world: World) -> None:
    second = world.processor_on(world.log, slot="1")
    for task in range(9):
        world.send(c.CompleteTask.of(scheduled(world, f"task:{task}"), "done"))
    for _ in range(8):
        second.step(timeout_seconds=0)
        world.step()

    assert {tuple(world.types(f"task:{n}")[3:]) for n in range(9)} == {
        ("TaskSucceeded", "StateExited", "ExecutionSucceeded")
    }
    assert world.rejections() == []


class Scripted:
    """An Inbox whose polls are written down before."""

    max_record_bytes = 1_000_000
    settled = True

    def __init__(self, *polls: list[Delivery]) -> None:
        self._polls = list(polls)
        self.committed: list[Transaction] = []
        self.drops = 0  # so many of the next transactions fail

    def poll(self, *, timeout_seconds: float, max_commands: int | None) -> list[Delivery]:
        return self._polls.pop(0)

    def restore_events(self, *, partition: int, assignment: int, start: int) -> None:
        pass

    def open(self, *, partition: int, assignment: int, fallback_offset: int) -> int:
        return 10 * assignment

    def commit(self, transaction: Transaction) -> Committed | None:
        if self.drops:
            self.drops -= 1
            return None
        self.committed.append(transaction)
        return Committed(ends={})

    def leave(self) -> None:
        pass

    def close(self) -> None:
        pass


def arrived(world: World, offset: int) -> CommandArrived:
    value = encode_command(c.StartExecution(execution_id="pass:a", input=None))
    record = Record(
        topic=world.names.commands, partition=0, offset=offset, key=b"pass:a", value=value, time=world.clock.now()
    )
    return CommandArrived(record=record)


def scripted(monkeypatch: pytest.MonkeyPatch, *polls: list[Delivery]) -> tuple[World, Scripted]:
    world = World(partitions=1)
    world.deploy("pass", PASS)
    inbox = Scripted(*polls)
    monkeypatch.setattr(world.log, "inbox", lambda slot: inbox)
    world.restart()
    world.step(len(polls) - 1)
    return world, inbox


def own(assignment: int) -> list[Delivery]:
    return [
        PartitionTaken(partition=0, assignment=assignment),
        *(AllRestored(partition=0, assignment=assignment, of=of) for of in RESTORED),
    ]


def test_a_command_that_came_before_the_loss_of_its_partition_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    lost = PartitionLost(partition=0)
    _, inbox = scripted(monkeypatch, own(1), [arrived(world, 10), lost, *own(2)], [arrived(world, 20)])

    assert [transaction.offsets for transaction in inbox.committed] == [{0: 21}]


def test_nothing_is_applied_before_the_partition_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = PartitionTaken(partition=0, assignment=1)
    world, inbox = scripted(monkeypatch, [arrived(World(), 9)], [taken, arrived(World(), 10)], [])

    assert (inbox.committed, world.processor.partitions, world.processor.ready) == ([], (), False)


def test_what_belongs_to_an_older_assignment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = RecordsRestored(partition=0, assignment=1, of="events", records=(arrived(World(), 0).record,))  # no events
    taken = PartitionTaken(partition=0, assignment=2)
    world, _ = scripted(monkeypatch, [taken, stale, AllRestored(partition=0, assignment=1, of="events")])

    assert (world.processor.partitions, world.processor.stopped) == ((), {})


def test_what_waited_behind_a_dropped_command_does_not_go_ahead_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = World(partitions=1)
    before.deploy("task", TASK)
    before.start("task:a")
    before.settle()
    history = tuple(before.records(before.names.events))
    answer = c.CompleteTask(execution_id="task:a", token=before.tasks()[0].token, output=None)
    dropped = CommandArrived(
        record=Record(
            topic=before.names.commands,
            partition=0,
            offset=10,
            key=b"task:a",
            value=encode_command(answer),
            time=before.clock.now(),
        )
    )
    waiting = arrived(before, 11)
    all_of = {of: AllRestored(partition=0, assignment=1, of=of) for of in RESTORED}
    world, inbox = (
        World(partitions=1),
        Scripted(
            [PartitionTaken(partition=0, assignment=1), all_of["snapshots"]],
            [RecordsRestored(partition=0, assignment=1, of="events", records=history), all_of["events"]],
            [dropped, waiting],
            [all_of["closed"]],
            [],
            [dropped, waiting],
        ),
    )
    world.deploy("task", TASK)
    world.deploy("pass", PASS)
    inbox.drops = 1
    monkeypatch.setattr(world.log, "inbox", lambda slot: inbox)
    world.restart()
    world.step(5)

    written = [(t.offsets, [m.key for m in t.messages if m.topic == world.names.events]) for t in inbox.committed]
    assert written == [({0: 12}, [b"task:a#3", b"pass:a#0"])]


def test_without_a_committed_offset_what_comes_again_is_passed_over_where_an_event_names_it(world: World) -> None:
    before = world.histories()
    group = Group(world.names.processor_group, world.names.commands)
    world.log.store()._group(group).offsets.clear()
    world.restart()
    world.settle()

    assert world.histories() == before
    assert world.rejections() == []  # there is an event of every command


def test_a_clock_that_goes_back_does_not_take_an_execution_with_it(world: World) -> None:
    world.advance(100)
    world.start("wait:late")
    world.settle()
    world.advance(-50)
    world.send(c.FireTimer.of(world.events("wait:late")[-1]))
    world.settle()

    times = [event.time for event in world.events("wait:late")]
    assert times == sorted(times)
    assert world.types("wait:late")[-1] == "ExecutionSucceeded"
