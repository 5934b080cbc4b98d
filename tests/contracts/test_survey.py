"""Survey: what can be seen of processors' partitions from outside."""

from __future__ import annotations

from contextlib import closing

from processor.engine.ports import Backlog, Message
from processor.model.ids import Millis
from tests.contracts.harness import PARTITIONS, Harness, Party, send, settle

ALL = set(range(PARTITIONS))


def command(harness: Harness, partition: int, value: bytes) -> Message:
    return Message(topic=harness.log.names.commands, key=b"m:1", value=value, partition=partition)


def times(harness: Harness, partition: int) -> list[Millis]:
    with closing(harness.log.reader()) as reader:
        return [record.time for record in reader.read(harness.log.names.commands, partition)]


def test_commands_that_nobody_has_applied_are_a_backlog_as_old_as_the_first_of_them(harness: Harness) -> None:
    send(harness.log, command(harness, 0, b"a"), command(harness, 0, b"b"))

    with closing(harness.second().survey()) as survey:
        found = survey.look([0, 1])

    [first, _] = times(harness, 0)
    assert found.backlogs == {0: Backlog(records=2, oldest=first), 1: Backlog(records=0, oldest=None)}
    assert (found.held_seconds, found.hanging) == ({}, 0)


def test_what_was_committed_is_no_backlog_any_more(harness: Harness) -> None:
    with closing(harness.log.inbox(slot="0")) as inbox, closing(harness.second().survey()) as survey:
        party = Party(inbox)
        settle(harness, [party], lambda: party.ready == ALL)
        send(harness.log, command(harness, 2, b"a"), command(harness, 2, b"b"))
        settle(harness, [party], lambda: len(party.commands) == 2)
        before = survey.look([2]).backlogs
        [first, second] = party.commands
        while party.commit({2: first.offset + 1}) is None:
            party.poll()
        # Its markers may be on the way.
        settle(harness, [], lambda: survey.look([2]).backlogs == {2: Backlog(records=1, oldest=second.time)})
        while party.commit({2: second.offset + 1}) is None:
            party.poll()
        settle(harness, [], lambda: survey.look([2]).backlogs == {2: Backlog(records=0, oldest=None)})

    assert before == {2: Backlog(records=2, oldest=first.time)}


def test_of_no_partitions_nothing_is_told(harness: Harness) -> None:
    with closing(harness.log.survey()) as survey:
        found = survey.look([])

    assert (found.backlogs, found.held_seconds, found.hanging) == ({}, {}, 0)


def test_a_member_is_settled_once_it_was_told_what_is_its_own(harness: Harness) -> None:
    with closing(harness.log.inbox(slot="0")) as inbox:
        assert not inbox.settled
        party = Party(inbox)
        settle(harness, [party], lambda: inbox.settled)
        assert set(party.assignments) == ALL
