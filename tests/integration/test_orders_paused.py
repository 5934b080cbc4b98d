"""A processor that is stopped, taken for dead and woken again writes nothing; and nothing is kept outside the log."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from processor.adapters.clock import SystemClock
from processor.adapters.sqlite import SqliteLog
from processor.apps.client import Client
from processor.engine.ports import Log
from processor.model import events as e
from processor.model.commands import StartExecution
from processor.model.json import Json
from tests.broker import Broker
from tests.integration.fleet import Fleet, Role
from tests.integration.orders import Watch

PARTITIONS = 6
PATIENCE_SECONDS = 60.0
CHAIN: Json = {
    "StartAt": "S0",
    "States": {
        **{f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(9)},
        "S9": {"Type": "Pass", "End": True},
    },
}
ASK: Json = {"StartAt": "Ask", "States": {"Ask": {"Type": "Task", "Resource": "validate", "End": True}}}
ORDER: Json = {
    "order_id": "o-1",
    "customer": "c",
    "card": "ok",
    "lines": [{"sku": "s", "quantity": 1, "price_cents": 5}],
}


def written(log: Log) -> dict[tuple[str, int], int]:
    """Return the end of every partition of every topic, commands apart."""
    with closing(log.reader()) as reader:
        return {
            (topic, partition): reader.end(topic, partition)
            for topic in log.names.all
            if topic != log.names.commands
            for partition in range(reader.partitions(topic) or 0)
        }


def start_chains(log: Log, prefix: str, count: int) -> set[str]:
    ids = [f"chain:{prefix}-{number}" for number in range(count)]
    with Client(log, SystemClock()) as client:
        for id in ids:
            client.send(StartExecution(execution_id=id, input={"n": 1}))
    return set(ids)


def deploy(log: Log) -> None:
    with Client(log, SystemClock()) as client:
        client.deploy(state_machine="chain", definition=CHAIN)
        client.deploy(state_machine="ask", definition=ASK)


def lost_since(role: Role, partitions: tuple[int, ...]) -> bool:
    return {line["partition"] for line in role.lines() if line["event"] == "partition_lost"} >= set(partitions)


def pause(fleet: Fleet, role: Role, path: Path) -> None:
    """Stop it, but not within a write: SQLite's lock is the operating system's, and who is stopped while holding it
    keeps everybody waiting until it is woken or killed."""

    def is_free() -> bool:
        role.pause()
        with closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                role.wake()
                return False
            db.execute("ROLLBACK")
            return True

    fleet.wait(is_free, seconds=PATIENCE_SECONDS, what=f"{role.name} stopped outside of a write")


def test_an_owner_that_wakes_after_its_lease_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "paused.db"
    with capsys.disabled(), Fleet(f"sqlite:{path}", tmp_path / "run", prefix="asl.") as fleet:
        fleet.asl("topics", "create", "--partitions", str(PARTITIONS))
        with closing(SqliteLog(path)) as log, closing(Watch(log)) as watch:
            deploy(log)
            sleeper, other = fleet.processor(0), fleet.processor(1)
            fleet.wait(
                lambda: len(sleeper.owned()) == len(other.owned()) == PARTITIONS // 2,
                seconds=PATIENCE_SECONDS,
                what="both own partitions",
            )
            ids = start_chains(log, "before", 50)
            fleet.wait(lambda: watch.look().ended.keys() >= ids, seconds=PATIENCE_SECONDS, what="the first have ended")
            owned = sleeper.owned()
            ids |= start_chains(log, "during", 1_000)
            pause(fleet, sleeper, path)  # amid its work: it has commands that it believes to be its own
            fleet.wait(
                lambda: len(other.owned()) == PARTITIONS, seconds=PATIENCE_SECONDS, what="the other has taken over"
            )
            fleet.wait(lambda: watch.look().ended.keys() >= ids, seconds=PATIENCE_SECONDS, what="all have ended")

            before = written(log)
            other.pause()  # whatever is written from here on, the sleeper wrote
            sleeper.wake()
            fleet.wait(
                lambda: lost_since(sleeper, owned), seconds=PATIENCE_SECONDS, what="the sleeper knows that it lost all"
            )
            assert written(log) == before
            other.wake()
            dropped = sum(1 for line in sleeper.lines() if line["event"] == "transaction_dropped")
            print(f"\n    stopped amid its work, owning {owned}; woken: {dropped} transaction refused, nothing written")

            ids |= start_chains(log, "after", 100)
            fleet.wait(lambda: watch.look().ended.keys() >= ids, seconds=PATIENCE_SECONDS, what="both go on")
            assert {id: [x.sequence for x in history] for id, history in watch.histories.items()} == {
                id: list(range(22)) for id in ids
            }


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def test_deleting_all_local_state_and_restarting_loses_nothing(
    kind: str, request: pytest.FixtureRequest, topic_prefix: str, tmp_path: Path
) -> None:
    address = f"sqlite:{tmp_path / 'log.db'}"
    if kind == "kafka":
        broker: Broker = request.getfixturevalue("kafka")
        address = f"kafka:{broker.bootstrap_servers}"
    with Fleet(address, tmp_path / "first", prefix=topic_prefix) as fleet:
        fleet.asl("topics", "create", "--partitions", str(PARTITIONS))
        with closing(open_log(address, topic_prefix)) as log, closing(Watch(log)) as watch:
            deploy(log)
            fleet.processor(0)
            with Client(log, SystemClock()) as client:
                for number in range(20):
                    client.send(StartExecution(execution_id=f"ask:{number}", input=ORDER))
            fleet.wait(lambda: len(watch.look().pending) == 20, seconds=PATIENCE_SECONDS, what="20 tasks wait")
    assert list(fleet.folder.iterdir()) == []  # there is nothing but the log
    shutil.rmtree(fleet.folder)

    with Fleet(address, tmp_path / "second", prefix=topic_prefix) as fleet:
        fleet.processor(0)
        fleet.worker()
        with closing(open_log(address, topic_prefix)) as log, closing(Watch(log)) as watch:
            fleet.wait(lambda: len(watch.look().ended) == 20, seconds=PATIENCE_SECONDS, what="all have ended")
            assert {type(end) for end in watch.ended.values()} == {e.ExecutionSucceeded}
            assert {tuple(x.sequence for x in history) for history in watch.histories.values()} == {tuple(range(6))}


def open_log(address: str, prefix: str) -> Log:
    from processor.apps.logs import open_log as opened
    from processor.apps.settings import load_settings

    return opened(load_settings(log=address, prefix=prefix))
