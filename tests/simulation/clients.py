"""The adapter's narrow port over the simulated broker, for one process: every call is a moment at which others go on,
at which it may die, and at which something may go wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

from processor.adapters.kafka.clients import (
    GroupMetadata,
    Member,
    NewTopicSettings,
    OnDelivery,
    OnError,
    OnRebalance,
    Settings,
    TopicState,
)
from processor.engine.topics import partition_of
from tests.simulation.broker import Broker, Coordinator, Partition, Place, Transaction
from tests.simulation.scheduler import Killed, Process, Scheduler

REPLICATION = 1
PAUSE_SECONDS = 0.2


def failure(code: int, *, fatal: bool = False, retriable: bool = False, abort: bool = False) -> KafkaException:
    return KafkaException(KafkaError(code, "simulated", fatal, retriable, abort))


class Metadata(NamedTuple):
    member: str
    generation: int


class Faults:
    """What goes wrong at a call of a process's clients. `at_call` may raise Killed; the others say what a transaction's
    last steps come to."""

    def at_call(self, process: Process, name: str) -> None:
        pass

    def to_read(self, topic: str) -> float:
        """How many seconds each reading of it takes."""
        return 0.0

    def at_commit(self, process: Process) -> str:
        """`` for nothing, else one of LOST_ANSWERS."""
        return ""


LOST_ANSWERS = (
    "decided, timed out",
    "decided, unknown",
    "not decided, timed out",
    "not decided, unknown",
    "delivery failed",
)


class SimulatedClients:
    def __init__(self, broker: Broker, process: Process, faults: Faults) -> None:
        self.broker, self.process, self.faults = broker, process, faults
        self.scheduler: Scheduler = broker.scheduler

    def call(self, name: str, detail: str = "") -> None:
        """A moment between two calls."""
        self.process.calls += 1
        if not self.process.alive:
            raise Killed
        self.scheduler.note(f"{self.process.name} {self.process.calls} {name} {detail}")
        self.faults.at_call(self.process, name)
        self.scheduler.wait(0)

    def consumer(self, settings: Settings, *, on_error: OnError) -> SimulatedConsumer:
        return SimulatedConsumer(self, settings)

    def producer(self, settings: Settings, *, on_error: OnError) -> SimulatedProducer:
        return SimulatedProducer(self, str(settings.get("transactional.id", "")))

    def admin(self, settings: Settings, *, on_error: OnError) -> SimulatedAdmin:
        return SimulatedAdmin(self)


class SimulatedConsumer:
    def __init__(self, clients: SimulatedClients, settings: Settings) -> None:
        self._clients, self._broker, self._scheduler = clients, clients.broker, clients.scheduler
        self._committed = settings["isolation.level"] == "read_committed"
        self._eof = bool(settings["enable.partition.eof"])
        instance = settings.get("group.instance.id")
        self._instance = None if instance is None else str(instance)
        self._client_id = str(settings.get("client.id", ""))
        self._positions: dict[Place, int] = {}
        self._ends_told: dict[Place, int] = {}
        self._ready = True
        self._callbacks: dict[str, OnRebalance] = {}
        self._topic = ""
        self._owned: set[int] = set()
        self._member = ""
        self._generation = -1
        self.quiet = False
        """It has joined again without the application's having heard of it."""

    # ---- the group

    @property
    def member(self) -> str:
        return self._member

    @property
    def process(self) -> Process:
        return self._clients.process

    def subscribe(
        self, topics: list[str], *, on_assign: OnRebalance, on_revoke: OnRebalance, on_lost: OnRebalance
    ) -> None:
        self._clients.call("subscribe")
        (self._topic,) = topics
        self._callbacks = {"assign": on_assign, "revoke": on_revoke, "lost": on_lost}
        self._broker.consumers.append(self)

    def unsubscribe(self) -> None:
        """So a static member leaves too. The client tells in the next poll; here at once."""
        self._clients.call("unsubscribe")
        gone, self._owned = sorted(self._owned), set()
        self._callbacks["revoke"](self, self._places(gone))
        self._broker.expel(self._member)
        self._callbacks, self._member = {}, ""

    def rejoin_quietly(self) -> None:
        self._member = self._broker.join(self._instance, self._client_id, self._clients.process).id
        self.quiet = True

    def _group_moves(self) -> bool:
        if not self._callbacks:
            return False
        group = self._broker.group
        return self._member not in group.members or self._generation != group.generation or self.quiet

    def _serve_rebalance(self) -> None:
        """What a poll serves. Generations that passed meanwhile are one."""
        broker, group = self._broker, self._broker.group
        if self._member and self._member not in group.members:
            self._scheduler.note(f"{self._clients.process.name} has lost all of {sorted(self._owned)}")
            self._member, gone, self._owned = "", sorted(self._owned), set()
            self._callbacks["lost"](self, self._places(gone))
        if not self._member:
            self._member = broker.join(self._instance, self._client_id, self._clients.process).id
            # A static member that takes its former self's place begins with what that had.
        mine = {n for n, id in group.assigned.items() if id == self._member and group.wanted[n] == id}
        gone = sorted(self._owned - mine)
        if gone:
            self._callbacks["revoke"](self, self._places(gone))
            self._owned -= set(gone)
        broker.let_go(self._member, [n for n in group.assigned if group.wanted[n] != self._member])
        broker.settle_assignment(self._member)
        new = sorted({n for n, id in group.assigned.items() if id == self._member} - self._owned)
        self._owned |= set(new)
        self._generation, self.quiet = group.generation, False
        self._scheduler.note(f"{self._clients.process.name} generation {self._generation} new {new}")
        self._callbacks["assign"](self, self._places(new))

    def _places(self, numbers: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, number) for number in numbers]

    def consumer_group_metadata(self) -> GroupMetadata:
        return Metadata(self._member, self._generation_now)

    @property
    def _generation_now(self) -> int:
        """As the client's own thread knows it: it joins by itself unless the application has to let something go."""
        group = self._broker.group
        kept = all(group.assigned[n] == self._member and group.wanted[n] == self._member for n in self._owned)
        return group.generation if (kept or self.quiet) and self._member in group.members else self._generation

    def memberid(self) -> str | None:
        return self._member

    # ---- offsets

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        numbers = [p.partition for p in partitions]
        self._clients.call("committed", str(numbers))
        if self._committed and self._broker.unstable(numbers):
            self._scheduler.wait(timeout, lambda: not self._broker.unstable(numbers))
            if self._broker.unstable(numbers):
                raise failure(KafkaError._TIMED_OUT, retriable=True)
        found = []
        for place in partitions:
            offset, metadata, _ = self._broker.group.offsets.get(place.partition, (-1001, "", 0))
            found.append(TopicPartition(place.topic, place.partition, offset, metadata))
        return found

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition] | None:
        before = self._member
        self._clients.call("commit", str([(p.partition, p.offset) for p in offsets]))
        if self._member != before:
            self._broker.member_changed_in_commit = True
        refuse(self._broker, Metadata(self._member, self._generation_now))
        self._broker.commit_offsets({p.partition: (p.offset, p.metadata or "") for p in offsets})
        return offsets

    # ---- records

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._positions.clear()
        self.incremental_assign(partitions)

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        for p in partitions:
            place = (p.topic, p.partition)
            self._positions[place] = 0 if p.offset == OFFSET_BEGINNING else p.offset
            self._ends_told.pop(place, None)
            heard = self._broker.partitions[place].heard
            if self._hear not in heard:
                heard.append(self._hear)
        self._ready = True

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        for p in partitions:
            del self._positions[p.topic, p.partition]

    def seek(self, partition: TopicPartition) -> None:
        if (partition.topic, partition.partition) not in self._positions:
            raise failure(KafkaError._STATE)
        self.incremental_assign([partition])

    def _hear(self) -> None:
        self._ready = True

    def poll(self, timeout: float) -> Message | None:
        self._clients.call("poll")
        seconds = max((self._clients.faults.to_read(topic) for topic, _ in self._positions), default=0.0)
        if seconds:
            self._scheduler.wait(seconds)
        if self._member in self._broker.group.replaced:
            return Message(error=KafkaError(KafkaError.FENCED_INSTANCE_ID, "simulated", True))
        if self._group_moves():
            self._serve_rebalance()
            return None
        found = self._next()
        if found is None:
            if timeout > 0:
                self._scheduler.wait(timeout, lambda: self._ready or self._group_moves())
            found = self._next()
        return found

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        found: list[Message] = []
        while len(found) < num_messages and (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> Message | None:
        if not self._ready:
            return None
        for place, position in self._positions.items():
            message = self._read(place, self._broker.partitions[place], position)
            if message is not None:
                return message
        self._ready = False
        return None

    def _read(self, place: Place, partition: Partition, position: int) -> Message | None:
        end = partition.last_stable if self._committed else partition.high_watermark
        while position < end:
            entry = partition.entries[position]
            position += 1
            self._positions[place] = position
            hidden = self._committed and entry.run is not None and entry.run.state == "aborted"
            if not entry.marker and not hidden:
                return Message(
                    place[0],
                    place[1],
                    position - 1,
                    entry.key,
                    entry.value,
                    list(entry.headers or ()),
                    None,
                    (1, entry.time),
                )
        if self._eof and self._ends_told.get(place) != position:
            self._ends_told[place] = position
            return Message(place[0], place[1], position, error=KafkaError(KafkaError._PARTITION_EOF))
        return None

    def list_topics(self, topic: str, timeout: float) -> object:
        return None

    def close(self) -> None:
        self._clients.call("close")
        for partition in self._broker.partitions.values():
            if self._hear in partition.heard:
                partition.heard.remove(self._hear)
        if self._callbacks and self._instance is None:
            self._broker.expel(self._member)


def refuse(broker: Broker, group: Metadata) -> None:
    """Raise what the group coordinator says to who is not, or no longer, a member of this generation."""
    if group.member in broker.group.replaced:
        raise failure(KafkaError.FENCED_INSTANCE_ID, fatal=True)
    if group.member not in broker.group.members:
        raise failure(KafkaError.UNKNOWN_MEMBER_ID, abort=True)
    if group.generation != broker.group.generation:
        raise failure(KafkaError.ILLEGAL_GENERATION, abort=True)


class SimulatedProducer:
    """Of one transactional.id, or of none."""

    def __init__(self, clients: SimulatedClients, id: str) -> None:
        self._clients, self._broker, self._scheduler, self._id = clients, clients.broker, clients.scheduler, id
        self._epoch = -1
        self._queue: list[tuple[Place, bytes | None, bytes | None, Any, OnDelivery | None]] = []
        self._transaction: Transaction | None = None

    @property
    def _coordinator(self) -> Coordinator:
        return self._broker.coordinator(self._id)

    def _refuse_fenced(self) -> None:
        if self._epoch != self._coordinator.epoch and not self._broker.rules.old_epochs_accepted:
            raise self._fenced()

    def _fenced(self) -> KafkaException:
        self._clients.process.told_fenced = True
        return failure(KafkaError._FENCED, fatal=True)

    def init_transactions(self, timeout: float) -> None:
        began = self._scheduler.now
        self._clients.call("init_transactions", self._id)
        # Who got no time since it asked for the members cannot know that one has come back; that is no fault of a rule.
        in_time = self._scheduler.now - began < PAUSE_SECONDS
        deadline = self._scheduler.now + timeout
        epoch = self._broker.take_id(self._id, self._clients.process, first=in_time)
        while epoch is None:
            if self._scheduler.now >= deadline:
                raise failure(KafkaError._TIMED_OUT, retriable=True)
            self._scheduler.wait(deadline - self._scheduler.now, lambda: self._coordinator.idle)
            epoch = self._broker.take_id(self._id, self._clients.process, first=False)
        self._epoch = epoch
        self._scheduler.note(f"{self._clients.process.name} epoch {epoch} of {self._id}")

    def begin_transaction(self) -> None:
        self._transaction = None

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: GroupMetadata, timeout: float
    ) -> None:
        self._clients.call("send_offsets", str([(p.partition, p.offset) for p in positions]))
        transaction = self._begun(timeout)
        assert isinstance(group_metadata, Metadata)
        refuse(self._broker, group_metadata)
        self._broker.pend_offsets(transaction, {p.partition: (p.offset, p.metadata or "") for p in positions})

    def _begun(self, timeout: float) -> Transaction:
        """The transaction, as the coordinator has it from its first partition on."""
        self._refuse_fenced()
        if self._transaction is None:
            if not self._coordinator.idle:
                self._scheduler.wait(timeout, lambda: self._coordinator.idle)
                self._refuse_fenced()
                if not self._coordinator.idle:
                    raise failure(KafkaError.CONCURRENT_TRANSACTIONS, retriable=True)
            self._transaction = self._broker.begin(self._id)
        return self._transaction

    def _of_now(self, transaction: Transaction) -> Transaction:
        """A broker that took an older epoch would take it for the id's transaction of now, or begin one."""
        coordinator = self._coordinator
        if transaction.phase == "open" or not self._broker.rules.old_epochs_accepted:
            return transaction
        if coordinator.now is not None and coordinator.now.phase == "open":
            return coordinator.now
        return self._broker.begin(self._id) if coordinator.idle else transaction

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = -1,
        *,
        on_delivery: OnDelivery | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        number = partition if partition >= 0 else partition_of(key or b"", self._broker.counts[topic])
        self._queue.append(((topic, number), key, value, headers, on_delivery))

    def commit_transaction(self, timeout: float) -> None:
        self._clients.call("commit_transaction")
        fault = self._clients.faults.at_commit(self._clients.process)
        if fault:
            self._scheduler.note(f"{self._clients.process.name} commit: {fault}")
        transaction = self._begun(timeout)
        if transaction.phase == "open":
            self._deliver(transaction, loses_one=fault == "delivery failed")
            if fault.startswith("not decided"):
                raise self._unanswered(fault)
            self._clients.call("end_transaction")
            self._refuse_fenced()
            transaction = self._of_now(transaction)
            if transaction.phase == "open":
                self._broker.end(transaction, "committed")
        if transaction.phase == "aborted":  # by whoever took the id, or by the coordinator
            raise self._fenced()
        if fault.startswith("decided"):
            raise self._unanswered(fault)
        self._transaction = None

    def _deliver(self, transaction: Transaction, *, loses_one: bool) -> None:
        queue, self._queue = self._queue, []
        late = self._scheduler.chance.randrange(len(queue)) if loses_one and queue else len(queue)
        topic: str | None = None
        for n, (place, key, value, headers, told) in enumerate(queue):
            if n == late:
                self._send_late(place, key, value, headers)
                raise failure(KafkaError._MSG_TIMED_OUT, abort=True)
            if place[0] != topic:
                self._clients.call("produce", f"{place[0]}[{place[1]}] {(key or b'').decode()}")
                topic = place[0]
            self._refuse_fenced()
            transaction = self._of_now(transaction)
            if transaction.phase != "open":
                raise self._fenced()
            offset = self._broker.append(place, key, value, headers, transaction=transaction)
            if told is not None:
                told(None, Message(place[0], place[1], offset, key, value))

    def _send_late(self, place: Place, key: bytes | None, value: bytes | None, headers: Any) -> None:
        """A record that is on its way while its transaction is aborted: with protocol v1 it ends in the producer's next
        one, if that has begun to write there."""

        def arrive() -> None:
            now = self._coordinator.now
            if self._epoch == self._coordinator.epoch and now is not None and now.phase == "open":
                if place in now.owed:
                    self._scheduler.note(f"a late record arrives at {place}")
                    self._broker.append(place, key, value, headers, transaction=now)
                else:
                    self._scheduler.at(0.002, arrive)
            elif self._epoch == self._coordinator.epoch and self._clients.process.alive:
                self._scheduler.at(0.002, arrive)

        self._scheduler.at(0.001, arrive)

    def _unanswered(self, fault: str) -> KafkaException:
        if fault.endswith("timed out"):
            return failure(KafkaError._TIMED_OUT, retriable=True)
        return failure(KafkaError._FAIL)

    def abort_transaction(self, timeout: float) -> None:
        self._clients.call("abort_transaction")
        self._queue.clear()
        self._refuse_fenced()
        if self._transaction is not None and self._transaction.phase == "open":
            self._broker.end(self._transaction, "aborted")
        self._transaction = None

    def poll(self, timeout: float) -> int:
        return 0

    def flush(self, timeout: float) -> int:
        """Outside any transaction."""
        queue, self._queue = self._queue, []
        for place, key, value, headers, told in queue:
            offset = self._broker.append(place, key, value, headers)
            if told is not None:
                told(None, Message(place[0], place[1], offset, key, value))
        return 0


class SimulatedAdmin:
    def __init__(self, clients: SimulatedClients) -> None:
        self._clients, self._broker = clients, clients.broker

    def brokers(self) -> int:
        return 1

    def topics(self, names: Iterable[str]) -> Mapping[str, TopicState]:
        self._clients.call("topics")
        counts = self._broker.counts
        return {name: TopicState(counts[name], REPLICATION) for name in names if name in counts}

    def configs(self, names: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        return {name: {} for name in names}

    def create(self, topics: Sequence[NewTopicSettings]) -> Sequence[str]:
        return ()

    def starts(self, places: Iterable[Place]) -> Mapping[Place, int]:
        return dict.fromkeys(places, 0)

    def ends(self, places: Iterable[Place], *, committed: bool) -> Mapping[Place, int]:
        self._clients.call("ends")
        found = {place: self._broker.partitions[place] for place in places}
        return {place: p.last_stable if committed else p.high_watermark for place, p in found.items()}

    def groups(self) -> Sequence[str]:
        raise AssertionError("no role asks for it")

    def members(self, group: str) -> Sequence[Member]:
        self._clients.call("members")
        self._clients.process.told_fenced = False
        return [Member(m.id, m.instance, m.client) for m in self._broker.group.members.values()]
