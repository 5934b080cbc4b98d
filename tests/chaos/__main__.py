"""`python -m tests.chaos`: the real processor on three real brokers, while things go wrong.

Faults come one after another, of all kinds in turn, in an order drawn from the seed; some while the one before is not
over. Afterwards everything is read and judged, and a line is added to the ledger.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from processor.adapters.kafka import KafkaLog
from processor.engine.definitions import deployment
from processor.engine.topics import TopicNames
from processor.engine.topics_setup import create_topics
from processor.model.ids import Millis
from tests.broker import start_kafka
from tests.chaos.check import Topics, broken, timeless
from tests.chaos.faults import EXTRA_SLOT, SLOTS, Chaos, Slot
from tests.chaos.formats import following, release
from tests.chaos.formats import running as running_release
from tests.chaos.proxy import Proxy
from tests.chaos.town import INPUTS, Town
from tests.simulation.workload import MACHINES

PARTITIONS = 6
LEDGER = Path(__file__).with_name("ledger.jsonl")
DRAIN_SECONDS = 120.0
PATIENCE_SECONDS = 40.0
"""Longer than the brokers, the session and a transaction's timeout take together: then nothing works any more."""
BROKER = {
    "listeners": "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port},PROXIED://127.0.0.1:{inner_port}",
    "advertised.listeners": "PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{outer_port}",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT",
    # As a cluster has it that is meant to lose a broker.
    "broker.session.timeout.ms": "3000",
    "replica.lag.time.max.ms": "3000",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=8.0, help="executions started a second")
    parser.add_argument("--kinds", nargs="*", metavar="TEXT", help="only kinds with this in their name")
    parser.add_argument("--folder", type=Path, help="where logs and data go, and stay")
    parser.add_argument("--no-ledger", action="store_true")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as running:
        folder = arguments.folder or Path(running.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        folder.mkdir(exist_ok=True, parents=True)
        entry = _run(arguments, folder)
    print(json.dumps(entry))
    if not arguments.no_ledger:
        with LEDGER.open("a") as ledger:
            ledger.write(json.dumps(entry) + "\n")
    return 1 if entry["violations"] else 0


def _run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    chance, names = random.Random(arguments.seed), TopicNames(prefix="chaos.")
    began = time.monotonic()
    logging.getLogger().setLevel(logging.ERROR)
    with contextlib.ExitStack() as running:
        running.enter_context(running_release(release(following())))
        broker = running.enter_context(start_kafka(folder / "kafka", brokers=3, extra=BROKER, heap="320m"))
        assert broker.cluster is not None
        ports = broker.cluster.proxied_ports
        proxy = running.enter_context(Proxy(ports))
        log = running.enter_context(contextlib.closing(KafkaLog(broker.bootstrap_servers, names=names)))
        _prepare(log, names)
        town = Town(broker.bootstrap_servers, names, partitions=PARTITIONS, chance=random.Random(arguments.seed + 1))
        proxied = ",".join(f"127.0.0.1:{outer}" for _, outer in ports.values())
        slots = {name: Slot(name, [proxied, names.prefix], folder) for name in (*SLOTS, EXTRA_SLOT)}
        for slot in slots.values():
            running.callback(slot.kill)
        for name in SLOTS:
            slots[name].start()
        town.start()
        running.callback(town.close)
        expected = _undisturbed(log, town)
        chaos = Chaos(broker, proxy, town, slots, events=names.events, chance=chance)
        counts, violations = _faults(chaos, arguments, chance, until=began + 60 * arguments.minutes)
        violations += _drain(chaos)
        if not violations:
            violations += broken(Topics(log), expected, started=town.started)
        return {
            "date": time.strftime("%Y-%m-%d"),
            "seed": arguments.seed,
            "seconds": round(time.monotonic() - began),
            "executions": len(town.started),
            "commands": len(town.sent),
            "faults": counts.total(),
            "kinds": dict(sorted(counts.items())),
            "exits": [text for slot in slots.values() for text in slot.ended_badly],
            "violations": violations[:50],
        }


def _prepare(log: KafkaLog, names: TopicNames) -> None:
    create_topics(log, partitions=PARTITIONS)
    outbox = log.outbox()
    for name, definition in MACHINES.items():
        now = Millis(int(time.time() * 1000))
        _, message = deployment(names, state_machine=name, definition=definition, type="STANDARD", now=now)
        outbox.send([message])
    outbox.close()


def _undisturbed(log: KafkaLog, town: Town) -> dict[str, list[Any]]:
    """The history of each machine, while nothing goes wrong."""
    for machine in INPUTS:
        town.begin(machine)
    deadline = time.monotonic() + 60
    while len(town.started) < len(INPUTS) or town.unfinished():
        assert time.monotonic() < deadline and town.alive, f"undisturbed, yet not done: {town.unfinished()}"
        time.sleep(0.1)
    topics = Topics(log)
    return {id.partition(":")[0]: timeless(id, events) for id, events in topics.histories.items()}


def _faults(
    chaos: Chaos, arguments: argparse.Namespace, chance: random.Random, *, until: float
) -> tuple[Counter[str], list[str]]:
    wanted = [k for k in chaos.kinds if not arguments.kinds or any(text in k for text in arguments.kinds)]
    counts: Counter[str] = Counter()
    chaos.town.rate = arguments.rate
    while time.monotonic() < until:
        for kind in chance.sample(wanted, len(wanted)):
            if time.monotonic() >= until:
                break
            at = time.monotonic()
            happened = chaos.kinds[kind]()
            counts[kind if happened else f"not: {kind}"] += 1
            chaos.settle()
            if not chaos.progress(executions=2, within_seconds=PATIENCE_SECONDS):
                return counts, [f"after {kind}: nothing ends within {PATIENCE_SECONDS:.0f} s"]
            print(f"{time.monotonic() - at:6.1f} s  {kind}{'' if happened else ': did not happen'}", flush=True)
    return counts, []


def _drain(chaos: Chaos) -> list[str]:
    town, deadline = chaos.town, time.monotonic() + DRAIN_SECONDS
    town.rate = 0.0
    while town.unfinished() and town.alive and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(4)  # what is sent late, or twice
    left = sorted(town.unfinished())
    return ([f"has not ended: {left[:20]}, {len(left)} in all"] if left else []) + (
        [f"{town.undelivered} commands could not be sent"] if town.undelivered else []
    )


if __name__ == "__main__":
    sys.exit(main())
