"""Owners that die, hang and come back, on a real broker: who takes over misses nothing, who lost it writes nothing."""

from __future__ import annotations

import os
import queue
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing

import pytest
from confluent_kafka import KafkaError, KafkaException

from processor.adapters.kafka import KafkaLog
from processor.adapters.kafka.clients import ConfluentClients, OnError, Producer, Settings
from processor.engine.ports import (
    AllRestored,
    CommandArrived,
    Inbox,
    Message,
    PartitionLost,
    Record,
    RecordsRestored,
    Transaction,
)
from processor.engine.topics import TopicNames, topic_specs
from processor.errors import LogUnavailable
from tests.broker import Broker

PARTITIONS = 4
SETTLED_SECONDS = 60.0


class Process:
    """A `tests.integration.kafka_processor`, and what it has said so far."""

    def __init__(self, broker: Broker, names: TopicNames, *, slot: str) -> None:
        arguments = [broker.bootstrap_servers, names.prefix, slot]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.kafka_processor", *arguments], stdout=subprocess.PIPE, text=True
        )
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.strip())

    def hears(self, *lines: str) -> None:
        """Wait until every one of these lines has been said."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while not set(lines) <= set(self.said):
            left = deadline - time.monotonic()
            assert left > 0, f"waiting for {lines}, heard {self.said}"
            try:
                self.said.append(self._lines.get(timeout=left))
            except queue.Empty:
                continue

    def hears_all_opened(self) -> None:
        self.hears(*(f"opened {p}" for p in range(PARTITIONS)))

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._listener.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Member:
    """An Inbox in this process, polled as the engine does."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.opened: set[int] = set()
        self.restored: list[bytes | None] = []
        self.commands: list[Record] = []

    def poll(self, timeout_seconds: float = 0.05) -> None:
        for delivery in self.inbox.poll(timeout_seconds=timeout_seconds, max_commands=100):
            match delivery:
                case AllRestored(partition=partition, assignment=assignment, of="snapshots"):
                    self.inbox.restore_events(partition=partition, assignment=assignment, start=0)
                case AllRestored(partition=partition, assignment=assignment, of="events"):
                    self.inbox.open(partition=partition, assignment=assignment, fallback_offset=0)
                    self.opened.add(partition)
                case RecordsRestored(of="events", records=records):
                    self.restored += [record.value for record in records]
                case PartitionLost(partition=partition):
                    self.opened.discard(partition)
                    self.commands = [record for record in self.commands if record.partition != partition]
                case CommandArrived(record=record):
                    self.commands.append(record)

    def settle(self) -> None:
        deadline = time.monotonic() + SETTLED_SECONDS
        while self.opened != set(range(PARTITIONS)):
            assert time.monotonic() < deadline, self.opened
            self.poll()


class Town:
    """One set of topics, its processes, and what stands in them."""

    def __init__(self, broker: Broker, prefix: str, running: ExitStack) -> None:
        self.names = TopicNames(prefix=prefix)
        self._broker, self._running = broker, running
        self.log = KafkaLog(broker.bootstrap_servers, names=self.names)
        self.log.create_topics(topic_specs(self.names, partitions=PARTITIONS))

    def start(self, slot: str) -> Process:
        process = Process(self._broker, self.names, slot=slot)
        self._running.callback(process.close)
        return process

    def join(self, slot: str, *, properties: Mapping[str, str] | None = None) -> Member:
        log = KafkaLog(self._broker.bootstrap_servers, names=self.names, properties=properties)
        inbox = log.inbox(slot=slot)
        self._running.callback(inbox.close)
        return Member(inbox)

    def command(self, *values: bytes, partition: int = 0) -> None:
        outbox = self.log.outbox()
        outbox.send([Message(topic=self.names.commands, key=b"m:1", value=v, partition=partition) for v in values])
        outbox.close()

    def events(self, partition: int = 0) -> list[bytes | None]:
        reader = self.log.reader()
        values = [record.value for record in reader.read(self.names.events, partition)]
        reader.close()
        return values


@pytest.fixture
def town(kafka: Broker, topic_prefix: str) -> Iterator[Town]:
    with ExitStack() as running:
        yield Town(kafka, topic_prefix, running)


def test_a_transaction_left_open_by_a_dead_owner_is_waited_for_and_fenced(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="processor.adapters.kafka")
    dead = town.start("0")
    dead.hears_all_opened()
    town.command(b"a", b"b")
    dead.hears("committed a", "committed b")
    heir = town.join("1")
    town.command(b"die-open")
    dead.hears("open")
    died = time.monotonic()

    heir.settle()
    opened = time.monotonic()

    fenced = [record for record in caplog.records if record.getMessage() == "dead_owner_fenced"]
    assert [vars(record)["owner"] for record in fenced] == [f"{town.names.processor_group}-0"]
    blocked, seconds = vars(fenced[0])["blocked_seconds"], vars(fenced[0])["seconds"]
    print(f"SIGKILL to all open {opened - died:.2f} s; blocked {blocked} s of it, init_transactions {seconds} s")
    assert blocked < 4.0
    # Nothing of the open transaction, nothing missing of those before, and the command once more.
    assert heir.restored == [b"a", b"b"] == town.events()
    while not heir.commands:
        heir.poll()
    assert [record.value for record in heir.commands] == [b"die-open"]


def test_a_stopped_owner_that_wakes_is_refused_and_leaves_no_trace(town: Town) -> None:
    zombie = town.start("0")
    zombie.hears_all_opened()
    town.command(b"a", b"stop-open")
    zombie.hears("committed a", "open")

    heir = town.join("1")
    heir.settle()
    while not heir.commands:
        heir.poll()
    (again,) = heir.commands
    zombie.signal(signal.SIGCONT)
    zombie.hears("dropped stop-open")

    assert town.events() == [b"a"]
    event = Message(topic=town.names.events, key=b"m:1", value=b"by the heir", partition=0)
    zombie.signal(signal.SIGKILL)
    deadline = time.monotonic() + SETTLED_SECONDS
    while not heir.inbox.commit(Transaction(offsets={0: again.offset + 1}, messages=(event,))):
        heir.poll()  # the zombie had begun to join again: that moves the generation on, and perhaps the partition
        assert time.monotonic() < deadline
    assert town.events() == [b"a", b"by the heir"]


def test_a_killed_slot_started_again_has_its_partitions_back_at_once(town: Town) -> None:
    first = town.start("0")
    first.hears_all_opened()
    town.command(b"a")
    first.hears("committed a")
    first.signal(signal.SIGKILL)

    began = time.monotonic()
    second = town.start("0")
    second.hears("joins")
    joined = time.monotonic()
    second.hears_all_opened()
    opened = time.monotonic()
    town.command(b"b")
    second.hears("committed b")

    print(f"started {joined - began:.2f} s, partitions open {opened - joined:.2f} s after joining")
    assert opened - joined < 4.0  # the session is 6 s
    assert town.events() == [b"a", b"b"]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_who_leaves_hands_over_without_anybody_waiting_for_the_session(town: Town, protocol: str) -> None:
    properties, session_seconds = {"group.protocol": protocol}, 6.0 if protocol == "classic" else 45.0
    leaver = town.join("0", properties=properties)
    leaver.settle()
    heir = town.join("1", properties=properties)
    deadline = time.monotonic() + SETTLED_SECONDS
    while not (len(leaver.opened) == len(heir.opened) == PARTITIONS // 2):
        assert time.monotonic() < deadline
        leaver.poll()
        heir.poll()

    began = time.monotonic()
    leaver.inbox.leave()
    leaver.inbox.close()
    left = time.monotonic()
    heir.settle()

    print(f"left in {left - began:.2f} s, all open with the other {time.monotonic() - began:.2f} s after")
    assert time.monotonic() - began < session_seconds * 2 / 3
    event = Message(topic=town.names.events, key=b"m:1", value=b"event", partition=0)
    assert heir.inbox.commit(Transaction(offsets={0: 0}, messages=(event,)))


def test_an_idle_processor_commits_a_command_at_once(town: Town) -> None:
    member = town.join("0")
    member.settle()
    outbox, seconds = town.log.outbox(), []
    for number in range(60):
        sent = time.monotonic()
        outbox.send([Message(topic=town.names.commands, key=b"m:1", value=b"%d" % number, partition=0)])
        while not member.commands:
            member.poll(1.0)
        (record,) = member.commands
        member.commands.clear()
        event = Message(topic=town.names.events, key=b"m:1", value=record.value, partition=0)
        assert member.inbox.commit(Transaction(offsets={0: record.offset + 1}, messages=(event,)))
        seconds.append(time.monotonic() - sent)
    outbox.close()

    middle = statistics.median(seconds)
    print(f"command sent to transaction committed: p50 {middle * 1e3:.1f} ms, worst {max(seconds) * 1e3:.1f} ms")
    assert middle < 0.3  # not the second of an idle poll, however busy the machine
    assert town.events() == [b"%d" % number for number in range(60)]


class Careless(ConfluentClients):
    """Real clients, but the answer to the next commits gets lost: `committed` says whether they happened."""

    def __init__(self) -> None:
        self.lost: list[bool] = []

    def producer(self, settings: Settings, *, on_error: OnError) -> Producer:
        producer = super().producer(settings, on_error=on_error)
        return _Forgetful(producer, self.lost)  # type: ignore[return-value]  # the rest by name


class _Forgetful:
    def __init__(self, producer: Producer, lost: list[bool]) -> None:
        self._producer, self._lost = producer, lost

    def __getattr__(self, name: str) -> object:
        return getattr(self._producer, name)

    def commit_transaction(self, timeout: float) -> None:
        if not self._lost:
            return self._producer.commit_transaction(timeout)
        if self._lost.pop(0):
            self._producer.commit_transaction(timeout)
        else:
            self._producer.flush(timeout)
        raise KafkaException(KafkaError(KafkaError._FAIL, "the answer was lost"))


@pytest.mark.parametrize("happened", [True, False])
def test_an_unknown_outcome_is_settled_by_the_committed_metadata(
    town: Town, kafka: Broker, topic_prefix: str, happened: bool
) -> None:
    clients = Careless()
    inbox = KafkaLog(kafka.bootstrap_servers, names=town.names, clients=clients).inbox(slot="0")
    with closing(inbox):
        member = Member(inbox)
        member.settle()
        town.command(b"a")
        while not member.commands:
            member.poll()
        (record,) = member.commands
        transaction = Transaction(
            offsets={0: record.offset + 1},
            messages=(Message(topic=town.names.events, key=b"m:1", value=b"event", partition=0),),
        )

        clients.lost.append(happened)
        began = time.monotonic()
        assert (inbox.commit(transaction) is not None) is happened
        print(f"unknown outcome settled in {time.monotonic() - began:.2f} s")

        member.commands.clear()
        if not happened:
            while not member.commands:
                member.poll()
            assert inbox.commit(transaction)
        assert town.events() == [b"event"]


def test_with_kip_848_two_members_share_and_go_on(kafka: Broker, topic_prefix: str, town: Town) -> None:
    properties = {"group.protocol": "consumer"}
    with ExitStack() as running:
        members = []
        for slot in ("0", "1"):
            inbox = KafkaLog(kafka.bootstrap_servers, names=town.names, properties=properties).inbox(slot=slot)
            running.callback(inbox.close)
            members.append(Member(inbox))
        first, second = members
        deadline = time.monotonic() + SETTLED_SECONDS
        while not (len(first.opened) == len(second.opened) == PARTITIONS // 2):
            assert time.monotonic() < deadline, (first.opened, second.opened)
            first.poll()
            second.poll()

        assert first.opened | second.opened == set(range(PARTITIONS))
        for member in members:
            (partition, _) = sorted(member.opened)
            event = Message(topic=town.names.events, key=b"m:1", value=b"event", partition=partition)
            while not member.inbox.commit(Transaction(offsets={partition: 0}, messages=(event,))):
                assert time.monotonic() < deadline
                first.poll()
                second.poll()
            assert town.events(partition) == [b"event"]


def test_a_broker_out_of_reach_is_named(topic_prefix: str) -> None:
    log = KafkaLog("127.0.0.1:1", names=TopicNames(prefix=topic_prefix), properties={"message.timeout.ms": "1000"})

    with closing(log.reader()) as reader, pytest.raises(LogUnavailable, match=r"kafka:127\.0\.0\.1:1"):
        reader.partitions(log.names.commands)
    with closing(log.outbox()) as outbox, pytest.raises(LogUnavailable, match=r"kafka:127\.0\.0\.1:1"):
        outbox.send([Message(topic=log.names.commands, key=b"k", value=b"v", partition=0)])
    with closing(log.inbox(slot="0")) as inbox:
        assert list(inbox.poll(timeout_seconds=0.1, max_commands=1)) == []
