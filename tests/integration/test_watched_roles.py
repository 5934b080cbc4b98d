"""Roles as they run in production, asked over HTTP how they stand: on a SQLite file, and on a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.broker import Broker
from tests.integration.fleet import ORDER, Fleet
from tests.integration.watched import Watched

HEALTH = ("--health-port", "0")
DAY_SECONDS = 86_400.0


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(f"sqlite:{tmp_path}/log.db", tmp_path / "fleet", prefix="asl.") as fleet:
        yield fleet


@pytest.fixture
def on_kafka(tmp_path: Path, kafka: Broker, topic_prefix: str) -> Iterator[Fleet]:
    with Fleet(f"kafka:{kafka.bootstrap_servers}", tmp_path / "fleet", prefix=topic_prefix) as fleet:
        fleet.asl("topics", "create", "--partitions", "2")
        yield fleet


def test_three_roles_on_one_file_say_when_they_are_ready_and_what_they_did(on_sqlite: Fleet) -> None:
    fleet = on_sqlite
    fleet.asl("topics", "create", "--partitions", "2")
    fleet.asl("deploy", str(ORDER / "order.asl.json"))
    roles = [("processor",), ("timers",), ("worker", str(ORDER / "workers.py"))]
    processor, timers, worker = (Watched(fleet, fleet.start(*role, *HEALTH)) for role in roles)
    for one in (processor, timers, worker):
        one.sees(lambda one=one: one.ready, f"{one.role.name} is ready")  # type: ignore[misc]  # of this turn
    fleet.asl("start", "order", "--name", "a", "--input", f"@{ORDER}/inputs/parcel.json", "--wait")
    processor.sees(lambda: processor.total("asl_closed_executions") == 1.0, "it is closed")

    assert processor.figure("asl_commands_total", outcome="started", worker="0") == 1.0
    assert processor.total("asl_events_total") > 10.0
    assert processor.figure("asl_commit_seconds_count", worker="0") == processor.figure(
        "asl_transactions_total", outcome="committed", worker="0"
    )
    assert processor.figure("asl_partitions", state="ready", worker="0") == 2.0
    timers.sees(lambda: timers.total("asl_timers_pending") == 0.0, "no timer is left")
    worker.sees(lambda: worker.figure("asl_tasks_unresolved", service="orders") == 0.0, "no task is left")
    assert [one.get("/health/live") for one in (processor, timers, worker)] == [(200, "alive\n")] * 3


@pytest.mark.kafka
def test_a_transaction_that_hangs_and_commands_that_wait_are_seen_on_a_real_broker(
    on_kafka: Fleet, kafka: Broker, topic_prefix: str
) -> None:
    fleet = on_kafka
    processor = Watched(fleet, fleet.start("processor", *HEALTH))
    processor.sees(lambda: processor.ready, "the processor is ready")
    processor.sees(lambda: processor.figures("asl_commands_lag_records") != {}, "a look at the log was told")
    retention = processor.figure("asl_commands_retention_seconds", worker="0")
    quiet = processor.total("asl_hanging_transactions"), processor.total("asl_transaction_held_seconds")

    stranger = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic_prefix + "stranger"})
    stranger.init_transactions(30)
    stranger.begin_transaction()
    stranger.produce(topic_prefix + "commands", b"v", b"k", 1)
    stranger.flush(30)
    labels = {"topic": topic_prefix + "commands", "partition": "1", "worker": "0"}
    processor.sees(
        lambda: (processor.figure("asl_transaction_held_seconds", **labels) or 0.0) > 0.0, "two looks find it held"
    )
    stranger.abort_transaction(30)
    processor.sees(lambda: processor.figures("asl_transaction_held_seconds") == {}, "it is held no longer")

    assert (retention, quiet) == (30 * DAY_SECONDS, (0.0, 0.0))


@pytest.mark.kafka
def test_a_transaction_that_is_refused_is_told_on_a_real_broker(
    on_kafka: Fleet, kafka: Broker, topic_prefix: str
) -> None:
    fleet = on_kafka
    processor = Watched(fleet, fleet.start("processor", *HEALTH))
    processor.sees(lambda: processor.ready, "the processor is ready")
    assert processor.figure("asl_transactions_total", outcome="aborted", worker="0") == 0.0
    thief = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic_prefix + "processor-0"})
    thief.init_transactions(30)
    fleet.asl("start", "nothing", "--name", "a", "--input", "1")
    processor.sees(lambda: processor.total("asl_commands_total") == 1.0, "it is refused, at the second try")

    assert processor.figure("asl_transactions_total", outcome="aborted", worker="0") == 1.0
    assert processor.figure("asl_commands_total", outcome="rejected", worker="0") == 1.0
    processor.sees(lambda: processor.ready, "all is taken over anew")


@pytest.mark.kafka
def test_commands_to_a_partition_that_is_stopped_wait_and_the_processor_is_not_ready(
    on_kafka: Fleet, kafka: Broker, topic_prefix: str
) -> None:
    fleet = on_kafka
    vandal = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for partition in range(2):
        vandal.produce(topic_prefix + "events", b"no event", b"k#0", partition)
    vandal.flush(30)
    fleet.asl("start", "nothing", "--name", "a", "--input", "1")
    processor = Watched(fleet, fleet.start("processor", *HEALTH))
    processor.sees(lambda: processor.total("asl_commands_lag_records") == 1.0, "the command waits")
    before = processor.total("asl_commands_lag_seconds")
    processor.sees(lambda: processor.total("asl_commands_lag_seconds") > before, "longer and longer")

    assert processor.figure("asl_partitions", state="stopped", worker="0") == 2.0
    assert processor.figure("asl_partitions_stopped_total", worker="0") == 2.0
    assert processor.get("/health/ready") == (503, "not ready\n")
