"""The janitor on the memory log with a processor beside it, on a clock that the test advances."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from processor.apps import janitor as module
from processor.apps.client import Client
from processor.apps.janitor import Janitor
from processor.engine.encoding import decode_closed, decode_command
from processor.engine.ports import Message
from processor.errors import LogUnavailable
from processor.model import commands as c
from tests.engine.world import PASS, TASK, World

DAY = 86_400


@pytest.fixture
def world() -> World:
    world = World(partitions=2)
    deploy(world, "pass", "default")
    world.settle()
    return world


@pytest.fixture
def janitor(world: World) -> Iterator[Janitor]:
    janitor = Janitor(world.log, world.clock, retention=timedelta(days=30))
    yield janitor
    janitor.close()


def deploy(world: World, machine: str, retention: timedelta | str) -> None:
    definition = TASK if machine == "task" else PASS
    with Client(world.log, world.clock) as client:
        client.deploy(state_machine=machine, definition=definition, retention=retention)  # type: ignore[arg-type]


def ended(world: World, *ids: str) -> None:
    for id in ids:
        world.start(id)
    world.settle()


def work(world: World, janitor: Janitor) -> set[str]:
    """Let both do what there is to be done; return which executions are closed and not purged then."""
    for _ in range(5):
        janitor.step(0)
        world.settle()
    return {decode_closed(value).execution_id for value in world.table(world.names.closed).values()}


def asked(world: World) -> list[c.PurgeExecution]:
    found = [decode_command(record.value or b"") for record in world.records(world.names.commands)]
    return [command for command in found if isinstance(command, c.PurgeExecution)]


def test_an_execution_is_purged_when_the_default_has_passed_since_its_end_and_not_before(
    world: World, janitor: Janitor
) -> None:
    ended(world, "pass:a")
    at = world.clock.now()
    world.advance(10 * DAY)
    ended(world, "pass:b")
    world.advance(20 * DAY - 1)
    assert work(world, janitor) == {"pass:a", "pass:b"}
    assert asked(world) == []
    world.advance(1)

    assert work(world, janitor) == {"pass:b"}
    assert asked(world) == [
        c.PurgeExecution(execution_id="pass:a", issuer="janitor", last_sequence=3, ended_at=at),
    ]
    assert world.events("pass:b") != ()


def test_a_definition_says_for_itself_how_long_and_what_is_deployed_later_holds_for_all(
    world: World, janitor: Janitor
) -> None:
    deploy(world, "short", timedelta(hours=1))
    deploy(world, "long", timedelta(days=90))
    ended(world, "short:a", "long:a", "pass:a")
    world.advance(3_600)
    assert work(world, janitor) == {"long:a", "pass:a"}
    world.advance(30 * DAY)
    assert work(world, janitor) == {"long:a"}
    deploy(world, "long", "kept")
    world.advance(60)
    assert work(world, janitor) == {"long:a"}
    deploy(world, "long", timedelta(days=40))
    world.advance(60)
    assert work(world, janitor) == {"long:a"}
    deploy(world, "long", "default")
    world.advance(60)
    assert work(world, janitor) == set()


def test_nothing_is_purged_whose_definition_cannot_be_read_until_it_is_deployed_again(
    world: World, janitor: Janitor
) -> None:
    deploy(world, "long", timedelta(days=90))
    ended(world, "long:a", "pass:a")
    [key] = [key for key in world.table(world.names.definitions) if key.startswith(b"long#")]
    later = Message(topic=world.names.definitions, key=key, value=b"of a later release", partition=0)
    world.write(later)
    world.advance(100 * DAY)
    assert work(world, janitor) == {"long:a"}

    deploy(world, "long", timedelta(days=90))
    world.advance(60)
    assert work(world, janitor) == set()


def test_a_retention_that_became_longer_at_the_last_moment_holds(world: World, janitor: Janitor) -> None:
    ended(world, "pass:a")
    assert work(world, janitor) == {"pass:a"}
    world.advance(30 * DAY - 30)
    assert work(world, janitor) == {"pass:a"}
    deploy(world, "pass", timedelta(days=31))
    world.advance(30)

    assert work(world, janitor) == {"pass:a"}
    world.advance(DAY)
    assert work(world, janitor) == set()


def test_what_is_open_or_was_redriven_is_left_alone(world: World, janitor: Janitor) -> None:
    deploy(world, "task", "default")
    ended(world, "task:open", "task:again")
    world.send(c.StopExecution(execution_id="task:again"))
    world.settle()
    assert work(world, janitor) == {"task:again"}
    world.send(c.RedriveExecution(execution_id="task:again"))
    world.settle()
    world.advance(31 * DAY)

    assert work(world, janitor) == set()
    assert asked(world) == []


def test_a_janitor_that_starts_later_catches_up(world: World) -> None:
    ended(world, "pass:a", "pass:b")
    world.advance(31 * DAY)
    late = Janitor(world.log, world.clock, retention=timedelta(days=30))

    assert work(world, late) == set()
    late.close()


def test_a_purge_is_asked_for_again_as_long_as_nobody_answers(world: World, janitor: Janitor) -> None:
    ended(world, "pass:a")
    world.advance(30 * DAY)
    for _ in range(3):
        janitor.step(0)
    assert len(asked(world)) == 1
    world.advance(60)
    janitor.step(0)
    assert len(asked(world)) == 2
    world.settle()

    assert world.reasons() == [("PurgeExecution", "UnknownExecution")]
    assert work(world, janitor) == set()
    world.advance(600)
    janitor.step(0)
    assert len(asked(world)) == 2


def test_no_more_is_under_way_at_once_than_others_can_wait_for(
    world: World, janitor: Janitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ASKED", 2)
    ended(world, *(f"pass:{number}" for number in range(9)))
    world.advance(30 * DAY)
    for _ in range(3):
        janitor.step(0)
    assert len(asked(world)) == 4  # of two partitions
    assert janitor._patience(0.5) == 0.5
    world.advance(60)
    janitor.step(0)
    assert len(asked(world)) == 8

    assert work(world, janitor) == set()


def test_what_could_not_be_asked_stays_due(world: World, janitor: Janitor, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(world, "pass:a")
    world.advance(30 * DAY)

    def refuse(messages: object) -> None:
        raise LogUnavailable(address="memory:", reason="the test says so")

    with monkeypatch.context() as down:
        down.setattr(janitor._outbox, "send", refuse)
        with pytest.raises(LogUnavailable):
            janitor.step(0)
    assert work(world, janitor) == set()


def test_a_record_that_cannot_be_read_is_passed_over(world: World, janitor: Janitor) -> None:
    world.write(Message(topic=world.names.closed, key=b"pass:broken", value=b"?", partition=0))
    ended(world, "pass:a")
    world.advance(30 * DAY)
    for _ in range(2):
        janitor.step(0)

    assert (janitor.counts["skipped"], [command.execution_id for command in asked(world)]) == (1, ["pass:a"])


def test_two_janitors_share_the_work(world: World, janitor: Janitor) -> None:
    other = Janitor(world.log, world.clock, retention=timedelta(days=30))
    ended(world, *(f"pass:{number}" for number in range(9)))
    for _ in range(4):
        janitor.step(0)
        other.step(0)
    world.advance(30 * DAY)
    janitor.step(0)
    other.step(0)

    assert sorted(command.execution_id for command in asked(world)) == [f"pass:{number}" for number in range(9)]
    assert min(janitor.counts["asked"], other.counts["asked"]) > 0
    other.close()
