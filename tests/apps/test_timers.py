"""The timer service on the memory log, on a clock that the test advances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from processor.adapters.clock import ManualClock
from processor.adapters.embedded.log import EmbeddedOutbox
from processor.adapters.memory import MemoryLog
from processor.apps.timers import MAX_FIRED_AT_ONCE, TimerService
from processor.engine.encoding import decode_command, encode_timer
from processor.engine.ports import Message
from processor.engine.topics import partition_of, topic_specs
from processor.errors import LogUnavailable
from processor.model.commands import FireTimer
from processor.model.ids import Millis, parse_timer_id
from processor.model.records import Timer

PARTITIONS = 2


class UnreliableLog(MemoryLog):
    """Refuses to send as long as `down` is set."""

    down = False

    def outbox(self) -> EmbeddedOutbox:
        return _UnreliableOutbox(self)


class _UnreliableOutbox(EmbeddedOutbox):
    def __init__(self, log: UnreliableLog) -> None:
        super().__init__(log.store())
        self._log = log

    def send(self, messages: Sequence[Message]) -> None:
        if self._log.down:
            raise LogUnavailable(address=self._log.address, reason="the test says so")
        super().send(messages)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log(clock: ManualClock) -> UnreliableLog:
    log = UnreliableLog(clock=clock)
    log.create_topics(topic_specs(log.names, partitions=PARTITIONS))
    return log


@pytest.fixture
def service(log: UnreliableLog, clock: ManualClock) -> Iterator[TimerService]:
    service = TimerService(log, clock)
    yield service
    service.close()


def write(log: MemoryLog, timer_id: str, due: int | None) -> None:
    """Write the timer's record, or its tombstone, to its execution's partition, as the processor does."""
    execution_id, scope, sequence, kind = parse_timer_id(timer_id)
    value = None
    if due is not None:
        timer = Timer(
            timer_id=timer_id,
            execution_id=execution_id,
            scope=scope,
            sequence=sequence,
            kind=kind,
            due=Millis(due),
            state="Hold",
        )
        value = encode_timer(timer)
    partition = partition_of(execution_id.encode(), PARTITIONS)
    log.outbox().send([Message(topic=log.names.timers, key=timer_id.encode(), value=value, partition=partition)])


def fired(log: MemoryLog) -> list[FireTimer]:
    """Return the commands so far, checking that each lies in its execution's partition under its id."""
    commands = []
    for partition in range(PARTITIONS):
        for record in log.reader().read(log.names.commands, partition):
            assert record.value is not None and record.key is not None
            command = decode_command(record.value)
            assert isinstance(command, FireTimer)
            assert (record.key.decode(), record.partition) == (
                command.execution_id,
                partition_of(record.key, PARTITIONS),
            )
            commands.append(command)
    return commands


def fire(timer_id: str) -> FireTimer:
    return FireTimer(execution_id=parse_timer_id(timer_id)[0], issuer="timers", timer_id=timer_id)


def test_a_timer_fires_when_it_is_due_and_not_before(
    log: UnreliableLog, clock: ManualClock, service: TimerService
) -> None:
    write(log, "order:1##3#wait", clock.now() + 10_000)
    service.step(0)
    clock.advance(timedelta(seconds=9.999))
    service.step(0)
    assert fired(log) == []
    clock.advance(timedelta(milliseconds=1))
    service.step(0)
    assert fired(log) == [fire("order:1##3#wait")]


def test_a_timer_that_is_overdue_when_its_partition_is_taken_fires_at_once(
    log: UnreliableLog, clock: ManualClock
) -> None:
    write(log, "order:1##3#wait", clock.now() - 1)
    service = TimerService(log, clock)
    service.step(0)
    assert fired(log) == [fire("order:1##3#wait")]


def test_a_timer_resolved_further_on_in_the_log_never_fires(
    log: UnreliableLog, clock: ManualClock, service: TimerService
) -> None:
    # More than one poll's worth stands between the timer and its tombstone: it fires only after all has been read.
    write(log, "order:1##3#wait", clock.now() - 1)
    for number in range(600):
        write(log, f"order:1##{number + 4}#wait", None)
    write(log, "order:1##3#wait", None)
    for _ in range(3):
        service.step(0)
    assert fired(log) == []


def test_a_fired_timer_fires_again_after_a_minute_then_after_twice_as_long_up_to_ten(
    log: UnreliableLog, clock: ManualClock, service: TimerService
) -> None:
    write(log, "order:1##3#retry", clock.now())
    service.step(0)
    gaps = []
    for _ in range(6):
        waited = 0
        before = len(fired(log))
        while len(fired(log)) == before:
            clock.advance(timedelta(minutes=1))
            waited += 1
            service.step(0)
        gaps.append(waited)
    assert gaps == [1, 2, 4, 8, 10, 10]


def test_a_tombstone_ends_the_repetition(log: UnreliableLog, clock: ManualClock, service: TimerService) -> None:
    write(log, "order:1##3#retry", clock.now())
    service.step(0)
    write(log, "order:1##3#retry", None)
    service.step(0)
    clock.advance(timedelta(hours=1))
    service.step(0)
    assert fired(log) == [fire("order:1##3#retry")]


def test_a_rearmed_timer_fires_at_its_new_time_only(
    log: UnreliableLog, clock: ManualClock, service: TimerService
) -> None:
    write(log, "order:1##3#heartbeat", clock.now() + 10_000)
    write(log, "order:1##3#heartbeat", clock.now() + 30_000)
    service.step(0)
    clock.advance(timedelta(seconds=29))
    service.step(0)
    assert fired(log) == []
    clock.advance(timedelta(seconds=1))
    service.step(0)
    assert fired(log) == [fire("order:1##3#heartbeat")]


def test_a_fired_timer_rearmed_for_a_time_already_past_waits_for_its_repetition(
    log: UnreliableLog, clock: ManualClock, service: TimerService
) -> None:
    behind = clock.now()  # the processor's clock: it takes none of the firings
    gaps, waited = list[int](), 0
    write(log, "order:1##3#heartbeat", behind)
    service.step(0)
    while len(gaps) < 4:
        before = len(fired(log))
        write(log, "order:1##3#heartbeat", behind)
        service.step(0)
        clock.advance(timedelta(minutes=1))
        service.step(0)
        waited += 1
        if len(fired(log)) > before:
            gaps.append(waited)
            waited = 0
    assert gaps == [1, 2, 4, 8]
    assert fired(log) == [fire("order:1##3#heartbeat")] * 5


def test_a_fired_timer_rearmed_for_a_time_to_come_fires_then(
    log: UnreliableLog, clock: ManualClock, service: TimerService
) -> None:
    write(log, "order:1##3#heartbeat", clock.now())
    service.step(0)
    write(log, "order:1##3#heartbeat", clock.now() + 5_000)
    service.step(0)
    clock.advance(timedelta(seconds=5))
    service.step(0)
    assert fired(log) == [fire("order:1##3#heartbeat")] * 2


@pytest.mark.parametrize("key", [b"order:1##3#wait", b"order:1", b"no execution##3#wait", b"\xff", b""])
def test_what_is_no_timer_is_counted_and_skipped(
    log: UnreliableLog, clock: ManualClock, service: TimerService, key: bytes
) -> None:
    place = partition_of(b"order:1", PARTITIONS)
    log.outbox().send([Message(topic=log.names.timers, key=key, value=b"garbage", partition=place)])
    write(log, "order:1##4#wait", clock.now())
    service.step(0)
    assert (fired(log), service.counts) == ([fire("order:1##4#wait")], {"skipped": 1, "fired": 1})


def test_a_timer_under_the_key_of_something_else_is_counted_and_skipped(
    log: UnreliableLog, clock: ManualClock, service: TimerService
) -> None:
    write(log, "order:1##3#wait", clock.now())
    [*_, record] = log.reader().read(log.names.timers, partition_of(b"order:1", PARTITIONS))
    service.step(0)
    log.outbox().send([Message(topic=record.topic, key=b"order:1", value=record.value, partition=record.partition)])
    service.step(0)
    assert (fired(log), service.counts) == ([fire("order:1##3#wait")], {"skipped": 1, "fired": 1})


def test_a_timer_moved_away_and_back_fires_once(log: UnreliableLog, clock: ManualClock, service: TimerService) -> None:
    for due in (10_000, 20_000, 10_000):
        write(log, "order:1##3#heartbeat", clock.now() + due)
    service.step(0)
    clock.advance(timedelta(seconds=20))
    service.step(0)
    assert fired(log) == [fire("order:1##3#heartbeat")]


def test_earlier_timers_fire_first_whatever_the_order_of_their_records(
    log: UnreliableLog, clock: ManualClock, service: TimerService
) -> None:
    for number, due in [(3, 3000), (1, 1000), (2, 2000)]:
        write(log, f"order:1##{number}#wait", clock.now() + due)
    service.step(0)
    clock.advance(timedelta(seconds=5))
    service.step(0)
    assert fired(log) == [fire(f"order:1##{number}#wait") for number in (1, 2, 3)]


def test_more_than_fit_one_sending_fire_step_by_step(
    log: UnreliableLog, clock: ManualClock, service: TimerService
) -> None:
    timers = [f"order:1##{number:05}#wait" for number in range(MAX_FIRED_AT_ONCE + 1)]
    for timer_id in timers:
        write(log, timer_id, clock.now() - 1)
    for _ in range(5):
        service.step(0)
    assert sorted(fired(log), key=lambda c: c.timer_id) == [fire(timer_id) for timer_id in timers]


def test_what_could_not_be_sent_fires_with_the_next_step(
    log: UnreliableLog, clock: ManualClock, service: TimerService
) -> None:
    write(log, "order:1##3#wait", clock.now())
    log.down = True
    with pytest.raises(LogUnavailable):
        service.step(0)
    log.down = False
    service.step(0)
    assert fired(log) == [fire("order:1##3#wait")]


def test_two_services_share_the_partitions_and_one_that_leaves_hands_its_timers_over(
    log: UnreliableLog, clock: ManualClock
) -> None:
    timers = [f"order:{number}##1#wait" for number in range(8)]
    for timer_id in timers:
        write(log, timer_id, clock.now() + 1000)
    first, second = TimerService(log, clock), TimerService(log, clock)
    for _ in range(4):
        first.step(0)
        second.step(0)
    second.close()
    for _ in range(2):
        first.step(0)
    clock.advance(timedelta(seconds=1))
    first.step(0)
    assert sorted(fired(log), key=lambda c: c.execution_id) == [fire(timer_id) for timer_id in timers]
    first.close()


def test_the_next_due_timer_ends_a_long_poll(log: UnreliableLog, clock: ManualClock, service: TimerService) -> None:
    write(log, "order:1##3#wait", clock.now())
    service.step(0)
    write(log, "order:2##3#wait", clock.now() + 1)
    service.step(0)
    clock.advance(timedelta(milliseconds=1))
    service.step(3600)  # would outlast the test's own timeout
    assert sorted(c.execution_id for c in fired(log)) == ["order:1", "order:2"]
