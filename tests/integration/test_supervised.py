"""Three processors under a supervisor on a real broker: one that is killed is back before others take over."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from processor.adapters.clock import SystemClock
from processor.adapters.kafka import KafkaLog
from processor.adapters.kafka.clients import ConfluentAdmin
from processor.apps.client import Client
from processor.engine.encoding import decode_snapshot_record
from processor.engine.topics import TopicNames
from processor.engine.topics_setup import create_topics
from processor.model.commands import StartExecution
from processor.model.json import Json
from processor.model.records import Checkpoint
from tests.broker import Broker
from tests.integration.fleet import Fleet, Role
from tests.integration.watched import Watched

pytestmark = pytest.mark.kafka
PARTITIONS = 6
SLOTS = ("0", "1", "2")
SESSION_SECONDS = 20.0
"""Longer than by default, so that a busy machine's pace cannot be taken for waiting for its end."""

WAIT: Json = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}
PASS: Json = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}


@pytest.fixture
def log(kafka: Broker, topic_prefix: str) -> Iterator[KafkaLog]:
    log = KafkaLog(kafka.bootstrap_servers, names=TopicNames(topic_prefix))
    create_topics(log, partitions=PARTITIONS)
    with Client(log, SystemClock()) as client:
        client.deploy(state_machine="pass", definition=PASS, type="STANDARD")
        client.deploy(state_machine="wait", definition=WAIT, type="STANDARD")
    yield log
    log.close()


@pytest.fixture
def fleet(tmp_path: Path, kafka: Broker, topic_prefix: str) -> Iterator[Fleet]:
    session = {"ASL_KAFKA_SESSION_TIMEOUT_MS": str(int(SESSION_SECONDS * 1_000))}
    address = f"kafka:{kafka.bootstrap_servers}"
    with Fleet(address, tmp_path / "fleet", prefix=topic_prefix, environment=session) as fleet:
        yield fleet


@pytest.fixture
def supervisor(fleet: Fleet, log: KafkaLog) -> Watched:
    watched = Watched(fleet, fleet.start("processor", "--workers", str(len(SLOTS)), "--health-port", "0"))
    watched.sees(lambda: watched.ready and shares(watched) == [2.0, 2.0, 2.0], "all are ready, two partitions each")
    return watched


def shares(watched: Watched) -> list[float | None]:
    return [watched.figure("asl_partitions", state="ready", worker=slot) for slot in SLOTS]


def pid_of(role: Role, slot: str) -> int:
    """Return the process that was started last in the slot."""
    return [int(line["pid"]) for line in role.lines() if line["event"] == "worker_started" and line["slot"] == slot][-1]


def rebalances(role: Role) -> list[tuple[str, str]]:
    """Return what the group told each slot, in order."""
    told = ("partitions_assigned", "partitions_revoked", "partitions_lost", "member_id_changed")
    return [(line["slot"], line["event"]) for line in role.lines() if line["event"] in told]


def start(log: KafkaLog, machine: str, *names: str) -> None:
    with Client(log, SystemClock()) as client:
        for name in names:
            client.send(StartExecution(execution_id=f"{machine}:{name}", input=None))


def test_a_worker_that_is_killed_works_again_before_its_session_ends_and_the_others_have_no_rebalance(
    supervisor: Watched, log: KafkaLog
) -> None:
    start(log, "pass", *(f"before-{n}" for n in range(30)))
    supervisor.sees(lambda: supervisor.total("asl_closed_executions") == 30.0, "those before have ended")
    rebalanced = rebalances(supervisor.role)
    killed = pid_of(supervisor.role, "1")

    os.kill(killed, signal.SIGKILL)
    began = time.monotonic()
    start(log, "pass", *(f"after-{n}" for n in range(30)))
    supervisor.sees(lambda: supervisor.total("asl_closed_executions") == 60.0, "those in all its partitions too")
    took = time.monotonic() - began

    print(f"SIGKILL to all of 30 executions in {PARTITIONS} partitions ended: {took:.2f} s")
    assert took < SESSION_SECONDS / 2
    supervisor.sees(lambda: supervisor.ready, "all are ready again")
    told = rebalances(supervisor.role)[len(rebalanced) :]
    assert {slot for slot, _ in told} <= {"1"}
    assert [supervisor.figure("asl_worker_restarts_total", worker=slot) for slot in SLOTS] == [0.0, 1.0, 0.0]
    assert pid_of(supervisor.role, "1") != killed


def test_a_stop_has_all_workers_checkpoint_and_leave(
    supervisor: Watched, log: KafkaLog, kafka: Broker, fleet: Fleet
) -> None:
    start(log, "wait", *(str(n) for n in range(30)))
    supervisor.sees(lambda: supervisor.total("asl_open_executions") == 30.0, "all wait")
    supervisor.role.process.terminate()
    assert supervisor.role.process.wait(timeout=60) == 0

    admin = ConfluentAdmin(lambda: AdminClient({"bootstrap.servers": kafka.bootstrap_servers}))
    assert list(admin.members(log.names.processor_group)) == []
    reader = log.reader()
    for partition in range(PARTITIONS):
        found = [decode_snapshot_record(r.value or b"") for r in reader.read(log.names.snapshots, partition)]
        assert isinstance(found[-1], Checkpoint)
        # All that was written is covered: the next owner reads no event.
        assert found[-1].position == max((r.offset for r in reader.read(log.names.events, partition)), default=-1) + 1
    reader.close()
    assert sorted(line["slot"] for line in supervisor.role.lines() if line["event"] == "left") == list(SLOTS)
    stopped = [(line["slot"], line["code"]) for line in supervisor.role.lines() if line["event"] == "worker_stopped"]
    assert sorted(stopped) == [(slot, 0) for slot in SLOTS]


def test_workers_end_with_a_supervisor_that_is_killed(supervisor: Watched, fleet: Fleet) -> None:
    pids = [pid_of(supervisor.role, slot) for slot in SLOTS]
    supervisor.role.kill()

    def stopped() -> bool:
        return [line["event"] for line in supervisor.role.lines()].count("role_stopped") == len(pids)

    fleet.wait(stopped, seconds=60, what="every worker has stopped")
