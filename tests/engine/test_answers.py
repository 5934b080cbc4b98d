"""Replies to who asked for them, and topics that nobody may name for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from processor.engine.ports import Committed, Transaction
from processor.engine.topics import TopicSpec, partition_of
from processor.errors import LogUnavailable, NotAuthorized
from processor.model import commands as c
from processor.model.records import Reply
from tests.engine.world import BEATING, PASS, TASK, WAIT, World, now_of, scheduled

INBOX = "asl.replies.shop"


@pytest.fixture
def world() -> World:
    world = World()
    world.log.create_topics([TopicSpec(name=INBOX, partitions=1, config={})])
    world.deploy("pass", PASS)
    world.deploy("task", TASK)
    world.deploy("beating", BEATING)
    return world


def test_who_starts_is_told_that_it_was_accepted_and_how_it_ended(world: World) -> None:
    world.start("pass:a", {"n": 1}, command_id="c-1", correlation_id="order-7", reply_to=INBOX)
    world.settle()

    common = {"execution_id": "pass:a", "command_id": "c-1", "correlation_id": "order-7", "time": now_of(world)}
    assert sorted(world.replies(INBOX), key=lambda reply: reply.kind) == [
        Reply(**common, kind="ACCEPTED"),  # type: ignore[arg-type]  # each of its own type
        Reply(**common, kind="FINISHED", status="SUCCEEDED", output={"n": 1}),  # type: ignore[arg-type]  # as above
    ]
    assert {record.key for record in world.records(INBOX)} == {b"pass:a"}


def test_the_end_is_told_to_who_started_it_under_the_starting_command(world: World) -> None:
    world.start("task:a", command_id="c-1", correlation_id="order-7", reply_to=INBOX)
    world.settle()
    world.send(c.FailTask.of(scheduled(world, "task:a"), error="Broken", cause="it fell"))
    world.restart()  # the address is in ExecutionStarted
    world.settle()

    assert world.replies(INBOX)[-1] == Reply(
        kind="FINISHED",
        execution_id="task:a",
        command_id="c-1",
        correlation_id="order-7",
        time=now_of(world),
        status="FAILED",
        error="Broken",
        cause="it fell",
    )


def test_who_sends_another_command_is_told_that_it_was_accepted(world: World) -> None:
    world.start("beating:a")
    world.settle()
    beat = c.HeartbeatTask(execution_id="beating:a", token="beating:a##2", command_id="b-1", reply_to=INBOX)
    world.send(beat, beat)  # the second comes too soon to be recorded
    world.settle()

    accepted = Reply(kind="ACCEPTED", execution_id="beating:a", command_id="b-1", time=now_of(world))
    assert world.replies(INBOX) == [accepted, accepted]


def test_a_repeated_start_is_accepted_again(world: World) -> None:
    world.start("task:a", command_id="c-1")
    world.start("task:a", command_id="c-2", reply_to=INBOX)
    world.settle()

    accepted = Reply(kind="ACCEPTED", execution_id="task:a", command_id="c-2", time=now_of(world))
    assert world.replies(INBOX) == [accepted]


def test_who_is_refused_is_told_why(world: World) -> None:
    world.send(c.StopExecution(execution_id="task:x", correlation_id="ticket-1", reply_to=INBOX))
    world.settle()

    assert world.replies(INBOX) == [
        Reply(
            kind="REJECTED",
            execution_id="task:x",
            command_id=f"{partition_of(b'task:x', 2)}/0",
            correlation_id="ticket-1",
            time=now_of(world),
            reason="UnknownExecution",
            detail="task:x was never started here",
        )
    ]


def test_the_replies_topic_of_the_processor_may_be_named(world: World) -> None:
    world.start("pass:a", reply_to=world.names.replies)
    world.settle()

    assert sorted(reply.kind for reply in world.replies()) == ["ACCEPTED", "FINISHED"]


NOT_FOR_REPLIES = [
    "asl.events", "asl.commands", "asl.definitions", "asl.dead-letters", "asl.repliesx", "__consumer_offsets", "shop.x",
    "prod.events", "prod.replies", "", "..", "asl.replies.no name", "asl.replies." + "x" * 300,
]  # fmt: skip


@pytest.mark.parametrize("topic", NOT_FOR_REPLIES)
def test_a_topic_that_is_not_for_replies_is_refused(world: World, topic: str) -> None:
    """Though it may exist: the processor must not write where whoever sends a command may not."""
    world.log.create_topics([TopicSpec(name=name, partitions=1, config={}) for name in ("shop.x", "prod.events")])
    world.start("pass:a", reply_to=topic)
    world.start("pass:b")
    world.settle()

    [rejection] = world.rejections()
    detail = f"{topic[:249]!r} is not for replies; asl.replies is, and topics named asl.replies.…"
    assert (rejection.reason, rejection.detail) == ("ReplyTopicRefused", detail)
    assert list(world.histories()) == ["pass:b"]


def test_a_topic_that_is_not_there_is_refused_and_nothing_else_fails(world: World) -> None:
    world.start("pass:a", reply_to="asl.replies.nobody")
    world.start("pass:b", reply_to="asl.replies.nobody")
    world.start("pass:c")
    world.settle()

    assert [(r.reason, r.detail) for r in world.rejections()] == [
        ("ReplyTopicRefused", "there is no topic 'asl.replies.nobody'")
    ] * 2
    assert list(world.histories()) == ["pass:c"]


# ---- topics that go while an execution runs


@pytest.fixture
def gone(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what deletes INBOX: asked, it is not there, and no transaction that writes to it is committed."""
    there = [True]
    partitions, commit = world.processor._reader.partitions, world.processor._inbox.commit

    def counts(topic: str) -> int | None:
        return partitions(topic) if there[0] or topic != INBOX else None

    def commits(transaction: Transaction) -> Committed | None:
        if there[0] or all(message.topic != INBOX for message in transaction.messages):
            return commit(transaction)
        return commit(Transaction(offsets={}, messages=()))  # refused, and rewound

    monkeypatch.setattr(world.processor._reader, "partitions", counts)
    monkeypatch.setattr(world.processor._inbox, "commit", commits)
    return lambda: there.__setitem__(0, False)


def test_a_reply_to_a_topic_that_was_deleted_is_lost_and_the_execution_ends(
    world: World, gone: Callable[[], None]
) -> None:
    world.start("task:a", reply_to=INBOX)
    world.settle()
    gone()
    world.advance(10)
    world.answer("done")

    assert world.types("task:a")[-1] == "ExecutionSucceeded"
    assert [reply.kind for reply in world.replies(INBOX)] == ["ACCEPTED"]
    assert world.counts() == {"started": 1, "applied": 1, "lost_replies": 1}


def test_a_topic_deleted_a_moment_ago_costs_one_transaction(world: World, gone: Callable[[], None]) -> None:
    world.start("task:a", reply_to=INBOX)
    world.settle()
    gone()
    world.start("pass:b", reply_to=INBOX)
    world.answer("done")

    assert world.types("task:a")[-1] == "ExecutionSucceeded"
    assert world.reasons() == [("StartExecution", "ReplyTopicRefused")]
    assert world.counts() == {"started": 1, "applied": 1, "lost_replies": 1, "rejected": 1, "dropped_transactions": 1}


def test_a_slice_that_ends_an_execution_does_not_wait_for_its_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(slice_events=2)
    world.log.create_topics([TopicSpec(name=INBOX, partitions=1, config={})])
    world.deploy("pass", PASS)
    world.start("pass:a", reply_to=INBOX)
    world.step(2)
    assert world.types("pass:a")[-1] != "ExecutionSucceeded"
    monkeypatch.setattr(world.processor._reader, "partitions", lambda topic: None)
    world.advance(10)
    world.settle()

    assert world.types("pass:a")[-1] == "ExecutionSucceeded"
    assert world.counts() == {"started": 1, "slices": 1, "lost_replies": 1}


def test_a_log_out_of_reach_when_an_execution_ends_ends_the_step_and_not_the_execution(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(topic: str) -> int | None:
        raise LogUnavailable(address="memory:", reason="planted")

    world.start("task:a", reply_to=INBOX)
    world.settle()
    world.advance(10)
    monkeypatch.setattr(world.processor._reader, "partitions", unreachable)
    with pytest.raises(LogUnavailable, match="planted"):
        world.answer("done")
    world.processor.close()
    world.restart()
    world.settle()

    assert world.types("task:a")[2:] == ["TaskScheduled", "TaskSucceeded", "StateExited", "ExecutionSucceeded"]
    assert [reply.kind for reply in world.replies(INBOX)] == ["ACCEPTED", "FINISHED"]


def test_a_reply_too_large_for_a_record_is_lost_and_the_execution_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cause fits into the events, not into the reply, which names what it is about at length."""
    monkeypatch.setattr(world.processor._answers, "_max_record_bytes", 33_800)
    world.start("task:a", correlation_id="x" * 1_024, reply_to=world.names.replies)
    world.settle()
    world.send(c.FailTask.of(scheduled(world, "task:a"), cause="x" * 32_768))
    world.settle()

    assert world.types("task:a")[2:] == ["TaskScheduled", "TaskFailed", "ExecutionFailed"]
    assert [reply.kind for reply in world.replies()] == ["ACCEPTED"]
    assert world.counts() == {"started": 1, "applied": 1, "lost_replies": 1}


def test_a_topic_made_later_is_found_after_a_while(world: World) -> None:
    world.start("pass:a", reply_to="asl.replies.later")
    world.settle()
    world.log.create_topics([TopicSpec(name="asl.replies.later", partitions=1, config={})])
    world.start("pass:a", reply_to="asl.replies.later")
    world.settle()
    assert list(world.histories()) == []  # not asked for with every command

    world.advance(10)
    world.start("pass:a", reply_to="asl.replies.later")
    world.settle()
    assert sorted(reply.kind for reply in world.replies("asl.replies.later")) == ["ACCEPTED", "FINISHED"]


def test_a_topic_that_the_processor_may_not_see_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(topic: str) -> int | None:
        raise NotAuthorized(role="reader", reason=f"{topic} is not for you")

    monkeypatch.setattr(world.processor._reader, "partitions", refuses)
    world.start("pass:a", reply_to="asl.replies.secret")
    world.settle()

    assert world.reasons() == [("StartExecution", "ReplyTopicRefused")]


def test_names_of_topics_are_not_kept_without_bound(world: World) -> None:
    for number in range(10_050):
        world.start(f"pass:{number}", reply_to=f"asl.replies.{number}")
    world.settle()

    assert len(world.rejections()) == 10_050
    assert world.histories() == {}


def test_a_timer_that_is_fired_with_replies_elsewhere_stays_pending(world: World) -> None:
    """It is refused as any other command is, and its record in the index is not taken for stale."""
    world.deploy("wait", WAIT)
    world.start("wait:a")
    world.settle()
    pending = world.timers()
    world.send(replace(c.FireTimer.of(world.events("wait:a")[-1]), reply_to="asl.events"))
    world.settle()

    assert [(rejection.type, rejection.reason) for rejection in world.rejections()] == [
        ("FireTimer", "ReplyTopicRefused")
    ]
    assert len(pending) == 1
    assert world.timers() == pending
    world.fire()
    assert world.types("wait:a")[-1] == "ExecutionSucceeded"
