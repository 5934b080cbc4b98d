"""Carrying everything over to another prefix with another number of partitions, and going on there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from processor.adapters.clock import ManualClock
from processor.adapters.embedded.log import EmbeddedOutbox, EmbeddedReader
from processor.adapters.memory import MemoryLog, MemoryStore
from processor.apps.client import Client
from processor.engine import carrying
from processor.engine.carrying import Moved
from processor.engine.encoding import decode_events
from processor.engine.migration import migrate
from processor.engine.ports import Message, Record
from processor.engine.processor import Processor
from processor.engine.topics import (
    DEFAULT_RETENTION,
    MOVED_HEADER,
    TopicNames,
    TopicSpec,
    moved_from,
    moves_of,
    partition_of,
    topic_specs,
)
from processor.engine.topics_setup import check_topics, create_topics, migrated_to
from processor.errors import LogUnavailable, MigrationRefused, TopicsUnfit
from processor.model import commands as c
from processor.model import events as e
from processor.model.json import Json
from tests.engine.world import PASS, TASK, WAIT, SameSeed, World, map_of_passes

NEW = TopicNames("new.")
PARTITIONS = 5
FAILS: Json = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}}
DEFINITIONS = {"pass": PASS, "task": TASK, "wait": WAIT, "fails": FAILS, "map": map_of_passes()}


@pytest.fixture
def world() -> World:
    """Executions in every condition; then the processor is gone, and more commands come."""
    world = World(partitions=2)
    for machine, definition in DEFINITIONS.items():
        world.deploy(machine, definition)
    for number in range(4):
        for machine in ("pass", "task", "wait", "fails"):
            world.start(f"{machine}:{number}", {"n": number})
    world.settle()
    world.advance(60)  # a checkpoint
    world.settle()
    world.send(c.PurgeExecution(execution_id="pass:0", last_sequence=3))
    world.send(c.RedriveExecution(execution_id="fails:1"))
    world.send(c.CompleteTask(execution_id="task:1", token="task:1##2", output="early"))
    world.send(c.CompleteTask(execution_id="task:1", token="task:1##2", output="twice"))
    world.send_bytes(b"garbage", key=b"task:1")
    world.start("map:0", [1, 2, 3])
    world.start("task:again")
    world.settle()
    world.processor.close()
    return world


def send_late(world: World) -> None:
    """Commands that nobody has applied yet."""
    world.send(
        c.StartExecution(execution_id="task:late", input="late", reply_to=world.names.replies),
        c.CompleteTask(execution_id="task:2", token="task:2##2", output="late"),
        c.PurgeExecution(execution_id="pass:1", last_sequence=3),
    )
    world.send(c.StartExecution(execution_id="pass:late", input="late", reply_to=world.names.replies), as_json=True)
    world.send_bytes(b"rubbish", key=None, partition=1)


def migrate_all(world: World, target: MemoryLog, *, told: Callable[[Moved], None] = lambda _: None) -> None:
    migrate(
        world.log,
        target,
        partitions=PARTITIONS,
        task_partitions=3,
        retention=DEFAULT_RETENTION,
        clock=world.clock,
        wait=lambda _: False,
        told=told,
    )


def moved(world: World, *, told: Callable[[Moved], None] = lambda _: None, new: MemoryLog | None = None) -> World:
    """Return the world under the new prefix, with a processor of its own."""
    target = new or world.log.under(NEW)
    migrate_all(world, target, told=told)
    assert check_topics(target, task_partitions=3) == []
    after = World(partitions=PARTITIONS, log=world.log.under(NEW), clock=world.clock)
    after.settle()
    return after


def moved_on(world: World) -> World:
    """Return what was moved once, now under a third prefix and with one partition."""
    third = world.log.under(TopicNames("third."))
    migrate(
        world.log.under(NEW),
        third,
        partitions=1,
        retention=DEFAULT_RETENTION,
        clock=world.clock,
        wait=lambda _: False,
        told=lambda _: None,
    )
    final = World(partitions=1, log=third, clock=world.clock)
    final.settle()
    return final


def contents(log: MemoryLog) -> dict[tuple[str, int], list[tuple[bytes | None, bytes | None, object]]]:
    """Return everything under the new prefix."""
    reader = log.reader()
    return {
        (topic, p): [(r.key, r.value, r.headers) for r in reader.read(topic, p)]
        for topic in NEW.all
        for p in range(reader.partitions(topic) or 0)
    }


def test_nothing_is_lost_and_all_of_it_goes_on(world: World) -> None:
    before = histories(world)
    del before["pass:1"]  # a purge of it is among the commands that are to come
    counts: dict[str, tuple[int, int]] = {}
    send_late(world)
    after = moved(world, told=lambda m: counts.__setitem__(m.topic, (m.written, m.live)))

    found = histories(after)
    assert {id: found[id][: len(events)] for id, events in before.items()} == before
    assert found.keys() - before.keys() == {"pass:late", "task:late"}
    assert after.processor.stopped == {}
    assert {task.execution_id for task in after.tasks()} == {"task:0", "task:3", "task:again", "task:late"}
    assert {timer.execution_id for timer in after.timers()} == {f"wait:{n}" for n in range(4)}
    assert {last(after, id) for id in ("task:1", "task:2", "pass:late")} == {"ExecutionSucceeded"}
    assert [reply.kind for reply in after.replies()] == ["ACCEPTED", "ACCEPTED", "FINISHED"]
    assert counts["new.commands"] == (5, 5)
    assert counts["new.definitions"] == (5, 5)
    assert counts["new.timers"] == (4, 4)
    assert counts["new.closed"][1] == 3 + 4 + 1 + 1  # of pass, fails, task:1, map:0
    after.answer("done")
    after.fire()
    assert sorted(id for id in histories(after) if last(after, id) == "ExecutionSucceeded") == sorted(
        ["map:0", "pass:2", "pass:3", "pass:late", "task:again", "task:late"]
        + [f"{machine}:{n}" for machine in ("task", "wait") for n in range(4)]
    )
    assert after.reasons() == [("CompleteTask", "TaskNotPending")]
    assert sorted(letter.value or b"" for letter in after.dead_letters()) == [b"garbage", b"rubbish"]


def last(world: World, id: str) -> str:
    """Return the type of its last event."""
    return type(histories(world)[id][-1]).__name__


def histories(world: World) -> dict[str, list[e.AnyEvent]]:
    """Return the events of every execution that is not purged."""
    return {
        id: found
        for id in sorted({key.decode().rpartition("#")[0] for key in world.table(world.names.events)})
        if (
            found := [
                event
                for record in world.records(world.names.events, partition_of(id.encode(), world.partitions))
                if record.value is not None and (record.key or b"").rpartition(b"#")[0] == id.encode()
                for event in decode_events(record.value)
            ]
        )
    }


def test_what_ended_stays_taken_and_can_be_redriven_and_what_was_purged_is_free(world: World) -> None:
    after = moved(world)
    after.start("pass:0")
    after.start("pass:1")
    after.send(c.RedriveExecution(execution_id="fails:2"))
    after.settle()

    assert after.types("fails:2")[-2:] == ["ExecutionRedriven", "ExecutionFailed"]
    assert after.reasons() == [("CompleteTask", "TaskNotPending"), ("StartExecution", "ExecutionAlreadyExists")]
    assert last(after, "pass:0") == "ExecutionSucceeded"
    restart(after)
    assert after.processor.stopped == {}


def restart(world: World) -> None:
    world.restart()
    world.settle()


def test_each_record_says_where_it_stood_and_stands_where_its_execution_belongs(world: World) -> None:
    target = world.log.under(NEW)
    migrate_all(world, target)
    reader = target.reader()
    for topic in (NEW.events, NEW.timers, NEW.closed, NEW.snapshots):
        for partition in range(PARTITIONS):
            for record in reader.read(topic, partition):
                id = (record.key or b"").partition(b"#")[0]
                assert partition_of(id, PARTITIONS) == partition
                origin = moved_from(record.headers)
                assert origin is not None
                assert origin[0] == partition_of(id, 2)


def test_each_record_says_where_it_stood_under_every_prefix_before(world: World) -> None:
    migrate_all(world, world.log.under(NEW))
    once = {(r.partition, r.offset): r for p in range(PARTITIONS) for r in world.log.reader().read(NEW.events, p)}
    final = moved_on(world)

    carried = [r for r in final.records(final.names.events) if moves_of(r.headers)]
    assert [moves_of(r.headers)[1:] for r in carried] == [
        moves_of(once[moves_of(r.headers)[0]].headers) for r in carried
    ]
    assert len(carried) == len(once) > 0


def test_offsets_of_other_commands_than_those_here_are_no_place_to_begin_at(world: World) -> None:
    """Without a committed offset a processor begins after the last command that an event names."""
    send_late(world)
    migrate_all(world, world.log.under(NEW))
    final = moved_on(world)

    assert last(final, "pass:late") == "ExecutionSucceeded"
    assert [reply.kind for reply in final.replies()] == ["ACCEPTED", "ACCEPTED", "FINISHED"]


def test_where_the_group_has_no_offset_any_more_the_events_tell_which_commands_were_applied(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_late(world)
    expected = world.log.committed()
    monkeypatch.setattr(MemoryLog, "committed", lambda self: {})
    counts: dict[str, int] = {}
    after = moved(world, told=lambda m: counts.__setitem__(m.topic, m.live))

    # Those that were refused left no event: at most they come again.
    assert counts["new.commands"] >= 5
    assert expected != {}
    assert sorted(id for id in histories(after) if id.endswith("late")) == ["pass:late", "task:late"]
    assert after.processor.stopped == {}


# ---- dying, and going on


class MortalLog(MemoryLog):
    """Dies at the send after `left` of them."""

    left = 1_000_000

    def atomic_outbox(self, name: str) -> EmbeddedOutbox:
        return _MortalOutbox(self)


class _MortalOutbox(EmbeddedOutbox):
    def __init__(self, log: MortalLog) -> None:
        super().__init__(log.store())
        self._log = log

    def send(self, messages: Sequence[Message]) -> None:
        if messages:
            self._log.left -= 1
            if self._log.left < 0:
                raise LogUnavailable(address="memory:", reason="the test says so")
        super().send(messages)


def mortal(world: World, left: int) -> MortalLog:
    log = MortalLog(NEW)
    log._store, log.left = world.log.store(), left
    return log


def test_a_run_that_dies_anywhere_is_gone_on_with_and_comes_to_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "BATCH_RECORDS", 3)
    send_late(world)
    undisturbed = World(partitions=2, clock=world.clock)
    undisturbed.log._store = copied(world.log)
    migrate_all(undisturbed, undisturbed.log.under(NEW))
    deaths = again_after_deaths(lambda deaths: migrate_all(world, mortal(world, left=deaths % 4)))

    assert deaths > 10
    whole = contents(undisturbed.log.under(NEW))
    assert contents(world.log.under(NEW)) == whole
    assert sum(map(len, whole.values())) > 60


def again_after_deaths(run: Callable[[int], None]) -> int:
    """Run until it does not die, and return how often it did; `run` is told how often it has."""
    deaths = 0
    while True:
        try:
            run(deaths)
        except LogUnavailable:
            deaths += 1
        else:
            return deaths


def copied(log: MemoryLog) -> MemoryStore:
    """Return a store with the same records."""
    store, old = MemoryStore(ManualClock()), log.store()
    store._topics = {name: tuple(list(p) for p in partitions) for name, partitions in old._topics.items()}
    store._configs, store._groups = dict(old._configs), dict(old._groups)
    return store


class CompactedLog(MemoryLog):
    """Of each key under its own prefix only the last record is read, and no tombstone at all."""

    def reader(self) -> EmbeddedReader:
        return _CompactedReader(self)


class _CompactedReader(EmbeddedReader):
    def __init__(self, log: CompactedLog) -> None:
        super().__init__(log.store())
        self._topics = (*log.names.co_partitioned[1:], log.names.tasks, log.names.definitions)

    def read(self, topic: str, partition: int, *, start: int = 0, end: int | None = None) -> Iterator[Record]:
        found = list(super().read(topic, partition, start=start, end=end))
        if topic in self._topics:
            latest = {record.key: record.offset for record in found}
            found = [record for record in found if latest[record.key] == record.offset and record.value is not None]
        return iter(found)


def test_what_a_source_compacts_away_between_two_runs_is_not_missed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "BATCH_RECORDS", 3)
    new = mortal(world, left=12)
    with pytest.raises(LogUnavailable):
        migrate_all(world, new)
    world.log = CompactedLog(world.names)
    world.log._store = new.store()
    after = moved(world)
    assert after.processor.stopped == {}
    assert {task.execution_id for task in after.tasks()} == {"task:0", "task:2", "task:3", "task:again"}


class AgedLog(MemoryLog):
    """Of the dead letters nothing is left."""

    def reader(self) -> EmbeddedReader:
        return _AgedReader(self)


class _AgedReader(EmbeddedReader):
    def __init__(self, log: AgedLog) -> None:
        super().__init__(log.store())
        self._gone = log.names.dead_letters

    def read(self, topic: str, partition: int, *, start: int = 0, end: int | None = None) -> Iterator[Record]:
        return iter(()) if topic == self._gone else super().read(topic, partition, start=start, end=end)


def test_what_a_source_loses_by_age_between_two_runs_is_kept_where_it_was_carried_to(world: World) -> None:
    def die(carried: Moved) -> None:
        if carried.topic == NEW.dead_letters:
            assert carried.live == 1
            raise LogUnavailable(address="memory:", reason="the test says so")

    with pytest.raises(LogUnavailable):
        moved(world, told=die)
    store = world.log.store()
    world.log = AgedLog(world.names)
    world.log._store = store
    assert [letter.value for letter in moved(world).dead_letters()] == [b"garbage"]


# ---- refused


def refusal(world: World, **fields: object) -> tuple[str, ...]:
    with pytest.raises(MigrationRefused) as refused:
        moved(world, **fields)  # type: ignore[arg-type]  # what moved takes
    return refused.value.reasons


def test_nothing_is_carried_over_while_a_role_is_at_work(world: World) -> None:
    world.restart()
    assert refusal(world) == ("0 of group asl.processor is alive; stop every role first",)
    world.processor.close()
    feed = world.log.feed(world.names.tasks, group="asl.worker.orders", from_beginning=False)
    [line] = refusal(world)
    assert line.endswith("of group asl.worker.orders is alive; stop every role first")
    feed.close()
    other = world.log.feed(world.names.events, group="asl.other", from_beginning=False)  # nobody of ours
    moved(world)
    other.close()


def test_a_role_that_stops_is_waited_for(world: World) -> None:
    world.restart()

    def wait(busy: Sequence[str]) -> bool:
        assert busy == ("0 of group asl.processor is alive",)
        world.processor.close()
        return True

    migrate(
        world.log,
        world.log.under(NEW),
        partitions=1,
        retention=DEFAULT_RETENTION,
        clock=world.clock,
        wait=wait,
        told=lambda _: None,
    )
    assert migrated_to(world.log.reader(), world.names) == "new."


def test_no_role_and_no_command_of_ours_begins_on_what_was_migrated(world: World) -> None:
    moved(world).processor.close()
    message = "asl.definitions: the topics were migrated; they go on with --prefix new."
    with pytest.raises(TopicsUnfit) as refused:
        Processor(log=world.log, clock=world.clock, entropy=SameSeed())
    assert str(refused.value) == message
    with pytest.raises(TopicsUnfit) as refused, Client(world.log, world.clock):
        pass
    assert str(refused.value) == message
    assert refusal(world) == ("asl. was migrated to new. already",)
    create_topics(world.log.under(TopicNames("third.")), partitions=1)
    assert refusal(world, new=world.log.under(TopicNames("third."))) == ("asl. was migrated to new.",)


def test_a_processor_that_joined_at_the_last_moment_is_seen_and_one_that_joins_later_sees_it(world: World) -> None:
    late: list[Processor] = []

    def join(carried: Moved) -> None:
        if carried.topic == "new.dead-letters":  # the last but for the commands
            late.append(Processor(log=world.log, clock=world.clock, entropy=SameSeed()))

    assert refusal(world, told=join) == ("0 of group asl.processor is alive; stop every role first",)
    assert migrated_to(world.log.reader(), world.names) is None
    late[0].close()
    begun = Processor(log=world.log, clock=world.clock, entropy=SameSeed())
    begun._inbox.close()
    moved(world).processor.close()
    begun._inbox = world.log.inbox(slot="0")  # it had read the definitions before, and joins now
    with pytest.raises(TopicsUnfit, match="the topics were migrated"):
        for _ in range(5):
            begun.step(timeout_seconds=0)


def test_what_is_written_meanwhile_is_seen_and_the_next_run_takes_it_along(world: World) -> None:
    def write(carried: Moved) -> None:
        if carried.topic == "new.dead-letters":
            world.deploy("more", PASS)

    assert refusal(world, told=write) == (
        "asl.definitions: was written to while it was carried over; stop whoever writes there, and run this again",
    )
    after = moved(world)
    after.start("more:1")
    after.settle()
    assert after.types("more:1")[-1] == "ExecutionSucceeded"


def test_a_prefix_in_use_is_refused(world: World) -> None:
    create_topics(world.log.under(NEW), partitions=PARTITIONS)
    assert refusal(world) == ("new. is in use: its topics are a log of their own",)
    assert refusal(world, new=world.log) == ("asl. is where the topics are",)


def test_topics_that_are_there_must_be_empty_and_have_the_count_that_is_asked_for(world: World) -> None:
    other = TopicNames("other.")
    target = world.log.under(other)
    target.create_topics(topic_specs(other, partitions=2, task_partitions=3))
    assert refusal(world, new=target)[0] == (
        "other.commands: has 2 partitions, not the 5 asked for; a topic keeps those it was made with"
    )
    world.log.under(NEW).create_topics(topic_specs(NEW, partitions=PARTITIONS, task_partitions=3))
    world.write(Message(topic=NEW.timers, key=b"x", value=b"y", partition=0))
    assert refusal(world) == ("new.timers: holds records that were not carried over; choose another prefix",)


def test_what_does_not_stand_there_as_it_stood_here_is_told(world: World) -> None:
    def tamper(topic: str, key: bytes, value: bytes | None, header: bytes) -> Callable[[Moved], None]:
        def write(carried: Moved) -> None:
            if carried.topic == NEW.definitions:
                partition = partition_of(key.partition(b"#")[0], PARTITIONS)
                header_of = ((MOVED_HEADER, header),)
                world.write(Message(topic=topic, key=key, value=value, partition=partition, headers=header_of))

        return write

    [told] = refusal(world, told=tamper(NEW.closed, b"pass:9", b"forged", b"0/0"))
    assert told.startswith("new.closed: holds ")
    assert told.endswith(" of 9; delete the new topics, and run this again")


def test_a_reply_topic_of_ones_own_must_be_there_under_the_new_prefix(world: World) -> None:
    topic = world.names.replies + ".shop"
    world.log.create_topics([TopicSpec(name=topic, partitions=1, config={})])
    world.send(c.StartExecution(execution_id="pass:shop", input=None, reply_to=topic))
    [reason] = refusal(world)
    assert reason.startswith("new.replies.shop: does not exist")
    world.log.create_topics([TopicSpec(name="new.replies.shop", partitions=1, config={})])
    after = moved(world)

    assert [reply.kind for reply in after.replies("new.replies.shop")] == ["ACCEPTED", "FINISHED"]


def test_a_reply_that_is_owed_goes_to_the_topic_of_that_name_under_the_new_prefix_and_the_next(world: World) -> None:
    world.restart()
    world.start("task:owed", reply_to=world.names.replies)
    world.settle()
    world.processor.close()
    moved(world).processor.close()
    final = moved_on(world)
    final.answer("done")

    assert [(r.execution_id, r.kind) for r in final.replies()] == [("task:owed", "ACCEPTED"), ("task:owed", "FINISHED")]
    assert "lost_replies" not in final.processor.counts


def test_a_place_that_is_none_is_not_taken_for_one() -> None:
    assert [moved_from(((MOVED_HEADER, text),)) for text in (b"1/2", b"1", b"/", b"a/b", b"\xff/1")] == [
        (1, 2), None, None, None, None,
    ]  # fmt: skip
    assert moved_from((("other", b"1/2"),)) is None
