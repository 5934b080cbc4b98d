"""Inbox: membership, restoring, commands, transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from processor.engine.ports import Inbox, Log, Message
from processor.engine.topics import TopicNames
from processor.errors import SlotTaken
from tests.contracts.harness import PARTITIONS, Consumer, Harness, Party, contents, send, settle, still, written

ALL = set(range(PARTITIONS))


class Joins:
    """Makes inboxes, each with a handle of its own, and closes what the test left open."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.opened = ExitStack()

    def __call__(self, slot: str = "0", *, log: Log | None = None) -> Inbox:
        inbox = (log or self.harness.second()).inbox(slot=slot)
        self.opened.callback(inbox.close)
        return inbox

    def settled(self, slot: str = "0") -> Party:
        """A member alone, with every partition restored and open."""
        party = Party(self(slot))
        settle(self.harness, [party], lambda: party.opened == ALL)
        return party


@pytest.fixture
def join(harness: Harness) -> Iterator[Joins]:
    joins = Joins(harness)
    with joins.opened:
        yield joins


@pytest.fixture
def names(harness: Harness) -> TopicNames:
    return harness.log.names


def commands(names: TopicNames, partition: int, *values: bytes) -> list[Message]:
    return [Message(topic=names.commands, key=b"m:1", value=value, partition=partition) for value in values]


def event(names: TopicNames, partition: int, number: int) -> Message:
    return Message(topic=names.events, key=b"m:1#%d" % number, value=b"event %d" % number, partition=partition)


def too_large(names: TopicNames, inbox: Inbox) -> Message:
    return Message(topic=names.events, key=b"m:1#0", value=bytes(inbox.max_record_bytes + 1), partition=0)


# ---- taking and restoring


def test_a_member_alone_takes_and_restores_every_partition(harness: Harness, join: Joins) -> None:
    party = Party(join(), opens=False)

    settle(harness, [party], lambda: party.ready == ALL)

    assert party.restored == {partition: [] for partition in ALL}
    assert party.commands == []


def test_no_command_comes_before_its_partition_is_opened(harness: Harness, join: Joins, names: TopicNames) -> None:
    send(harness.log, *commands(names, 0, b"a"), *commands(names, 1, b"b"))
    party = Party(join(), opens=False)
    settle(harness, [party], lambda: party.ready == ALL)

    party.open(1)
    settle(harness, [party], lambda: party.commands != [])
    still(harness, [party])

    assert (party.arrived(0), party.arrived(1)) == ([], [(b"m:1", b"b")])


def test_a_stale_assignment_number_opens_nothing(harness: Harness, join: Joins, names: TopicNames) -> None:
    send(harness.log, *commands(names, 0, b"a"))
    party = Party(join(), opens=False)
    settle(harness, [party], lambda: party.ready == ALL)

    party.inbox.open(partition=0, assignment=party.assignments[0] - 1, fallback_offset=0)
    party.opened.add(0)  # so that a command, should one come, is kept rather than refused
    still(harness, [party])

    assert party.commands == []


def test_a_new_owner_is_given_every_committed_event_in_order(harness: Harness, join: Joins, names: TopicNames) -> None:
    first = join.settled("0")
    for number in range(0, 1_200, 300):
        assert first.commit({0: 0}, *[event(names, 0, n) for n in range(number, number + 300)])
    assert first.commit({1: 0}, event(names, 1, 7))
    first.inbox.close()

    second = Party(join("1"))
    settle(harness, [second], lambda: second.ready == ALL)

    restored = {p: [(r.key, r.value) for r in records] for p, records in second.restored.items()}
    assert restored == {
        0: [(b"m:1#%d" % n, b"event %d" % n) for n in range(1_200)],
        1: [(b"m:1#7", b"event 7")],
        2: [],
        3: [],
    }
    offsets = [record.offset for record in second.restored[0]]
    assert offsets == sorted(set(offsets))


def test_a_new_owner_is_given_snapshots_first_then_events_from_where_it_says_then_what_is_closed(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    first = join.settled("0")
    snapshot = Message(topic=names.snapshots, key=b"m:1#0", value=b"snapshot", partition=0)
    closed = Message(topic=names.closed, key=b"m:2", value=b"closed", partition=0)
    assert first.commit({0: 0}, event(names, 0, 0), snapshot, closed)
    told = first.commit({0: 0}, event(names, 0, 1))
    assert told is not None
    assert first.commit({0: 0}, event(names, 0, 2), event(names, 0, 3))
    first.inbox.close()

    second = Party(join("1"), events_from=told.ends[0])
    settle(harness, [second], lambda: second.ready == ALL)

    assert [written(record) for record in second.restored[0]] == [(b"m:1#2", b"event 2"), (b"m:1#3", b"event 3")]
    assert {of: [written(record) for record in records] for of, records in second.others.items()} == {
        "snapshots": [(b"m:1#0", b"snapshot")],
        "closed": [(b"m:2", b"closed")],
    }


def test_while_events_are_restored_it_is_told_how_many_may_be_left(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    send(harness.log, *[event(names, 1, number) for number in range(1_200)])
    party = join.settled()

    left = [count for partition, of, count in party.left if (partition, of) == (1, "events")]
    assert left == sorted(set(left), reverse=True)
    assert (left[0] < 1_200, left[-1]) == (True, 0)
    assert len(party.restored[1]) == 1_200


def test_a_commit_tells_a_position_behind_its_events_and_before_the_next_ones(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    first = join.settled("0")
    told = [first.commit({0: 0, 1: 0}, event(names, 0, n), event(names, 0, n + 1), event(names, 1, n)) for n in (0, 2)]
    first.inbox.close()
    second = Party(join("1"))
    settle(harness, [second], lambda: second.ready == ALL)

    for partition, each in ((0, 2), (1, 1)):
        offsets = [record.offset for record in second.restored[partition]]
        ends = [committed.ends[partition] for committed in told if committed is not None]
        assert offsets[each - 1] < ends[0] <= offsets[each]
        assert offsets[-1] < ends[1]


# ---- commands


def test_commands_of_a_partition_arrive_in_the_order_they_were_sent(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    values = [b"%d" % n for n in range(250)]
    send(harness.log, *commands(names, 0, *values), *commands(names, 3, *values))
    party = join.settled()

    settle(harness, [party], lambda: len(party.commands) >= 500)

    assert party.arrived(0) == party.arrived(3) == [(b"m:1", value) for value in values]


def test_a_poll_brings_at_most_the_commands_asked_for(harness: Harness, join: Joins, names: TopicNames) -> None:
    party = join.settled()
    send(harness.log, *commands(names, 0, b"a", b"b", b"c"), *commands(names, 1, b"d", b"e", b"f"))

    brought = []
    while len(party.commands) < 6:
        before = len(party.commands)
        party.poll(max_commands=2, timeout_seconds=harness.patience_seconds)
        brought.append(len(party.commands) - before)

    assert max(brought) <= 2
    assert sorted(record.value or b"" for record in party.commands) == [b"a", b"b", b"c", b"d", b"e", b"f"]


def test_no_command_comes_while_none_is_wanted_and_all_come_afterwards(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    values = [b"%d" % n for n in range(200)]
    send(harness.log, *commands(names, 0, *values), *commands(names, 3, *values))
    party = Party(join("0"))
    while party.opened != ALL:  # those that are opened meanwhile are none the better for it
        party.poll(max_commands=None, timeout_seconds=0.01)
    for begun in (0, 10):
        while len(party.commands) < begun:
            party.poll(max_commands=1, timeout_seconds=0.01)
        for _ in range(20):
            party.poll(max_commands=None, timeout_seconds=0.02)
        assert len(party.commands) == begun

    settle(harness, [party], lambda: len(party.commands) >= 400)
    assert party.arrived(0) == party.arrived(3) == [(b"m:1", value) for value in values]


def test_a_waiting_poll_returns_when_a_command_arrives(harness: Harness, join: Joins, names: TopicNames) -> None:
    party = join.settled()
    send(harness.log, *commands(names, 2, b"a"))

    party.poll(timeout_seconds=harness.patience_seconds)

    assert party.arrived(2) == [(b"m:1", b"a")]


def test_commands_go_on_after_the_committed_offset(harness: Harness, join: Joins, names: TopicNames) -> None:
    send(harness.log, *commands(names, 0, b"a", b"b", b"c"))
    first = join.settled("0")
    settle(harness, [first], lambda: len(first.commands) == 3)
    assert first.commit({0: first.commands[1].offset}, event(names, 0, 0))
    first.inbox.close()

    second = join.settled("1")
    settle(harness, [second], lambda: len(second.commands) == 2)

    assert second.arrived(0) == [(b"m:1", b"b"), (b"m:1", b"c")]


def test_the_fallback_offset_counts_only_where_nothing_was_committed(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    send(harness.log, *commands(names, 0, b"a", b"b", b"c"), *commands(names, 1, b"d", b"e", b"f"))
    reader = harness.log.reader()
    offsets = {r.value: r.offset for partition in (0, 1) for r in reader.read(names.commands, partition)}
    reader.close()
    first = Party(join("0"), opens=False)  # opening may commit the fallback
    settle(harness, [first], lambda: first.ready == ALL)
    first.open(1)
    assert first.commit({1: offsets[b"e"]})
    first.inbox.close()

    second = Party(join("1"), opens=False)
    settle(harness, [second], lambda: second.ready == ALL)
    second.open(0, fallback_offset=offsets[b"c"])
    second.open(1, fallback_offset=offsets[b"f"])
    settle(harness, [second], lambda: len(second.commands) == 3)

    assert (second.arrived(0), second.arrived(1)) == ([(b"m:1", b"c")], [(b"m:1", b"e"), (b"m:1", b"f")])


# ---- transactions


def test_a_transaction_writes_its_messages_of_all_topics_and_its_offsets(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    send(harness.log, *commands(names, 0, b"a"), *commands(names, 1, b"b"))
    party = join.settled("0")
    settle(harness, [party], lambda: len(party.commands) == 2)

    committed = party.commit(
        {record.partition: record.offset + 1 for record in party.commands},
        event(names, 0, 0),
        Message(topic=names.timers, key=b"m:1##0#wait", value=b"timer", partition=0),
        event(names, 0, 1),
        event(names, 1, 0),
        Message(topic=names.tasks, key=b"m:1##1", value=b"task", partition=2),
    )

    assert committed
    outsider = harness.second()
    assert contents(outsider, names.events, 0) == [(b"m:1#0", b"event 0"), (b"m:1#1", b"event 1")]
    assert contents(outsider, names.events, 1) == [(b"m:1#0", b"event 0")]
    assert contents(outsider, names.timers, 0) == [(b"m:1##0#wait", b"timer")]
    assert contents(outsider, names.tasks, 2) == [(b"m:1##1", b"task")]
    party.inbox.close()
    next_party = join.settled("1")
    still(harness, [next_party])
    assert next_party.commands == []


def test_a_refused_transaction_writes_nothing_and_its_commands_come_again(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    send(harness.log, *commands(names, 0, b"a", b"b", b"c"))
    party = join.settled()
    settle(harness, [party], lambda: len(party.commands) == 3)
    assert party.commit({0: party.commands[0].offset + 1}, event(names, 0, 0))
    end = party.commands[-1].offset + 1

    refused = party.commit({0: end}, event(names, 0, 1), too_large(names, party.inbox), event(names, 1, 0))
    party.commands.clear()
    settle(harness, [party], lambda: len(party.commands) == 2)

    assert not refused
    assert party.arrived(0) == [(b"m:1", b"b"), (b"m:1", b"c")]
    assert contents(harness.second(), names.events, 0) == [(b"m:1#0", b"event 0")]
    assert contents(harness.second(), names.events, 1) == []
    # The member goes on as if nothing had been.
    assert party.commit({0: end}, event(names, 0, 1))
    assert contents(harness.second(), names.events, 0) == [(b"m:1#0", b"event 0"), (b"m:1#1", b"event 1")]


def test_what_a_refused_transaction_wrote_never_reaches_a_feed(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    party = join.settled()
    task = Message(topic=names.tasks, key=b"m:1##1", value=b"refused", partition=0)
    assert not party.commit({0: 0}, task, too_large(names, party.inbox))
    assert party.commit({0: 0}, Message(topic=names.tasks, key=b"m:1##2", value=b"committed", partition=0))

    consumer = Consumer(harness.second().feed(names.tasks, group="workers", from_beginning=True))
    settle(harness, [consumer], lambda: consumer.records != [])
    consumer.feed.close()

    assert consumer.arrived(0) == [(b"m:1##2", b"committed")]


def test_a_transaction_for_a_partition_not_held_is_refused(harness: Harness, join: Joins, names: TopicNames) -> None:
    first, second = Party(join("0")), Party(join("1"))
    settle(harness, [first, second], lambda: _shared(first, second))
    theirs = min(second.ready)
    mine = min(first.ready)

    assert not first.commit({mine: 0, theirs: 0}, event(names, mine, 0), event(names, theirs, 0))

    assert contents(harness.second(), names.events, mine) == []
    assert contents(harness.second(), names.events, theirs) == []


# ---- several members


def _shared(*parties: Party) -> bool:
    held = [partition for party in parties for partition in party.opened]
    shares = [len(party.opened) for party in parties]
    return sorted(held) == sorted(ALL) and max(shares) - min(shares) <= 1


def test_two_members_share_all_partitions_without_overlap(harness: Harness, join: Joins, names: TopicNames) -> None:
    first = join.settled("0")
    second = Party(join("1"))

    settle(harness, [first, second], lambda: _shared(first, second))

    # Sticky: the first gave up only what the second has now.
    assert set(first.lost) == second.opened
    assert second.lost == []
    send(harness.log, *[m for p in ALL for m in commands(names, p, b"%d" % p)])
    settle(harness, [first, second], lambda: len(first.commands) + len(second.commands) == PARTITIONS)
    assert {record.partition for record in first.commands} == first.opened
    assert {record.partition for record in second.commands} == second.opened


def test_a_member_that_leaves_hands_over_at_once(harness: Harness, join: Joins) -> None:
    first, second = Party(join("0")), Party(join("1"))
    settle(harness, [first, second], lambda: _shared(first, second))

    first.inbox.close()
    settle(harness, [second], lambda: second.opened == ALL)

    assert second.lost == []


def test_a_member_that_gives_up_everything_hands_over_before_it_is_closed(harness: Harness, join: Joins) -> None:
    first, second = join.settled("0"), Party(join("1"))
    settle(harness, [first, second], lambda: _shared(first, second))

    first.inbox.leave()
    first.inbox.close()
    settle(harness, [second], lambda: second.ready == ALL)

    assert second.lost == []


def test_the_late_commit_of_an_expired_owner_leaves_no_trace(harness: Harness, join: Joins, names: TopicNames) -> None:
    send(harness.log, *commands(names, 0, b"a", b"b"))
    first = join.settled("0")
    settle(harness, [first], lambda: len(first.commands) == 2)
    assert first.commit({0: first.commands[0].offset + 1}, event(names, 0, 0))

    second = Party(join("1"))
    harness.expire(first.inbox)
    settle(harness, [second], lambda: second.opened == ALL)
    late = first.commit({0: first.commands[1].offset + 1}, event(names, 0, 1))

    assert not late
    assert contents(harness.second(), names.events, 0) == [(b"m:1#0", b"event 0")]
    # The new owner has what was committed before, and the command that was not.
    settle(harness, [second], lambda: second.commands != [])
    assert [(r.key, r.value) for r in second.restored[0]] == [(b"m:1#0", b"event 0")]
    assert second.arrived(0) == [(b"m:1", b"b")]
    assert second.commit({0: second.commands[0].offset + 1}, event(names, 0, 1))


def test_an_expired_member_hears_of_its_loss_and_joins_again(harness: Harness, join: Joins, names: TopicNames) -> None:
    first = join.settled("0")
    before = dict(first.assignments)
    second = Party(join("1"))
    harness.expire(first.inbox)
    settle(harness, [second], lambda: second.opened == ALL)

    settle(harness, [first, second], lambda: _shared(first, second))

    assert sorted(first.lost) == sorted(ALL)
    assert all(assignment > before[p] for p, assignment in first.assignments.items())
    mine = min(first.opened)
    assert first.commit({mine: 0}, event(names, mine, 0))
    assert contents(harness.second(), names.events, mine) == [(b"m:1#0", b"event 0")]


def test_a_slot_started_again_takes_over_from_its_former_process(
    harness: Harness, join: Joins, names: TopicNames
) -> None:
    older = join.settled("0")
    assert older.commit({0: 0}, event(names, 0, 0))

    newer = Party(join("0"))
    settle(harness, [newer], lambda: newer.opened == ALL)

    assert [(r.key, r.value) for r in newer.restored[0]] == [(b"m:1#0", b"event 0")]
    assert not older.commit({0: 1}, event(names, 0, 1))
    with pytest.raises(SlotTaken):
        settle(harness, [older], lambda: False)
    assert newer.commit({0: 1}, event(names, 0, 2))
    assert contents(harness.second(), names.events, 0) == [(b"m:1#0", b"event 0"), (b"m:1#2", b"event 2")]
