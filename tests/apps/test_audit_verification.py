"""A log in order is verified; each kind of fault that is put into one is named, with its place and what differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from processor.adapters.memory import MemoryLog
from processor.apps.audit.checks import Counts, Fault
from processor.apps.audit.folding import first_state
from processor.apps.audit.held import Held
from processor.apps.audit.verification import Verification
from processor.engine.coverage import CHECKPOINT_MS
from processor.engine.encoding import (
    decode_closed,
    decode_definition_record,
    decode_events,
    decode_snapshot_record,
    encode_closed,
    encode_definition_record,
    encode_events,
    encode_execution,
    encode_snapshot_record,
)
from processor.engine.ports import Message, Record
from processor.engine.topics import topic_specs
from processor.model import commands as c
from processor.model import events as e
from processor.model.ids import Millis
from processor.model.records import Checkpoint, Definition, Snapshot
from tests.engine.world import PASS, TASK, WAIT, World, map_of_passes, scheduled

Rows = list[Record]
Edit = Callable[[Rows], Rows]


@pytest.fixture
def world() -> World:
    """One partition: `task:a` waits, `pass:a` has succeeded, `task:b` was aborted and redriven, all under a checkpoint;
    then `task:c` was started, and `wait:a` fired."""
    world = World(partitions=1)
    for machine, definition in (("pass", PASS), ("task", TASK), ("wait", WAIT), ("map", map_of_passes())):
        world.deploy(machine, definition)
    world.settle()
    world.start("task:a", {"n": 1})
    world.start("pass:a")
    world.start("wait:a")
    world.start("task:b")
    world.settle()
    world.send(c.StopExecution(execution_id="task:b", command_id="stop"))
    world.settle()
    world.send(c.RedriveExecution(execution_id="task:b", command_id="redrive"))
    world.settle()
    world.advance(CHECKPOINT_MS // 1000)
    world.settle()
    world.start("task:c")
    world.fire("wait")
    return world


def faults(
    world: World, edit: Edit = lambda rows: rows, *, topic: str = "events", only: Sequence[str] = ()
) -> list[Fault]:
    """Verify a copy of the log with the records of one topic edited; offsets are places in the list."""
    return verified(world, edit, topic=topic, only=only)[0]


def verified(
    world: World,
    edit: Edit,
    *,
    topic: str = "events",
    only: Sequence[str] = (),
    complete: dict[int, bool] | None = None,
) -> tuple[list[Fault], Counts]:
    copy = MemoryLog()
    copy.create_topics(topic_specs(world.names, partitions=1))
    outbox, reader = copy.outbox(), copy.reader()
    for name in (world.names.definitions, world.names.events, world.names.snapshots, world.names.closed):
        rows = world.records(name)
        rows = edit(rows) if name == world.names.prefix + topic else rows
        outbox.send([Message(topic=name, key=r.key, value=r.value, headers=r.headers, partition=0) for r in rows])
    verification = Verification(reader, copy.names, only=frozenset(only) or None, complete=complete)
    return list(verification.faults()), verification.counts


def told(found: Sequence[Fault]) -> list[tuple[str, int | None, str | None, str]]:
    return [(fault.rule, fault.offset, fault.execution_id, fault.what) for fault in found]


# ---- edits


def place(rows: Rows, key: str) -> int:
    return next(number for number, row in enumerate(rows) if row.key == key.encode())


def without(*keys: str) -> Edit:
    """The others keep their offsets, as compaction lets them."""
    return lambda rows: [tombstone("gone:x#0") if (row.key or b"").decode() in keys else row for row in rows]


def again(key: str) -> Edit:
    return lambda rows: [*rows, rows[place(rows, key)]]


def changed(key: str, change: Callable[[Record], Record]) -> Edit:
    return lambda rows: [change(row) if row.key == key.encode() else row for row in rows]


def followed_by(*more: Record) -> Edit:
    return lambda rows: [*rows, *more]


def tombstone(key: str) -> Record:
    return Record(topic="", partition=0, offset=0, key=key.encode(), value=None, time=Millis(0))


def batch(*events: e.AnyEvent) -> Record:
    [one] = encode_events(events)
    return Record(topic="", partition=0, offset=0, key=one.key, value=one.value, headers=one.headers, time=Millis(0))


def with_snapshot(**fields: Any) -> Callable[[Record], Record]:
    def change(row: Record) -> Record:
        found = decode_snapshot_record(row.value or b"")
        return replace(row, value=encode_snapshot_record(replace(found, **fields)))

    return change


def with_closed(**fields: Any) -> Callable[[Record], Record]:
    return lambda row: replace(row, value=encode_closed(replace(decode_closed(row.value or b""), **fields)))


def last(rows: Rows, key: str) -> int:
    return max(number for number, row in enumerate(rows) if row.key == key.encode())


# ---- in order


def test_a_log_in_order_has_no_fault(world: World) -> None:
    found, counts = verified(world, lambda rows: rows)

    events = sum(len(decode_events(row.value or b"")) for row in world.records(world.names.events))
    records = len(world.records(world.names.events))
    assert found == []
    assert counts == Counts(
        partitions=1, records=records, events=events, executions=5, ended=2, snapshots=3, closed=2,
    )  # fmt: skip


def test_one_execution_alone_is_verified_with_its_snapshot_and_its_end(world: World) -> None:
    _, open_ = verified(world, lambda rows: rows, only=["task:a"])
    _, ended = verified(world, lambda rows: rows, only=["pass:a"])

    assert (open_.executions, open_.snapshots, open_.closed) == (1, 1, 0)
    assert (ended.executions, ended.snapshots, ended.closed) == (1, 0, 1)


def test_what_is_held_encoded_meanwhile_is_verified_alike(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = verified(world, lambda rows: rows)
    monkeypatch.setattr(Held.__init__, "__kwdefaults__", {"in_use": 1})

    assert verified(world, lambda rows: rows) == expected


# ---- events


def test_a_missing_batch_is_a_gap(world: World) -> None:
    key = f"task:b#{world_sequence(world, 'task:b', e.ExecutionAborted)}"
    rows = world.records(world.names.events)
    number = int(key.partition("#")[2])

    found = faults(world, without(key))
    assert [fault for fault in told(found) if fault[0] == "GAP"] == [
        (
            "GAP",
            place(rows, f"task:b#{number + 1}"),
            "task:b",
            f"goes on with number {number + 1}, {number} is missing",
        )
    ]
    assert {fault.rule for fault in found} == {"GAP"}


def world_sequence(world: World, id: str, kind: type[e.Event]) -> int:
    return next(event.sequence for event in world.events(id) if isinstance(event, kind))


def test_a_missing_beginning_is_named(world: World) -> None:
    number = world_sequence(world, "task:b", e.ExecutionAborted)
    found = faults(world, without("task:b#0"))

    assert [(fault.rule, fault.execution_id, fault.what) for fault in found] == [
        ("NO_BEGINNING", "task:b", f"begins with ExecutionAborted number {number}")
    ]


def test_a_batch_that_comes_again_is_doubled_and_changes_nothing(world: World) -> None:
    rows = world.records(world.names.events)
    started = len(decode_events(rows[place(rows, "task:a#0")].value or b""))

    assert told(faults(world, again("task:a#0"))) == [
        ("DOUBLED", len(rows), "task:a", f"numbers 0 to {started - 1} come again, {started} should be next")
    ]


def test_a_batch_that_comes_again_after_the_end_is_doubled(world: World) -> None:
    rows = world.records(world.names.events)
    ended = len(decode_events(rows[place(rows, "pass:a#0")].value or b"")) - 1

    assert told(faults(world, again("pass:a#0"))) == [
        ("DOUBLED", len(rows), "pass:a", f"numbers 0 to {ended} come again, after its end")
    ]


def answered(world: World, id: str, *, cause: e.Cause, time: int = 10**15) -> Record:
    """Return the batch that the answer to its task would give: of two events of one command."""
    task = scheduled(world, id)
    number = world.events(id)[-1].sequence + 1
    envelope: dict[str, Any] = {"execution_id": id, "time": Millis(time), "caused_by": cause, "state": task.state}
    return batch(
        e.TaskSucceeded(**envelope, sequence=number, output=7),
        e.StateExited(**envelope, sequence=number + 1, output_of="RESULT"),
    )


COMPLETE = e.Cause(command_id="answer", type="CompleteTask", issuer="w", offset=1_000)


def test_another_commands_events_between_those_of_one_are_not_together(world: World) -> None:
    """TaskSucceeded of one command, a heartbeat of another, then the rest of the first."""
    task = scheduled(world, "task:a")
    number = world.events("task:a")[-1].sequence + 1
    other = e.Cause(command_id="other", type="HeartbeatTask", offset=1_001)
    envelope: dict[str, Any] = {"execution_id": "task:a", "time": Millis(10**15), "state": task.state}
    found = faults(
        world,
        followed_by(
            batch(e.TaskHeartbeatRecorded(**envelope, sequence=number, caused_by=COMPLETE)),
            batch(e.TaskHeartbeatRecorded(**envelope, sequence=number + 1, caused_by=other)),
            batch(e.TaskSucceeded(**envelope, sequence=number + 2, caused_by=COMPLETE, output=7)),
        ),
    )
    end = len(world.records(world.names.events))
    assert told(found) == [
        (
            "TOGETHER", end + 2, "task:a",
            f"number {number + 2} is of CompleteTask answer at offset 1000, and stands behind events of"
            " HeartbeatTask other at offset 1001",
        )
    ]  # fmt: skip


def test_two_commands_of_one_offset_are_not_together(world: World) -> None:
    started = world.events("task:a")[-1].caused_by
    other = replace(started, command_id="other", type="CompleteTask")
    [(rule, _, id, what)] = told(faults(world, followed_by(answered(world, "task:a", cause=other))))

    assert (rule, id) == ("TOGETHER", "task:a")
    assert what.endswith(
        f"those before it are of StartExecution {started.command_id} at offset {started.offset}, at the same offset"
    )


def test_a_command_that_is_applied_twice_is_doubled(world: World) -> None:
    cause = world.events("task:a")[-1].caused_by
    number = world.events("task:a")[-1].sequence + 1
    [found] = told(faults(world, followed_by(answered(world, "task:a", cause=cause))))

    assert (found[0], found[2]) == ("DOUBLED", "task:a")
    assert found[3] == (
        f"StartExecution {cause.command_id} at offset {cause.offset} is applied again with number {number}:"
        " it was done before"
    )


def test_time_that_runs_backwards_is_named(world: World) -> None:
    time = world.events("task:a")[-1].time
    [found] = told(faults(world, followed_by(answered(world, "task:a", cause=COMPLETE, time=time - 5))))

    number = world.events("task:a")[-1].sequence + 1
    assert found[::2] == ("TIME", "task:a")
    assert found[3] == f"number {number} is of {time - 5}, 5 ms before the last"


def test_events_after_the_end_are_named(world: World) -> None:
    number = world.events("pass:a")[-1].sequence + 1
    envelope: dict[str, Any] = {"execution_id": "pass:a", "time": Millis(10**15), "caused_by": COMPLETE}
    late = batch(e.StateEntered(**envelope, sequence=number, state="Only", type="Pass"))

    assert told(faults(world, followed_by(late))) == [
        (
            "AFTER_END", len(world.records(world.names.events)), "pass:a",
            f"number {number} comes after its end as SUCCEEDED",
        ),
        # of a history that is not folded any longer nothing is said, not even that its end has its record
    ]  # fmt: skip


def test_an_event_after_the_end_in_one_batch_is_named(world: World) -> None:
    def lengthened(row: Record) -> Record:
        events = decode_events(row.value or b"")
        return batch(*events, e.ExecutionReleased(**_envelope(events[-1])))

    [found] = told(faults(world, changed("pass:a#0", lengthened)))
    assert (found[0], found[2]) == ("AFTER_END", "pass:a")


def _envelope(after: e.AnyEvent) -> dict[str, Any]:
    return {
        "execution_id": after.execution_id, "sequence": after.sequence + 1, "time": after.time,
        "caused_by": after.caused_by,
    }  # fmt: skip


def test_an_event_that_cannot_follow_is_named(world: World) -> None:
    number = world.events("task:a")[-1].sequence + 1
    wrong = e.TaskSucceeded(
        execution_id="task:a",
        sequence=number,
        time=Millis(10**15),
        caused_by=COMPLETE,
        scope=(4,),
        state="Work",
        output=1,
    )
    [found] = told(faults(world, followed_by(batch(wrong))))

    assert (found[0], found[2]) == ("FOLD", "task:a")
    assert found[3].startswith(f"TaskSucceeded number {number} cannot follow: KeyError")


def test_bytes_that_do_not_decode_are_named_and_nothing_else_of_that_history(world: World) -> None:
    rows = world.records(world.names.events)
    found = faults(world, changed("task:b#0", lambda row: replace(row, value=b"\xc3\x01 junk")))

    assert [(fault.rule, fault.offset, fault.execution_id) for fault in found] == [
        ("UNREADABLE", place(rows, "task:b#0"), "task:b")
    ]


def test_a_key_that_is_not_the_contents_is_named(world: World) -> None:
    [found] = told(faults(world, changed("task:c#0", lambda row: replace(row, key=b"task:c#4"))))

    assert found[::2] == ("KEY", "task:c")
    assert found[3] == "the key is task:c#4, of events that begin with number 0"


def test_a_header_that_names_other_events_is_named(world: World) -> None:
    header = (("event-types", b"ExecutionStarted"),)
    [found] = told(faults(world, changed("task:c#0", lambda row: replace(row, headers=header))))

    assert found[::2] == ("TYPES", "task:c")
    assert found[3].startswith("the header event-types says ExecutionStarted, within are ExecutionStarted,StateEntered")


def test_an_execution_in_anothers_partition_is_named(world: World) -> None:
    copy = MemoryLog()
    copy.create_topics(topic_specs(world.names, partitions=4))
    rows = [row for row in world.records(world.names.events) if row.key == b"task:c#0"]
    definitions = world.records(world.names.definitions)
    for partition in range(4):
        copy.outbox().send(
            [
                *(
                    Message(topic=row.topic, key=row.key, value=row.value, headers=row.headers, partition=partition)
                    for row in rows
                ),
            ]
        )
    copy.outbox().send([Message(topic=row.topic, key=row.key, value=row.value, partition=0) for row in definitions])
    found = list(Verification(copy.reader(), copy.names).faults())

    assert len(found) == 3
    assert {(fault.rule, fault.execution_id) for fault in found} == {("PARTITION", "task:c")}
    assert len({fault.what for fault in found}) == 1


def test_a_record_of_no_event_is_named(world: World) -> None:
    found = faults(world, changed("task:c#0", lambda row: replace(row, value=_without_events(row))))
    assert [(f.rule, f.what) for f in found] == [("UNREADABLE", "EventBatch does not decode: it holds no event")]


def _without_events(row: Record) -> bytes:
    """The envelope's bytes are those that the batch of its first event alone begins with; then a count of 0."""
    first, second = decode_events(row.value or b"")[:2]
    one, both = (encode_events(some)[0].value for some in ([first], [first, second]))
    length = next(at for at, (a, b) in enumerate(zip(one, both, strict=False)) if a != b)
    return one[:length] + b"\x00"


def test_of_a_broken_history_further_gaps_and_repetitions_are_named(world: World) -> None:
    """Of `task:b`: started, stopped, redriven."""
    rows = world.records(world.names.events)
    keys = [str(row.key, "utf-8") for row in rows if row.key and row.key.startswith(b"task:b#")]
    stopped, redriven = keys[1], keys[2]
    gap = without(stopped)

    def edit(rows: Rows) -> Rows:
        late = batch(*(replace(event, sequence=event.sequence + 100) for event in decode_events(rows[0].value or b"")))
        event = decode_events(late.value or b"")[0]
        late_b = batch(replace(event, execution_id="task:b"))
        return [*gap(rows), rows[place(rows, redriven)], late_b]

    number, following = int(stopped.partition("#")[2]), int(redriven.partition("#")[2])
    end = world.events("task:b")[-1].sequence + 1
    found = [(fault.rule, fault.what) for fault in faults(world, edit) if fault.execution_id == "task:b"]
    assert found == [
        ("GAP", f"goes on with number {following}, {number} is missing"),
        ("DOUBLED", f"numbers {following} to {end - 1} come again, {end} should be next"),
        ("GAP", f"goes on with number 100, {end} is missing"),
    ]


def test_a_revision_with_another_hash_is_named(world: World) -> None:
    def other(row: Record) -> Record:
        events = list(decode_events(row.value or b""))
        assert isinstance(events[0], e.ExecutionStarted)
        events[0] = replace(events[0], definition_hash=b"\x07" * 32)
        return batch(*events)

    [found] = told(faults(world, changed("task:c#0", other)))
    assert (found[0], found[2]) == ("DEFINITION", "task:c")
    assert found[3].endswith("has another hash among the definitions")


def test_a_snapshot_of_the_first_event_alone_is_compared(world: World) -> None:
    """A slice may end there."""
    rows = world.records(world.names.events)
    [started, *_] = decode_events(rows[place(rows, "task:a#0")].value or b"")
    assert isinstance(started, e.ExecutionStarted)
    state = encode_execution(first_state(started))

    found, counts = verified(world, changed("task:a#0", with_snapshot(state=state, sequence=1)), topic="snapshots")
    assert [fault.rule for fault in found] == ["CHECKPOINT"]  # it covers less than that one says
    assert counts.snapshots == 3


# ---- what compaction and retention may take


def test_what_was_purged_may_be_missing_in_parts(world: World) -> None:
    """Compaction takes a history's first records before its last, and its first tombstones too."""
    number = world_sequence(world, "task:b", e.ExecutionAborted)

    def purged(rows: Rows) -> Rows:
        others = [row for row in rows if row.key != f"task:b#{number}".encode()]
        gone = [(row.key or b"").decode() for row in others if (row.key or b"").startswith(b"task:b#")]
        return [*without(*gone)(rows), tombstone(f"task:b#{number}")]

    found, counts = verified(world, purged)
    assert found == []
    assert (counts.purged, counts.ended) == (1, 2)


def test_an_id_that_was_purged_may_begin_anew(world: World) -> None:
    rows = world.records(world.names.events)
    first = rows[place(rows, "pass:a#0")]

    assert faults(world, followed_by(tombstone("pass:a#0"), first)) == []


def test_a_snapshot_of_what_began_anew_is_not_compared_with_what_was_purged(world: World) -> None:
    """The id was used before, by an execution that came as far and had another input."""
    rows = world.records(world.names.events)
    envelope: dict[str, Any] = {"execution_id": "task:a", "time": Millis(0), "caused_by": e.NO_CAUSE}
    [started, *_] = decode_events(rows[place(rows, "task:a#0")].value or b"")
    earlier = batch(
        replace(started, input="before", time=Millis(0), caused_by=e.NO_CAUSE),
        e.StateEntered(**envelope, sequence=1, state="Work", type="Task"),
        e.TaskScheduled(**envelope, sequence=2, state="Work", kind="LAMBDA", resource="work", arguments=None),
        e.ExecutionAborted(**envelope, sequence=3),
    )
    holes = [tombstone("gone:x#0")] * len(rows)  # so that the checkpoint stands behind it all

    found, counts = verified(world, lambda rows: [earlier, tombstone("task:a#0"), *rows, *holes])
    assert [fault for fault in found if fault.rule != "CHECKPOINT"] == []
    assert (counts.snapshots, counts.purged) == (3, 1)


def moved(row: Record) -> Record:
    return replace(row, headers=(("asl-moved", b"7/100"), *row.headers))


def test_what_was_carried_over_from_another_prefix_goes_on_with_commands_of_this_one(world: World) -> None:
    """Their offsets begin anew; only those of one prefix can be compared."""
    later = answered(world, "task:a", cause=replace(COMPLETE, offset=0))

    assert [fault.rule for fault in faults(world, followed_by(later))] == ["TOGETHER"]
    assert faults(world, lambda rows: [*map(moved, rows), later]) == []
    earlier = [
        replace(event, sequence=event.sequence + 2, caused_by=replace(COMPLETE, offset=-1))
        for event in decode_events(later.value or b"")
    ]
    rules = [fault.rule for fault in faults(world, lambda rows: [*map(moved, rows), later, batch(*earlier)])]
    assert rules == ["TOGETHER"]  # from then on they are compared again


def test_only_what_was_carried_over_as_often_was_written_under_one_prefix(world: World) -> None:
    later = answered(world, "task:a", cause=replace(COMPLETE, offset=0))

    once_and_twice = faults(world, lambda rows: [*(moved(moved(row)) for row in rows), moved(later)])
    both_once = faults(world, lambda rows: [*map(moved, rows), moved(later)])
    assert (once_and_twice, [fault.rule for fault in both_once]) == ([], ["TOGETHER"])


def test_what_age_deleted_before_it_was_carried_over_is_no_fault(world: World) -> None:
    number = world_sequence(world, "task:b", e.ExecutionAborted)
    gone = without("task:b#0", f"task:b#{number}")

    assert {fault.rule for fault in faults(world, gone)} == {"NO_BEGINNING"}
    found = faults(world, lambda rows: [moved(row) if row.value else row for row in gone(rows)])
    assert {fault.rule for fault in found} == {"NO_END"}


def test_a_tombstone_of_what_is_open_is_named(world: World) -> None:
    end = len(world.records(world.names.events))
    assert told(faults(world, followed_by(tombstone("task:a#0")))) == [
        ("TOMBSTONE", end, "task:a", "number 0 is removed while it is open")
    ]


def test_a_tombstone_that_is_no_batchs_is_named(world: World) -> None:
    assert [fault.rule for fault in faults(world, followed_by(tombstone("task:a")))] == ["KEY"]


def test_histories_without_a_beginning_are_passed_over_where_age_has_deleted_it(world: World) -> None:
    rows = world.records(world.names.events)
    kept = [(row.key or b"").decode() for row in rows if (row.key or b"").startswith(b"wait:a#")][1:]
    gone = {(row.key or b"").decode() for row in rows} - set(kept)

    found, counts = verified(world, without(*gone), complete={0: False})
    assert found == []
    # The three snapshots, and the records of pass:a and wait:a, cannot be compared with anything.
    assert (counts.executions, counts.cut_off, counts.unchecked) == (1, 1, 5)


def test_a_history_without_a_beginning_must_have_ended(world: World) -> None:
    number = world_sequence(world, "task:b", e.ExecutionRedriven)
    last_number = world.events("task:b")[-1].sequence

    found, _ = verified(world, without("task:b#0", f"task:b#{number - 1}"), complete={0: False})
    assert told(found) == [
        (
            "NO_END", None, "task:b",
            f"has no beginning, which was deleted by age, and no end up to number {last_number}",
        )
    ]  # fmt: skip


# ---- definitions


def test_a_revision_that_is_missing_is_named_once(world: World) -> None:
    revision = scheduled_revision(world, "task:a")
    rows = world.records(world.names.events)

    found = faults(world, without(f"task#{revision}"), topic="definitions")
    assert told(found) == [
        (
            "DEFINITION", place(rows, "task:a#0"), "task:a",
            f"revision {revision} of task is not among the definitions",
        )
    ]  # fmt: skip


def scheduled_revision(world: World, id: str) -> str:
    started = world.events(id)[0]
    assert isinstance(started, e.ExecutionStarted)
    return started.revision


def test_a_revision_that_cannot_run_is_named(world: World) -> None:
    revision = scheduled_revision(world, "task:a")

    def spoilt(row: Record) -> Record:
        found = decode_definition_record(row.value or b"")
        assert isinstance(found, Definition)
        return replace(row, value=encode_definition_record(replace(found, definition={"StartAt": "Nowhere"})))

    [fault] = faults(world, changed(f"task#{revision}", spoilt), topic="definitions")
    assert (fault.rule, fault.what.startswith(f"revision {revision} of task cannot run: ")) == ("DEFINITION", True)


# ---- snapshots


def test_a_snapshot_of_another_state_is_named_with_what_differs(world: World) -> None:
    state = world.processor._partitions[0].holdings.find("task:a")
    assert state is not None
    wrong = encode_execution(replace(state, status="RUNNING", aws_events=99, error="E"))  # type: ignore[arg-type]  # it is open
    rows = world.records(world.names.snapshots)

    [fault] = faults(world, changed("task:a#0", with_snapshot(state=wrong)), topic="snapshots")
    assert (fault.rule, fault.topic, fault.offset) == ("SNAPSHOT", world.names.snapshots, last(rows, "task:a#0"))
    assert fault.what == "it is not what the events up to number 2 come to"
    assert [one.as_json() for one in fault.differences] == [
        {"path": "/aws_events", "old": 4, "new": 99},
        {"path": "/error", "old": None, "new": "E"},
    ]


def test_a_snapshot_ahead_of_the_events_is_named(world: World) -> None:
    [fault] = faults(world, changed("task:a#0", with_snapshot(sequence=9)), topic="snapshots")
    assert (fault.rule, fault.execution_id, fault.what) == (
        "SNAPSHOT", "task:a", "it is of number 9, which the execution has not come to",
    )  # fmt: skip


def test_a_snapshot_of_nothing_is_named(world: World) -> None:
    def other(rows: Rows) -> Rows:
        row = rows[last(rows, "task:a#0")]
        snapshot = decode_snapshot_record(row.value or b"")
        assert isinstance(snapshot, Snapshot)
        value = encode_snapshot_record(replace(snapshot, execution_id="task:z"))
        return [*rows, replace(row, key=b"task:z#0", value=value)]

    [fault] = faults(world, other, topic="snapshots")
    assert (fault.rule, fault.execution_id) == ("SNAPSHOT", "task:z")


def test_chunks_that_are_missing_are_named(world: World) -> None:
    found = faults(world, changed("task:a#0", with_snapshot(chunks=2)), topic="snapshots")
    assert {fault.rule for fault in found} == {"SNAPSHOT", "CHECKPOINT"}  # for that does not cover it any longer
    assert ("task:a", "some of its chunks are missing") in {(fault.execution_id, fault.what) for fault in found}


def test_a_snapshot_that_cannot_be_read_is_named(world: World) -> None:
    [fault] = faults(world, changed("task:a#0", with_snapshot(state=b"junk")), topic="snapshots")
    assert (fault.rule, fault.execution_id, fault.what.startswith("state does not decode")) == (
        "SNAPSHOT",
        "task:a",
        True,
    )


def test_a_snapshot_under_anothers_key_is_named(world: World) -> None:
    found = faults(world, changed("task:a#0", with_snapshot(chunk=1)), topic="snapshots")
    assert ("KEY", "the key is task:a#0, of what belongs under task:a#1") in {(f.rule, f.what) for f in found}


def test_snapshots_of_another_release_are_counted_and_not_compared(world: World) -> None:
    found, counts = verified(world, changed("task:a#0", with_snapshot(format="other")), topic="snapshots")
    assert (found, counts.snapshots, counts.unchecked) == ([], 2, 1)


def test_an_event_that_a_checkpoint_says_is_covered_must_be(world: World) -> None:
    rows = world.records(world.names.snapshots)
    found = faults(world, lambda rows: [*rows, tombstone("task:a#0")], topic="snapshots")

    [checkpoint] = [decode_snapshot_record(row.value or b"") for row in [rows[last(rows, "#checkpoint")]]]
    assert isinstance(checkpoint, Checkpoint)
    first = place(world.records(world.names.events), "task:a#0")
    assert told(found) == [
        (
            "CHECKPOINT", last(rows, "#checkpoint"), "task:a",
            f"it stands at {checkpoint.position}, the event at {first} is covered by no snapshot",
        )
    ]  # fmt: skip


def test_a_checkpoint_behind_an_end_without_the_end_of_its_snapshot_is_named(world: World) -> None:
    """A restore would read the snapshot and not the end: the execution would be open again."""
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), "done"))
    world.settle()
    assert faults(world) == []
    rows = world.records(world.names.snapshots)
    end = len(world.records(world.names.events))
    found = faults(world, changed("#checkpoint", with_snapshot(position=end)), topic="snapshots")

    what = f"it stands at {end}, behind the end of an execution at {end - 1} that has a snapshot still"
    assert ("CHECKPOINT", last(rows, "#checkpoint"), "task:a", what) in told(found)


def test_a_checkpoint_ahead_of_the_events_is_named(world: World) -> None:
    found = faults(world, changed("#checkpoint", with_snapshot(position=10_000)), topic="snapshots")
    end = len(world.records(world.names.events))
    assert f"it stands at 10000, the events end at {end}" in [fault.what for fault in found]
    assert {fault.rule for fault in found} == {"CHECKPOINT"}


def test_bytes_of_snapshots_that_do_not_decode_are_named(world: World) -> None:
    found = faults(world, changed("task:a#0", lambda row: replace(row, value=b"junk")), topic="snapshots")
    assert ("UNREADABLE", "task:a") in {(fault.rule, fault.execution_id) for fault in found}


# ---- closed


def test_a_record_of_an_end_that_disagrees_is_named_with_what_differs(world: World) -> None:
    rows = world.records(world.names.closed)
    [fault] = faults(world, changed("pass:a", with_closed(status="FAILED", last_sequence=1)), topic="closed")

    ended = world.events("pass:a")[-1].sequence
    assert (fault.rule, fault.topic, fault.offset, fault.execution_id) == (
        "CLOSED", world.names.closed, place(rows, "pass:a"), "pass:a",
    )  # fmt: skip
    assert [one.as_json() for one in fault.differences] == [
        {"path": "/status", "old": "SUCCEEDED", "new": "FAILED"},
        {"path": "/last_sequence", "old": ended, "new": 1},
    ]


def test_a_state_kept_for_a_redrive_that_is_another_is_named(world: World) -> None:
    world.send(c.StopExecution(execution_id="task:c", command_id="stop"))
    world.settle()
    assert faults(world) == []
    other = decode_closed(world.table(world.names.closed)[b"task:c"]).state
    assert other is not None
    world.send(c.StopExecution(execution_id="task:a", command_id="stop"))
    world.settle()

    [fault] = faults(world, changed("task:a", with_closed(state=other)), topic="closed")
    assert {"path": "/state/execution_id", "old": "task:a", "new": "task:c"} in [d.as_json() for d in fault.differences]
    [fault] = faults(world, changed("task:a", with_closed(state=b"junk")), topic="closed")
    assert [one.path for one in fault.differences] == ["/state"]
    assert faults(world, changed("task:a", with_closed(state=None)), topic="closed") == []  # as one that is too large


def test_an_end_without_its_record_is_named(world: World) -> None:
    assert told(faults(world, without("pass:a"), topic="closed")) == [
        ("CLOSED", None, "pass:a", "it has ended, and there is no record of that")
    ]


def test_a_record_that_is_removed_without_a_redrive_is_named(world: World) -> None:
    end = len(world.records(world.names.closed))
    assert told(faults(world, followed_by(tombstone("pass:a")), topic="closed")) == [
        ("CLOSED", end, "pass:a", "it has ended, and the record of that is removed")
    ]


def test_a_record_of_what_is_open_is_named(world: World) -> None:
    rows = world.records(world.names.closed)
    record = with_closed(execution_id="task:a")(rows[place(rows, "pass:a")])
    assert told(faults(world, followed_by(replace(record, key=b"task:a")), topic="closed")) == [
        ("CLOSED", len(rows), "task:a", "it says SUCCEEDED, by its events it is open")
    ]


def test_a_record_of_what_never_was_is_named(world: World) -> None:
    rows = world.records(world.names.closed)
    record = with_closed(execution_id="task:z")(rows[place(rows, "pass:a")])
    assert told(faults(world, followed_by(replace(record, key=b"task:z")), topic="closed")) == [
        ("CLOSED", len(rows), "task:z", "it says SUCCEEDED, and there is no event of it")
    ]


@pytest.mark.parametrize(("change", "rule"), [({"value": b"junk"}, "UNREADABLE"), ({"key": b"pass:b"}, "KEY")])
def test_a_record_of_an_end_that_is_not_its_keys_is_named(world: World, change: dict[str, bytes], rule: str) -> None:
    found = faults(world, changed("pass:a", lambda row: replace(row, **change)), topic="closed")
    assert rule in [fault.rule for fault in found]


# ---- while processors go on


def test_a_log_that_goes_on_meanwhile_has_no_fault(world: World) -> None:
    """What was decided after the ends were taken: one end, and one redrive, that the events read do not hold."""
    world.send(c.StopExecution(execution_id="task:c"))
    world.settle()
    reader = world.log.reader()
    verification = Verification(reader, world.names)
    ends = {topic: reader.end(topic, 0) for topic in (world.names.closed, world.names.snapshots, world.names.events)}
    world.send(c.StopExecution(execution_id="task:a"))
    world.send(c.RedriveExecution(execution_id="task:c"))
    world.settle()

    class Earlier:
        """The reader as it answered before; of closed everything is read to its end."""

        def __getattr__(self, name: str) -> Any:
            return getattr(reader, name)

        def end(self, topic: str, partition: int) -> int:
            return ends[topic]

    verification._reader = Earlier()
    assert list(verification.faults()) == []
    assert verification.counts.ended == 3
