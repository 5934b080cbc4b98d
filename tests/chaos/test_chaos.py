"""The short form of `make chaos`: a turn of faults of all kinds, as many as two minutes hold."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.broker.local import Broker

SEED, MINUTES = "3", "2"
AT_LEAST = 3  # however slow the machine


@pytest.mark.timeout(600)
def test_two_minutes_of_faults_leave_every_execution_as_if_there_had_been_none(kafka: Broker) -> None:
    command = [sys.executable, "-m", "tests.chaos", "--seed", SEED, "--minutes", MINUTES, "--no-ledger"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=590, check=False)
    assert ended.stdout, ended.stderr
    entry = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, entry["violations"]) == (0, [])
    assert entry["faults"] >= AT_LEAST
