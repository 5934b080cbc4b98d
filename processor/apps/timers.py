"""The timer service: reads the timers index, sends FireTimer when one is due.

A timer's record says when it is due; the processor writes a tombstone once it is resolved, and the record again with
another time where it re-arms it. The index alone is the state: nothing is stored here, on assignment a partition is
read from its beginning and fires only once all of it has been seen. Firing twice is harmless: the processor takes a
timer by its id, once. An index is only an index: a record in it that is no timer is logged, counted and skipped.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from processor.apps.schedule import Schedule, ScheduleStanding, TellSchedules, standing_of
from processor.engine.encoding import decode_timer, encode_command
from processor.engine.ports import CaughtUp, Clock, Log, Message, PartitionLost, PartitionTaken, Record, RecordArrived
from processor.errors import DecodingFailed, InvalidCommand
from processor.model.commands import FireTimer
from processor.model.ids import parse_execution_id, parse_timer_id

ISSUER: Final = "timers"
MAX_FIRED_AT_ONCE: Final = 1_000
_MAX_POLL_SECONDS: Final = 0.5  # how long a stop waits at most

_log = logging.getLogger("processor.timers")


class TimerService:
    """One member of the group `<prefix>timers`; as many as there are partitions share the work."""

    def __init__(self, log: Log, clock: Clock, *, tell: TellSchedules | None = None) -> None:
        """Join the group. Raises LogUnavailable, NotAuthorized, TopicsUnfit as the log's ports do."""
        self._names, self._clock, self._tell = log.names, clock, tell
        self.counts: Counter[str] = Counter()
        self._partitions: dict[int, Schedule] = {}
        self._outbox = log.outbox()
        self._feed = log.feed(log.names.timers, group=log.names.prefix + "timers", from_beginning=True)

    def step(self, timeout_seconds: float) -> None:
        """Take in what arrives, waiting at most `timeout_seconds` or until a timer is due; fire what is due.

        Raises LogUnavailable where firing failed; the timers concerned stay due, so the next step fires them.
        """
        for delivery in self._feed.poll(timeout_seconds=self._patience(timeout_seconds)):
            match delivery:
                case PartitionTaken(partition=partition):
                    self._partitions[partition] = Schedule()
                case RecordArrived(record=record):
                    self._take(record)
                case CaughtUp(partition=partition):
                    self._partitions[partition].caught_up = True
                    pending = len(self._partitions[partition])
                    _log.info("partition_read", extra={"partition": partition, "pending": pending})
                case PartitionLost(partition=partition):
                    self._partitions.pop(partition, None)
        self._fire()
        if self._tell is not None:
            self._tell(self.standing)

    def standing(self) -> ScheduleStanding:
        settled, now = self._feed.settled, self._clock.now()
        return standing_of(self._partitions, settled=settled, counts=self.counts, now=now)

    def run(self, stop: Callable[[], bool]) -> None:
        """Step until `stop()`; it is asked at least twice a second."""
        while not stop():
            self.step(_MAX_POLL_SECONDS)

    def close(self) -> None:
        self._feed.close()
        self._outbox.close()

    def _patience(self, timeout_seconds: float) -> float:
        times = (at for partition in self._partitions.values() if (at := partition.next_due()) is not None)
        due = min(times, default=None)
        return timeout_seconds if due is None else min(timeout_seconds, max(0.0, (due - self._clock.now()) / 1000))

    def _take(self, record: Record) -> None:
        partition = self._partitions.get(record.partition)
        if partition is None or record.key is None:
            return
        try:
            timer_id = record.key.decode()
            parse_execution_id(parse_timer_id(timer_id)[0])
            due = None if record.value is None else decode_timer(record.value).due
        except (UnicodeDecodeError, InvalidCommand, DecodingFailed) as fault:
            self.counts["skipped"] += 1
            fields = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            _log.error("timer_skipped", extra=fields | {"reason": str(fault)})
            return
        if due is None:
            partition.resolve(timer_id)
        else:
            partition.arm(timer_id, due, self._clock.now())

    def _fire(self) -> None:
        now, room = self._clock.now(), MAX_FIRED_AT_ONCE
        fired: list[tuple[Schedule, str]] = []
        for partition in self._partitions.values():
            due = partition.due(now, room - len(fired))
            fired += [(partition, timer_id) for timer_id in due]
        if not fired:
            return
        try:
            self._outbox.send([self._message(timer_id) for _, timer_id in fired])
        except BaseException:
            for partition, timer_id in fired:
                partition.put_back(timer_id)
            raise
        for partition, timer_id in fired:
            partition.repeat(timer_id, now)
        self.counts["fired"] += len(fired)
        _log.debug("timers_fired", extra={"count": len(fired)})

    def _message(self, timer_id: str) -> Message:
        execution_id = parse_timer_id(timer_id)[0]
        command = FireTimer(execution_id=execution_id, issuer=ISSUER, timer_id=timer_id)
        # No partition given: the key routes it, as any other producer's command.
        return Message(topic=self._names.commands, key=execution_id.encode(), value=encode_command(command))
