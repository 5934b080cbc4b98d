"""Topics of their own on a real Kafka, and `asl processor` over them as a user would start it: filled, killed, watched.

Moments are milliseconds UTC: the processor's log lines carry them, and what is seen from outside is stamped alike.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from benchmarks.chain import PARTITIONS, Child
from processor.adapters.clock import SystemClock
from processor.adapters.kafka import KafkaLog
from processor.apps.client import Client
from processor.engine.encoding import decode_events, decode_snapshot_record, encode_command
from processor.engine.ports import Message
from processor.engine.topics import TopicNames
from processor.engine.topics_setup import create_topics
from processor.errors import LogUnavailable, TopicsUnfit
from processor.model import events as e
from processor.model.commands import AnyCommand
from processor.model.ids import CHECKPOINT_KEY
from processor.model.json import Json
from processor.model.records import Checkpoint

PATIENCE_SECONDS = 900.0
LOOK_EVERY_SECONDS = 0.005


def now_ms() -> float:
    return time.time() * 1_000


class Running(Child):
    """An `asl processor`, and what its log lines have said so far."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.began_ms = now_ms()
        super().__init__(command, log)
        self._read, self._rest = log.open("rb"), b""
        self._lines: list[dict[str, object]] = []

    def said(self, event: str) -> list[dict[str, object]]:
        whole, _, self._rest = (self._rest + self._read.read()).rpartition(b"\n")
        self._lines += [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
        return [line for line in self._lines if line["event"] == event]

    def last_ms(self, event: str) -> int:
        return max(_number(line["time"]) for line in self.said(event))

    def total(self, event: str, field: str) -> int:
        return sum(_number(line[field]) for line in self.said(event))

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {PATIENCE_SECONDS:.0f} s: {what}")
            time.sleep(LOOK_EVERY_SECONDS)

    def wait_for_all(self, event: str) -> None:
        """Until it has said so of every partition."""
        self.wait(lambda: len(self.said(event)) >= PARTITIONS, event)

    def stop(self) -> None:
        """SIGTERM: it checkpoints, and leaves."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def end(self) -> None:
        super().end()
        self._read.close()


class Town:
    """Its processors end with it."""

    def __init__(self, bootstrap: str, folder: Path, *, prefix: str, machines: dict[str, Json]) -> None:
        self.names, self._bootstrap, self._folder = TopicNames(prefix), bootstrap, folder
        self._running: list[Running] = []
        self.log = KafkaLog(bootstrap, names=self.names)
        self._create()
        with Client(self.log, SystemClock()) as client:
            for name, definition in machines.items():
                client.deploy(state_machine=name, definition=definition)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 2,  # the broker ends before it
            }
        )
        self._events = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": prefix + "bench",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
                "socket.nagle.disable": True,
            }
        )
        self._events.assign([TopicPartition(self.names.events, p, 0) for p in range(PARTITIONS)])

    def _create(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                create_topics(self.log, partitions=PARTITIONS)
                return
            except (LogUnavailable, TopicsUnfit):  # a busy broker is long in telling of them; what is made stays made
                if time.monotonic() > deadline:
                    raise

    def close(self) -> None:
        for running in self._running:
            running.end()
        self._events.close()
        self.log.close()

    def start(self) -> Running:
        asl = str(Path(sys.executable).with_name("asl"))
        where = ["--log", f"kafka:{self._bootstrap}", "--prefix", self.names.prefix, "--json"]
        running = Running([asl, "processor", *where], self._folder / f"{self.names.prefix}{len(self._running)}.log")
        self._running.append(running)
        return running

    def send(self, commands: Iterable[AnyCommand]) -> None:
        for command in commands:
            self._producer.produce(self.names.commands, encode_command(command), command.execution_id)
        self._producer.flush(PATIENCE_SECONDS)

    def take(self, count: int, running: Running) -> list[tuple[float, Sequence[e.AnyEvent]]]:
        """Return the next `count` records of events, each with the moment at which it was seen here."""
        found: list[tuple[float, bytes]] = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found) < count:
            for message in self._events.consume(5_000, 0.002):
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                found.append((now_ms(), message.value() or b""))
            running.check()
            if time.monotonic() > deadline:
                raise SystemExit(f"only {len(found)} of {count} records of events arrived")
        return [(at, decode_events(value)) for at, value in found]

    def run(self, commands: Iterable[AnyCommand], running: Running, *, at_once: int = 20_000) -> None:
        """Send commands that give one record of events each, and wait for these."""
        batch: list[AnyCommand] = []
        for command in commands:
            batch.append(command)
            if len(batch) == at_once:
                self.send(batch)
                self.take(len(batch), running)
                batch = []
        self.send(batch)
        self.take(len(batch), running)

    # ---- snapshots

    def covered(self) -> bool:
        """Whether the checkpoints stand behind all events."""
        with closing(self.log.reader()) as reader:
            for partition in range(PARTITIONS):
                position = 0
                for record in reader.read(self.names.snapshots, partition):
                    if record.key == CHECKPOINT_KEY.encode() and record.value is not None:
                        found = decode_snapshot_record(record.value)
                        position = found.position if isinstance(found, Checkpoint) else position
                behind = reader.read(self.names.events, partition, start=position)
                if next(behind, None) is not None:
                    return False
        return True

    def write_snapshots(self, key: str, value: bytes | None) -> None:
        """Write a record into every partition of the snapshots."""
        with closing(self.log.outbox()) as outbox:
            outbox.send(
                [
                    Message(topic=self.names.snapshots, key=key.encode(), value=value, partition=p)
                    for p in range(PARTITIONS)
                ]
            )

    def closed_records(self) -> Iterator[tuple[bytes, bytes]]:
        with closing(self.log.reader()) as reader:
            for partition in range(PARTITIONS):
                for record in reader.read(self.names.closed, partition):
                    yield record.key or b"", record.value or b""


def ids(machine: str, label: str, count: int) -> list[str]:
    return [f"{machine}:{label}-{number:08}" for number in range(count)]


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
