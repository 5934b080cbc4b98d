"""A million executions that wait, in one processor on a real Kafka: python -m benchmarks.open (make bench-open)

Each is started with an order of 1.1 KB, assigns it to a variable, and waits in a task for its token: a Wait could only
be woken when it is due, and so would keep the million waiting for the clock. Then some are woken at a steady rate, the
processor is killed and started again, and more are woken. Memory is what the operating system says of the process.

What an execution must end with is put together here, from its number: its variables must have come through being
encoded, written to snapshots, and read again.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.chain import Child
from benchmarks.state import order
from processor import parse, start
from processor.adapters.clock import SystemClock
from processor.adapters.kafka import KafkaLog
from processor.apps.client import Client
from processor.engine.encoding import decode_events, encode_command
from processor.engine.topics import DEFAULT_PARTITIONS, TopicNames
from processor.engine.topics_setup import create_topics
from processor.errors import LogUnavailable
from processor.model.commands import AnyCommand, CompleteTask, StartExecution, token_of
from processor.model.events import TERMINAL_EVENTS, AnyEvent, ExecutionSucceeded, TaskScheduled
from processor.model.json import Json
from tests.broker import find_kafka

FIXED_BYTES = 400_000_000
EACH_BYTES = 1_600
"""What the process may take at its peak: so much (its code, clients' buffers, and the 500 executions of each partition
that it holds folded), and so much for each open execution. 2·10⁹ for a million."""

LINES = 9
"""Of an order: with so many it has more than 1,024 bytes."""
DISK_BYTES = 10_000
"""Room for an execution in the broker's topics, on the safe side: its command alone took 830 bytes, compressed."""

WAKES_PER_SECOND = 250.0
PATIENCE_SECONDS = 120.0
"""Without any progress."""

MACHINE = "order-fulfilment"
DEFINITION: Json = {
    "StartAt": "Take",
    "States": {
        "Take": {"Type": "Pass", "Assign": {"order.$": "$"}, "Next": "Pay"},
        "Pay": {
            "Type": "Task",
            "Resource": "pay",
            "Parameters": {"id.$": "$.orderId"},
            "TimeoutSeconds": 604_800,
            "Next": "Ship",
        },
        "Ship": {"Type": "Pass", "Parameters": {"order.$": "$order", "payment.$": "$"}, "End": True},
    },
}


class Memory(Struct, frozen=True):
    """Bytes of a process and of those it has started, as the operating system has them: now, and at most so far."""

    resident: int
    peak: int


class Woken(Struct, frozen=True, kw_only=True):
    """`wrong`: one line for each that did not end as it must."""

    milliseconds: list[float]  # from the sending of the command to the terminal event, in order of size
    wrong: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.open", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--executions", type=int, default=1_000_000, help="open at once")
    parser.add_argument(
        "--woken", type=int, default=10_000, help="of them, at random; a tenth as many after the restart"
    )
    parser.add_argument("--rate", type=float, default=WAKES_PER_SECOND, help="how many are woken a second")
    parser.add_argument("--seed", type=int, default=1, help="which are woken")
    wanted = parser.parse_args()
    if not 10 <= wanted.woken <= wanted.executions // 2:
        parser.error(f"--woken must be from 10 to {wanted.executions // 2:,}, half of --executions")
    room, needed = shutil.disk_usage(tempfile.gettempdir()).free, wanted.executions * DISK_BYTES
    if room < needed:
        parser.error(f"{tempfile.gettempdir()} has room for {room:,} bytes, {needed:,} may be needed")
    logging.disable(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # no process and no gigabyte is left behind
    with find_kafka() as kafka, Bench(kafka.bootstrap_servers) as bench:
        print(
            f"{wanted.executions:,} executions, {DEFAULT_PARTITIONS} partitions, one processor; {os.cpu_count()} cores,"
            f" load {os.getloadavg()[0]:.1f} before, Python {platform.python_version()},"
            f" confluent-kafka {version('confluent-kafka')}, Kafka: {kafka.origin}\n"
        )
        return 0 if measure(bench, wanted.executions, wanted.woken, rate=wanted.rate, draw=Random(wanted.seed)) else 1


def measure(bench: Bench, executions: int, woken: int, *, rate: float, draw: Random) -> bool:
    """Print the figures and whether the goals hold; return that."""
    chosen = draw.sample(range(executions), woken + woken // 10)
    first, second = chosen[:woken], chosen[woken:]
    sizes = [len(orjson.dumps(order_of(number))) for number in chosen[:1_000]]
    print(f"variables: {min(sizes):,} to {max(sizes):,} bytes of JSON each\n")

    bench.start_processor()
    print("| | seconds | resident MB | peak MB | load |\n|---|---|---|---|---|")
    at_rest = bench.row("started, nothing open", bench.ready_after)
    began = time.monotonic()
    bench.start_executions(executions)
    bench.wait_until(lambda: bench.open_executions() == executions, progress=bench.open_executions)
    opened = bench.row(f"{executions:,} open", time.monotonic() - began)
    began = time.monotonic()
    answers = [bench.wake(first, rate=rate)]
    peaks = [bench.row(f"{woken:,} woken", time.monotonic() - began)]

    bench.kill_processor()
    left = executions - woken
    bench.start_processor()
    found = bench.open_executions(), bench.closed_executions()
    restored = bench.row(f"killed and started again, {found[0]:,} open", bench.ready_after)
    began = time.monotonic()
    answers.append(bench.wake(second, rate=rate))
    peaks.append(bench.row(f"{len(second):,} woken", time.monotonic() - began))

    print("\n| woken, and ended right | p50 ms | p99 ms | greatest ms |\n|---|---|---|---|")
    for numbers, answer in zip((first, second), answers, strict=True):
        ms = answer.milliseconds
        right = f"{len(numbers) - len(answer.wrong):,} of {len(numbers):,}, {rate:.0f} a second"
        print(f"| {right} | {ms[len(ms) // 2]:.1f} | {ms[len(ms) * 99 // 100]:.1f} | {ms[-1]:.1f} |")
    wrong = [line for answer in answers for line in answer.wrong]
    if found != (left, woken):
        wrong.append(f"{found[0]:,} open and {found[1]:,} closed after the restart, not {left:,} and {woken:,}")
    for line in wrong[:10]:
        print(f"wrong: {line[:500]}")

    each = [(memory.resident - at_rest.resident) / count for memory, count in ((opened, executions), (restored, left))]
    peak, most = max(memory.peak for memory in peaks), FIXED_BYTES + EACH_BYTES * executions
    print(
        f"\n{each[0]:,.0f} bytes for each open execution, {each[1]:,.0f} after the restart, over those of none;"
        f" peak {peak / 1e6:,.0f} MB, at most {most / 1e6:,.0f} must hold; {len(wrong)} wrong, none must be"
    )
    return peak <= most and not wrong


# ---- the executions, by number


def execution_id(number: int) -> str:
    return f"{MACHINE}:{UUID(int=Random(number).getrandbits(128))}"


def order_of(number: int) -> Json:
    return order(Random(number), lines=LINES)


def payment_of(number: int) -> Json:
    return {"receipt": f"{Random(-1 - number).getrandbits(128):032x}", "paid": True}


def output_of(number: int) -> Json:
    return {"order": order_of(number), "payment": payment_of(number)}


def task_of(number: int) -> TaskScheduled:
    """Return the event that the execution waits after, as the interpreter gives it."""
    events = start(parse(DEFINITION), order_of(number), execution_id=execution_id(number)).events
    task = events[-1]
    assert isinstance(task, TaskScheduled)
    return task


# ---- the processor and its topics


class Bench:
    """One processor, its topics, and who sends commands and reads events."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap, self._names = bootstrap, TopicNames(f"open-{uuid4().hex[:8]}.")
        self._stack = ExitStack()
        self._processor: Child | None = None
        self._port = free_port()
        self.ready_after = 0.0
        """Seconds from the start of the process."""
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 0,
                "socket.nagle.disable": True,
                "log_level": 2,  # the broker ends before it
            }
        )

    def __enter__(self) -> Bench:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._deploy(last=time.monotonic() > deadline):
            pass
        self._events = Events(self._bootstrap, self._names.events)
        self._stack.callback(self._events.close)
        self._stack.callback(self.kill_processor)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _deploy(self, *, last: bool) -> bool:
        """Create the topics and deploy the machine. A busy broker may take longer to lead 220 new partitions than a
        client is patient: return whether it is done, raise LogUnavailable where this was the `last` attempt."""
        log = KafkaLog(self._bootstrap, names=self._names)
        try:
            create_topics(log)
            with Client(log, SystemClock()) as client:
                client.deploy(state_machine=MACHINE, definition=DEFINITION)
        except LogUnavailable:
            if last:
                raise
            return False
        finally:
            log.close()
        return True

    def start_processor(self) -> None:
        """Return once it is ready."""
        asl = str(Path(sys.executable).with_name("asl"))
        address = ("--log", f"kafka:{self._bootstrap}", "--prefix", self._names.prefix)
        began = time.monotonic()
        health = ("--health-port", str(self._port))
        self._processor = Child([asl, "processor", *address, *health], self._folder / "processor.log")
        self.wait_until(lambda: self._figures().get("asl_ready") == 1, progress=self._restored_records)
        self.ready_after = time.monotonic() - began

    def kill_processor(self) -> None:
        if self._processor is not None:
            self._processor.end()
        self._processor = None

    @property
    def processor(self) -> Child:
        assert self._processor is not None, "start_processor comes first"
        return self._processor

    def row(self, what: str, seconds: float) -> Memory:
        """Print how it stands, and return what it takes."""
        found = memory(self.processor.pid)
        print(
            f"| {what} | {seconds:,.1f} | {found.resident / 1e6:,.0f} | {found.peak / 1e6:,.0f} |"
            f" {os.getloadavg()[0]:.1f} |",
            flush=True,
        )
        return found

    # ---- what it says of itself

    def open_executions(self) -> int:
        return self._figures().get("asl_open_executions", 0)

    def closed_executions(self) -> int:
        return self._figures().get("asl_closed_executions", 0)

    def _restored_records(self) -> int:
        return self._figures().get("asl_restored_records", 0)

    def _figures(self) -> dict[str, int]:
        """Return its metrics, those of its partitions summed up; none where it does not answer yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, TimeoutError):
            return {}
        families = text_string_to_metric_families(text)
        return {family.name: int(sum(sample.value for sample in family.samples)) for family in families}

    def wait_until(self, reached: Callable[[], bool], *, progress: Callable[[], int]) -> None:
        """Raises SystemExit where the processor ends, or nothing moves any more."""
        last, moved = -1, time.monotonic()
        while not reached():
            self.processor.check()
            if (now := progress()) != last:
                last, moved = now, time.monotonic()
            if time.monotonic() - moved > PATIENCE_SECONDS:
                raise SystemExit(f"nothing has moved for {PATIENCE_SECONDS:.0f} s, at {last:,}")
            time.sleep(0.5)

    # ---- commands

    def start_executions(self, count: int) -> None:
        """Return once all commands are written; the processor may be far behind."""
        for number in range(count):
            id = execution_id(number)
            self._send(
                StartExecution(execution_id=id, command_id=f"start-{number}", issuer="api", input=order_of(number))
            )
        self._producer.flush(PATIENCE_SECONDS)

    def wake(self, numbers: Sequence[int], *, rate: float) -> Woken:
        """Complete the tasks, `rate` of them a second, and wait for what comes of it."""
        self._events.begin()
        task = task_of(0)
        asleep = {execution_id(number): number for number in numbers}
        sent: dict[str, float] = {}
        took: dict[str, float] = {}
        histories: dict[str, tuple[AnyEvent, ...]] = {}
        wrong: list[str] = []
        began = moved = time.monotonic()
        waking = iter(asleep.items())
        while len(took) < len(asleep):
            while len(sent) < len(asleep) and time.monotonic() - began >= len(sent) / rate:
                id, number = next(waking)
                token = token_of(task).replace(task.execution_id, id)
                sent[id] = time.monotonic()
                self._send(CompleteTask(execution_id=id, token=token, output=payment_of(number)))
            for events in self._events.take():
                id, moved = events[0].execution_id, time.monotonic()
                if id not in sent or id in took:
                    wrong.append(f"{id}: {len(events)} events that nobody asked for")
                    continue
                histories[id] = history = histories.get(id, ()) + events
                if isinstance(history[-1], TERMINAL_EVENTS):  # where time was short, not of the first record
                    took[id] = (moved - sent[id]) * 1_000
                    wrong += faults_of(history, first=task.sequence + 1, output=output_of(asleep[id]))
            self.processor.check()
            if time.monotonic() - moved > PATIENCE_SECONDS:
                wrong += [f"{id}: no end" for id in asleep if id not in took]
                break
        return Woken(milliseconds=sorted(took.values()) or [float("inf")], wrong=wrong)

    def _send(self, command: AnyCommand) -> None:
        while True:
            try:
                self._producer.produce(self._names.commands, encode_command(command), command.execution_id)
                break
            except BufferError:  # the broker is slower than we are
                self._producer.poll(0.05)
        self._producer.poll(0)


def faults_of(events: Sequence[AnyEvent], *, first: int, output: Json) -> Iterator[str]:
    """Yield what is wrong with the events from number `first` on to the end, if anything is."""
    id, last = events[0].execution_id, events[-1]
    if [event.sequence for event in events] != list(range(first, first + len(events))):
        yield f"{id}: numbers {[event.sequence for event in events]}, from {first} on without a gap they must be"
    elif sum(isinstance(event, TERMINAL_EVENTS) for event in events) != 1:
        yield f"{id}: ends more than once"
    elif not isinstance(last, ExecutionSucceeded) or last.output != output:
        yield f"{id}: ended with {last}, not with {output}"


class Events:
    """What is written to the events topic from `begin` on."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"open-{uuid4()}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
                "socket.nagle.disable": True,
            }
        )

    def begin(self) -> None:
        """Return once it waits at the end of every partition: the first fetch is not to be measured."""
        places = [TopicPartition(self._topic, p) for p in range(DEFAULT_PARTITIONS)]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=30, cached=False)[1]
        self._consumer.assign(places)
        at_end: set[int | None] = set()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(at_end) < len(places):
            if time.monotonic() > deadline:
                raise SystemExit(f"only {len(at_end)} of {len(places)} partitions of {self._topic} could be read")
            for message in self._consumer.consume(1_000, 0.01):
                if (error := message.error()) is None or error.code() != KafkaError._PARTITION_EOF:
                    raise SystemExit(
                        f"{message.key()!r}: events, and nothing was woken yet" if error is None else error
                    )
                at_end.add(message.partition())

    def take(self) -> Iterator[tuple[AnyEvent, ...]]:
        """Yield the events of each record that has come."""
        first = self._consumer.poll(0.001)
        messages = [] if first is None else [first, *self._consumer.consume(1_000, 0)]
        yield from (decode_events(value) for value in map(_value, messages) if value is not None)

    def close(self) -> None:
        self._consumer.close()


def _value(message: Message) -> bytes | None:
    if (error := message.error()) is None:
        return message.value()
    if error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return None


# ---- the operating system's word


def memory(pid: int) -> Memory:
    """Peaks are summed, though they may have been at different times."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = {name: value for name, _, value in (line.partition(":") for line in lines)}
    resident, peak = (int(fields[name].split()[0]) * 1_024 for name in ("VmRSS", "VmHWM"))
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            below = memory(int(child))
            resident, peak = resident + below.resident, peak + below.peak
    return Memory(resident, peak)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
