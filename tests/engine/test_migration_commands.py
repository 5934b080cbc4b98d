"""Which commands are carried over: those that a processor would still apply, had it come back instead."""

from __future__ import annotations

import pytest

from processor.adapters.embedded.store import Group
from processor.adapters.memory import MemoryLog
from processor.engine import carrying
from processor.engine.encoding import decode_command
from processor.engine.migration import migrate
from processor.engine.ports import Message
from processor.engine.topics import DEFAULT_RETENTION, TopicNames
from processor.model import commands as c
from processor.model.ids import CHECKPOINT_KEY
from processor.model.json import Json
from tests.engine.test_checkpoints import restarted_with_closed
from tests.engine.test_migration import again_after_deaths, contents, copied, mortal
from tests.engine.world import PASS, TASK, World, scheduled

NEW = TopicNames("new.")
WAITED = c.StartExecution(execution_id="task:new", input=None)
WENT_AHEAD = (
    c.StopExecution(execution_id="task:a", error="E"),
    c.RedriveExecution(execution_id="task:a"),
)
SCHEDULED = ["ExecutionStarted", "StateEntered", "TaskScheduled"]


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> World:
    """A start waited for `closed`, a stop and a redrive went ahead of it; then the processor was killed."""
    world = World(partitions=1)
    world.deploy("pass", PASS)
    world.deploy("task", TASK)
    world.settle()
    with monkeypatch.context() as slow:
        world = restarted_with_closed(world, "task:a", monkeypatch=slow)
        world.send(WAITED, *WENT_AHEAD)
        world.step(2)
        assert not world.processor.ready
        assert world.types("task:a").count("ExecutionRedriven") == 1
        world.processor.close()
    return world


def forget_offsets(world: World) -> None:
    """As groups do after a week."""
    world.log.store()._group(Group(world.names.processor_group, world.names.commands)).offsets.clear()


def spoil_checkpoint(world: World) -> None:
    key = CHECKPOINT_KEY.encode()
    world.write(Message(topic=world.names.snapshots, key=key, value=b"no snapshot", partition=0))


def carry(world: World, target: MemoryLog) -> None:
    migrate(
        world.log,
        target,
        partitions=2,
        task_partitions=1,
        retention=DEFAULT_RETENTION,
        clock=world.clock,
        wait=lambda _: False,
        told=lambda _: None,
    )


def carried(world: World, names: TopicNames = NEW) -> list[c.AnyCommand]:
    """Migrate; return the commands under the new prefix."""
    log = world.log.under(names)
    carry(world, log)
    reader = log.reader()
    found = [record for p in range(2) for record in reader.read(names.commands, p)]
    return [decode_command(record.value or b"", content_type=None) for record in found]


def gone_on(world: World) -> World:
    """Return what was migrated, with a processor."""
    after = World(partitions=2, log=world.log.under(NEW), clock=world.clock)
    after.settle()
    return after


@pytest.mark.parametrize("offsets", ["committed", "forgotten"])
def test_what_went_ahead_of_a_command_that_waited_is_left_behind_and_the_one_that_waited_is_not(
    killed: World, offsets: str
) -> None:
    if offsets == "forgotten":
        forget_offsets(killed)
    before = killed.types("task:a")
    assert carried(killed) == [WAITED]
    after = gone_on(killed)

    assert (after.types("task:a"), after.types("task:new"), after.reasons()) == (before, SCHEDULED, [])


def test_what_came_later_to_an_execution_whose_commands_went_ahead_is_carried_over_in_its_order(killed: World) -> None:
    complete = c.CompleteTask.of(scheduled(killed, "task:a"), "done")
    killed.send(complete, WENT_AHEAD[0])
    before = killed.types("task:a")

    assert [x for x in carried(killed) if x.execution_id == "task:a"] == [complete, WENT_AHEAD[0]]
    after = gone_on(killed)
    assert after.types("task:a") == [*before, "TaskSucceeded", "StateExited", "ExecutionSucceeded"]
    assert after.reasons() == [("StopExecution", "ExecutionEnded")]


def test_what_is_carried_over_comes_to_what_a_processor_that_came_back_would_have_made_of_it(killed: World) -> None:
    back = World(partitions=1, clock=killed.clock)
    back.log._store = copied(killed.log)
    carry(killed, killed.log.under(NEW))
    after = gone_on(killed)
    back.restart()
    back.settle()

    assert {id: after.types(id) for id in after.histories()} == {id: back.types(id) for id in back.histories()}


def test_where_the_checkpoint_cannot_be_read_all_events_tell_what_was_dealt_with(killed: World) -> None:
    spoil_checkpoint(killed)
    assert carried(killed) == [WAITED]


def test_without_an_offset_or_a_checkpoint_commands_begin_after_the_last_that_is_named_as_a_processor_has_it(
    killed: World,
) -> None:
    spoil_checkpoint(killed)
    forget_offsets(killed)
    later = c.CompleteTask.of(scheduled(killed, "task:a"), "done")
    killed.send(later)
    assert carried(killed) == [later]


def test_a_run_that_dies_among_the_commands_leaves_the_same_behind_when_it_is_gone_on_with(
    killed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "BATCH_RECORDS", 1)
    killed.send(*(c.StartExecution(execution_id=f"task:{n}", input=n) for n in range(3)), WENT_AHEAD[0])
    undisturbed = World(partitions=1, clock=killed.clock)
    undisturbed.log._store = copied(killed.log)
    carry(undisturbed, undisturbed.log.under(NEW))
    deaths = again_after_deaths(lambda _: carry(killed, mortal(killed, left=7)))

    assert deaths > 10
    assert contents(killed.log.under(NEW)) == contents(undisturbed.log.under(NEW))


def test_commands_that_events_name_of_another_prefix_are_none_of_those_here(killed: World) -> None:
    carry(killed, killed.log.under(NEW))
    after = World(partitions=2, log=killed.log.under(NEW), clock=killed.clock)
    complete = c.CompleteTask.of(scheduled(after, "task:a"), "done")
    after.processor.close()
    after.send(complete)
    found = carried(after, TopicNames("third."))

    assert sorted(found, key=lambda x: x.execution_id) == [complete, WAITED]


def test_what_goes_on_by_itself_names_no_command_of_the_other_prefix_and_none_here_is_passed_over_for_it() -> None:
    world = World(partitions=1, slice_events=5)
    one: Json = {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}}
    each: Json = {"Type": "Map", "ItemProcessor": one, "Next": "Work"}
    work: Json = {"Type": "Task", "Resource": "work", "End": True}
    world.deploy("pass", PASS)
    world.deploy("map", {"StartAt": "Each", "States": {"Each": each, "Work": work}})
    for number in range(20):
        world.start(f"pass:{number}")
    world.start("map:0", list(range(20)))
    world.step(2)
    world.processor.close()
    before = world.events("map:0")
    assert before[-1].caused_by.offset == 20
    assert "TaskScheduled" not in world.types("map:0")
    carry(world, world.log.under(NEW))
    after = World(partitions=2, log=world.log.under(NEW), clock=world.clock, slice_events=5)
    after.settle()
    after.processor.close()
    after.send(c.CompleteTask.of(scheduled(after, "map:0"), "done"))
    after.restart()
    after.settle()

    found = after.events("map:0")
    assert found[: len(before)] == before
    assert [event.caused_by.offset for event in found[len(before) : -3]] == [None] * (len(found) - len(before) - 3)
    assert after.types("map:0")[-3:] == ["TaskSucceeded", "StateExited", "ExecutionSucceeded"]
