"""Dead letters: which were sent again is written beside them, whatever they hold and wherever they are carried to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from processor.adapters.clock import ManualClock
from processor.adapters.memory import MemoryLog
from processor.apps import recovery
from processor.apps.recovery import dead_letters, replay
from processor.engine.migration import migrate
from processor.engine.ports import Headers, Message
from processor.engine.topics import DEFAULT_RETENTION, TopicNames
from tests.apps.test_cli import asl, folder
from tests.engine.world import World

__all__ = ["folder"]  # a fixture


@pytest.fixture
def world() -> World:
    world = World()
    for number in range(3):
        world.send_bytes(b"junk %d" % number, key=b"k", headers=(("mine", b"1"),))
    world.settle()
    return world


def listed(log: MemoryLog) -> list[tuple[bytes | None, str, bool]]:
    """Return of each letter what it holds, where it is from, and whether it was replayed."""
    found = dead_letters(log.reader(), log.names)
    return [(one.value, one.origin, one.replayed is not None) for one in found]


def replay_these(log: MemoryLog, *values: bytes) -> None:
    letters = [one for one in dead_letters(log.reader(), log.names) if one.value in values]
    outbox = log.atomic_outbox("dead-letters")
    replay(outbox, letters, log.names)
    outbox.close()


def commands(world: World) -> list[tuple[bytes | None, bytes | None, Headers]]:
    return [(r.key, r.value, r.headers) for r in world.records(world.names.commands)]


def test_what_was_sent_again_is_told_and_stands_among_the_commands_as_it_came(world: World) -> None:
    before = commands(world)
    world.advance(5)
    replay_these(world.log, b"junk 1")

    assert listed(world.log) == [
        (b"junk 0", "asl.commands[0]@0", False),
        (b"junk 1", "asl.commands[0]@1", True),
        (b"junk 2", "asl.commands[0]@2", False),
    ]
    assert [one.replayed for one in dead_letters(world.log.reader(), world.names)] == [None, world.clock.now(), None]
    assert commands(world) == [*before, before[1]]
    world.settle()
    assert listed(world.log)[3:] == [(b"junk 1", "asl.commands[0]@3", False)]  # it could not be read this time either


def test_however_many_are_sent_none_is_sent_without_its_mark(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "BATCH_RECORDS", 2)
    sent: list[list[str]] = []

    class Noting:
        def send(self, messages: list[Message]) -> None:
            sent.append([message.topic for message in messages])

        def close(self) -> None:
            pass

    replay(Noting(), dead_letters(world.log.reader(), world.names), world.names)  # type: ignore[arg-type]  # any sequence

    assert sent == [["asl.commands", "asl.dead-letters"]] * 3 + [[]]


HOSTILE = (
    ("asl-replayed", b"asl.commands[0]@0"),
    ("asl-topic", b"asl.commands"),
    ("asl-partition", b"0"),
    ("asl-offset", b"0"),
)


def test_a_commands_own_headers_neither_hide_it_nor_mark_another(world: World) -> None:
    world.send_bytes(b"hostile", key=b"k", headers=HOSTILE)
    world.settle()
    replay_these(world.log, b"hostile")

    assert listed(world.log) == [
        *((b"junk %d" % n, f"asl.commands[0]@{n}", False) for n in range(3)),
        (b"hostile", "asl.commands[0]@3", True),
    ]


def test_what_somebody_else_wrote_there_is_marked_by_its_place() -> None:
    world = World()
    for value in (b"one", b"other"):
        world.write(Message(topic=world.names.dead_letters, key=None, value=value, partition=0))
    replay_these(world.log, b"other")

    assert listed(world.log) == [
        (b"one", "asl.dead-letters[0]@0", False),
        (b"other", "asl.dead-letters[0]@1", True),
    ]


def test_migrations_carry_over_which_were_replayed_and_when() -> None:
    clock = ManualClock()
    world = World(clock=clock)
    for number in range(3):
        world.send_bytes(b"junk %d" % number, key=b"k%d" % number)
    world.settle()
    replay_these(world.log, b"junk 2")
    world.settle()
    world.processor.close()
    log, before = world.log, sorted(listed(world.log))
    times = {(one.value, one.time, one.replayed) for one in dead_letters(log.reader(), log.names)}
    for prefix in ("new.", "newer."):
        clock.advance(timedelta(minutes=1))
        target = MemoryLog(clock=clock, names=TopicNames(prefix=prefix))
        migrate(
            log,
            target,
            partitions=5,
            retention=DEFAULT_RETENTION,
            clock=clock,
            wait=lambda _: False,
            told=lambda _: None,
        )
        log = target

        found = list(dead_letters(log.reader(), log.names))
        assert sorted(listed(log)) == before
        assert {(one.value, one.time, one.replayed) for one in found} == times
        assert {h for one in found for h in one.headers} == set()


def test_what_a_command_says_of_itself_is_not_taken_for_the_time_of_its_letter() -> None:
    clock = ManualClock()
    world = World(clock=clock)
    world.send_bytes(b"junk", key=b"k", headers=(("asl-moved", b"0/0"), ("asl-written", b"7")))
    world.settle()

    [letter] = dead_letters(world.log.reader(), world.names)
    assert letter.time == clock.now()


def test_what_is_left_in_topics_that_were_migrated_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go nowhere."""
    monkeypatch.setenv("ASL_LOG", "sqlite:log.db")
    asl("topics", "create", "--partitions", "2")
    assert asl("topics", "migrate", "--to", "new.", "--partitions", "3").exit_code == 0
    refused = asl("dead-letters", "replay", "--all")

    assert (refused.exit_code, "they go on with --prefix new." in refused.stderr) == (2, True)
    checked = asl("topics", "check")
    assert (checked.exit_code, checked.stdout) == (
        2,
        "asl.definitions: the topics were migrated; they go on with --prefix new.\n",
    )
