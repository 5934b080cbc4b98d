"""`python -m tests.chaos`: the real processor on three real brokers, while things go wrong.

Faults come one after another, of all kinds in turn, in an order drawn from the seed; some while the one before is not
over. Afterwards everything is read and judged, and a line is added to the ledger. `--ledger` tells instead what all the
runs in it come to, and fails where that is less than WANTED. `--sabotage` takes a rule away from the processor: the run
fails where nothing is found, and adds nothing to the ledger.
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
from processor.apps.audit.verification import Verification
from processor.engine.definitions import deployment
from processor.engine.topics import TopicNames
from processor.engine.topics_setup import create_topics
from processor.model.ids import Millis
from tests.broker import start_kafka
from tests.chaos.check import Topics, broken, timeless
from tests.chaos.faults import EXTRA_SLOT, SLOTS, Chaos, Slot
from tests.chaos.formats import following, release
from tests.chaos.formats import running as running_release
from tests.chaos.processor import STEPS
from tests.chaos.proxy import Proxy
from tests.chaos.sabotage import NONE, SABOTAGE
from tests.chaos.town import INPUTS, Town
from tests.simulation.workload import MACHINES

PARTITIONS = 6
OFTEN = {"death at random": 10, "cut before EndTxn": 3, "cut after EndTxn": 3, "two formats": 1}
"""How often a kind comes in one turn of all; each step of a death twice, any other kind five times."""
WANTED = {
    "": 1_000,
    **{f"death at {step}": 20 for step in STEPS},
    "death at random": 20,
    "broker killed": 50,
    "stopped past the session": 50,
    "moved while restoring": 50,
    "commands again": 50,
    "EndTxn": 50,
    "leader killed before the markers": 50,
    "two formats": 5,
}
"""By a part of the kind's name, how many faults all runs together have to show."""
LEDGER = Path(__file__).with_name("ledger.jsonl")
DRAIN_SECONDS = 180.0
PATIENCE_SECONDS = 90.0
"""Far longer than brokers, session and a transaction's timeout take together, on a loaded machine too: then nothing
works any more."""
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
    parser.add_argument("--ledger", action="store_true", help="run nothing: tell what the runs so far come to")
    parser.add_argument("--sabotage", choices=SABOTAGE, default=NONE, help="what the processor is to lack")
    arguments = parser.parse_args()
    if arguments.ledger:
        return told(LEDGER)
    with contextlib.ExitStack() as running:
        folder = arguments.folder or Path(running.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        folder.mkdir(exist_ok=True, parents=True)
        entry = _run(arguments, folder)
    print(json.dumps(entry))
    if arguments.sabotage != NONE:
        return 0 if entry["violations"] else 1
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
        slots = {name: Slot(name, [proxied, names.prefix, arguments.sabotage], folder) for name in (*SLOTS, EXTRA_SLOT)}
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
            violations += _unlike_their_fold(log)
        return {
            "date": time.strftime("%Y-%m-%d"),
            "seed": arguments.seed,
            "seconds": round(time.monotonic() - began),
            "executions": len(town.started),
            "commands": len(town.sent),
            "faults": sum(n for kind, n in counts.items() if not kind.startswith("not: ")),
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
    kinds = [k for k in chaos.kinds if not arguments.kinds or any(text in k for text in arguments.kinds)]
    turn = [k for k in kinds for _ in range(OFTEN.get(k, 2 if k.startswith("death at") else 5))]
    counts: Counter[str] = Counter()
    chaos.town.rate = arguments.rate
    while time.monotonic() < until:
        for kind in chance.sample(turn, len(turn)):
            if time.monotonic() >= until:
                break
            at = time.monotonic()
            happened = chaos.kinds[kind]()
            counts[kind if happened else f"not: {kind}"] += 1
            chaos.settle()
            settled = time.monotonic()
            if not chaos.progress(executions=2, within_seconds=PATIENCE_SECONDS):
                return counts, [f"after {kind}: nothing ends within {PATIENCE_SECONDS:.0f} s"]
            took, stood = time.monotonic() - at, time.monotonic() - settled
            said = "" if happened else ": did not happen"
            print(f"{took:6.1f} s, {stood:4.1f} s after all was settled: {kind}{said}", flush=True)
    return counts, []


def _drain(chaos: Chaos) -> list[str]:
    town, deadline = chaos.town, time.monotonic() + DRAIN_SECONDS
    town.rate = 0.0
    while town.unfinished() and town.alive and time.monotonic() < deadline:
        chaos.supervise()
        time.sleep(0.2)
    time.sleep(4)  # what is sent late, or twice
    left = sorted(town.unfinished())
    return ([f"has not ended: {left[:20]}, {len(left)} in all"] if left else []) + (
        [f"{town.undelivered} commands could not be sent"] if town.undelivered else []
    )


def _unlike_their_fold(log: KafkaLog) -> list[str]:
    """What `asl replay --verify --all` would tell: of snapshots, checkpoints and records of closed, too."""
    with contextlib.closing(log.reader()) as reader:
        return [json.dumps(fault.as_json(), default=repr) for fault in Verification(reader, log.names).faults()]


def told(ledger: Path) -> int:
    if not ledger.exists():
        print(f"no run is noted yet: there is no {ledger.name} (`make chaos` adds to it)", file=sys.stderr)
        return 1
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    total: Counter[str] = Counter()
    for entry in entries:
        total.update({kind: count for kind, count in entry["kinds"].items() if not kind.startswith("not: ")})
    short = {text: least for text, least in WANTED.items() if sum(n for k, n in total.items() if text in k) < least}
    violations = sum(len(entry["violations"]) for entry in entries)
    for kind, count in sorted(total.items()):
        print(f"{count:6}  {kind}")
    print(f"{total.total():6}  in {len(entries)} runs; {violations} violations; fewer than wanted: {short or 'none'}")
    return 1 if short or violations else 0


if __name__ == "__main__":
    sys.exit(main())
