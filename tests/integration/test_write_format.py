"""A rolling upgrade of real processes, on a real broker and on a SQLite file: two releases side by side, one processor
rolled back, then the write format opened. Nothing stands still, nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from processor.adapters.clock import SystemClock
from processor.apps.audit.verification import Verification
from processor.apps.client import Client
from processor.engine.encoding import shipped_schemas
from processor.engine.ports import Log, Record
from processor.engine.topics_setup import create_topics
from processor.model.commands import CompleteTask, StartExecution
from processor.model.json import Json
from tests.chaos.formats import NEXT_FORMAT, following, older, release, running
from tests.integration.fleet import LOOK_EVERY_SECONDS, REPOSITORY, Role, open_either

pytestmark = pytest.mark.timeout(900)  # six processes, one after the other
PARTITIONS = 2
EXECUTIONS = 6
WITHIN_SECONDS = 180.0
TASK: Json = {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "work", "End": True}}}


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    log = open_either(request, tmp_path)
    create_topics(log, partitions=PARTITIONS)
    with closing(log):
        yield log


class Slots:
    """The processors of two slots, whichever release they are of."""

    def __init__(self, log: Log, folder: Path, opened: ExitStack) -> None:
        self._log, self._folder, self._opened = log, folder, opened
        self._running: dict[str, Role] = {}
        self.all: list[Role] = []

    def replace(self, slot: str, name: str, *arguments: str) -> None:
        """Stop the slot's processor, which leaves in order, and start that release's; wait until it has partitions."""
        before = self._running.pop(slot, None)
        if before is not None:
            before.process.terminate()
            assert before.process.wait(WITHIN_SECONDS) == 0, before.log.read_text()[-3000:]
        where = ["--log", self._log.address, "--prefix", self._log.names.prefix, "--slot", slot, "--json"]
        file = self._folder / f"{len(self.all)}.log"
        with file.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.releases", name, "processor", *where, *arguments],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        role = Role(f"{name} in slot {slot}", process, file)
        self._opened.callback(role.end)
        self.all.append(role)
        self._running[slot] = role
        self.wait(lambda: len(role.owned()) > 0, f"{role.name} has partitions")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WITHIN_SECONDS
        while not condition():
            for role in self._running.values():
                role.check()
            assert time.monotonic() < deadline, f"{what}: {[role.log.read_text()[-1500:] for role in self.all]}"
            time.sleep(LOOK_EVERY_SECONDS)


def records(log: Log, topic: str) -> list[Record]:
    with closing(log.reader()) as reader:
        return [record for number in range(PARTITIONS) for record in reader.read(topic, number)]


def values(log: Log, topic: str) -> list[bytes]:
    return [record.value for record in records(log, topic) if record.value is not None]


def formats(log: Log) -> set[str]:
    names = {older().header: "older", shipped_schemas().current["EventBatch"].header: "newer"}
    return {names[value[:10]] for value in values(log, log.names.events)}


def test_an_upgrade_a_rollback_and_the_opened_gate_with_executions_open_all_the_while(log: Log, tmp_path: Path) -> None:
    began = 0

    def go_on(client: Client) -> None:
        """Complete what the round before has begun, and begin as much."""
        nonlocal began
        for number in range(began - EXECUTIONS if began else 0, began):
            id = f"task:{number}"
            client.send(CompleteTask(execution_id=id, token=f"{id}##2", output=number))
        done = began
        for number in range(began, began + EXECUTIONS):
            client.send(StartExecution(execution_id=f"task:{number}", input=number))
        began += EXECUTIONS
        slots.wait(lambda: len(values(log, log.names.closed)) >= done, f"{done} have ended")

    with ExitStack() as opened:
        client = opened.enter_context(Client(log, SystemClock()))
        client.deploy(state_machine="task", definition=TASK, type="STANDARD")
        slots = Slots(log, tmp_path, opened)
        for slot, name in [
            ("0", "former"),
            ("1", "following"),
            ("1", "former"),
            ("1", "following"),
            ("0", "following"),
        ]:
            slots.replace(slot, name)
            go_on(client)
        assert formats(log) == {"older"}
        slots.replace("1", "following", "--write-format", str(NEXT_FORMAT))
        for _ in range(2):
            go_on(client)
        tasks = log.names.tasks
        slots.wait(lambda: len({record.key for record in records(log, tasks)}) == began, f"{began} have begun")

        assert formats(log) == {"older", "newer"}
        assert [role.name for role in slots.all if role.has_said("partition_stopped")] == []
    with running(release(following(), write_format=NEXT_FORMAT)), closing(log.reader()) as reader:
        verification = Verification(reader, log.names)
        assert list(verification.faults()) == []
    assert (verification.counts.executions, verification.counts.ended) == (began, began - EXECUTIONS)
