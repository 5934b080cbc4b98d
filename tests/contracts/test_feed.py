"""Feed: a group's share of an index topic, read as a table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from processor.engine.ports import Message
from processor.engine.topics import TopicNames
from tests.contracts.harness import PARTITIONS, Consumer, Harness, contents, send, settle, still

ALL = set(range(PARTITIONS))


class Joins:
    """Makes feeds of `tasks`, each with a handle of its own, and closes what the test left open."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.opened = ExitStack()

    def __call__(self, *, group: str = "workers", from_beginning: bool = False) -> Consumer:
        log = self.harness.second()
        feed = log.feed(log.names.tasks, group=log.names.prefix + group, from_beginning=from_beginning)
        self.opened.callback(feed.close)
        return Consumer(feed)

    def caught_up(self, *, group: str = "workers", from_beginning: bool = False) -> Consumer:
        consumer = self(group=group, from_beginning=from_beginning)
        settle(self.harness, [consumer], lambda: set(consumer.caught_up) == ALL)
        return consumer


@pytest.fixture
def join(harness: Harness) -> Iterator[Joins]:
    joins = Joins(harness)
    with joins.opened:
        yield joins


@pytest.fixture
def names(harness: Harness) -> TopicNames:
    return harness.log.names


def task(names: TopicNames, partition: int, key: bytes, value: bytes | None) -> Message:
    return Message(topic=names.tasks, key=key, value=value, partition=partition)


def test_a_feed_is_caught_up_once_with_each_partition_after_what_stood_in_it(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    send(harness.log, *[task(names, 1, b"%d" % n, b"task %d" % n) for n in range(700)])

    consumer = join.caught_up()
    assert consumer.arrived(1) == [(b"%d" % n, b"task %d" % n) for n in range(700)]

    send(harness.log, task(names, 1, b"later", b"task"))
    settle(harness, [consumer], lambda: len(consumer.records) == 701)
    still(harness, [consumer])

    assert sorted(consumer.caught_up) == sorted(ALL)


def test_a_feed_is_settled_once_it_was_told_what_is_its_own(harness: Harness, join: Joins) -> None:
    consumer = join()
    before = consumer.feed.settled
    settle(harness, [consumer], lambda: consumer.held == ALL)

    assert (before, consumer.feed.settled) == (False, True)


def test_a_tombstone_reaches_a_feed(harness: Harness, join: Joins, names: TopicNames) -> None:
    consumer = join.caught_up()

    send(harness.log, task(names, 0, b"a", b"task"))
    settle(harness, [consumer], lambda: len(consumer.records) == 1)
    send(harness.log, task(names, 0, b"a", None))
    settle(harness, [consumer], lambda: len(consumer.records) == 2)

    assert consumer.arrived(0) == [(b"a", b"task"), (b"a", None)]


def test_a_feed_that_comes_later_learns_each_keys_last_value(harness: Harness, join: Joins, names: TopicNames) -> None:
    send(
        harness.log,
        task(names, 0, b"resolved", b"task"),
        task(names, 0, b"changed", b"old"),
        task(names, 0, b"pending", b"task"),
        task(names, 0, b"changed", b"new"),
        task(names, 0, b"resolved", None),
    )

    consumer = join.caught_up()

    # Earlier records of a key may be compacted away, or not.
    assert dict(consumer.arrived(0)) == {b"pending": b"task", b"changed": b"new", b"resolved": None}


def test_a_group_begins_where_it_committed(harness: Harness, join: Joins, names: TopicNames) -> None:
    send(harness.log, *[task(names, 0, b"%d" % n, b"task") for n in range(3)])
    first = join.caught_up()
    first.feed.commit(partition=0, offset=first.records[1].offset)
    first.feed.close()

    same, other = join.caught_up(), join.caught_up(group="others")

    assert [key for key, _ in same.arrived(0)] == [b"1", b"2"]
    assert [key for key, _ in other.arrived(0)] == [b"0", b"1", b"2"]


def test_a_feed_from_the_beginning_ignores_what_was_committed(harness: Harness, join: Joins, names: TopicNames) -> None:
    send(harness.log, *[task(names, 0, b"%d" % n, b"task") for n in range(3)])
    first = join.caught_up(from_beginning=True)
    first.feed.commit(partition=0, offset=first.records[-1].offset + 1)
    first.feed.close()

    second = join.caught_up(from_beginning=True)

    assert [key for key, _ in second.arrived(0)] == [b"0", b"1", b"2"]
    assert contents(harness.second(), names.tasks, 0) == [(b"%d" % n, b"task") for n in range(3)]


def test_members_share_the_partitions_and_one_that_leaves_hands_over_at_once(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    first = join.caught_up()
    second = join()
    settle(harness, [first, second], lambda: len(first.held) == len(second.held) == PARTITIONS // 2)
    assert first.held | second.held == ALL

    first.feed.close()
    settle(harness, [second], lambda: second.held == ALL)

    send(harness.log, *[task(names, p, b"%d" % p, b"task") for p in ALL])
    settle(harness, [second], lambda: len(second.records) == PARTITIONS)
    assert {record.partition for record in second.records} == ALL


def test_the_partitions_of_an_expired_member_go_to_the_others(harness: Harness, join: Joins) -> None:
    first = join.caught_up()
    second = join()

    harness.expire(first.feed)
    settle(harness, [second], lambda: set(second.caught_up) == ALL)

    assert second.held == ALL
    settle(harness, [first, second], lambda: len(first.held) == len(second.held) == PARTITIONS // 2)
    assert sorted(first.lost) == sorted(ALL)
