"""200 orders through separate processes, of which a processor, a worker and the timer service are killed on the way.

What each comes to is computed from its input by the oracle, which knows nothing of the workflow; what the log holds is
read again by a program that knows nothing of the project.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from confluent_kafka import Consumer, TopicPartition

from processor.adapters.clock import SystemClock
from processor.adapters.sqlite import SqliteLog
from processor.apps.client import Client
from processor.apps.executions import History, describe
from processor.apps.render.values import struct_json
from processor.engine.ports import Log
from processor.engine.topics import TopicNames
from processor.model.commands import StartExecution
from processor.model.ids import ScopeKey
from processor.model.json import Json
from tests.broker import Broker
from tests.integration.fleet import ORDER, REPOSITORY, Fleet, Role
from tests.integration.orders import (
    Watch,
    check_ledger,
    check_states_entered,
    ends,
    eventually_all,
    expected_end,
    make_orders,
)

ORDERS = 200
PARTITIONS = 6
TAKEOVER_SECONDS = 12.0
PATIENCE_SECONDS = 60.0
SCHEMAS = REPOSITORY / "schemas"


class Commits(Protocol):
    """What the processor group has committed."""

    def of(self, partition: int, *, slot: str) -> int | None:
        """Return the next command of a partition, if the processor in this slot has said so."""


class KafkaCommits:
    def __init__(self, bootstrap: str, names: TopicNames) -> None:
        self._group, self._topic = names.processor_group, names.commands
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": names.processor_group,
                "enable.auto.commit": False,
                "isolation.level": "read_uncommitted",  # a pending transaction is not waited for
            }
        )

    def of(self, partition: int, *, slot: str) -> int | None:
        [found] = self._consumer.committed([TopicPartition(self._topic, partition)], 10)
        named = json.loads(found.metadata) if found.metadata else {}
        return found.offset if named.get("transactional_id") == f"{self._group}-{slot}" else None

    def close(self) -> None:
        self._consumer.close()


class SqliteCommits:
    """A commit names nobody there; after a death the survivor's is the only one there can be."""

    def __init__(self, path: Path, names: TopicNames) -> None:
        self._group = names.processor_group
        self._file = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def of(self, partition: int, *, slot: str) -> int | None:
        found = self._file.execute(
            "SELECT offset FROM offsets JOIN groups ON id = grp WHERE name = ? AND partition = ?",
            (self._group, partition),
        ).fetchone()
        return int(found[0]) if found is not None else None

    def close(self) -> None:
        self._file.close()


def say(text: str) -> None:
    print(f"    {text}", flush=True)


def send(log: Log, orders: Mapping[str, Json]) -> None:
    with Client(log, SystemClock()) as client:
        for name, order in orders.items():
            client.send(StartExecution(execution_id=f"order:{name}", input=order))


def parts(orders: dict[str, dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    names = list(orders)
    for number in range(count):
        yield {name: orders[name] for name in names[number::count]}


def both_own(*processors: Role) -> Callable[[], bool]:
    def they_do() -> bool:
        owned = [processor.owned() for processor in processors]
        return all(owned) and sorted(p for some in owned for p in some) == list(range(PARTITIONS))

    return they_do


def in_flight(fleet: Fleet, watch: Watch) -> set[tuple[str, ScopeKey]]:
    """Wait until many tasks are in flight, and return which; without a worker none ends before it is seen."""
    fleet.wait(lambda: len(watch.look().pending) >= 20, seconds=PATIENCE_SECONDS, what="tasks in flight")
    return set(watch.pending)


def take_over(fleet: Fleet, watch: Watch, commits: Commits, *, victim: Role, survivor: Role, slot: str) -> float:
    """Kill the victim while it has tasks in flight, and let workers begin on them; return how long until the survivor
    had committed for one of its partitions, in seconds."""
    before = victim.owned()
    tasks = in_flight(fleet, watch)
    killed = victim.kill()
    at_death = {p: commits.of(p, slot=slot) for p in before}
    say(f"killed the processor of partitions {before}, {len(tasks)} tasks in flight")
    fleet.worker()
    fleet.worker()

    def served() -> list[int]:
        return [p for p in before if (now := commits.of(p, slot=slot)) is not None and now > (at_death[p] or 0)]

    def progressed() -> bool:
        for partition in before:
            # Its first commit under its name may be the old offset: that is the taking over, not the serving.
            if at_death[partition] is None:
                at_death[partition] = commits.of(partition, slot=slot)
        return bool(served())

    fleet.wait(progressed, seconds=PATIENCE_SECONDS, what=f"a commit for one of {before} by the survivor")
    seconds = time.monotonic() - killed
    say(f"takeover: the survivor committed for partitions {served()} after {seconds:.2f} s")
    fleet.wait(
        lambda: survivor.owned() == tuple(range(PARTITIONS)), seconds=PATIENCE_SECONDS, what="the survivor has all"
    )
    return seconds


def run_orders(fleet: Fleet, log: Log, commits: Commits, *, orders: dict[str, dict[str, Any]]) -> Watch:
    """Start all roles and the orders, kill one of each, and return what the events say once all orders have ended."""
    a, b, second, c, d, fourth = parts(orders, 6)
    first, third = a | b, c | d
    one, other = fleet.processor(0), fleet.processor(1)
    fleet.timers()
    fleet.wait(both_own(one, other), seconds=PATIENCE_SECONDS, what="both processors own partitions")
    say(f"before: slot 0 owns {one.owned()}, slot 1 owns {other.owned()}")
    watch = Watch(log)
    began = time.monotonic()

    send(log, first)
    took = take_over(fleet, watch, commits, victim=one, survivor=other, slot="1")
    again = fleet.processor(0)
    send(log, second)
    fleet.wait(both_own(again, other), seconds=PATIENCE_SECONDS, what="the restarted processor owns partitions")
    say(f"after: slot 0 owns {again.owned()} (pid {one.pid} → {again.pid}), slot 1 owns {other.owned()}")

    for worker in fleet.named("worker"):
        worker.stop()
    send(log, third)
    tasks = in_flight(fleet, watch)
    worker = fleet.worker()
    fleet.wait(lambda: tasks - watch.look().pending.keys(), seconds=PATIENCE_SECONDS, what="the worker has begun")
    worker.kill()
    say(f"killed a worker, {len(watch.pending)} tasks in flight")
    fleet.worker()
    fleet.worker()
    send(log, fourth)
    fleet.wait(lambda: watch.look().waiting() >= 2, seconds=PATIENCE_SECONDS, what="executions that wait for a timer")
    [timers] = fleet.named("timers")
    timers.kill()
    say(f"killed the timer service, {watch.waiting()} executions wait for it")
    fleet.timers()

    fleet.wait(eventually_all(watch, orders), seconds=PATIENCE_SECONDS, what="all orders have ended")
    say(f"all {len(orders)} orders ended {time.monotonic() - began:.1f} s after the first was sent")
    assert both_own(again, other)()
    assert took <= TAKEOVER_SECONDS
    return watch


def check_orders(fleet: Fleet, watch: Watch, orders: dict[str, dict[str, Any]], *, ledger: Path) -> None:
    for id, history in watch.histories.items():
        assert [event.sequence for event in history] == list(range(len(history))), id
    assert ends(watch.histories) == {f"order:{name}": expected_end(order) for name, order in orders.items()}
    seen = check_states_entered(watch.histories.values())
    say("driven: " + ", ".join(f"{name} {count}" for name, count in sorted(seen.items())))
    say(check_ledger(ledger, watch.histories.values()))
    [verified] = fleet.asl("replay", "--verify", "--all")  # the roles are still there
    assert (verified["executions"], verified["ended"], verified["faults"]) == (len(orders), len(orders), 0)
    say(f"verified: {verified['events']} events, {verified['snapshots']} snapshots, {verified['closed']} ends")
    listed = fleet.asl("list")
    assert {one["execution_id"]: one["status"] for one in listed} == {
        f"order:{name}": expected_end(order)[0] for name, order in orders.items()
    }


def described(log: Log, ids: list[str]) -> dict[str, Any]:
    """Return what `asl describe --json` prints for each, made by the same functions in this process."""
    with closing(log.reader()) as reader:
        found = {id: describe(History(reader, log.names, id)) for id in ids}
    return {id: struct_json(description) for id, description in found.items() if description is not None}


@contextmanager
def order_fleet(address: str, tmp_path: Path, *, prefix: str) -> Iterator[tuple[Fleet, Path]]:
    ledger = tmp_path / "ledger.jsonl"
    with Fleet(address, tmp_path / "run", prefix=prefix, environment={"ORDER_LEDGER": str(ledger)}) as fleet:
        fleet.asl("topics", "create", "--partitions", str(PARTITIONS))
        fleet.asl("deploy", str(ORDER / "order.asl.json"))
        yield fleet, ledger


def test_orders_on_kafka(kafka: Broker, topic_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from processor.adapters.kafka import KafkaLog

    orders, names = make_orders(ORDERS), TopicNames(topic_prefix)
    with (
        capsys.disabled(),
        order_fleet(f"kafka:{kafka.bootstrap_servers}", tmp_path, prefix=topic_prefix) as (fleet, ledger),
        closing(KafkaLog(kafka.bootstrap_servers, names=names)) as log,
        closing(KafkaCommits(kafka.bootstrap_servers, names)) as commits,
    ):
        print("\n200 orders on Kafka")
        with closing(run_orders(fleet, log, commits, orders=orders)) as watch:
            check_orders(fleet, watch, orders, ledger=ledger)

        independent = read_independently(kafka.bootstrap_servers, names.events)
        assert {id: (found["faults"], found["ends"]) for id, found in independent.items()} == {
            f"order:{name}": ([], 1) for name in orders
        }
        descriptions = described(log, list(independent))
        [printed] = fleet.asl("describe", "order:slow-15")
        assert printed == descriptions["order:slow-15"]
        compared = ("status", "output", "error", "cause")
        assert {id: [found[key] for key in compared] for id, found in independent.items()} == {
            id: [description.get(key) for key in compared] for id, description in descriptions.items()
        }
        say(f"the independent reader agrees with asl describe on {len(independent)} executions")
        assert list(fleet.folder.iterdir()) == []  # no role keeps anything outside the log


def read_independently(bootstrap: str, topic: str) -> dict[str, Any]:
    reader = Path(__file__).with_name("independent_reader.py")
    done = subprocess.run(
        [sys.executable, "-I", str(reader), bootstrap, topic, str(SCHEMAS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return {found["execution_id"]: found for found in map(json.loads, done.stdout.splitlines())}


def test_orders_on_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders, path = make_orders(ORDERS), tmp_path / "orders.db"
    with (
        capsys.disabled(),
        order_fleet(f"sqlite:{path}", tmp_path, prefix="asl.") as (fleet, ledger),
        closing(SqliteLog(path)) as log,
        closing(SqliteCommits(path, log.names)) as commits,
    ):
        print("\n200 orders on SQLite")
        with closing(run_orders(fleet, log, commits, orders=orders)) as watch:
            check_orders(fleet, watch, orders, ledger=ledger)
        assert list(fleet.folder.iterdir()) == []
