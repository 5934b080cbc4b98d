"""A chain of ten Pass states through a real Kafka: executions a second, CPU, latency; beside a bare copy loop.

One processor process, six partitions, one broker. Everything is measured in one run, the processor and the copy loop
in turn; CPU is the child's own, user and system, from the first command sent to the last record seen.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from msgspec import Struct

from benchmarks.hot_path import CHAIN, INPUT
from processor.adapters.clock import SystemClock
from processor.adapters.kafka import KafkaLog
from processor.apps.client import Client
from processor.engine.encoding import encode_command
from processor.engine.topics import TopicNames
from processor.engine.topics_setup import create_topics
from processor.model.commands import StartExecution

PARTITIONS = 6
COPY_RECORDS, COPY_BYTES = 22, 300
PATIENCE_SECONDS = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Throughput(Struct, frozen=True, kw_only=True):
    """Of one round. `from_first`: from the first terminal event to the last; `from_sent`: from the first command."""

    per_second: float
    from_sent: float
    cpu_us: float


class Child:
    """A process that is measured."""

    def __init__(self, command: list[str], log: Path) -> None:
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS  # utime, stime

    def check(self) -> None:
        if self._process.poll() is not None:
            raise SystemExit(f"it ended: {self._log.read_text()[-2000:]}")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


class Arrivals:
    """Counts records of a topic as they arrive."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"arrivals-{uuid4()}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
                "socket.nagle.disable": True,
            }
        )
        self._consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])

    def take(self, count: int, child: Child) -> tuple[float, float, int]:
        """Return when the first of `count` records arrived, when the last, and how many came with the first."""
        first, seen, with_first = 0.0, 0, 0
        deadline = time.monotonic() + PATIENCE_SECONDS
        while seen < count:
            messages = self._consumer.consume(5_000, 0.001)
            for message in messages:
                if (error := message.error()) is not None:
                    raise KafkaException(error)
            seen += len(messages)
            if messages and not first:
                first, with_first = time.monotonic(), len(messages)
            if time.monotonic() > deadline:
                raise SystemExit(f"only {seen} of {count} arrived")
            child.check()
        return first, time.monotonic(), with_first

    def close(self) -> None:
        self._consumer.close()


class Bench:
    def __init__(self, bootstrap: str, *, prefix: str) -> None:
        self._bootstrap, self._names = bootstrap, TopicNames(prefix)
        self._started = 0
        self._stack = ExitStack()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": 0,
                "socket.nagle.disable": True,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 2,  # the broker ends before it
            }
        )

    def __enter__(self) -> Bench:
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="bench-")))
        log = KafkaLog(self._bootstrap, names=self._names)
        create_topics(log, partitions=PARTITIONS)
        with Client(log, SystemClock()) as client:
            client.deploy(state_machine="chain", definition=CHAIN)
        log.close()
        admin = AdminClient({"bootstrap.servers": self._bootstrap})  # named: its answers end with it
        topics = [NewTopic(topic, PARTITIONS, 1) for topic in (self._copy_source, self._copy_target)]
        for created in admin.create_topics(topics).values():
            created.result(30)
        asl = str(Path(sys.executable).with_name("asl"))
        address = ("--log", f"kafka:{self._bootstrap}", "--prefix", self._names.prefix)
        self.processor = self._child([asl, "processor", *address], folder / "processor.log")
        copy = [sys.executable, "-m", "benchmarks.copy_loop", self._bootstrap, self._names.prefix]
        copy += [self._copy_source, self._copy_target, str(COPY_RECORDS), str(COPY_BYTES)]
        self.copy_loop = self._child(copy, folder / "copy.log")
        self._events = Arrivals(self._bootstrap, self._names.events)
        self._copies = Arrivals(self._bootstrap, self._copy_target)
        self._stack.callback(self._events.close)
        self._stack.callback(self._copies.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def chains(self, count: int) -> Throughput:
        """Start `count` executions at once; each gives one record of events."""
        values = [(command.execution_id, encode_command(command)) for command in self._commands(count)]
        return self._measure(self.processor, self._events, self._names.commands, values, each=1)

    def copies(self, count: int) -> Throughput:
        values = [(command.execution_id, encode_command(command)) for command in self._commands(count)]
        return self._measure(self.copy_loop, self._copies, self._copy_source, values, each=COPY_RECORDS)

    def latency(self) -> float:
        """Return how long one execution takes, from the sending of its command to its terminal event, in seconds."""
        [command] = self._commands(1)
        began = time.monotonic()
        self._producer.produce(self._names.commands, encode_command(command), command.execution_id)
        self._producer.flush(PATIENCE_SECONDS)
        self._events.take(1, self.processor)
        return time.monotonic() - began

    def _measure(
        self, child: Child, arrivals: Arrivals, topic: str, values: list[tuple[str, bytes]], *, each: int
    ) -> Throughput:
        cpu, sent = child.cpu_seconds(), time.monotonic()
        for key, value in values:
            self._producer.produce(topic, value, key)
        self._producer.flush(60)
        first, last, with_first = arrivals.take(len(values) * each, child)
        count = len(values)
        return Throughput(
            per_second=(count - with_first / each) / (last - first),
            from_sent=count / (last - sent),
            cpu_us=(child.cpu_seconds() - cpu) / count * 1e6,
        )

    def _commands(self, count: int) -> Iterator[StartExecution]:
        for number in range(self._started, self._started + count):
            yield StartExecution(
                execution_id=f"chain:7b6a1f0e-2f0c-4d4e-9b1d-{number:012}",
                command_id=f"0f3e7a52-7c1d-4b0e-9f57-{number:012}",
                issuer="api",
                input=INPUT,
            )
        self._started += count

    def _child(self, command: list[str], log: Path) -> Child:
        child = Child(command, log)
        self._stack.callback(child.end)
        return child

    @property
    def _copy_source(self) -> str:
        return self._names.prefix + "copy-source"

    @property
    def _copy_target(self) -> str:
        return self._names.prefix + "copy-target"


@contextmanager
def bench(bootstrap: str) -> Iterator[Bench]:
    with Bench(bootstrap, prefix=f"bench-{uuid4().hex[:8]}.") as made:
        yield made


def spread(values: list[float], digits: int = 0) -> str:
    """Return the median and, in brackets, the least and the greatest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"
