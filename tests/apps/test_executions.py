"""Executions as the events topic alone tells them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from processor import parse, resume, start
from processor.adapters.clock import ManualClock
from processor.adapters.memory import MemoryLog
from processor.apps.executions import (
    ActiveState,
    Description,
    History,
    Rejections,
    Summary,
    await_start,
    describe,
    follow,
    summaries,
    total_events_offsets,
)
from processor.engine.encoding import encode_events, encode_rejection
from processor.engine.ports import Message
from processor.engine.topics import partition_of, topic_specs
from processor.errors import InvalidCommand, TopicsUnfit
from processor.model import events as e
from processor.model.commands import FailTask, FireTimer
from processor.model.ids import Millis, batch_key
from processor.model.records import Rejection, Status

PARTITIONS = 3
CAUSE = e.Cause(command_id="c", type="StartExecution", issuer="test", offset=0)


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog(clock=ManualClock())
    log.create_topics(topic_specs(log.names, partitions=PARTITIONS))
    return log


def write(log: MemoryLog, events: Sequence[e.AnyEvent]) -> None:
    partition = partition_of(events[0].execution_id.encode(), PARTITIONS)
    log.outbox().send(
        [
            Message(
                topic=log.names.events, key=batch.key, value=batch.value, headers=batch.headers, partition=partition
            )
            for batch in encode_events(events)
        ]
    )


def started(id: str = "order:1", time: int = 1000) -> e.ExecutionStarted:
    return e.ExecutionStarted(
        execution_id=id, sequence=0, time=Millis(time), caused_by=CAUSE, state_machine="order", revision="r" * 16,
        definition_hash=b"h" * 32, input={"a": 1}, seed=b"s" * 16, first="Both",
    )  # fmt: skip


def entered(sequence: int, state: str, *scope: int, id: str = "order:1", time: int = 1000) -> e.StateEntered:
    return e.StateEntered(
        execution_id=id, sequence=sequence, time=Millis(time), caused_by=CAUSE, scope=scope, state=state, type="Pass"
    )


def exited(sequence: int, state: str, *scope: int, time: int = 1000) -> e.StateExited:
    return e.StateExited(
        execution_id="order:1", sequence=sequence, time=Millis(time), caused_by=CAUSE, scope=scope, state=state,
        output_of="INPUT",
    )  # fmt: skip


def redriven(sequence: int, count: int, revision: str = "", *, time: int = 3000) -> e.ExecutionRedriven:
    return e.ExecutionRedriven(
        execution_id="order:1", sequence=sequence, time=Millis(time), caused_by=CAUSE, redrive_count=count,
        revision=revision, definition_hash=b"h" * 32,
    )  # fmt: skip


def failed(sequence: int, time: int = 2000) -> e.ExecutionFailed:
    return e.ExecutionFailed(
        execution_id="order:1", sequence=sequence, time=Millis(time), caused_by=CAUSE, error="E", cause="because"
    )


def succeeded(id: str, sequence: int, time: int) -> e.ExecutionSucceeded:
    return e.ExecutionSucceeded(execution_id=id, sequence=sequence, time=Millis(time), caused_by=CAUSE, output={"b": 2})


def history(log: MemoryLog, id: str = "order:1") -> History:
    return History(log.reader(), log.names, id)


def summary(
    id: str, status: Status, *, started_at: int, stopped_at: int | None = None, revision: str = "r" * 16
) -> Summary:
    return Summary(
        execution_id=id,
        state_machine="order",
        revision=revision,
        status=status,
        started_at=Millis(started_at),
        stopped_at=None if stopped_at is None else Millis(stopped_at),
    )


def test_a_running_execution_tells_the_states_it_is_in(log: MemoryLog) -> None:
    write(log, [started(), entered(1, "Both"), entered(2, "Left", 0), entered(3, "Right", 1), exited(4, "Left", 0)])
    assert describe(history(log)) == Description(
        execution_id="order:1", state_machine="order", revision="r" * 16, status="RUNNING", started_at=Millis(1000),
        input={"a": 1}, last_sequence=4, redrive_status_reason="Execution is RUNNING and cannot be redriven",
        active=(
            ActiveState(scope=(), state="Both", entered_at=Millis(1000)),
            ActiveState(scope=(1,), state="Right", entered_at=Millis(1000)),
        ),
    )  # fmt: skip


def test_a_container_that_is_left_takes_its_branches_with_it(log: MemoryLog) -> None:
    write(log, [started(), entered(1, "Both"), entered(2, "Left", 0), exited(3, "Both"), entered(4, "After")])
    description = describe(history(log))
    assert description is not None
    assert description.active == (ActiveState(scope=(), state="After", entered_at=Millis(1000)),)


def test_a_task_that_waits_tells_its_token_until_it_is_answered(log: MemoryLog) -> None:
    workflow = parse({
        "StartAt": "Ask",
        "States": {"Ask": {"Type": "Task", "Resource": "f", "Retry": [{"ErrorEquals": ["E"]}], "End": True}},
    })  # fmt: skip
    asked = start(workflow, {}, execution_id="order:1")
    assert asked.execution is not None
    scheduled = next(event for event in asked.events if isinstance(event, e.TaskScheduled))
    failed = resume(asked.execution, FailTask.of(scheduled, error="E"))
    assert failed.execution is not None
    again = resume(failed.execution, FireTimer.of(failed.events[-1]))
    seen: list[tuple[str | None, ...]] = []
    for batch in (asked.events, failed.events, again.events):
        write(log, batch)
        description = describe(history(log))
        assert description is not None
        seen.append(tuple(active.token for active in description.active))
    assert seen == [("order:1##2",), (None,), ("order:1##5",)]


def test_a_failed_execution_tells_error_and_cause(log: MemoryLog) -> None:
    write(log, [started(), entered(1, "Both")])
    write(log, [failed(2)])
    assert describe(history(log)) == Description(
        execution_id="order:1", state_machine="order", revision="r" * 16, status="FAILED", started_at=Millis(1000),
        stopped_at=Millis(2000), input={"a": 1}, error="E", cause="because", redrive_status="REDRIVABLE",
        last_sequence=2,
    )  # fmt: skip


def test_a_redriven_execution_tells_the_revision_it_runs_on_and_how_often_and_when_it_was_redriven(
    log: MemoryLog,
) -> None:
    write(log, [started(), entered(1, "Both")])
    write(log, [failed(2)])
    write(log, [redriven(3, 1, "n" * 16)])
    for event in (failed(4, time=4000), redriven(5, 2, time=5000), failed(6, time=6000)):
        write(log, [event])
    assert describe(history(log)) == Description(
        execution_id="order:1", state_machine="order", revision="n" * 16, status="FAILED", started_at=Millis(1000),
        stopped_at=Millis(6000), input={"a": 1}, error="E", cause="because", redrive_count=2, redriven_at=Millis(5000),
        redrive_status="REDRIVABLE", last_sequence=6,
    )  # fmt: skip
    assert summaries(log.reader(), log.names) == [
        summary("order:1", "FAILED", started_at=1000, stopped_at=6000, revision="n" * 16)
    ]


def run_started(sequence: int) -> e.MapRunStarted:
    return e.MapRunStarted(
        execution_id="order:1", sequence=sequence, time=Millis(1000), caused_by=CAUSE, state="Both", map_run="order/r:1"
    )


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([started(), entered(1, "Both")], "Execution is RUNNING and cannot be redriven"),
        ([started(), succeeded("order:1", 1, 1000)], "Execution is SUCCEEDED and cannot be redriven"),
        (
            [replace(started(), type="EXPRESS"), failed(1)],
            "Execution is of an EXPRESS state machine and cannot be redriven",
        ),
        (
            [started(), failed(1), redriven(2, 1000), failed(3)],
            "Execution was redriven 1000 times and cannot be redriven",
        ),
        (
            [started(), entered(1, "Both"), run_started(2), failed(3)],
            "Execution has an open run of the distributed Map 'Both', which cannot be redriven yet",
        ),
        ([started(), entered(1, "Both"), run_started(2), exited(3, "Both"), failed(4)], None),
    ],
)
def test_whether_it_can_be_redriven_is_told_in_the_words_of_the_refusal(
    log: MemoryLog, events: list[e.AnyEvent], reason: str | None
) -> None:
    for event in events:
        write(log, [event])
    described = describe(history(log))
    assert described is not None
    status = "REDRIVABLE" if reason is None else "NOT_REDRIVABLE"
    assert (described.redrive_status, described.redrive_status_reason) == (status, reason)


def test_an_execution_that_was_never_started_has_no_description(log: MemoryLog) -> None:
    write(log, [started("order:1")])
    assert describe(history(log, "order:2")) is None


def test_a_batch_written_twice_counts_once(log: MemoryLog) -> None:
    write(log, [started(), entered(1, "Both")])
    write(log, [started(), entered(1, "Both")])
    assert [event.sequence for batch in history(log).read() for event in batch] == [0, 1]


def purge(log: MemoryLog, id: str, events: int) -> None:
    partition = partition_of(id.encode(), PARTITIONS)
    keys = [batch_key(id, sequence).encode() for sequence in range(events)]
    log.outbox().send([Message(topic=log.names.events, key=key, value=None, partition=partition) for key in keys])


def test_nothing_is_told_of_what_was_purged_though_the_log_still_holds_it(log: MemoryLog) -> None:
    for id in ("order:1", "order:2"):
        write(log, [started(id), succeeded(id, 1, 1000)])
    purge(log, "order:1", 2)

    assert describe(history(log)) is None
    assert list(history(log).read()) == []
    assert [one.execution_id for one in summaries(log.reader(), log.names)] == ["order:2"]


def test_an_execution_that_has_the_name_of_a_purged_one_is_told_from_its_own_beginning(log: MemoryLog) -> None:
    write(log, [started(), entered(1, "Both"), failed(2, time=1000)])
    reading = history(log)
    assert [event.sequence for batch in reading.read() for event in batch] == [0, 1, 2]
    purge(log, "order:1", 3)
    write(log, [started(time=3000), entered(1, "Both", time=3000)])

    assert [(event.sequence, event.time) for batch in reading.read() for event in batch] == [(0, 3000), (1, 3000)]
    description = describe(history(log))
    assert description is not None
    assert (description.status, description.started_at) == ("RUNNING", 3000)
    assert summaries(log.reader(), log.names) == [summary("order:1", "RUNNING", started_at=3000)]


def test_reading_goes_on_where_it_ended_and_tells_what_it_passed(log: MemoryLog) -> None:
    write(log, [started()])
    past, passed = history(log), list[int]()
    assert list(past.read(seen=passed.append)) == [(started(),)]
    write(log, [entered(1, "Both")])
    assert (list(past.read(seen=passed.append)), sum(passed), past.end()) == ([(entered(1, "Both"),)], 2, 2)


def test_an_execution_that_was_just_started_is_waited_for(log: MemoryLog) -> None:
    clock = ManualClock(Millis(0))

    def pause() -> None:
        clock.advance(timedelta(seconds=1))
        if clock.now() == 3_000:
            write(log, [started()])

    assert await_start(history(log), clock=clock, pause=pause, within=timedelta(seconds=5)) == [(started(),)]
    assert clock.now() == 3_000


def test_an_execution_that_does_not_come_is_given_up(log: MemoryLog) -> None:
    clock = ManualClock(Millis(0))

    def pause() -> None:
        clock.advance(timedelta(seconds=1))

    assert await_start(history(log), clock=clock, pause=pause, within=timedelta(seconds=5)) == []
    assert clock.now() == 5_000


def test_following_ends_with_the_execution(log: MemoryLog) -> None:
    write(log, [started(), entered(1, "Both")])
    later: list[list[e.AnyEvent]] = [[exited(2, "Both")], [failed(3)]]

    def pause() -> bool:
        write(log, later.pop(0))
        return False

    seen = list(follow(history(log), pause=pause))
    assert (seen, later) == ([(started(), entered(1, "Both")), (exited(2, "Both"),), (failed(3),)], [])


def test_following_ends_where_the_command_was_refused(log: MemoryLog) -> None:
    refused = Rejection(
        execution_id="order:1", command_id="mine", type="StartExecution", reason="DefinitionNotFound", detail="no",
        partition=0, offset=0, time=Millis(0),
    )  # fmt: skip
    others = Rejection(
        execution_id="order:1", command_id="other", type="StopExecution", reason="UnknownExecution", detail="no",
        partition=0, offset=0, time=Millis(0),
    )  # fmt: skip
    rejections = Rejections(log.reader(), log.names, execution_id="order:1", command_id="mine")
    later = [others, refused]

    def pause() -> bool:
        value = encode_rejection(later.pop(0))
        log.outbox().send([Message(topic=log.names.rejections, key=b"order:1", value=value)])
        return False

    assert list(follow(history(log), pause=pause, rejections=rejections)) == [refused]


def test_all_executions_are_listed_in_the_order_of_their_starts(log: MemoryLog) -> None:
    write(log, [started("order:1", time=3000)])
    write(log, [started("order:2", time=1000)])
    write(log, [succeeded("order:2", 1, time=5000)])
    write(log, [started("order:3", time=2000), entered(1, "Both", id="order:3", time=2000)])
    passed: list[int] = []
    found = summaries(log.reader(), log.names, seen=passed.append)
    assert found == [
        summary("order:2", "SUCCEEDED", started_at=1000, stopped_at=5000),
        summary("order:3", "RUNNING", started_at=2000),
        summary("order:1", "RUNNING", started_at=3000),
    ]
    assert sum(passed) == total_events_offsets(log.reader(), log.names) == 4


def test_what_is_no_execution_id_is_refused(log: MemoryLog) -> None:
    with pytest.raises(InvalidCommand, match="must be <state machine>:<name>"):
        history(log, "order")


def test_topics_that_are_missing_are_named() -> None:
    with pytest.raises(TopicsUnfit, match=r"asl\.events: does not exist; asl topics create makes it"):
        history(MemoryLog(clock=ManualClock()))
