"""A command, or an execution that goes on, of which the process dies: after three deaths it is set apart."""

from __future__ import annotations

import pytest

from processor.engine.partitions import Partition
from processor.engine.ports import Committed, Record, Transaction
from processor.engine.processor import CAREFUL_FROM, DEADLY_FROM
from processor.engine.topics import partition_of
from processor.errors import TopicsUnfit
from processor.model import commands as c
from processor.model import events as e
from processor.model.ids import EPOCH
from tests.engine.test_checkpoints import restarted_with_closed
from tests.engine.world import PASS, TASK, World, map_of_passes, scheduled


@pytest.fixture
def world() -> World:
    world = World(partitions=1, slice_events=5)
    world.deploy("pass", PASS)
    world.deploy("task", TASK)
    world.settle()
    return world


def partition(world: World) -> Partition:
    [found] = world.processor._partitions.values()
    return found


def committed(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Transaction]:
    """Return what will hold the transactions from now on."""
    seen: list[Transaction] = []
    commit = world.processor._inbox.commit

    def noting(transaction: Transaction) -> Committed | None:
        seen.append(transaction)
        return commit(transaction)

    monkeypatch.setattr(world.processor._inbox, "commit", noting)
    return seen


def progress(seen: list[Transaction]) -> list[dict[int, int]]:
    """Return the offsets of those that do not tell of deaths."""
    return [dict(transaction.offsets) for transaction in seen if not transaction.attempts]


def test_after_three_deaths_the_first_command_is_a_dead_letter_and_its_execution_in_quarantine(world: World) -> None:
    world.start("task:a")
    world.settle()
    done = c.CompleteTask.of(scheduled(world, "task:a"), "done")
    partition(world).attempts = DEADLY_FROM
    world.send(done)
    world.start("pass:b")
    world.settle()

    [letter] = world.records(world.names.dead_letters)
    assert dict(letter.headers)["asl-reason"] == b"the process has died 3 times before command 0/1 was done"
    last = world.events("task:a")[-1]
    assert isinstance(last, e.ExecutionQuarantined)
    assert last.reason == "OwnersDied: the process has died 3 times before command 0/1 was done"
    assert world.types("pass:b")[-1] == "ExecutionSucceeded"
    assert partition(world).attempts == 0

    world.send(c.ReleaseExecution(execution_id="task:a"), done)
    world.settle()
    assert world.types("task:a")[-1] == "ExecutionSucceeded"


def test_a_start_that_kills_is_a_dead_letter_alone(world: World) -> None:
    partition(world).attempts = DEADLY_FROM
    world.start("task:a")
    world.settle()

    assert len(world.records(world.names.dead_letters)) == 1
    assert world.histories() == {}


def test_after_two_deaths_there_is_one_command_in_a_transaction_until_one_is_committed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = committed(world, monkeypatch)
    partition(world).attempts = CAREFUL_FROM
    for number in range(5):
        world.start(f"pass:{number}")
    world.settle()

    assert progress(seen) == [{0: 1}, {0: 5}]


def told(seen: list[Transaction]) -> list[tuple[dict[int, int], dict[int, int], bool]]:
    return [(dict(transaction.offsets), dict(transaction.attempts), transaction.trying) for transaction in seen]


def test_after_a_death_the_next_is_foretold_before_anything_is_applied_and_taken_back_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = committed(world, monkeypatch)
    partition(world).attempts = 1
    world.start("pass:a")
    world.start("pass:b")
    world.settle()

    assert told(seen) == [({0: 0}, {0: 1}, True), ({0: 0}, {0: 1}, False), ({0: 2}, {}, False)]


@pytest.mark.parametrize(
    ("error", "trying"), [(KeyboardInterrupt(), True), (TopicsUnfit(["gone"]), False)], ids=["dead", "ended"]
)
def test_what_it_has_foretold_stands_where_it_dies_of_a_command_and_not_where_it_ends_of_something_else(
    world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException, trying: bool
) -> None:
    seen = committed(world, monkeypatch)
    partition(world).attempts = 1

    def fall(*_: object) -> None:
        raise error

    monkeypatch.setattr(world.processor, "_apply", fall)
    world.start("pass:a")
    with pytest.raises(type(error)):
        world.step()

    assert told(seen)[-1] == ({0: 0}, {0: 1}, trying)


def test_where_the_next_death_cannot_be_foretold_nothing_is_applied(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.processor._inbox, "commit", lambda _: None)
    partition(world).attempts = 1
    world.start("pass:a")
    world.step()

    assert (world.histories(), world.processor.counts["dropped_transactions"]) == ({}, 1)


@pytest.fixture
def two() -> World:
    """Of two partitions: `pass:0` belongs to the first, `pass:1` to the second."""
    world = World(partitions=2)
    world.deploy("pass", PASS)
    world.settle()
    assert [partition_of(f"pass:{number}".encode(), 2) for number in range(2)] == [0, 1]
    return world


def test_a_partition_of_which_nothing_is_done_is_not_suspected(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = committed(two, monkeypatch)
    for one in two.processor._partitions.values():
        one.attempts = 1
    two.start("pass:0")
    two.settle()

    assert told(seen) == [({0: 0}, {0: 1}, True), ({0: 0}, {0: 1}, False), ({0: 1}, {}, False)]


def test_after_two_deaths_in_both_partitions_each_is_tried_alone_so_that_one_command_condemns_no_other(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = committed(two, monkeypatch)
    for one in two.processor._partitions.values():
        one.attempts = CAREFUL_FROM
    two.start("pass:0")
    two.start("pass:1")
    two.settle()

    assert told(seen) == [
        ({0: 0}, {0: 2}, True),
        ({0: 0}, {0: 2}, False),
        ({0: 1}, {}, False),
        ({1: 0}, {1: 2}, True),
        ({1: 0}, {1: 2}, False),
        ({1: 1}, {}, False),
    ]


def test_a_slice_is_tried_alone_and_foretold_as_a_command_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy("map", map_of_passes())
    world.start("map:a", [1, 2, 3, 4])
    world.step()
    assert partition(world).has_runnable
    seen = committed(world, monkeypatch)
    partition(world).attempts = CAREFUL_FROM
    world.step()

    assert told(seen) == [({0: 1}, {0: 2}, True), ({0: 1}, {0: 2}, False), ({0: 1}, {}, False)]


def test_a_command_that_was_dealt_with_is_not_buried(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    partition(world).attempts = DEADLY_FROM
    monkeypatch.setattr(Partition, "dealt_with", lambda *_: True)
    world.start("pass:a")
    world.settle()

    assert (world.records(world.names.dead_letters), world.processor.counts["repeated_commands"]) == ([], 1)


def test_an_execution_that_goes_on_is_held_where_no_command_came(world: World) -> None:
    world.deploy("map", map_of_passes())
    world.start("map:a", [1, 2, 3, 4])
    world.step()
    assert partition(world).has_runnable
    partition(world).attempts = DEADLY_FROM
    world.settle()

    assert isinstance(world.events("map:a")[-1], e.ExecutionQuarantined)
    assert partition(world).attempts == 0
    world.send(c.ReleaseExecution(execution_id="map:a"))
    world.settle()
    assert world.types("map:a")[-1] == "ExecutionSucceeded"


def test_a_partition_that_had_nothing_to_do_has_survived_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = committed(world, monkeypatch)
    partition(world).attempts = DEADLY_FROM
    world.settle()
    assert seen == []
    world.advance(6)
    world.settle()

    assert seen == [Transaction(offsets={0: 0}, messages=())]
    assert partition(world).attempts == 0


def test_a_checkpoint_is_no_progress(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("task:a")
    world.settle()
    seen = committed(world, monkeypatch)
    partition(world).attempts = 1
    partition(world).coverage.begin()
    world.processor.step(timeout_seconds=0)

    assert [transaction.attempts for transaction in seen] == [{0: 1}]
    assert partition(world).attempts == 1


# ---- while it is not known yet what is closed


@pytest.fixture
def slow_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    return restarted_with_closed(world, "task:a", "task:b", monkeypatch=monkeypatch)


def settle(world: World) -> None:
    while not world.processor.ready:
        world.step()
    world.settle()


def test_what_waited_for_closed_is_applied_one_by_one_too_after_two_deaths(
    slow_closed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = slow_closed
    seen = committed(world, monkeypatch)
    partition(world).attempts = CAREFUL_FROM
    for number in range(3):
        world.start(f"pass:new-{number}")
    settle(world)

    assert progress(seen) == [{0: 43}, {0: 45}]


def test_what_waited_for_closed_is_foretold_too_and_buried_after_three_deaths(
    slow_closed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = slow_closed
    seen = committed(world, monkeypatch)
    world.start("pass:new")
    world.step()
    assert (progress(seen), partition(world).has_woken) == ([], False)
    partition(world).attempts = 1
    settle(world)
    assert told(seen)[-3:] == [({0: 42}, {0: 1}, True), ({0: 42}, {0: 1}, False), ({0: 43}, {}, False)]

    partition(world).attempts = DEADLY_FROM
    late = Record(topic=world.names.commands, partition=0, offset=43, time=EPOCH, key=b"pass:late", value=b"")
    partition(world).set_aside(late)
    world.step()
    assert [record.key for record in world.records(world.names.dead_letters)] == [b"pass:late"]


def test_after_two_deaths_no_command_goes_ahead_of_those_that_wait_for_closed(
    slow_closed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be taken for progress, and come again after the next death, and so on for ever."""
    world = slow_closed
    seen = committed(world, monkeypatch)
    partition(world).attempts = CAREFUL_FROM
    world.start("pass:new")
    for id in ("task:a", "task:b"):
        world.send(c.CompleteTask.of(scheduled(world, id), "done"))
    world.step(4)
    assert (progress(seen), world.processor.ready) == ([], False)
    settle(world)

    assert progress(seen) == [{0: 43}, {0: 45}]
    assert {world.types(id)[-1] for id in ("pass:new", "task:a", "task:b")} == {"ExecutionSucceeded"}


def test_what_was_foretold_is_taken_back_at_the_old_offset_though_others_wait_behind_what_was_applied(
    slow_closed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first offset that waits, the command before it would be lost if the process died then."""
    world = slow_closed
    world.start("task:new")
    while not world.histories().get("task:new"):
        world.step()
    before = partition(world).position(applied=partition(world).applied, woken=0)
    seen = committed(world, monkeypatch)
    partition(world).attempts = 1
    partition(world).knows_closed = False
    world.send(c.CompleteTask.of(scheduled(world, "task:new"), "done"))
    world.start("pass:unknown")
    world.step()

    assert told(seen) == [
        ({0: before}, {0: 1}, True),
        ({0: before}, {0: 1}, False),
        ({0: before + 1}, {}, False),
    ]


def test_a_partition_in_which_commands_wait_has_survived_nothing(
    slow_closed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = slow_closed
    seen = committed(world, monkeypatch)
    partition(world).attempts = 1
    world.start("pass:new")
    world.step(2)
    world.advance(6)
    world.step(2)

    assert (progress(seen), partition(world).attempts, world.processor.ready) == ([], 1, False)
    assert [transaction.attempts for transaction in seen][-1] == {0: 1}
