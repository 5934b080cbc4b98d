"""What only the memory log does: threads of one process, faults on demand; and its clocks."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from processor.adapters.clock import NEW_YEAR_2026, ManualClock, OsEntropy, SeededEntropy, SystemClock
from processor.adapters.memory import MemoryLog
from processor.engine.ports import CommandArrived, Message
from processor.engine.topics import topic_specs
from processor.errors import TopicsUnfit
from tests.contracts.harness import PARTITIONS, Party, contents, send


def make(clock: ManualClock | None = None) -> MemoryLog:
    log = MemoryLog(clock=clock or ManualClock())
    log.create_topics(topic_specs(log.names, partitions=PARTITIONS))
    return log


def command(log: MemoryLog, value: bytes) -> Message:
    return Message(topic=log.names.commands, key=b"m:1", value=value, partition=0)


def test_a_poll_in_one_thread_is_woken_by_a_command_from_another() -> None:
    log = make()
    party = Party(log.inbox(slot="0"))
    party.poll()
    party.poll()
    arrived: list[object] = []

    def wait() -> None:
        arrived.extend(party.inbox.poll(timeout_seconds=60, max_commands=1))

    waiting = threading.Thread(target=wait)
    waiting.start()
    send(log, command(log, b"a"))
    waiting.join(timeout=30)

    assert [d.record.value for d in arrived if isinstance(d, CommandArrived)] == [b"a"]


def test_a_refused_commit_writes_nothing_and_the_next_one_is_taken() -> None:
    log = make()
    send(log, command(log, b"a"))
    party = Party(log.inbox(slot="0"))
    party.poll()
    party.poll()
    party.poll()
    event = Message(topic=log.names.events, key=b"k", value=b"v", partition=0)

    log.refuse_commits(1)

    assert not party.commit({0: 1}, event)
    assert contents(log, log.names.events, 0) == []
    party.poll()
    assert party.arrived(0) == [(b"m:1", b"a"), (b"m:1", b"a")]
    assert party.commit({0: 1}, event)
    assert contents(log, log.names.events, 0) == [(b"k", b"v")]


def test_a_transaction_with_a_topic_or_a_partition_that_is_not_there_writes_nothing() -> None:
    log = make()
    party = Party(log.inbox(slot="0"))
    party.poll()
    party.poll()
    event = Message(topic=log.names.events, key=b"k", value=b"v", partition=0)

    with pytest.raises(TopicsUnfit, match="absent: does not exist"):
        party.commit({0: 1}, event, Message(topic="absent", key=b"k", value=b"v"))
    with pytest.raises(TopicsUnfit, match="has no partition 99"):
        party.commit({0: 1}, event, Message(topic=log.names.events, key=b"k", value=b"v", partition=99))

    assert contents(log, log.names.events, 0) == []


def test_records_carry_the_clocks_time() -> None:
    clock = ManualClock()
    log = make(clock)
    send(log, command(log, b"a"))
    clock.advance(timedelta(seconds=90))
    send(log, command(log, b"b"))

    times = [record.time for record in log.reader().read(log.names.commands, 0)]

    assert times == [NEW_YEAR_2026, NEW_YEAR_2026 + 90_000]


def test_a_seeded_entropy_repeats_itself_and_the_systems_does_not() -> None:
    first, second, other = SeededEntropy(1), SeededEntropy(1), SeededEntropy(2)
    drawn = [first.seed(), first.seed()]

    assert drawn == [second.seed(), second.seed()]
    assert drawn != [other.seed(), other.seed()]
    assert {len(seed) for seed in (*drawn, OsEntropy().seed())} == {16}
    assert OsEntropy().seed() != OsEntropy().seed()


def test_the_systems_clock_is_past_the_year_2020() -> None:
    assert SystemClock().now() > 1_577_836_800_000
