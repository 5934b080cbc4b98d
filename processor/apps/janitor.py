"""The janitor: reads what is closed, sends PurgeExecution when an execution has been kept for long enough.

How long is said by the last record of the execution's state machine, else by the janitor's own default; both may
change, and what is kept then changes with them. Where that record cannot be read, nothing of the machine is purged. A
record of `closed` stands until its execution is purged or redriven, so the topic alone is the state, as with timers: it
is read from its beginning on assignment, and a purge is asked for again as long as there is no tombstone. Asking twice
is harmless: the command names the end it is about.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from processor.apps.schedule import REPEAT_AFTER_MS, Schedule, ScheduleStanding, TellSchedules, standing_of
from processor.engine.definitions import Definitions
from processor.engine.encoding import decode_closed, encode_command
from processor.engine.ports import CaughtUp, Clock, Log, Message, PartitionLost, PartitionTaken, Record, RecordArrived
from processor.errors import DecodingFailed, InvalidDefinition
from processor.model.commands import PurgeExecution
from processor.model.ids import Millis

ISSUER: Final = "janitor"
MAX_ASKED: Final = 500
"""How many purges of a partition are under way at once: more would only make other commands wait behind them."""
LOOK_EVERY_MS: Final = 60_000
_MAX_POLL_SECONDS: Final = 0.5  # how long a stop waits at most
_FOR_EVER: Final = 1 << 60  # milliseconds

_log = logging.getLogger("processor.janitor")


class _Partition:
    """Ended executions of one partition: when and with which event each ended, and which were asked for lately."""

    def __init__(self) -> None:
        self.schedule = Schedule()
        self.ends: dict[str, tuple[Millis, int]] = {}
        self._asked: OrderedDict[str, Millis] = OrderedDict()

    def forget(self, id: str) -> None:
        self.ends.pop(id, None)
        self._asked.pop(id, None)
        self.schedule.resolve(id)

    def next_due(self) -> float:
        """Return when there is something to ask for; where much is under way, not before the first of it is overdue."""
        due = self.schedule.next_due()
        if due is None:
            return float("inf")
        return due if len(self._asked) < MAX_ASKED else max(due, next(iter(self._asked.values())) + REPEAT_AFTER_MS)

    def due(self, now: Millis) -> list[str]:
        while self._asked and (first := next(iter(self._asked.items())))[1] <= now - REPEAT_AFTER_MS:
            del self._asked[first[0]]
        return self.schedule.due(now, MAX_ASKED - len(self._asked))

    def asked(self, id: str, now: Millis) -> None:
        self._asked[id] = now
        self.schedule.repeat(id, now)


class Janitor:
    """One member of the group `<prefix>janitor`; as many as there are partitions share the work."""

    def __init__(self, log: Log, clock: Clock, *, retention: timedelta, tell: TellSchedules | None = None) -> None:
        """`retention`: by default. Raises LogUnavailable, NotAuthorized, TopicsUnfit as the log's ports do."""
        self._names, self._clock, self._tell = log.names, clock, tell
        self._default = retention // timedelta(milliseconds=1)
        self.counts: Counter[str] = Counter()
        self._partitions: dict[int, _Partition] = {}
        self._kept: dict[str, int] = {}  # milliseconds, by state machine
        self._look_at: Millis | None = None
        self._reader = log.reader()
        self._definitions = Definitions(self._reader, log.names, counts=self.counts)
        self._outbox = log.outbox()
        self._feed = log.feed(log.names.closed, group=log.names.prefix + "janitor", from_beginning=True)

    def step(self, timeout_seconds: float) -> None:
        """Take in what arrives, waiting at most `timeout_seconds` or until something is due; ask for its purge.

        Raises LogUnavailable where asking failed; what was due then stays so.
        """
        for delivery in self._feed.poll(timeout_seconds=self._patience(timeout_seconds)):
            match delivery:
                case PartitionTaken(partition=partition):
                    self._partitions[partition] = _Partition()
                case RecordArrived(record=record):
                    self._take(record)
                case CaughtUp(partition=partition):
                    self._partitions[partition].schedule.caught_up = True
                case PartitionLost(partition=partition):
                    self._partitions.pop(partition, None)
        now = self._clock.now()
        if self._look_at is None or now >= self._look_at or self._next_due() <= now:
            self._look(now)
        self._ask(now)
        if self._tell is not None:
            self._tell(self.standing)

    def standing(self) -> ScheduleStanding:
        schedules = {number: one.schedule for number, one in self._partitions.items()}
        settled, now = self._feed.settled, self._clock.now()
        return standing_of(schedules, settled=settled, counts=self.counts, now=now)

    def run(self, stop: Callable[[], bool]) -> None:
        """Step until `stop()`; it is asked at least twice a second."""
        while not stop():
            self.step(_MAX_POLL_SECONDS)

    def close(self) -> None:
        self._feed.close()
        self._outbox.close()
        self._reader.close()

    def _next_due(self) -> float:
        return min((one.next_due() for one in self._partitions.values()), default=float("inf"))

    def _patience(self, timeout_seconds: float) -> float:
        return max(0.0, min(timeout_seconds, (self._next_due() - self._clock.now()) / 1000))

    def _take(self, record: Record) -> None:
        partition = self._partitions.get(record.partition)
        if partition is None or record.key is None:
            return
        id = record.key.decode(errors="replace")
        if record.value is None:
            partition.forget(id)
            return
        try:
            closed = decode_closed(record.value)
        except DecodingFailed as fault:
            self.counts["skipped"] += 1
            fields = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            _log.error("closed_skipped", extra=fields | {"reason": str(fault)})
            return
        partition.ends[id] = closed.ended_at, closed.last_sequence
        self._arm(partition, id, self._clock.now())

    def _arm(self, partition: _Partition, id: str, now: Millis) -> None:
        kept = self._kept.setdefault(_machine(id), self._default)
        partition.schedule.arm(id, Millis(partition.ends[id][0] + kept), now)

    def _look(self, now: Millis) -> None:
        """Read on in the definitions: nothing is purged by a retention that has changed since."""
        self._look_at = Millis(now + LOOK_EVERY_MS)
        self._definitions.expire()
        self._definitions.refresh()
        kept = {machine: self._retention_ms(machine) for machine in self._kept}
        changed = {machine for machine in kept if kept[machine] != self._kept[machine]}
        self._kept = kept
        if changed:
            for partition in self._partitions.values():
                for id in partition.ends:
                    if _machine(id) in changed:
                        self._arm(partition, id, now)

    def _retention_ms(self, machine: str) -> int:
        try:
            told = self._definitions.retention_ms(machine)
        except InvalidDefinition:  # of a later release, maybe: what it says is not known, and a purge is for ever
            return _FOR_EVER
        return self._default if told is None else told

    def _ask(self, now: Millis) -> None:
        due = [(one, one.due(now)) for one in self._partitions.values()]
        commands = [self._message(one, id) for one, ids in due for id in ids]
        if not commands:
            return
        try:
            self._outbox.send(commands)
        except BaseException:
            for one, ids in due:
                for id in ids:
                    one.schedule.put_back(id)
            raise
        for one, ids in due:
            for id in ids:
                one.asked(id, now)
        self.counts["asked"] += len(commands)
        _log.debug("purges_asked", extra={"count": len(commands)})

    def _message(self, partition: _Partition, id: str) -> Message:
        ended_at, last_sequence = partition.ends[id]
        command = PurgeExecution(execution_id=id, issuer=ISSUER, last_sequence=last_sequence, ended_at=ended_at)
        return Message(topic=self._names.commands, key=id.encode(), value=encode_command(command))


def _machine(execution_id: str) -> str:
    """Return the state machine that is deployed: the children of a distributed Map have its name before a label."""
    return execution_id.partition(":")[0].partition("/")[0]
