"""From one prefix and partition count to another, with roles that were killed, and a migration that is killed too: on a
SQLite file and on the real broker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from processor.adapters.clock import SystemClock
from processor.apps.client import Client
from processor.apps.executions import History, summaries
from processor.apps.logs import open_log
from processor.apps.settings import Settings, load_settings
from processor.engine.ports import Log
from processor.model.commands import StartExecution
from processor.model.json import Json
from tests.integration.fleet import ASL, Fleet

FLOW: Json = {
    "StartAt": "Work",
    "States": {
        "Work": {"Type": "Task", "Resource": "work", "TimeoutSeconds": 3600, "Next": "Rest"},
        "Rest": {"Type": "Wait", "Seconds": 1, "Next": "Again"},
        "Again": {"Type": "Task", "Resource": "work", "End": True},
    },
}
REST: Json = {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 20, "End": True}}}
PASS: Json = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
FAILS: Json = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}}
WORKERS = """
from pathlib import Path
from processor.apps.worker import TaskContext, Worker

worker = Worker("flow")

@worker.task("work")
def work(value, context: TaskContext):
    with Path("calls.txt").open("a") as calls:
        calls.write(context.token + chr(10))
    return value
"""
FLOWS, RESTS, DONE = 12, 4, 6
LATE = 5


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'log.db'}"
    return f"kafka:{request.getfixturevalue('kafka').bootstrap_servers}"


def opened(address: str, prefix: str) -> Log:
    settings: Settings = load_settings(log=address, prefix=prefix)
    return open_log(settings, missing="REFUSE")


def live(log: Log, topic: str) -> dict[bytes, bytes]:
    reader = log.reader()
    rows: dict[bytes, bytes] = {}
    for partition in range(reader.partitions(topic) or 0):
        for record in reader.read(topic, partition):
            rows.pop(record.key or b"", None)
            if record.value is not None:
                rows[record.key or b""] = record.value
    reader.close()
    return rows


def statuses(log: Log) -> dict[str, str]:
    reader = log.reader()
    found: dict[str, str] = {one.execution_id: one.status for one in summaries(reader, log.names)}
    reader.close()
    return found


def start(client: Client, *ids: str) -> None:
    for number, id in enumerate(ids):
        client.send(StartExecution(execution_id=id, input=number))


def ids(machine: str, count: int, first: int = 0) -> list[str]:
    return [f"{machine}:{number}" for number in range(first, first + count)]


def begun(fleet: Fleet, address: str) -> None:
    """Let executions of every kind come to where they wait, and kill all roles; then send more commands."""
    fleet.asl("topics", "create", "--partitions", "3")
    for machine, definition in {"flow": FLOW, "rest": REST, "pass": PASS, "fails": FAILS}.items():
        (fleet.folder / f"{machine}.asl.json").write_text(json.dumps(definition))
        fleet.asl("deploy", f"{machine}.asl.json")
    log = opened(address, fleet.prefix)
    roles = [fleet.processor(0), fleet.processor(1), fleet.timers()]
    with Client(log, SystemClock()) as client:
        start(client, *ids("flow", FLOWS), *ids("rest", RESTS), *ids("pass", DONE), "fails:0")
        fleet.wait(
            lambda: (len(live(log, log.names.tasks)), len(live(log, log.names.closed))) == (FLOWS, DONE + 1),
            seconds=60,
            what="everything waits or is done",
        )
        roles[1].process.send_signal(signal.SIGTERM)
        roles[1].process.wait(timeout=30)
        for role in (roles[0], roles[2]):
            role.kill()
        start(client, *ids("flow", LATE, first=100), *ids("pass", LATE, first=100))
    log.close()
    fleet.roles.clear()


def test_everything_goes_on_under_the_new_prefix_though_all_was_killed(
    address: str, tmp_path: Path, topic_prefix: str
) -> None:
    old, new = f"{topic_prefix}a.", f"{topic_prefix}b."
    with Fleet(address, tmp_path / "old", prefix=old) as fleet:
        begun(fleet, address)
        source = opened(address, old)
        before = statuses(source)
        histories = {id: history(source, id) for id in before}
        for records in (0, 7, 20, 21):
            died = subprocess.run(
                [sys.executable, "-m", "tests.integration.mortal_migration", address, old, new, "5", str(records)],
                check=False,
                timeout=120,
            )
            assert died.returncode == -signal.SIGKILL
        told = fleet.asl("topics", "migrate", "--to", new, "--partitions", "5")
    source.close()
    counts = {line["topic"].removeprefix(new): line["live"] for line in told}
    assert (counts["tasks"], counts["closed"], counts["commands"]) == (FLOWS, DONE + 1, 2 * LATE)
    assert counts["timers"] == FLOWS + RESTS  # a timeout each

    with Fleet(address, tmp_path / "new", prefix=new) as fleet:
        (fleet.folder / "workers.py").write_text(WORKERS)
        assert fleet.asl("topics", "check") == [{"fit": True, "problems": [], "migrated_to": None}]
        target = opened(address, new)
        fleet.processor(0)
        fleet.processor(1)
        fleet.timers()
        fleet.start("worker", str(fleet.folder / "workers.py"))
        late = ids("flow", LATE, 100) + ids("pass", LATE, 100)
        done = ids("flow", FLOWS) + ids("rest", RESTS) + ids("pass", DONE) + late
        expected = dict.fromkeys(done, "SUCCEEDED") | {"fails:0": "FAILED"}
        fleet.wait(lambda: statuses(target) == expected, seconds=90, what="all of them end")
        fleet.asl("redrive", "fails:0")
        fleet.wait(
            lambda: history(target, "fails:0").count("ExecutionFailed") == 2, seconds=30, what="it fails once more"
        )
        for id, types in histories.items():
            assert history(target, id)[: len(types)] == types
        assert live(target, target.names.tasks) == {}
        assert live(target, target.names.timers) == {}
        calls = Counter((fleet.folder / "calls.txt").read_text().split())
        flows = ids("flow", FLOWS) + ids("flow", LATE, 100)
        assert calls == Counter(f"{id}##{number}" for id in flows for number in task_numbers(target, id))
        assert live(target, target.names.dead_letters) == {}
        target.close()
    refused = subprocess.run(
        [ASL, "processor", "--log", address, "--prefix", old], capture_output=True, text=True, check=False, timeout=60
    )
    assert refused.returncode == 2
    assert f"the topics were migrated; they go on with --prefix {new}" in refused.stderr


def history(log: Log, id: str) -> list[str]:
    """Return the types of its events; each number once and in order."""
    reader = log.reader()
    events = [event for batch in History(reader, log.names, id).read() for event in batch]
    reader.close()
    assert [event.sequence for event in events] == list(range(len(events)))
    return [type(event).__name__ for event in events]


def task_numbers(log: Log, id: str) -> list[int]:
    return [number for number, type in enumerate(history(log, id)) if type == "TaskScheduled"]
