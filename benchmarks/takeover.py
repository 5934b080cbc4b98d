"""How long partitions stand still while processors come and go: python -m benchmarks.takeover (make takeover)

Processors as a user starts them (`asl processor`, no setting changed), on a cluster of brokers on this machine, under
a steady load (benchmarks.steady_load). Of each scenario the median and the worst round are printed, but for the first,
which warms up the brokers; the steps that the processors' own journals tell of; and whether its goal holds: exit 1
where one does not.

rolling     two processors, each stopped (SIGTERM) and started again, the next once the one before is ready
killed      one of two is killed, and stays away: the other serves its partitions
stopped     one of two is SIGSTOPped past its session, then wakes and must do no harm
supervised  the worker of a supervisor is killed, with 10,000 executions that wait (--waiting)
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import logging
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from msgspec import Struct

from benchmarks.steady_load import MACHINES, Load, Run, wait_for
from processor.engine.topics import TopicNames
from tests.broker import Broker, start_kafka
from tests.integration.fleet import Fleet, Role
from tests.integration.watched import Watched

PARTITIONS: Final = 24  # what `asl topics create` makes
PATIENCE_SECONDS: Final = 180.0
AWAY_SECONDS: Final = 12.0
"""How long a SIGSTOPped processor stays so at least: twice its session."""

MOST_GAP_SECONDS: Final = 5.0
MOST_P99_RATIO: Final = 2.0
MOST_TAKEOVER_SECONDS: Final = 10.0
MOST_RESTART_SECONDS: Final = 5.0
WANTED_RESTART_SECONDS: Final = 3.0
TOLD: Final = ("partitions_assigned", "partitions_revoked", "partitions_lost")
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

    def __init__(self, fleet: Fleet, load: Load, *, waiting: int = 0) -> None:
        self.fleet, self.load, self.waiting = fleet, load, waiting

    def processor(self, *arguments: str) -> Watched:
        return Watched(self.fleet, self.fleet.start("processor", *arguments, "--health-port", "0"))

    def pair(self) -> dict[str, Watched]:
        pair = {slot: self.processor("--slot", slot) for slot in ("0", "1")}
        self.settle(pair)
        return pair

    def settle(self, pair: dict[str, Watched]) -> None:
        """Wait until both are ready, with half of the partitions each, and all that was sent before has ended."""

        def shared() -> bool:
            return all(len(w.role.owned()) == PARTITIONS // 2 and w.ready for w in pair.values())

        self.wait(shared, "both are ready and share the partitions")
        self.finish(time.monotonic())

    def finish(self, before: float) -> None:
        """Wait until all has ended that was sent before."""

        def ended() -> bool:
            return all(run.ended is not None for run in self.load.between(0.0, before))

        self.wait(ended, "everything sent has ended")

    def served(self, partitions: Sequence[int], at: float) -> list[float]:
        """Return how long after `at` each of the partitions first ended an execution sent since, the first of them
        first."""
        self.load.ask(partitions)
        self.wait(lambda: set(partitions) <= self.load.ended_since(at).keys(), f"{list(partitions)} are served again")
        ended = self.load.ended_since(at)
        return sorted(ended[p] - at for p in partitions)

    def wait(self, condition: Callable[[], bool], what: str) -> float:
        return wait_for(condition, self.load, seconds=PATIENCE_SECONDS, what=what)


# ---- scenarios


class Update(Struct, frozen=True, kw_only=True):
    """One rolling restart, and the time before it."""

    undisturbed: list[Run]
    quiet: float  # when that began
    rolling: list[Run]
    began: float
    stops: list[float]
    returns: list[float]


def rolling(bench: Bench, rounds: int, undisturbed_seconds: float) -> list[Figure]:
    pair, updates = bench.pair(), []
    for number in range(rounds + 1):
        quiet = time.monotonic()
        time.sleep(undisturbed_seconds)
        began = time.monotonic()
        turns = [turn(bench, pair, slot) for slot in sorted(pair)]
        until = time.monotonic()
        bench.finish(until)
        update = Update(
            undisturbed=bench.load.between(quiet, began),
            quiet=quiet,
            rolling=bench.load.between(began, until),
            began=began,
            stops=[stopped for stopped, _ in turns],
            returns=[returned for _, returned in turns],
        )
        updates.append(update)
        gaps = (
            f"gap {longest_gap(update.rolling, began=began):.2f} s, of one {longest_of_one(update.rolling, began):.2f}"
        )
        p99s = f"p99 {percentile(update.undisturbed, 99):.0f} → {percentile(update.rolling, 99):.0f} ms"
        tell(number, f"updated in {until - began:.1f} s, {gaps} s, {p99s}")
        bench.settle(pair)
    for watched in pair.values():
        watched.role.stop()
    return figures_of(updates[1:])


def turn(bench: Bench, pair: dict[str, Watched], slot: str) -> tuple[float, float]:
    """Stop it and start it again, as a rolling update does; return how long its end took, and its way to ready."""
    asked = time.monotonic()
    pair[slot].role.stop()
    ended = time.monotonic()
    pair[slot] = bench.processor("--slot", slot)
    ready = bench.wait(lambda: pair[slot].ready, "it is ready again")
    return ended - asked, ready - ended


def figures_of(updates: list[Update]) -> list[Figure]:
    def each(value: Callable[[Update], float]) -> list[float]:
        return [value(update) for update in updates]

    percentiles = [
        Figure(what=f"p{p}, {when}", values=each(lambda u: percentile(getattr(u, when), p)), unit="ms")  # noqa: B023 # called at once
        for when in ("undisturbed", "rolling")
        for p in (50, 99)
    ]
    gaps, one = "longest gap between two ends", "the same of one partition"
    return [
        *percentiles,
        Figure(what=f"{gaps}, undisturbed", values=each(lambda u: longest_gap(u.undisturbed, began=u.quiet))),
        Figure(
            what=f"{gaps}, rolling",
            values=each(lambda u: longest_gap(u.rolling, began=u.began)),
            most=MOST_GAP_SECONDS,
        ),
        Figure(what=f"{one}, undisturbed", values=each(lambda u: longest_of_one(u.undisturbed, u.quiet))),
        Figure(
            what=f"{one}, rolling", values=each(lambda u: longest_of_one(u.rolling, u.began)), most=MOST_GAP_SECONDS
        ),
        Figure(what="SIGTERM to its end", values=[seconds for u in updates for seconds in u.stops]),
        Figure(what="started to ready", values=[seconds for u in updates for seconds in u.returns]),
        Figure(what="slower than twice the undisturbed p99, of an update", values=each(slowed), unit="executions"),
        Figure(what="load over which the p99 with one update is twice that without", values=each(spread), unit="min"),
        Figure(
            what="p99 rolling / undisturbed",
            values=each(lambda u: percentile(u.rolling, 99) / percentile(u.undisturbed, 99)),
            most=MOST_P99_RATIO,
            unit="times",
        ),
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
    for number in range(rounds + 1):
        slot, other = ("0", "1") if number % 2 else ("1", "0")
        role, heir = pair[slot].role, pair[other].role
        partitions, wall = role.owned(), time.time()
        at = away(role)
        seconds = bench.served(partitions, at)
        firsts.append(seconds[0])
        lasts.append(seconds[-1])
        told.append(when_told(heir, partitions, since=wall))
        restored.append(when_restored(heir, partitions, since=wall))
        steps = f"told {told[-1]:.2f} s, restored {restored[-1]:.2f} s"
        tell(number, f"first of {len(partitions)} partitions {seconds[0]:.2f} s, last {seconds[-1]:.2f} s; {steps}")
        if name == "SIGSTOP":
            time.sleep(max(0.0, AWAY_SECONDS - (time.monotonic() - at)))
            role.wake()
        else:
            pair[slot] = bench.processor("--slot", slot)
        bench.settle(pair)
    for watched in pair.values():
        watched.role.stop()
    return [
        Figure(what=f"{name} to the first of its partitions served", values=firsts[1:]),
        Figure(what=f"{name} to the last of its partitions served", values=lasts[1:], most=MOST_TAKEOVER_SECONDS),
        Figure(what="… of it: until the group told the other", values=told[1:]),
        Figure(what="… of it: until all were restored", values=restored[1:]),
    ]


def supervised(bench: Bench, rounds: int, _: float) -> list[Figure]:
    return [figure for workers in (1, 2) for figure in restarted(bench, rounds, workers)]


def restarted(bench: Bench, rounds: int, workers: int) -> list[Figure]:
    firsts, lasts, loaded, told, restored = [], [], [], [], []
    for number in range(rounds + 1):
        # Anew for each round: a second death within a minute is waited after, which is another figure.
        watched, slot = bench.processor("--workers", str(workers)), str(number % workers)
        share_out(bench, watched, workers)
        rest(bench)
        bench.finish(time.monotonic())
        partitions, wall = owned_by(watched.role, slot), time.time()
        os.kill(pid_of(watched.role, slot), signal.SIGKILL)
        seconds = bench.served(partitions, time.monotonic())
        firsts.append(seconds[0])
        lasts.append(seconds[-1])
        loaded.append(when_said(watched.role, "role_started", since=wall))
        told.append(when_told(watched.role, partitions, since=wall))
        restored.append(when_restored(watched.role, partitions, since=wall))
        steps = f"loaded {loaded[-1]:.2f} s, told {told[-1]:.2f} s, restored {restored[-1]:.2f} s"
        ended = f"first {seconds[0]:.2f} s, last of {len(partitions)} partitions {seconds[-1]:.2f} s"
        tell(number, f"one of {workers} workers: {ended}; {steps}")
        watched.role.stop()
    name = f"SIGKILL of one of {workers} workers"
    return [
        Figure(what=f"{name} to the first new end", values=firsts[1:], most=MOST_RESTART_SECONDS),
        Figure(what=f"{name} to the last of its partitions served", values=lasts[1:]),
        Figure(what="… of it: until the new process has loaded", values=loaded[1:]),
        Figure(what="… of it: until the group told it", values=told[1:]),
        Figure(what="… of it: until all were restored", values=restored[1:]),
    ]


def share_out(bench: Bench, watched: Watched, workers: int) -> None:
    def shared() -> bool:
        shares = [len(owned_by(watched.role, str(slot))) for slot in range(workers)]
        return shares == [PARTITIONS // workers] * workers and watched.ready

    bench.wait(shared, "all are ready and share the partitions")


def rest(bench: Bench) -> None:
    """Have so many executions wait."""
    missing = bench.waiting - bench.load.waiting
    bench.load.ask((n % PARTITIONS for n in range(missing)), machine="waiting")
    bench.wait(lambda: bench.load.waiting >= bench.waiting, f"{bench.waiting:,} executions wait")


# ---- what the journals say; moments are seconds after `since`, a moment of the wall clock


def pid_of(role: Role, slot: str) -> int:
    """Return the process that a supervisor started last in the slot."""
    return [int(line["pid"]) for line in role.lines() if line["event"] == "worker_started" and line["slot"] == slot][-1]


def owned_by(role: Role, slot: str) -> tuple[int, ...]:
    """Return what the group last told a supervisor's worker is its own."""
    told = [tuple(line["owned"]) for line in role.lines() if line["event"] in TOLD and line["slot"] == slot]
    return told[-1] if told else ()


def lines_since(role: Role, since: float, event: str) -> list[tuple[float, dict[str, Any]]]:
    timed = [(line["time"] / 1_000 - since, line) for line in role.lines() if line["event"] == event]
    return [(at, line) for at, line in timed if at >= 0]


def when_said(role: Role, event: str, *, since: float) -> float:
    return lines_since(role, since, event)[0][0]


def when_told(role: Role, partitions: Sequence[int], *, since: float) -> float:
    """Return when the group had named it the owner of all of them."""
    lines = lines_since(role, since, "partitions_assigned")
    return max((at for at, line in lines if not set(line["new"]).isdisjoint(partitions)), default=0.0)


def when_restored(role: Role, partitions: Sequence[int], *, since: float) -> float:
    lines = lines_since(role, since, "partition_restored")
    return max((at for at, line in lines if line["partition"] in partitions), default=0.0)


# ---- figures


def percentile(runs: Iterable[Run], percent: int) -> float:
    """Milliseconds from a start to its execution's end."""
    seconds = sorted(run.ended - run.sent for run in runs if run.ended is not None)
    return seconds[len(seconds) * percent // 100] * 1_000


def slow(runs: Sequence[Run], *, than_ms: float) -> int:
    return sum(run.ended is None or (run.ended - run.sent) * 1_000 > than_ms for run in runs)


def slowed(update: Update) -> float:
    return float(slow(update.rolling, than_ms=MOST_P99_RATIO * percentile(update.undisturbed, 99)))


def spread(update: Update) -> float:
    """Return how many minutes of load, an update among them, have a p99 of MOST_P99_RATIO times the undisturbed one:
    then one execution in a hundred is slower than that, those that are so without an update among them."""
    otherwise = slow(update.undisturbed, than_ms=MOST_P99_RATIO * percentile(update.undisturbed, 99))
    share = otherwise / len(update.undisturbed)
    a_second = len(update.undisturbed) / (update.began - update.quiet)
    return (slowed(update) - share * len(update.rolling)) / (0.01 - share) / a_second / 60


def longest_gap(runs: Iterable[Run], *, began: float) -> float:
    """Return the longest time without an end, of executions sent since `began`."""
    moments = sorted([began, *(run.ended for run in runs if run.ended is not None)])
    return max(after - before for before, after in itertools.pairwise(moments))


def longest_of_one(runs: Sequence[Run], began: float) -> float:
    return max(longest_gap([run for run in runs if run.partition == p], began=began) for p in range(PARTITIONS))


def tell(number: int, text: str) -> None:
    """The first round warms up the brokers and is not counted."""
    print(f"  round {number or '-'}: {text} (load {os.getloadavg()[0]:.1f})", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.takeover", description="Measure takeovers.")
    parser.add_argument("--only", choices=SCENARIOS, help="one of the four")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--rate", type=float, default=24.0, help="executions started a second")
    parser.add_argument("--waiting", type=int, default=10_000, help="executions that wait, in supervised")
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
    names = TopicNames(f"takeover-{uuid4().hex[:8]}.")
    environment = {"ASL_KAFKA_GROUP_PROTOCOL": "consumer"} if wanted.protocol == "consumer" else {}
    with contextlib.ExitStack() as running:
        kafka = running.enter_context(brokers(folder / "kafka", wanted))
        address = f"kafka:{kafka.bootstrap_servers}"
        fleet = running.enter_context(Fleet(address, folder / "fleet", prefix=names.prefix, environment=environment))
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
                figures[name] = scenario(Bench(fleet, load, waiting=wanted.waiting), wanted.rounds, wanted.undisturbed)
        judge(fleet, load)
    return figures


def brokers(folder: Path, wanted: argparse.Namespace) -> AbstractContextManager[Broker]:
    """As the tests have it: those that KAFKA_BOOTSTRAP_SERVERS names, else JVMs of its own."""
    if servers := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return contextlib.nullcontext(Broker(bootstrap_servers=servers, origin="KAFKA_BOOTSTRAP_SERVERS"))
    extra = SHORTER_SESSION if wanted.shorter_session else {}
    return start_kafka(folder, brokers=wanted.brokers, extra=extra, heap="400m")


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


def judge(fleet: Fleet, load: Load) -> None:
    """Have the rest end, then every history and every state checked by `asl replay --verify`."""
    load.rate = 0.0
    last = fleet.processor(0)
    bench = Bench(fleet, load)
    bench.finish(time.monotonic())
    load.check()
    last.stop()
    (counts,) = fleet.asl("replay", "--verify", "--all")
    print(f"{len(load.runs):,} executions ended right, once each; verified: {json.dumps(counts)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
