"""Taking over partitions, off the poll thread. For each, in this order, which matters:

1. the stable committed offset of commands[p]
2. (poll thread) that offset committed again under this process's own name
3. the high watermarks of snapshots[p], events[p] and closed[p], read uncommitted
4. all three read, committed records only, until every position has reached its own: a commit returns before its
   markers are written, so this waits for every transaction that was open at (3). First the snapshots, which tell the
   poll thread where the events are to begin; then the events; what is closed once nothing else is to be read
5. (poll thread) commands[p] flows from (1), once the events are in

Blocked in 1 or 4 for half a second, the owner that the commit metadata names is fenced, if it is dead: its transaction
would hold the partition until the coordinator looks, 17 to 20 seconds.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias, assert_never

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from processor.adapters.kafka.clients import REQUEST_SECONDS, Consumer, Place, error_of
from processor.adapters.kafka.connection import Connection
from processor.adapters.kafka.convert import record_of
from processor.adapters.kafka.faults import describe, is_passing
from processor.adapters.kafka.fencing import Fencing
from processor.adapters.kafka.transactions import Author, decode_author
from processor.engine.ports import AllRestored, Record, RecordsRestored, Restorable

log = logging.getLogger(__name__)

CHUNK = 500
"""Records in one RecordsRestored."""
WAITING_CHUNKS = 40
WAITING_BYTES = 32 * 1024 * 1024
"""What may stand between this thread and the poll thread: with so much of either nothing is read, so memory stays
bounded: by this, one reading, and what the client has fetched ahead (`queued.max.messages.kbytes`)."""

BLOCKED_SECONDS = 0.5
HANGING_SECONDS = 30.0  # on top of the transaction timeout
STABLE_SECONDS = 0.25  # how long one question for the stable offsets may wait
STABLE_OF_ONE_SECONDS = 0.05  # dead owners leave many pending at once, which would wait one after the other
OWNERS_SECONDS = 2.0
PASSING_FAULT_SECONDS = 0.2
READ_SECONDS = 0.05
REST_SECONDS = 1.0
# Retention deleted what stood at the beginning between asking where it is and reading there.
BEGINNING_MOVED = frozenset((KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE))


class Phase(Enum):
    STABLE = auto()  # (1)
    NAMING = auto()  # (2), on the poll thread
    WATERMARKS = auto()  # (3)
    BEGINNING = auto()  # with `of` at `position`, or where that topic begins by now
    READING = auto()  # (4)
    ASKING = auto()  # where the events begin, on the poll thread
    WAITING = auto()  # with what is closed, for partitions without which no command flows


@dataclass(slots=True, kw_only=True)
class Take:
    """One partition's way through the order above. `of` is read from `topic`, and is there up to `position`."""

    partition: int
    assignment: int
    began: float
    phase: Phase = Phase.STABLE
    owner: str | None = None  # the transactional.id that the commit metadata named before (2)
    attempts: int = 0
    moved: float = 0.0  # when it last made progress
    ends: Mapping[Restorable, int] = field(default_factory=dict)
    of: Restorable = "snapshots"
    topic: str = ""
    position: int = 0
    asked_owner: bool = False
    told_hanging: bool = False

    @property
    def end(self) -> int:
        return self.ends[self.of]

    @property
    def place(self) -> Place:
        return self.topic, self.partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Stable:
    """(1): `offset` None where the group has none; `attempts` with the death of the last owner. Waits for `named`."""

    partition: int
    assignment: int
    offset: int | None
    attempts: int = 0


Result: TypeAlias = Stable | RecordsRestored | AllRestored | Exception


class Restorer:
    """Steps through all takings under way: in a thread once `start` was called, else at each `results`, so that a
    simulation has everything in one thread.

    Whoever asks calls `take`, `named`, `read_events`, `drop` and `results`, which are thread-safe; nothing else is.
    """

    def __init__(self, connection: Connection, *, slot: str, process: str) -> None:
        self._connection, self._slot, self._process = connection, slot, process
        self._timing, self._names = connection.timing, connection.names
        self._topics: Mapping[Restorable, str] = {
            "snapshots": self._names.snapshots,
            "events": self._names.events,
            "closed": self._names.closed,
        }
        self._fencing = Fencing(connection, slot=slot)
        self._requests: queue.SimpleQueue[tuple[str, int, int, int]] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        # Two sums, each written by one thread only, need no lock.
        self._bytes_put = self._bytes_taken = 0
        self._takes: dict[int, Take] = {}
        self._reader: Consumer | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    # ---- for the poll thread

    def take(self, partition: int, assignment: int) -> None:
        self._requests.put(("take", partition, assignment, 0))

    def named(self, partition: int, assignment: int) -> None:
        self._requests.put(("named", partition, assignment, 0))

    def read_events(self, partition: int, assignment: int, start: int) -> None:
        self._requests.put(("events", partition, assignment, start))

    def drop(self, partition: int, assignment: int) -> None:
        self._requests.put(("drop", partition, assignment, 0))

    def results(self, limit: int) -> list[Result]:
        """Return what is ready, at most `limit` of it. May belong to an assignment that is over."""
        found: list[Result] = []
        if self._thread is None:
            self.step(wait=False)
        while len(found) < limit:
            try:
                result = self._results.get_nowait()
            except queue.Empty:
                break
            if isinstance(result, RecordsRestored):
                self._bytes_taken += _size(result.records)
            found.append(result)
        return found

    def start(self) -> None:
        self._thread = threading.Thread(target=self.run, name=f"restore-{self._slot}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._requests.put(("wake", -1, -1, 0))
        if self._thread is not None:
            self._thread.join(timeout=30)

    # ---- in the thread

    def run(self) -> None:
        try:
            while not self._stopped.is_set():
                self.step(wait=True)
        except Exception as error:  # raised again by the poll thread, whatever it is
            self._results.put(error)
        finally:
            if self._reader is not None:
                self._reader.close()

    def step(self, *, wait: bool) -> None:
        """Do what can be done now. Raises AslError where trying again would not help."""
        self._take_requests(wait=wait and not self._takes)
        try:
            self._read_stable(self._in(Phase.STABLE))
            self._read_watermarks(self._in(Phase.WATERMARKS))
            self._begin_with_closed()
            self._assign(self._in(Phase.BEGINNING))
            self._read()
            blocked = self._blocked()
            self._learn_owners([take for take in blocked if take.owner is None and not take.asked_owner])
            for take in blocked:
                self._fencing.try_on(take.owner, blocked_since=take.moved)
        except KafkaException as exception:
            error = error_of(exception)
            if not is_passing(error):
                raise self._connection.translate(error) from exception
            phases = {take.partition: take.phase.name for take in self._takes.values()}
            log.warning("restore_delayed", extra={"slot": self._slot, "phases": phases, "reason": describe(error)})
            self._timing.sleep(PASSING_FAULT_SECONDS)

    def _take_requests(self, *, wait: bool) -> None:
        while True:
            try:
                kind, partition, assignment, start = self._requests.get(block=wait, timeout=REST_SECONDS)
            except queue.Empty:
                if not wait:
                    return
                if self._reader is not None:
                    self._reader.poll(0)  # what the client has to say of its brokers waits for this, and takes memory
                if self._stopped.is_set():
                    return
                continue
            wait = False
            now = self._timing.now()
            known = self._takes.get(partition)
            if kind == "take":
                self._forget(partition)
                self._takes[partition] = Take(partition=partition, assignment=assignment, began=now, moved=now)
            elif known is not None and known.assignment == assignment:
                match kind:
                    case "named":
                        known.phase, known.moved = Phase.WATERMARKS, now
                    case "events" if known.phase is Phase.ASKING:
                        self._begin(known, "events", start=start)
                    case "drop":
                        self._forget(partition)

    def _in(self, phase: Phase) -> list[Take]:
        return [take for take in self._takes.values() if take.phase is phase]

    # (1)

    def _read_stable(self, takes: Sequence[Take]) -> None:
        """Ask for all at once, which answers in a millisecond; a pending one holds up the rest, so then one by one."""
        if not self._ask_stable(takes, STABLE_SECONDS) and len(takes) > 1:
            for take in takes:
                self._ask_stable([take], STABLE_OF_ONE_SECONDS)

    def _ask_stable(self, takes: Sequence[Take], seconds: float) -> bool:
        if not takes:
            return True
        places = [TopicPartition(self._names.commands, take.partition) for take in takes]
        try:
            # A read_committed consumer's: waits while a transaction with an offset of the partition is pending.
            found = self._consumer().committed(places, seconds)
        except KafkaException as exception:
            if error_of(exception).code() in (KafkaError._TIMED_OUT, KafkaError.UNSTABLE_OFFSET_COMMIT):
                return False
            raise
        answers = {place.partition: place for place in found}
        alive: dict[str, bool] = {}  # a question to the group for each owner, not for each partition
        for take in takes:
            place = answers[take.partition]
            if place.error is not None:
                raise KafkaException(place.error)
            author = decode_author(place.metadata)
            take.owner = author.transactional_id if author else None
            take.attempts = 0 if author is None else author.attempts + self._has_died(author, alive)
            take.phase, take.moved = Phase.NAMING, self._timing.now()
            self._results.put(
                Stable(
                    partition=take.partition,
                    assignment=take.assignment,
                    offset=place.offset if place.offset >= 0 else None,
                    attempts=take.attempts,
                )
            )
        return True

    def _has_died(self, author: Author, alive: dict[str, bool]) -> bool:
        """Whether the last owner is no more, be it this slot's process before, and may have died of a command: as the
        first, or of what it tried (docs/decisions/0040)."""
        if author.left or author.process == self._process or (author.attempts and not author.trying):
            return False
        owner = author.transactional_id
        if owner not in alive:
            alive[owner] = self._fencing.lives(owner)
        return not alive[owner]

    def _learn_owners(self, takes: Sequence[Take]) -> None:
        """Learn, once, whom the last committed offset of each names, though a later one is pending."""
        if not takes:
            return
        settings = self._connection.settings.loner(self._names.processor_group, committed=False)
        consumer = self._connection.consumer(settings)
        places = [TopicPartition(self._names.commands, take.partition) for take in takes]
        try:
            found = {place.partition: place for place in consumer.committed(places, OWNERS_SECONDS)}
        finally:
            consumer.close()
        for take in takes:
            author = decode_author(found[take.partition].metadata)
            take.owner, take.asked_owner = author.transactional_id if author else None, True

    # (3)

    def _read_watermarks(self, takes: Sequence[Take]) -> None:
        if not takes:
            return
        places = [(topic, take.partition) for take in takes for topic in self._topics.values()]
        ends = self._connection.admin.ends(places, committed=False)
        for take in takes:
            take.ends = {of: ends[topic, take.partition] for of, topic in self._topics.items()}
            self._begin(take, "snapshots")

    # (4)

    def _begin(self, take: Take, of: Restorable, *, start: int = 0) -> None:
        take.of, take.topic, take.position, take.phase = of, self._topics[of], start, Phase.BEGINNING

    def _assign(self, takes: Sequence[Take]) -> None:
        """What is asked for may fail: until then nothing of the taking is changed, and it is asked for again."""
        unread = [take for take in takes if take.position < take.end]
        starts = self._connection.admin.starts([take.place for take in unread]) if unread else {}
        for take in takes:
            position = max(take.position, starts.get(take.place, 0))
            if position < take.end:
                self._consumer().incremental_assign([TopicPartition(take.topic, take.partition, position)])
            take.position, take.phase, take.moved = position, Phase.READING, self._timing.now()
            if position >= take.end:
                self._finish(take)

    def _begin_with_closed(self) -> None:
        if any(take.of != "closed" for take in (*self._in(Phase.BEGINNING), *self._in(Phase.READING))):
            return
        for take in self._in(Phase.WAITING):
            self._begin(take, "closed")

    def _read(self) -> None:
        if not self._in(Phase.READING):
            if self._takes:  # only waiting for the poll thread, or for a pending offset
                self._timing.sleep(0.002)
            return
        waiting_bytes = self._bytes_put - self._bytes_taken
        if self._results.qsize() >= WAITING_CHUNKS or waiting_bytes >= WAITING_BYTES:
            self._timing.sleep(READ_SECONDS)
            return
        records: dict[int, list[Record]] = {}
        consumer = self._consumer()
        first = consumer.poll(READ_SECONDS)
        for message in ([first] if first is not None else []) + consumer.consume(CHUNK, 0):
            self._receive(message, records)
        for partition, found in records.items():
            take = self._takes[partition]
            self._bytes_put += _size(found)
            self._results.put(
                RecordsRestored(
                    partition=partition,
                    assignment=take.assignment,
                    of=take.of,
                    records=tuple(found),
                    left=max(0, take.end - take.position),
                )
            )
        for take in self._in(Phase.READING):
            if take.position >= take.end:
                self._unassign(take)
                self._finish(take)

    def _receive(self, message: Message, records: dict[int, list[Record]]) -> None:
        error, topic, partition, offset = message.error(), message.topic(), message.partition(), message.offset()
        take = self._takes.get(-1 if partition is None else partition)
        reading = take is not None and take.phase is Phase.READING and topic == take.topic
        if error is not None and error.code() in BEGINNING_MOVED and take is not None and reading:
            log.info("restore_begins_again", extra={"partition": take.partition, "reason": describe(error)})
            self._unassign(take)
            self._begin(take, take.of, start=take.position)
            return
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        if take is None or not reading or offset is None:
            return
        # An end, or the next record, steps over aborted records and transactions' markers.
        position = offset if error is not None else offset + 1
        if position <= take.position:
            return  # read before the beginning moved
        take.position, take.moved = position, self._timing.now()
        # What was written after (3) is not ours to restore, nor is there any: we own the partition.
        if error is None:
            records.setdefault(take.partition, []).append(record_of(message))

    def _finish(self, take: Take) -> None:
        seconds = round(self._timing.now() - take.began, 3)
        log.info("partition_read", extra={"partition": take.partition, "of": take.of, "seconds": seconds})
        self._results.put(
            AllRestored(partition=take.partition, assignment=take.assignment, of=take.of, attempts=take.attempts)
        )
        match take.of:
            case "snapshots":
                take.phase = Phase.ASKING
            case "events":
                take.phase, take.of = Phase.WAITING, "closed"
            case "closed":
                del self._takes[take.partition]
            case _:
                assert_never(take.of)

    def _forget(self, partition: int) -> None:
        take = self._takes.pop(partition, None)
        if take is not None:
            self._unassign(take)

    def _unassign(self, take: Take) -> None:
        if take.phase is Phase.READING:
            self._consumer().incremental_unassign([TopicPartition(take.topic, take.partition)])

    # ---- blocked

    def _blocked(self) -> list[Take]:
        """Return those that wait for somebody's transaction for too long; tell of the ones that hang."""
        now = self._timing.now()
        waiting = [take for take in self._takes.values() if now - take.moved > BLOCKED_SECONDS]
        reading = [take for take in waiting if take.phase is Phase.READING]
        ends = self._connection.admin.ends([take.place for take in reading], committed=True) if reading else {}
        found = []
        for take in waiting:
            # One that has not come to the stable end is slow, but not blocked.
            if take.phase is not Phase.STABLE and take.position < ends.get(take.place, float("inf")):
                continue
            found.append(take)
            waited = now - take.moved
            if (
                waited > self._connection.settings.transaction_timeout_seconds + HANGING_SECONDS
                and not take.told_hanging
            ):
                take.told_hanging = True
                fields = {"partition": take.partition, "seconds": round(waited), "phase": take.phase.name}
                log.error(
                    "transaction_hanging",
                    extra=fields | {"owner": take.owner, "of": take.of, "position": take.position},
                )
        return found

    def _consumer(self) -> Consumer:
        if self._reader is None:
            settings = self._connection.settings.loner(self._names.processor_group)
            reader = self._connection.consumer(settings)
            for topic in self._topics.values():
                # Makes it learn the leaders: without, the first fetch was measured to wait 0.95 s, with it 1 ms.
                reader.list_topics(topic, REQUEST_SECONDS)
            self._reader = reader
        return self._reader


def _size(records: Iterable[Record]) -> int:
    return sum(len(record.key or b"") + len(record.value or b"") for record in records)
