"""Clients of other makes start executions, do their tasks and read everything, with the published schemas alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from processor.model.json import Json
from tests.broker import Broker
from tests.integration.fleet import REPOSITORY, Fleet

SCHEMAS = REPOSITORY / "schemas"
CLIENT = Path(__file__).with_name("foreign_client.py")
DEFINITION: Json = {
    "StartAt": "Both",
    "States": {
        "Both": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 1, "End": True}}},
                {
                    "StartAt": "Work",
                    "States": {"Work": {"Type": "Task", "Resource": "foreign", "TimeoutSeconds": 60, "End": True}},
                },
            ],
            "End": True,
        }
    },
}


def foreign(what: str, broker: Broker, prefix: str, *arguments: str) -> list[Any]:
    """Run a client that does not know the project; return the JSON lines it printed."""
    command = [sys.executable, "-I", str(CLIENT), what, broker.bootstrap_servers, prefix, str(SCHEMAS), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    path = tmp_path / "both.asl.json"
    path.write_text(json.dumps(DEFINITION))
    return path


def test_foreign_clients_start_work_and_read(
    kafka: Broker, topic_prefix: str, tmp_path: Path, definition: Path
) -> None:
    with Fleet(f"kafka:{kafka.bootstrap_servers}", tmp_path / "run", prefix=topic_prefix) as fleet:
        fleet.asl("topics", "create", "--partitions", "3")
        fleet.asl("deploy", str(definition))
        fleet.processor(0)
        fleet.timers()

        foreign("start", kafka, topic_prefix, "both:1", '{"n": 1}')
        worked = foreign("work", kafka, topic_prefix, '{"done": true}')
        assert worked == [
            {"token": "both:1#1#6", "arguments": {"n": 1}},
            [{"n": 1}, {"done": True}],
        ]

        # Something for every topic: a refused command, a reply, bytes that are nothing.
        answered = {
            "type": "StartExecution",
            "execution_id": "both:1",
            "input": 2,
            "reply_to": f"{topic_prefix}replies",
        }
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2_random"})
        json_header: list[tuple[str, str | bytes | None]] = [("content-type", "application/json")]
        producer.produce(f"{topic_prefix}commands", json.dumps(answered).encode(), "both:1", headers=json_header)
        assert producer.flush(30) == 0
        [seen] = fleet.wait(
            lambda: [one for one in foreign("decode", kafka, topic_prefix) if "Reply" in one],
            seconds=60,
            what="the reply",
        )
        [description] = fleet.asl("describe", "both:1")

    assert (description["status"], description["output"]) == ("SUCCEEDED", [{"n": 1}, {"done": True}])
    assert seen == {
        "JSON StartExecution": 2,
        "Command": 2,  # CompleteTask, FireTimer
        "EventBatch": 3,
        "Timer": 2,
        "Task": 1,
        "tombstone": 3,
        "Definition": 1,
        "PartitionCount": 1,
        "Rejection": 1,
        "Reply": 1,
    }
