"""`python -m tests.chaos.hostile`: a hundred thousand hostile commands among ten thousand good ones, on a real Kafka.

First the good ones alone, at a fixed rate, then at the same rate with ten hostile ones to each. All good ones must end
right; every hostile one must be found once, as what its kind may come to, and the processors' own counts must say the
same; no process dies; memory is flat; the good ones' p99 is at most three times what it was.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from processor.adapters.kafka import KafkaLog
from processor.engine.definitions import deployment
from processor.engine.topics import TopicNames
from processor.engine.topics_setup import create_topics
from processor.model.ids import Millis
from tests.broker import start_kafka
from tests.chaos.hostile_account import Account, read, wrong_ends
from tests.chaos.hostile_good import MACHINES, Good
from tests.chaos.hostile_kinds import REFUSED, REROUTED, Held, Targets, Waiting
from tests.chaos.hostile_sender import Plan, Receipt
from tests.integration.fleet import REPOSITORY, Fleet
from tests.integration.watched import Watched

SLOTS = 2
HELD, NAPS = 40, 20
PATIENCE_SECONDS = 900.0
SAMPLE_SECONDS = 0.25
MOST_GROWTH = 1.1
"""The last quarter's median of a processor's memory against the second's. The first quarter fills what has a size:
buffers of the client, batches, the codec's readers. A tenth is more than what is kept of the good ones that have
ended, and of no hostile one anything is."""
MOST_P99 = 3.0


class Report(Struct, frozen=True, kw_only=True):
    """`memory`: MiB of each processor, medians of the four quarters of the attack. Latencies in milliseconds."""

    good: int
    hostile: int
    kinds: Mapping[str, Counter[str]]
    outcomes: Mapping[str, int]
    aborted: int
    undisturbed_ms: Mapping[str, float]
    disturbed_ms: Mapping[str, float]
    memory: Mapping[str, tuple[float, ...]]
    load: tuple[float, ...]
    faults: tuple[str, ...]

    @property
    def p99_ratio(self) -> float:
        return self.disturbed_ms["p99"] / self.undisturbed_ms["p99"]

    @property
    def growth(self) -> float:
        """The worst of the processors."""
        return max(last / second for _, second, _, last in self.memory.values())


def attack(
    bootstrap: str, folder: Path, *, prefix: str, partitions: int, good: int, hostile: int, rate: float, seed: int
) -> Report:
    """Run it on this broker. `rate`: of the good ones, a second. Raises where something does not come to its end."""
    with contextlib.ExitStack() as running:
        fleet = running.enter_context(Fleet(f"kafka:{bootstrap}", folder / "fleet", prefix=prefix))
        names = TopicNames(prefix)
        _deploy(bootstrap, names, partitions)
        processors = [
            Watched(fleet, fleet.start("processor", "--slot", str(slot), "--health-port", "0")) for slot in range(SLOTS)
        ]
        for one in processors:
            one.sees(lambda one=one: one.ready, f"{one.role.name} is ready")  # type: ignore[misc]  # of this turn
        load = Good(bootstrap, names, partitions=partitions, seed=seed)
        running.callback(load.close)
        warm = max(30, good // 20)
        targets = _prepare(load, names, partitions, warm=warm, good=good, rate=rate)
        alone = max(good // 4, 30)
        _say(f"{len(load.ended)} have ended to warm up; alone now: {alone}")
        undisturbed = load.run(range(warm, warm + alone), rate=rate)
        first = warm + alone
        plan = Plan(bootstrap=bootstrap, targets=targets, how_many=hostile, rate=rate * hostile / good, seed=seed)
        memory = Memory({one.role.name: one.role.pid for one in processors})
        sender = Sending(plan, folder)
        running.callback(sender.kill)
        _say(f"undisturbed: {_quantiles(undisturbed)}; now {good} with {hostile} hostile ones")
        with memory:
            sender.begin()
            disturbed = load.run(range(first, first + good), rate=rate, patience_seconds=PATIENCE_SECONDS)
            receipts = sender.receipts()
        _say(f"disturbed: {_quantiles(disturbed)}, {memory.quarters}; all are sent")
        own_timers = frozenset(load.timers.values())
        faults = [] if len(load.timers) == NAPS else [f"of {NAPS} timers {len(load.timers)} are pending"]
        load.release()
        deadline = time.monotonic() + PATIENCE_SECONDS
        rerouted = sum(any(fate.startswith(REROUTED) for fate in receipt.fates) for receipt in receipts)
        accepted = sum(REFUSED not in receipt.fates for receipt in receipts)
        total = len(load.started) + load.completed + accepted + rerouted
        while load.started - load.ended.keys() or sum(_outcomes(processors).values()) < total:
            load.look()
            if time.monotonic() > deadline:
                left = sorted(load.started - load.ended.keys())
                faults.append(f"commands dealt with: {_outcomes(processors)}, of {total}; not ended: {left[:10]}")
                break
        faults += [f"{load.undelivered} good commands were not delivered"] if load.undelivered else []
        for role in fleet.roles:
            role.check()
        outcomes, aborted = _outcomes(processors), _total(processors, "asl_transactions_total", outcome="aborted")
        faults += [
            f"{name} is {count}"
            for name in ("asl_quarantines_total", "asl_partitions_stopped_total", "asl_replies_lost_total")
            if (count := _total(processors, name))
        ]
        _say("all are dealt with; reading what became of them")
    with contextlib.closing(KafkaLog(bootstrap, names=names)) as log:
        found = read(log)
    account = Account(receipts, found, own_timers=own_timers)
    expected = account.outcomes(started=len(load.started), applied=load.completed)
    if outcomes != expected:
        faults.append(f"the processors count {outcomes}; found is {expected}")
    if account.by_fate.total() != hostile or len(receipts) != hostile:
        faults.append(f"{hostile} were sent, {len(receipts)} noted, {account.by_fate.total()} found")
    faults += account.faults + wrong_ends(found, load.started)
    return Report(
        good=good,
        hostile=hostile,
        kinds=account.by_kind,
        outcomes=outcomes,
        aborted=aborted,
        undisturbed_ms=_quantiles(undisturbed),
        disturbed_ms=_quantiles(disturbed),
        memory=memory.quarters,
        load=os.getloadavg(),
        faults=tuple(faults),
    )


def _deploy(bootstrap: str, names: TopicNames, partitions: int) -> None:
    with contextlib.closing(KafkaLog(bootstrap, names=names)) as log:
        create_topics(log, partitions=partitions)
        outbox, now = log.outbox(), Millis(int(time.time() * 1_000))
        outbox.send(
            [deployment(names, state_machine=n, definition=d, type="STANDARD", now=now)[1] for n, d in MACHINES.items()]
        )
        outbox.close()


def _prepare(load: Good, names: TopicNames, partitions: int, *, warm: int, good: int, rate: float) -> Targets:
    """Start what is aimed at: executions that wait, and, as everything gets warm, some that end."""
    for number in range(HELD):
        load.start("held", number)
    for number in range(NAPS):
        load.start("nap", number)
    load.run(range(warm), rate=rate)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(load.timers) < NAPS or sum(len(tokens) == 2 for tokens in load.held.values()) < HELD:
        load.look()
        assert time.monotonic() < deadline, f"they do not wait: {load.held}, {load.timers}"
    held = tuple(Held(id, int(id.partition(":")[2]), *tokens) for id, tokens in sorted(load.held.items()))
    return Targets(
        names=names,
        partitions=partitions,
        machine="chain",
        stray_machine="stray",
        held=held,
        waiting=tuple(Waiting(*pair) for pair in sorted(load.timers.items())),
        ended=tuple(sorted(id for id in load.ended if id.startswith("chain:"))),
        passing=("work", warm + max(good // 4, 30), warm + max(good // 4, 30) + good),
    )


class Sending:
    """The sender, in its process."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._receipts = folder / "receipts.json"
        file = folder / "plan.json"
        file.write_bytes(msgspec.json.encode(plan))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.hostile_sender", str(file), str(self._receipts)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("begin\n")
        self._process.stdin.flush()

    def receipts(self) -> Sequence[Receipt]:
        """Wait until all are sent."""
        code = self._process.wait(PATIENCE_SECONDS)
        assert code == 0, f"the sender ended with {code}"
        return msgspec.json.decode(self._receipts.read_bytes(), type=tuple[Receipt, ...])

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class Memory:
    """What processes hold, as the operating system has it, while the context lasts."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._samples: dict[str, list[float]] = {name: [] for name in pids}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            for name, pid in self._pids.items():
                with contextlib.suppress(FileNotFoundError):  # that it died is told elsewhere
                    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                    self._samples[name].append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)

    @property
    def quarters(self) -> dict[str, tuple[float, ...]]:
        found = {}
        for name, samples in self._samples.items():
            size = max(1, len(samples) // 4)
            found[name] = tuple(statistics.median(samples[n * size : (n + 1) * size]) for n in range(4))
        return found


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}, load {os.getloadavg()[0]:.1f}", flush=True)


def _outcomes(processors: Sequence[Watched]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for one in processors:
        for labels, value in one.figures("asl_commands_total").items():
            counts[dict(labels)["outcome"]] += int(value)
    return dict(counts)


def _total(processors: Sequence[Watched], name: str, **labels: str) -> int:
    return sum(
        int(value)
        for one in processors
        for of, value in one.figures(name).items()
        if labels.items() <= dict(of).items()
    )


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {name: round(cuts[at] * 1_000, 1) for name, at in (("p50", 49), ("p90", 89), ("p99", 98))}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.hostile", description=__doc__)
    parser.add_argument("--hostile", type=int, default=100_000)
    parser.add_argument("--good", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--rate", type=float, default=15.0, help="good ones started a second")
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--bootstrap", help="a Kafka that runs, instead of one of its own")
    parser.add_argument("--folder", type=Path, help="where logs and data go, and stay")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes are ended whatever ends this one
    print(f"seed {arguments.seed}, load {os.getloadavg()}, {os.cpu_count()} processors", flush=True)
    with contextlib.ExitStack() as running:
        folder = arguments.folder or Path(running.enter_context(tempfile.TemporaryDirectory(prefix="hostile-")))
        folder.mkdir(exist_ok=True, parents=True)
        bootstrap = arguments.bootstrap
        if bootstrap is None:
            broker = running.enter_context(start_kafka(folder / "kafka", brokers=arguments.brokers, heap="400m"))
            bootstrap = broker.bootstrap_servers
        report = attack(
            bootstrap,
            folder,
            prefix=f"hostile-{secrets.token_hex(4)}.",
            partitions=arguments.partitions,
            good=arguments.good,
            hostile=arguments.hostile,
            rate=arguments.rate,
            seed=arguments.seed,
        )
    return _print(report)


def _print(report: Report) -> int:
    for name, found in report.kinds.items():
        print(f"{name:60} {', '.join(f'{count} {fate}' for fate, count in sorted(found.items()))}")
    fates: Counter[str] = sum(report.kinds.values(), Counter())
    summary: dict[str, Any] = {
        "good": report.good,
        "hostile": report.hostile,
        "fates": dict(fates.most_common()),
        "commands": report.outcomes,
        "aborted transactions": report.aborted,
        "undisturbed ms": report.undisturbed_ms,
        "disturbed ms": report.disturbed_ms,
        "p99 ratio": round(report.p99_ratio, 2),
        "MiB by quarter": {name: [round(mib, 1) for mib in quarters] for name, quarters in report.memory.items()},
        "growth": round(report.growth, 3),
        "load": report.load,
    }
    print(json.dumps(summary, indent=1))
    faults = list(report.faults)
    if report.p99_ratio > MOST_P99:
        faults.append(f"the good ones' p99 is {report.p99_ratio:.2f} times what it was, at most {MOST_P99}")
    if report.growth > MOST_GROWTH:
        faults.append(f"a processor's memory has grown by {report.growth:.3f}, at most {MOST_GROWTH}")
    for fault in faults[:50]:
        print(fault)
    print(f"{len(faults)} faults" if faults else "all as it must be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
