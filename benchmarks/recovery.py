"""How long a killed processor takes to come back, on a real Kafka: python -m benchmarks.recovery (make bench-recovery)

1. Two sets of topics, one with a hundred times the closed executions of the other, and the same few that are open; in
   turn a processor is started on each, `asl processor` as a user would, and killed. Tasks of executions that are open
   were completed while nobody was there, one in each partition, and executions started: when do their events come?
   What a record of closed takes is the difference between the two.
2. Chains of ten Pass states are run and, after a SIGKILL, all their events replayed: events a second of either.
3. Executions that wait for a task, restored from their snapshots, and in turn from their events alone: a snapshot of
   another release is put among the others, as an upgrade would find it.

Everything is measured in one run, medians of the rounds. From the processor's start, and from its assignment: when it
has said that it took its last partition. Exits with 1 where a goal does not hold. What was seen: docs/performance.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import signal
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from importlib.metadata import version
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from uuid import uuid4

from msgspec import Struct

from benchmarks.chain import PARTITIONS, spread
from benchmarks.hot_path import CHAIN, INPUT
from benchmarks.town import Running, Town, ids
from processor.engine.encoding import encode_snapshot_record
from processor.engine.topics import partition_of
from processor.model import events as e
from processor.model.commands import CompleteTask, StartExecution
from processor.model.ids import snapshot_key
from processor.model.json import Json
from processor.model.records import Snapshot
from tests.broker import Broker, find_kafka

TIMES_CLOSED = 100
MOST_TIME_RATIO = 1.5
LEAST_REPLAY_RATIO = 5.0

DONE: Json = {"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}}
ASK: Json = {"StartAt": "Ask", "States": {"Ask": {"Type": "Task", "Resource": "answer", "End": True}}}
MACHINES = {"chain": CHAIN, "done": DONE, "ask": ASK}
CHAIN_EVENTS, ASK_EVENTS = 22, 3
TAIL = 500  # of them closed since the last checkpoint
WOKEN = 100  # of those restored, to see that they are alive


class Comeback(Struct, frozen=True, kw_only=True):
    """Of one start, in ms. `completed`: until an execution that was open had ended in every partition; `first`: in
    one; `started`: until a new execution had, in every partition; `closed`: reading what is closed, from when
    completions could flow. The last three from the assignment."""

    from_start: float
    completed: float
    first: float
    started: float
    closed: float
    cpu_seconds: float  # of the process, until it was ready


class Replay(Struct, frozen=True, kw_only=True):
    """Of one round: events a second, and µs of the processor's CPU for each."""

    live: float
    live_cpu_us: float
    replay: float
    replay_cpu_us: float


class Restored(Struct, frozen=True, kw_only=True):
    """Of one start: open executions a second, from the assignment and from the process's start."""

    per_second: float
    from_start: float


class Street:
    """One of the two sets of topics: what was closed, and the executions that are open in each partition."""

    def __init__(self, town: Town, *, closed: int, rounds: int) -> None:
        self.town, self.closed, self._rounds, self._round = town, closed, rounds, 0
        self._open: list[list[str]] = [[] for _ in range(PARTITIONS)]

    def fill(self) -> None:
        """All but the last are covered by a checkpoint: that is what a crash leaves."""
        running = self.town.start()
        running.wait_for_all("closed_restored")
        self.town.run(starts("done", "closed", self.closed - TAIL), running)
        asked = list(evenly("ask", "open", self._rounds + 1))
        self.town.run((StartExecution(execution_id=id, input=INPUT) for id in asked), running)
        for id in asked:
            self._open[partition_of(id.encode(), PARTITIONS)].append(id)
        stop_covered(self.town, running)
        running = self.town.start()
        running.wait_for_all("closed_restored")
        self.town.run(starts("done", "tail", TAIL), running)
        running.end()

    def comeback(self) -> Comeback:
        self._round += 1
        waking = {open.pop() for open in self._open}
        new = set(evenly("done", f"new-{self._round}", 1))
        self.town.send(complete(id) for id in waking)
        self.town.send(StartExecution(execution_id=id, input=INPUT) for id in new)
        running = self.town.start()
        arrived = {
            events[-1].execution_id: at
            for at, events in self.town.take(len(waking) + len(new), running)
            if isinstance(events[-1], e.ExecutionSucceeded)
        }
        running.wait_for_all("closed_restored")
        cpu = running.cpu_seconds()
        if arrived.keys() != waking | new:
            raise SystemExit(f"{self.town.names.prefix}: not all of them have ended")
        completed = [arrived[id] for id in waking]
        taken, flowing = running.last_ms("partition_taken"), running.last_ms("partition_restored")
        found = Comeback(
            from_start=max(completed) - running.began_ms,
            completed=max(completed) - taken,
            first=min(completed) - taken,
            started=max(arrived[id] for id in new) - taken,
            closed=running.last_ms("closed_restored") - flowing,
            cpu_seconds=cpu,
        )
        known = running.total("closed_restored", "executions")
        least = self.closed + (self._round - 1) * 2 * PARTITIONS
        running.end()
        if not least <= known <= least + 2 * PARTITIONS:  # those of this round ended before or after
            raise SystemExit(f"{self.town.names.prefix}: {known} closed executions are known, there are {least}")
        return found


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recovery", description="Measure how a processor comes back."
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--closed", type=int, default=1_000, help=f"executions, and {TIMES_CLOSED} times as many")
    parser.add_argument("--chains", type=int, default=10_000, help="run and replayed, in each round")
    parser.add_argument("--open", type=int, default=100_000, help="executions restored, in each round")
    parser.add_argument("--only", choices=["closed", "replay", "open"], help="one of the three")
    wanted = parser.parse_args()
    logging.disable(logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no process is left behind
    holds: list[bool] = []
    with TemporaryDirectory(prefix="bench-") as folder, find_kafka() as kafka:
        print(
            f"{wanted.rounds} rounds, {PARTITIONS} partitions, one processor; {os.cpu_count()} cores,"
            f" Python {platform.python_version()}, confluent-kafka {version('confluent-kafka')}, Kafka: {kafka.origin}"
        )
        print(f"load before: {loads()}; medians, with the least and the greatest round", flush=True)
        if wanted.only in (None, "closed"):
            holds.append(many_closed(kafka, Path(folder), rounds=wanted.rounds, closed=wanted.closed))
        if wanted.only in (None, "replay"):
            holds.append(replays(kafka, Path(folder), rounds=wanted.rounds, chains=wanted.chains))
        if wanted.only in (None, "open"):
            many_open(kafka, Path(folder), rounds=wanted.rounds, count=wanted.open)
    print(f"\nload after: {loads()}")
    return 0 if all(holds) else 1


# ---- 1


def many_closed(kafka: Broker, folder: Path, *, rounds: int, closed: int) -> bool:
    with ExitStack() as stack:
        few, many = (
            Street(stack.enter_context(closing(town(kafka, folder))), closed=count, rounds=rounds)
            for count in (closed, closed * TIMES_CLOSED)
        )
        few.fill()
        many.fill()
        pairs = []
        for number in range(rounds + 1):  # the first warms up the broker
            pair = few.comeback(), many.comeback()
            if number:
                pairs.append(pair)
        records, size = 0, 0
        for key, value in many.town.closed_records():
            records, size = records + 1, size + len(key) + len(value)
        on_disk = disk_bytes(kafka, many.town.names.closed)
    firsts, seconds = zip(*pairs, strict=True)
    print(f"\n| of {few.closed:,} and {many.closed:,} closed | {few.closed:,} | {many.closed:,} | ratio |")
    print("|---|---|---|---|")
    ratios: dict[str, float] = {}
    for title, field in {
        "start of the process to a completion in every partition, ms": "from_start",
        "assignment to a completion in every partition, ms": "completed",
        "assignment to the first completion, ms": "first",
        "assignment to a new execution in every partition, ms": "started",
        "what is closed read, ms after completions flow": "closed",
        "CPU of the process until it is ready, s": "cpu_seconds",
    }.items():
        digits = 2 if field == "cpu_seconds" else 0
        of_few, of_many = ([getattr(one, field) for one in some] for some in (firsts, seconds))
        ratios[field] = statistics.median(of_many) / statistics.median(of_few)
        print(f"| {title} | {spread(of_few, digits)} | {spread(of_many, digits)} | {ratios[field]:.2f} |")
    more = many.closed - few.closed
    cpu = [(b.cpu_seconds - a.cpu_seconds) / more * 1e6 for a, b in pairs]
    stored = "" if on_disk is None else f", {on_disk / records:.0f} on the broker's disk"
    print(f"\na record of closed: {size / records:.0f} bytes with its key{stored}, {spread(cpu, 1)} µs of CPU")
    holds = max(ratios["from_start"], ratios["completed"]) <= MOST_TIME_RATIO
    print(
        f"completions flow after {ratios['from_start']:.2f} times as long from the start, {ratios['completed']:.2f}"
        f" from the assignment; at most {MOST_TIME_RATIO} must hold: {told(holds)}",
        flush=True,
    )
    return holds


# ---- 2


def replays(kafka: Broker, folder: Path, *, rounds: int, chains: int) -> bool:
    found = [replay(kafka, folder, chains=chains) for _ in range(rounds + 1)][1:]
    ratio = statistics.median(one.replay for one in found) / statistics.median(one.live for one in found)
    print(f"\n| {chains * CHAIN_EVENTS:,} events of chains of ten Pass states | live | replayed |\n|---|---|---|")
    for title, fields in {
        "events a second": ("live", "replay"),
        "CPU of the process, µs an event": ("live_cpu_us", "replay_cpu_us"),
    }.items():
        digits = 2 if "CPU" in title else 0
        print(f"| {title} | {' | '.join(spread([getattr(one, field) for one in found], digits) for field in fields)} |")
    holds = ratio >= LEAST_REPLAY_RATIO
    print(
        f"\nreplayed at {ratio:.1f} times the live rate; at least {LEAST_REPLAY_RATIO:.0f} must hold: {told(holds)}",
        flush=True,
    )
    return holds


def replay(kafka: Broker, folder: Path, *, chains: int) -> Replay:
    """Live from the first record seen to the last; replayed from the assignment to the last partition's end."""
    with closing(town(kafka, folder)) as made:
        running = made.start()
        running.wait_for_all("closed_restored")
        cpu = running.cpu_seconds()
        made.send(starts("chain", "live", chains))
        moments = [at for at, _ in made.take(chains, running)]
        live_cpu = running.cpu_seconds() - cpu
        running.end()
        later = sum(at > moments[0] for at in moments)
        again = made.start()
        again.wait_for_all("partition_taken")
        cpu = again.cpu_seconds()
        again.wait_for_all("partition_restored")
        replay_cpu = again.cpu_seconds() - cpu
        seconds = (again.last_ms("partition_restored") - again.last_ms("partition_taken")) / 1_000
        replayed = again.total("partition_restored", "events")
        again.end()
    if replayed != chains * CHAIN_EVENTS:
        raise SystemExit(f"only {replayed} events were replayed: a checkpoint came between, run fewer --chains")
    return Replay(
        live=later * CHAIN_EVENTS / (moments[-1] - moments[0]) * 1_000,
        live_cpu_us=live_cpu / replayed * 1e6,
        replay=replayed / seconds,
        replay_cpu_us=replay_cpu / replayed * 1e6,
    )


# ---- 3


def many_open(kafka: Broker, folder: Path, *, rounds: int, count: int) -> None:
    foreign = Snapshot(execution_id="ask:older", chunk=0, chunks=1, sequence=1, format="another release", state=b"")
    key = snapshot_key(foreign.execution_id, foreign.chunk)
    with closing(town(kafka, folder)) as made:
        running = made.start()
        running.wait_for_all("closed_restored")
        made.run(starts("ask", "open", count), running)
        stop_covered(made, running)
        snapshots: list[Restored] = []
        events: list[Restored] = []
        for _ in range(rounds):
            snapshots.append(restored(made, count=count, events=0))
            made.write_snapshots(key, encode_snapshot_record(foreign))
            events.append(restored(made, count=count, events=count * ASK_EVENTS))
            made.write_snapshots(key, None)
        running = made.start()
        woken = Random(0).sample(ids("ask", "open", count), min(count, WOKEN))
        made.run((complete(id) for id in woken), running)
        running.end()
    print(f"\n| {count:,} open executions, restored a second | from snapshots | from {ASK_EVENTS} events each |")
    print("|---|---|---|")
    for title, field in {"from the assignment": "per_second", "from the start of the process": "from_start"}.items():
        cells = (spread([getattr(one, field) for one in some]) for some in (snapshots, events))
        print(f"| {title} | {' | '.join(cells)} |")
    print(f"\n{len(woken)} of them were completed afterwards", flush=True)


def restored(made: Town, *, count: int, events: int) -> Restored:
    running = made.start()
    running.wait_for_all("partition_restored")
    taken, ended = running.last_ms("partition_taken"), running.last_ms("partition_restored")
    found = running.total("partition_restored", "open"), running.total("partition_restored", "events")
    began = running.began_ms
    running.end()
    if found != (count, events):
        raise SystemExit(f"{found[0]} executions of {count} were restored, with {found[1]} events instead of {events}")
    return Restored(per_second=count / (ended - taken) * 1_000, from_start=count / (ended - began) * 1_000)


# ---- all of them


def town(kafka: Broker, folder: Path) -> Town:
    return Town(kafka.bootstrap_servers, folder, prefix=f"bench-{uuid4().hex[:8]}.", machines=MACHINES)


def stop_covered(made: Town, running: Running) -> None:
    """A stop checkpoints for some seconds only."""
    running.stop()
    while not made.covered():
        again = made.start()
        again.wait_for_all("closed_restored")
        again.stop()


def starts(machine: str, label: str, count: int) -> Iterator[StartExecution]:
    return (StartExecution(execution_id=id, input=INPUT) for id in ids(machine, label, count))


def evenly(machine: str, label: str, each: int) -> Iterator[str]:
    """Yield ids, so many in each partition."""
    left = dict.fromkeys(range(PARTITIONS), each)
    for id in ids(machine, label, PARTITIONS * (each + 5) * 20):
        partition = partition_of(id.encode(), PARTITIONS)
        if left[partition]:
            left[partition] -= 1
            yield id
    if any(left.values()):
        raise SystemExit("too few ids were tried")


def complete(id: str) -> CompleteTask:
    return CompleteTask(execution_id=id, token=f"{id}##{ASK_EVENTS - 1}", output="answered")


def disk_bytes(kafka: Broker, topic: str) -> int | None:
    """What its segments take, where the broker runs on this machine."""
    if kafka.folder is None:
        return None
    return sum(segment.stat().st_size for segment in kafka.folder.glob(f"*/data/{topic}-*/*.log"))


def loads() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def told(holds: bool) -> str:
    return "it does" if holds else "IT DOES NOT"


if __name__ == "__main__":
    sys.exit(main())
