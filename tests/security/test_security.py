"""The roles on a broker with TLS, SCRAM and an authorizer: docs/security.md is what they need, and all they need."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Producer

from tests.broker import OrSkipped
from tests.security.broker import Acl, SecuredKafka, start_secured

ROOT = Path(__file__).parents[2]
ASL = Path(sys.executable).with_name("asl")
ROLES = ("processor", "timers", "worker", "janitor")
ENDS_WITHIN_SECONDS = 90
AT_ONCE = 4
WORKERS = """
from processor.apps.worker import Worker

worker = Worker("sums")


@worker.task("add")
def add(number):
    return number + 1
"""
REST, ADD = {"Type": "Wait", "Seconds": 1}, {"Type": "Task", "Resource": "add", "End": True}
MACHINES = {
    "sum": {"StartAt": "Rest", "States": {"Rest": {**REST, "Next": "Add"}, "Add": ADD}},
    "rests": {"StartAt": "Rest", "States": {"Rest": {**REST, "End": True}}},
    "works": {"StartAt": "Add", "States": {"Add": ADD}},
}

COMMANDS = {
    "client": (
        ("deploy", "sum.json", "--name", "sum"),
        ("describe", "works:ended"),
        ("purge", "works:ended"),
    ),
    "auditor": (
        ("replay", "works:ended"),
        ("replay", "--verify", "--all"),
        ("export", "--to", "exported"),
        ("quarantine", "list"),
        ("dead-letters", "list"),
    ),
    "operator": (("dead-letters", "replay", "--all"),),
    "migration": (("topics", "migrate", "--to", "new.", "--partitions", "3"),),
}
"""What is run by hand, and what of it needs the rights of its role."""

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]


def documented() -> dict[str, list[Acl]]:
    """The table of docs/security.md, by role."""
    found: dict[str, list[Acl]] = {}
    for line in (ROOT / "docs" / "security.md").read_text().splitlines():
        if row := re.fullmatch(r"\| (\w+) \| ([A-Z_]+) \| (\S+) \| ([A-Z_, ]+) \|", line):
            role, resource, name, operations = row.groups()
            for operation in operations.split(", "):
                found.setdefault(role, []).append(Acl(resource=resource, name=name, operation=operation))
    return found


class Ended(NamedTuple):
    code: int
    said: str


class Town:
    """One secured broker, a user for each role, and a folder where they run."""

    def __init__(self, kafka: SecuredKafka, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        (folder / "workers.py").write_text(WORKERS)
        for name, definition in MACHINES.items():
            (folder / f"{name}.json").write_text(json.dumps(definition))
        for role, acls in documented().items():
            kafka.add_user(role, acls)

    def command(self, role: str) -> list[str]:
        return [role, *(["workers.py"] if role == "worker" else [])]

    def run(self, user: str, *arguments: str, password: str | None = None) -> Ended:
        more = {} if password is None else {"password": password}
        done = subprocess.run(
            [ASL, *arguments],
            cwd=self.folder,
            env=self._environment(user, **more),
            capture_output=True,
            text=True,
            check=False,
            timeout=ENDS_WITHIN_SECONDS,
        )
        return Ended(done.returncode, done.stdout + done.stderr)

    def run_all(self, user: str, commands: Sequence[Sequence[str]]) -> Ended:
        """Run one after the other up to the first that fails; return how it ended."""
        ended = Ended(0, "")
        for number, command in enumerate(commands):
            own = [f"{user}-{number}" if argument == "exported" else argument for argument in command]
            if (ended := self.run(user, *own)).code != 0:
                break
        return ended

    def start(self, role: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([ASL, *self.command(role)], cwd=self.folder, env=self._environment(role))

    def send_junk(self) -> None:
        """Write to the commands what is none."""
        settings = {
            name.removeprefix("ASL_KAFKA_").lower().replace("_", "."): value
            for name, value in self.kafka.environment("client").items()
            if name != "ASL_LOG"
        }
        producer = Producer({"bootstrap.servers": self.kafka.address, **settings})
        producer.produce("asl.commands", b"junk", b"works:junk")
        assert producer.flush(10) == 0

    def _environment(self, user: str, **more: str) -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("ASL_")} | self.kafka.environment(user, **more)


@pytest.fixture(scope="module")
def town(or_skipped: OrSkipped, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("secured")
    with or_skipped(), start_secured(folder) as kafka:
        town = Town(kafka, folder)
        assert town.run("topics", "topics", "create", "--partitions", "2").code == 0
        for name in MACHINES:
            assert town.run("client", "deploy", f"{name}.json", "--name", name).code == 0
        yield town


def test_with_what_is_documented_every_role_does_its_work(town: Town) -> None:
    running = [town.start(role) for role in ROLES]
    try:
        done = town.run("client", "start", "sum", "--name", "one", "--input", "41", "--wait")
    finally:
        for process in running:
            process.terminate()
        codes = [process.wait(30) for process in running]

    assert (done.code, done.said.splitlines()[0], codes) == (0, "42", [0] * len(ROLES))


def test_without_any_one_right_a_role_ends_and_names_it(town: Town) -> None:
    """At its start, or when it first has something to write: a timer is due, and a task wanted."""
    processor = town.start("processor")
    try:
        for name in ("rests", "works"):
            assert town.run("client", "start", name, "--name", "left").code == 0
            while "events" not in town.run("client", "describe", f"{name}:left").said:
                pass
    finally:
        processor.terminate()
        processor.wait(30)

    def run_without(number: int, role: str, acls: list[Acl], missing: Acl) -> Ended:
        user = f"{role}-{number}"
        town.kafka.add_user(user, [acl for acl in acls if acl != missing])
        # What has ended is due, so that the janitor has something to write.
        return town.run(user, *town.command(role), *(["--retention", "1s"] if role == "janitor" else []))

    cases = [(role, acls, acl) for role, acls in documented().items() if role in ROLES for acl in acls]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(lambda case: run_without(cases.index(case), *case), cases))

    unnamed = [
        (role, missing, said)
        for (role, acls, missing), (code, said) in zip(cases, ended, strict=True)
        if code != 2
        or not names(
            said, missing, alone=sum((acl.resource, acl.name) == (missing.resource, missing.name) for acl in acls) == 1
        )
    ]
    assert unnamed == []


@pytest.fixture
def troubled(town: Town) -> Town:
    """An execution has ended, and a dead letter is there that was not replayed; nobody is at work."""
    processor = town.start("processor")
    try:
        town.run("client", "start", "works", "--name", "ended")
        assert town.run("client", "stop", "works:ended", "--wait").code in (0, 1)
        town.send_junk()
        while "asl.commands[" not in town.run("auditor", "dead-letters", "list").said:
            pass
    finally:
        processor.terminate()
        processor.wait(30)
    return town


def test_without_any_one_right_a_command_ends_and_names_it(troubled: Town) -> None:
    """One after the other: of two at once that replay, or migrate, one is shut out."""
    unnamed = []
    for role, commands in COMMANDS.items():
        acls = documented()[role]
        for number, missing in enumerate(acls):
            user = f"{role}-without-{number}"
            troubled.kafka.add_user(user, [acl for acl in acls if acl != missing])
            code, said = troubled.run_all(user, commands)
            alone = sum((acl.resource, acl.name) == (missing.resource, missing.name) for acl in acls) == 1
            if code != 2 or not names(said, missing, alone=alone):
                unnamed.append((role, missing, code, said))

    assert unnamed == []


def test_with_what_is_documented_commands_do_their_work(troubled: Town) -> None:
    """The migration last: it closes the topics to all others."""
    ended = {role: troubled.run_all(role, commands) for role, commands in COMMANDS.items()}

    assert {role: code for role, (code, _) in ended.items()} == dict.fromkeys(COMMANDS, 0), ended


def names(said: str, missing: Acl, *, alone: bool) -> bool:
    """Whoever has no other right on a topic does not even see it."""
    kind = {"TOPIC": "topic", "GROUP": "group", "TRANSACTIONAL_ID": "transactional.id"}[missing.resource]
    operations = {missing.operation, "DESCRIBE"} if alone and kind == "topic" else {missing.operation}
    return "is not authorized" in said and any(
        f"it lacks {operation} on {kind} {missing.name.rstrip('*')}" in said for operation in operations
    )


def test_a_wrong_password_is_told_as_such(town: Town) -> None:
    ended = [town.run(role, *town.command(role), password="wrong") for role in ROLES]

    assert [(code, "SASL_AUTHENTICATION_FAILED" in said or "_AUTHENTICATION" in said) for code, said in ended] == [
        (2, True)
    ] * len(ROLES), ended
