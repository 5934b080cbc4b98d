"""How long partitions stand still while processors come and go: python -m benchmarks.takeover (make takeover)

Processors as a user starts them (`asl processor`, no setting changed), on a cluster of brokers on this machine, under
a steady load (benchmarks.steady_load). Of each scenario the median and the worst round are printed, the steps that the
processors' own journals tell of, and whether its goal holds; exit 1 where one does not.

rolling     two processors, each stopped (SIGTERM) and started again, the next once the one before is ready
killed      one of two is killed, and stays away: the other serves its partitions
stopped     one of two is SIGSTOPped past its session, then wakes and must do no harm
supervised  the worker of a supervisor is killed, with 10,000 executions that wait
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from msgspec import Struct

from benchmarks.steady_load import MACHINES, Load, Run, wait_for
from processor.engine.topics import TopicNames
from tests.broker import start_kafka
from tests.integration.fleet import Fleet, Role
from tests.integration.watched import Watched

PREFIX: Final = "takeover."
PARTITIONS: Final = 24  # what `asl topics create` makes
WAITING: Final = 10_000
SETTLED_SECONDS: Final = 120.0
SERVED_SECONDS: Final = 90.0
AWAY_SECONDS: Final = 12.0
"""How long a SIGSTOPped processor stays so at least: twice its session."""

MOST_GAP_SECONDS: Final = 5.0
MOST_P99_RATIO: Final = 2.0
MOST_TAKEOVER_SECONDS: Final = 10.0
MOST_RESTART_SECONDS: Final = 5.0
WANTED_RESTART_SECONDS: Final = 3.0
SCENARIOS: Final = ("rolling", "killed", "stopped", "supervised")
SHORTER_SESSION: Final = {
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "500",
}
"""Of brokers, under KIP-848: what the classic protocol's members ask for themselves."""


class Figure(Struct, frozen=True, kw_only=True):
    """One line of the report: of each round one value. `most`: what the worst must not exceed; None: only told."""

    what: str
    values: list[float]
    most: float | None = None
    unit: str = "s"

    @property
    def holds(self) -> bool:
        return self.most is None or max(self.values) <= self.most

    def render(self) -> str:
        goal = "" if self.most is None else f"at most {self.most:g}: {'holds' if self.holds else 'DOES NOT HOLD'}"
        middle, worst = statistics.median(self.values), max(self.values)
        return f"| {self.what} | {middle:.2f} | {worst:.2f} | {self.unit} | {goal} |"


class Bench:
    """A cluster, its topics, a load and the processors on it."""

    def __init__(self, fleet: Fleet, load: Load, names: TopicNames) -> None:
        self.fleet, self.load, self.names = fleet, load, names

    def processor(self, slot: str) -> Watched:
        return Watched(self.fleet, self.fleet.start("processor", "--slot", slot, "--health-port", "0"))

    def pair(self) -> dict[str, Watched]:
        pair = {slot: self.processor(slot) for slot in ("0", "1")}
        self.settle(pair)
        return pair

    def settle(self, pair: dict[str, Watched]) -> None:
        """Wait until both are ready, with half of the partitions each, and all that was sent before has ended."""
        half = PARTITIONS // len(pair)
        shared = lambda: all(len(w.role.owned()) == half and w.ready for w in pair.values())  # noqa: E731
        now = wait_for(shared, self.load, seconds=SETTLED_SECONDS, what="both are ready and share the partitions")
        self.finish(now)

    def finish(self, before: float) -> float:
        """Wait until all has ended that was sent before."""
        done = lambda: all(run.ended is not None for run in self.load.between(0.0, before))  # noqa: E731
        return wait_for(done, self.load, seconds=SERVED_SECONDS, what="everything sent has ended")

    def served(self, partitions: Sequence[int], at: float) -> list[float]:
        """Return how long after `at` each of the partitions first ended an execution sent since."""
        self.load.ask(partitions)
        missing = lambda: set(partitions) - self.load.ended_since(at).keys()  # noqa: E731
        wait_for(lambda: not missing(), self.load, seconds=SERVED_SECONDS, what=f"served again: {missing()}")
        ended = self.load.ended_since(at)
        return sorted(ended[p] - at for p in partitions)


# ---- scenarios


def rolling(bench: Bench, rounds: int, undisturbed_seconds: float) -> list[Figure]:
    pair, load = bench.pair(), bench.load
    undisturbed: list[list[float]] = []
    updated: list[list[float]] = []
    gaps: dict[str, list[float]] = {"before": [], "all": [], "before, one": [], "one": []}
    stops, returns = [], []
    for number in range(rounds):
        quiet = time.monotonic()
        time.sleep(undisturbed_seconds)
        began = time.monotonic()
        for slot in sorted(pair):
            asked = time.monotonic()
            pair[slot].role.stop()
            stopped = time.monotonic()
            pair[slot] = bench.processor(slot)
            ready = wait_for(
                lambda: pair[slot].ready,  # noqa: B023 # called before the next one
                load,
                seconds=SETTLED_SECONDS,
                what="it is ready again",
            )
            stops.append(stopped - asked)
            returns.append(ready - stopped)
        until = time.monotonic()
        bench.finish(until)
        before, during = load.between(quiet, began), load.between(began, until)
        undisturbed.append(latencies(before))
        updated.append(latencies(during))
        gaps["before"].append(longest_gap(before, began=quiet))
        gaps["all"].append(longest_gap(during, began=began))
        gaps["before, one"].append(longest_gap_of_one(before, began=quiet))
        gaps["one"].append(longest_gap_of_one(during, began=began))
        bench.settle(pair)
        p99s = f"p99 {percentile(undisturbed[-1], 99) * 1e3:.0f} → {percentile(updated[-1], 99) * 1e3:.0f} ms"
        tell(number, f"updated in {until - began:.1f} s, gap {gaps['all'][-1]:.2f} s, {p99s}")
    for watched in pair.values():
        watched.role.stop()
    ratios = [percentile(u, 99) / percentile(q, 99) for q, u in zip(undisturbed, updated, strict=True)]
    return [
        *(Figure(what=f"p{p}, undisturbed", values=of(undisturbed, p), unit="ms") for p in (50, 99)),
        *(Figure(what=f"p{p}, rolling", values=of(updated, p), unit="ms") for p in (50, 99)),
        Figure(what="longest gap between two ends, undisturbed", values=gaps["before"]),
        Figure(what="longest gap between two ends, rolling", values=gaps["all"], most=MOST_GAP_SECONDS),
        Figure(what="the same of one partition, undisturbed", values=gaps["before, one"]),
        Figure(what="the same of one partition, rolling", values=gaps["one"], most=MOST_GAP_SECONDS),
        Figure(what="SIGTERM to its end", values=stops),
        Figure(what="started to ready", values=returns),
        Figure(what="p99 rolling / undisturbed", values=ratios, most=MOST_P99_RATIO, unit="times"),
    ]


def killed(bench: Bench, rounds: int, _: float) -> list[Figure]:
    return taken_over(bench, rounds, name="SIGKILL", away=lambda role: role.kill())


def stopped(bench: Bench, rounds: int, _: float) -> list[Figure]:
    def away(role: Role) -> float:
        role.pause()
        return time.monotonic()

    return taken_over(bench, rounds, name="SIGSTOP", away=away)


def taken_over(bench: Bench, rounds: int, *, name: str, away: Callable[[Role], float]) -> list[Figure]:
    pair = bench.pair()
    firsts, lasts, told, restored = [], [], [], []
    for number in range(rounds):
        slot, other = ("0", "1") if number % 2 else ("1", "0")
        role, heir = pair[slot].role, pair[other].role
        partitions, wall = role.owned(), time.time()
        at = away(role)
        seconds = bench.served(partitions, at)
        firsts.append(seconds[0])
        lasts.append(seconds[-1])
        told.append(heir_told(heir, partitions, since=wall))
        restored.append(all_restored(heir, partitions, since=wall))
        steps = f"told {told[-1]:.2f} s, restored {restored[-1]:.2f} s"
        tell(number, f"first of {len(partitions)} partitions {seconds[0]:.2f} s, last {seconds[-1]:.2f} s; {steps}")
        if name == "SIGSTOP":
            time.sleep(max(0.0, AWAY_SECONDS - (time.monotonic() - at)))
            role.wake()
        else:
            pair[slot] = bench.processor(slot)
        bench.settle(pair)
    for watched in pair.values():
        watched.role.stop()
    return [
        Figure(what=f"{name} to the first of its partitions served", values=firsts),
        Figure(what=f"{name} to the last of its partitions served", values=lasts, most=MOST_TAKEOVER_SECONDS),
        Figure(what="… of it: until the group told the other", values=told),
        Figure(what="… of it: until all were restored", values=restored),
    ]


def supervised(bench: Bench, rounds: int, _: float) -> list[Figure]:
    return [figure for workers in (1, 2) for figure in restarted(bench, rounds, workers)]


def restarted(bench: Bench, rounds: int, workers: int) -> list[Figure]:
    firsts, lasts, started, told, restored = [], [], [], [], []
    for number in range(rounds):
        # Anew for each round: a second death within a minute is waited after, which is another figure.
        watched = Watched(bench.fleet, bench.fleet.start("processor", "--workers", str(workers), "--health-port", "0"))
        shared = lambda: watched.ready and len(watched.role.owned()) == PARTITIONS  # noqa: E731, B023
        wait_for(shared, bench.load, seconds=SETTLED_SECONDS, what="all are ready")
        rest(bench)
        slot = str(number % workers)
        wait_for(
            lambda: len(owned_by(watched.role, slot)) == PARTITIONS // workers,  # noqa: B023
            bench.load,
            seconds=SETTLED_SECONDS,
            what="they share the partitions",
        )
        partitions, pid, wall = owned_by(watched.role, slot), pid_of(watched.role, slot), time.time()
        bench.finish(time.monotonic())
        os.kill(pid, 9)
        seconds = bench.served(partitions, time.monotonic())
        firsts.append(seconds[0])
        lasts.append(seconds[-1])
        started.append(since(watched.role, wall, "role_started"))
        told.append(heir_told(watched.role, partitions, since=wall))
        restored.append(all_restored(watched.role, partitions, since=wall))
        steps = f"Python up {started[-1]:.2f} s, told {told[-1]:.2f} s, restored {restored[-1]:.2f} s"
        tell(number, f"{workers} workers: first {seconds[0]:.2f} s, last of {len(partitions)} {seconds[-1]:.2f}; {steps}")
        watched.role.stop()
    name = f"SIGKILL of the worker of {workers}"
    return [
        Figure(what=f"{name} to the first execution ended", values=firsts, most=MOST_RESTART_SECONDS),
        Figure(what=f"(wanted: {WANTED_RESTART_SECONDS:g}) to the last of its partitions served", values=lasts),
        Figure(what="… of it: until the new process has loaded", values=started),
        Figure(what="… of it: until the group told it", values=told),
        Figure(what="… of it: until all were restored", values=restored),
    ]


def rest(bench: Bench) -> None:
    """Have so many executions wait."""
    missing = WAITING - bench.load.waiting
    bench.load.ask((n % PARTITIONS for n in range(missing)), machine="waiting")
    enough = lambda: bench.load.waiting >= WAITING  # noqa: E731
    wait_for(enough, bench.load, seconds=SETTLED_SECONDS, what=f"{WAITING:,} executions wait")


# ---- what the journals say


def pid_of(role: Role, slot: str) -> int:
    """Return the process that was started last in the slot."""
    return [int(line["pid"]) for line in role.lines() if line["event"] == "worker_started" and line["slot"] == slot][-1]


def owned_by(role: Role, slot: str) -> tuple[int, ...]:
    """Return what the group last told a supervisor's worker is its own."""
    told = [tuple(line["owned"]) for line in role.lines() if line["event"] in TOLD and line["slot"] == slot]
    return told[-1] if told else ()


TOLD: Final = ("partitions_assigned", "partitions_revoked", "partitions_lost")


def heir_told(heir: Role, partitions: Sequence[int], *, since: float) -> float:
    """Return when the group had named it the owner of all of them, in seconds after the wall clock's `since`."""
    left, at = set(partitions), 0.0
    for line in heir.lines():
        if line["event"] == "partitions_assigned" and line["time"] >= since * 1_000 and left & set(line["new"]):
            left -= set(line["new"])
            at = line["time"] / 1_000 - since
    return at


def all_restored(heir: Role, partitions: Sequence[int], *, since: float) -> float:
    lines = (line for line in heir.lines() if line["event"] == "partition_restored" and line["time"] >= since * 1_000)
    return max((line["time"] / 1_000 - since for line in lines if line["partition"] in partitions), default=0.0)


def since(role: Role, wall: float, event: str) -> float:
    return next(line["time"] / 1_000 - wall for line in role.lines() if line["event"] == event and line["time"] >= wall * 1_000)


# ---- figures


def latencies(runs: Iterable[Run]) -> list[float]:
    return sorted(run.ended - run.sent for run in runs if run.ended is not None)


def percentile(values: Sequence[float], percent: int) -> float:
    return values[len(values) * percent // 100]


def of(rounds: list[list[float]], percent: int) -> list[float]:
    return [percentile(values, percent) * 1_000 for values in rounds]


def longest_gap(runs: Iterable[Run], *, began: float) -> float:
    """Return the longest time from one end to the next, of executions sent since `began`."""
    moments = sorted([began, *(run.ended for run in runs if run.ended is not None)])
    return max(after - before for before, after in zip(moments, moments[1:], strict=False))


def longest_gap_of_one(runs: Sequence[Run], *, began: float) -> float:
    return max(longest_gap([run for run in runs if run.partition == p], began=began) for p in range(PARTITIONS))


def tell(number: int, text: str) -> None:
    print(f"  round {number + 1}: {text} (load {os.getloadavg()[0]:.1f})", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.takeover", description="Measure takeovers.")
    parser.add_argument("--only", choices=SCENARIOS, help="one of the four")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--rate", type=float, default=48.0, help="executions started a second")
    parser.add_argument("--undisturbed", type=float, default=20.0, help="seconds before each rolling restart")
    parser.add_argument("--brokers", type=int, default=3, help="JVMs, and replicas")
    parser.add_argument("--protocol", choices=["classic", "consumer"], default="classic", help="consumer: KIP-848")
    parser.add_argument("--shorter-session", action="store_true", help="KIP-848: brokers with a session of 6 s, not 45")
    parser.add_argument("--folder", type=Path, help="where logs and data go, and stay; empty before")
    wanted = parser.parse_args()
    logging.disable(logging.WARNING)
    with contextlib.ExitStack() as running:
        folder = wanted.folder or Path(running.enter_context(tempfile.TemporaryDirectory(prefix="takeover-")))
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(wanted, folder)
    for name, lines in figures.items():
        print(f"\n| {name} | median | worst | | goal |\n|---|---|---|---|---|")
        print("\n".join(line.render() for line in lines))
    return 0 if all(line.holds for lines in figures.values() for line in lines) else 1


def measure(wanted: argparse.Namespace, folder: Path) -> dict[str, list[Figure]]:
    names = TopicNames(PREFIX)
    extra = SHORTER_SESSION if wanted.shorter_session else {}
    environment = {"ASL_KAFKA_GROUP_PROTOCOL": "consumer"} if wanted.protocol == "consumer" else {}
    with contextlib.ExitStack() as running:
        kafka = running.enter_context(start_kafka(folder / "kafka", brokers=wanted.brokers, extra=extra, heap="400m"))
        address = f"kafka:{kafka.bootstrap_servers}"
        fleet = running.enter_context(Fleet(address, folder / "fleet", prefix=PREFIX, environment=environment))
        create_topics(fleet)
        for machine, definition in MACHINES.items():
            (fleet.folder / f"{machine}.asl.json").write_text(json.dumps(definition))
            fleet.asl("deploy", f"{machine}.asl.json", "--name", machine)
        load = running.enter_context(Load(kafka.bootstrap_servers, names, partitions=PARTITIONS))
        print(
            f"{wanted.rounds} rounds, {wanted.rate:g} executions a second in {PARTITIONS} partitions, each 2 commands;"
            f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()},"
            f" confluent-kafka {version('confluent-kafka')}, Kafka: {kafka.origin}, protocol {wanted.protocol}"
            f"{', sessions of 6 s' if wanted.shorter_session else ''}",
            flush=True,
        )
        load.rate = wanted.rate
        figures: dict[str, list[Figure]] = {}
        scenarios = {"rolling": rolling, "killed": killed, "stopped": stopped, "supervised": supervised}
        for name, scenario in scenarios.items():
            if wanted.only in (None, name):
                print(f"{name}:", flush=True)
                figures[name] = scenario(Bench(fleet, load, names), wanted.rounds, wanted.undisturbed)
        judge(fleet, load, names)
    return figures


def create_topics(fleet: Fleet) -> None:
    """Brokers that have just started, on a busy machine, take their time over topics with three replicas."""
    for _ in range(5):
        try:
            fleet.asl("topics", "create")
        except AssertionError as refused:
            print(f"topics: once more, {refused}", flush=True)
        else:
            return
    raise SystemExit("the topics cannot be made")


def judge(fleet: Fleet, load: Load, names: TopicNames) -> None:
    """Have the rest end, then every history and every state checked by `asl replay --verify`."""
    load.rate = 0.0
    last = fleet.processor(0)
    bench = Bench(fleet, load, names)
    bench.finish(time.monotonic())
    load.check()
    last.stop()
    (counts,) = fleet.asl("replay", "--verify", "--all")
    print(f"{len(load.runs):,} executions ended right, once each; verified: {json.dumps(counts)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
