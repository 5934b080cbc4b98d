"""A command that kills every process that applies it, on a real broker and on a SQLite file: set apart after three
deaths, with all others applied."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.adapters.clock import SystemClock
from processor.apps.client import Client
from processor.engine.ports import Log, Record
from processor.engine.topics_setup import create_topics
from processor.model.commands import StartExecution
from processor.model.json import Json
from tests.integration.fleet import open_either

pytestmark = pytest.mark.timeout(600)  # up to six processes, one after the other
WITHIN_SECONDS = 540.0
PASS: Json = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    log = open_either(request, tmp_path)
    create_topics(log, partitions=1)
    yield log
    log.close()


def records(log: Log, topic: str) -> list[Record]:
    reader = log.reader()
    try:
        return list(reader.read(topic, 0))
    finally:
        reader.close()


def test_it_is_a_dead_letter_after_three_deaths_and_the_commands_around_it_are_applied(
    log: Log,
) -> None:
    with Client(log, SystemClock()) as client:
        client.deploy(state_machine="pass", definition=PASS, type="STANDARD")
        for name in ("before", "deadly", "after"):
            client.send(StartExecution(execution_id=f"pass:{name}", input=name))
    command = [sys.executable, "-m", "tests.integration.mortal_processor", log.address]
    ends: list[int | None] = []
    deadline = time.monotonic() + WITHIN_SECONDS
    while not records(log, log.names.dead_letters):
        process = subprocess.Popen([*command, log.names.prefix, "0"])
        try:
            while process.poll() is None and not records(log, log.names.dead_letters):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            ends.append(process.poll())
            if ends[-1] is None:
                while len(records(log, log.names.closed)) < 2:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
        finally:
            process.kill()
            process.wait()

    [letter] = records(log, log.names.dead_letters)
    assert (letter.key, dict(letter.headers)["asl-reason"].decode()) == (
        b"pass:deadly",
        "the process has died 3 times before command 0/1 was done",
    )
    assert ends[-1] is None
    assert set(ends[:-1]) == {-signal.SIGKILL}
    assert 4 <= len(ends) <= 6  # as long as what came before died with it, its own deaths are not counted
    assert [record.key for record in records(log, log.names.closed)] == [b"pass:before", b"pass:after"]
