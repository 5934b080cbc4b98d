"""Replay and verification on a real broker: transactions' markers, compaction and retention leave no false alarm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it does export them, without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from typer.testing import CliRunner

from processor.adapters.clock import OsEntropy, SystemClock
from processor.adapters.kafka import KafkaLog
from processor.apps.audit.archive import ArchiveReader
from processor.apps.audit.checks import Counts, Fault
from processor.apps.audit.verification import Verification
from processor.apps.cli.app import app
from processor.apps.client import Client
from processor.engine.encoding import decode_task
from processor.engine.ports import Message
from processor.engine.processor import Processor
from processor.engine.topics import TopicNames, partition_of
from processor.engine.topics_setup import create_topics
from processor.model.commands import AnyCommand, CompleteTask, RedriveExecution, StartExecution, StopExecution
from tests.broker import Broker
from tests.engine.world import PASS, TASK

PARTITIONS = 3
EACH = 12
PATIENCE_SECONDS = 90.0


@pytest.fixture
def log(kafka: Broker, topic_prefix: str) -> Iterator[KafkaLog]:
    made = KafkaLog(kafka.bootstrap_servers, names=TopicNames(prefix=topic_prefix))
    create_topics(made, partitions=PARTITIONS)
    yield made
    made.close()


@pytest.fixture
def written(log: KafkaLog) -> KafkaLog:
    """`pass:n` have succeeded, half of `task:n` too; `task:1` was redriven, `task:3` aborted; all covered."""
    with Client(log, SystemClock()) as client:
        client.deploy(state_machine="pass", definition=PASS)
        client.deploy(state_machine="task", definition=TASK)
    ids = [f"{machine}:{number}" for number in range(EACH) for machine in ("pass", "task")]
    with closing(Processor(log=log, clock=SystemClock(), entropy=OsEntropy())) as processor:
        applied(log, processor, [StartExecution(execution_id=id, input={"id": id}, issuer="test") for id in ids])
        tasks = tokens(log)
        stops = [StopExecution(execution_id=f"task:{n}", issuer="test") for n in (1, 3)]
        applied(log, processor, stops)
        answers = [
            CompleteTask(execution_id=f"task:{n}", token=tasks[f"task:{n}"], output=n) for n in range(0, EACH, 2)
        ]
        applied(log, processor, [RedriveExecution(execution_id="task:1"), *answers])
        processor.run(lambda: True)  # a stop, which covers everything
    return log


def applied(log: KafkaLog, processor: Processor, commands: Sequence[AnyCommand]) -> None:
    def done() -> int:
        return sum(processor.counts[kind] for kind in ("started", "applied", "redriven"))

    wanted = done() + len(commands)
    with Client(log, SystemClock()) as client:
        for command in commands:
            client.send(command)

    def all_done() -> bool:
        processor.step(timeout_seconds=0.05)
        return done() >= wanted

    eventually(all_done)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline


def tokens(log: KafkaLog) -> dict[str, str]:
    with closing(log.reader()) as reader:
        records = [r for p in range(PARTITIONS) for r in reader.read(log.names.tasks, p) if r.value is not None]
    return {task.execution_id: task.token for task in (decode_task(record.value or b"") for record in records)}


def verified(log: KafkaLog) -> tuple[list[Fault], Counts]:
    with closing(log.reader()) as reader:
        verification = Verification(reader, log.names)
        return list(verification.faults()), verification.counts


def home(id: str) -> int:
    return partition_of(id.encode(), PARTITIONS)


def test_a_topic_with_ends_redrives_and_checkpoints_is_verified(written: KafkaLog) -> None:
    found, counts = verified(written)

    assert found == []
    assert (counts.partitions, counts.executions, counts.ended, counts.closed) == (
        PARTITIONS, 2 * EACH, EACH + EACH // 2 + 1, EACH + EACH // 2 + 1,
    )  # fmt: skip
    assert counts.snapshots == EACH // 2 - 1  # of the tasks that are open


def test_a_topic_is_verified_while_a_processor_writes_to_it(written: KafkaLog) -> None:
    """Starts, ends, redrives, checkpoints, takeovers: no marker that lags makes a fault of what is in order."""
    stop, rounds = threading.Event(), 0

    def work() -> int:
        done = 0
        while not stop.is_set():
            with closing(Processor(log=written, clock=SystemClock(), entropy=OsEntropy())) as processor:
                ids = [f"task:live-{done + number}" for number in range(20)]
                applied(written, processor, [StartExecution(execution_id=id, input=id) for id in ids])
                applied(written, processor, [StopExecution(execution_id=id) for id in ids])
                applied(written, processor, [RedriveExecution(execution_id=id) for id in ids[::2]])
                processor.run(lambda: True)  # a stop, which covers everything, and leaves
                done += len(ids)
        return done

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        seen: list[int] = []
        while len(set(seen)) < 6 and not working.done():
            found, counts = verified(written)
            assert found == []
            seen.append(counts.executions)
            rounds += 1
        stop.set()
        done = working.result()
    found, counts = verified(written)
    assert (found, counts.executions, counts.ended) == ([], 2 * EACH + done, EACH + EACH // 2 + 1 + done // 2)
    assert rounds >= 6


def test_a_record_that_was_written_twice_is_named_with_its_place(written: KafkaLog) -> None:
    partition, names = home("pass:0"), written.names
    with closing(written.reader()) as reader, closing(written.outbox()) as outbox:
        [first] = [r for r in reader.read(names.events, partition) if r.key == b"pass:0#0"]
        outbox.send([
            Message(topic=names.events, key=first.key, value=first.value, headers=first.headers, partition=partition)
        ])  # fmt: skip
        end = reader.end(names.events, partition)

    [fault] = verified(written)[0]
    assert (fault.rule, fault.topic, fault.partition, fault.offset, fault.execution_id) == (
        "DOUBLED", names.events, partition, end - 1, "pass:0",
    )  # fmt: skip


def test_the_command_line_replays_and_verifies_a_topic(written: KafkaLog) -> None:
    where = ["--log", written.address, "--prefix", written.names.prefix]
    replayed = CliRunner().invoke(app, ["replay", "task:1", *where])
    assert replayed.exit_code == 0
    assert f"RedriveExecution, command {home('task:1')}/" in replayed.stdout
    assert "redriven    1 times" in replayed.stdout

    checked = CliRunner().invoke(app, ["replay", "--verify", "--all", *where])
    assert (checked.exit_code, checked.stdout) == (0, "")
    assert checked.stderr.endswith(", 0 faults\n")


def test_what_age_has_deleted_is_no_fault(kafka: Broker, written: KafkaLog) -> None:
    """Everything before the half of each partition; what began there and has not ended is told."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    with closing(written.reader()) as reader:
        halves = [
            TopicPartition(written.names.events, p, reader.end(written.names.events, p) // 2) for p in range(PARTITIONS)
        ]
    for deleted in admin.delete_records(halves).values():
        deleted.result(30)

    found, counts = verified(written)
    assert {fault.rule for fault in found} <= {"NO_END"}
    assert counts.unchecked > 0
    assert counts.executions < 2 * EACH


def test_what_compaction_has_taken_of_a_purged_history_is_no_fault(kafka: Broker, written: KafkaLog) -> None:
    """Its first batch and its tombstone are gone, the rest and the other tombstones are still there."""
    admin, names, partition = AdminClient({"bootstrap.servers": kafka.bootstrap_servers}), written.names, home("task:0")
    quick = {
        "segment.ms": "100",
        "min.compaction.lag.ms": "0",
        "min.cleanable.dirty.ratio": "0.01",
        "delete.retention.ms": "0",
    }
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in quick.items()]
    resource = ConfigResource(ResourceType.TOPIC, names.events, incremental_configs=entries)
    for altered in admin.incremental_alter_configs([resource]).values():
        altered.result(30)

    def keys() -> list[bytes | None]:
        with closing(written.reader()) as reader:
            return [record.key for record in reader.read(names.events, partition)]

    rows = [key for key in keys() if key is not None and key.startswith(b"task:0#")]
    assert len(rows) > 1
    with closing(written.outbox()) as outbox:

        def purge(key: bytes) -> None:
            outbox.send([
                Message(topic=names.events, key=key, value=None, partition=partition),
                Message(topic=names.closed, key=b"task:0", value=None, partition=partition),
            ])  # fmt: skip

        purge(rows[0])

        def compacted() -> bool:
            # A segment is rolled by a record that comes later, and cleaned when it is no longer written to.
            outbox.send([Message(topic=names.events, key=b"nobody:1#0", value=None, partition=partition)])
            return rows[0] not in keys()

        eventually(compacted)
        for key in rows[1:]:
            purge(key)

    found, counts = verified(written)
    assert found == []
    assert (counts.purged, counts.executions) == (1, 2 * EACH)


def test_an_export_of_a_topic_is_verified_as_the_topic_is(written: KafkaLog, tmp_path: Path) -> None:
    where = ["--log", written.address, "--prefix", written.names.prefix]
    exported = CliRunner().invoke(app, ["export", "--to", str(tmp_path / "out"), *where])
    assert exported.exit_code == 0, exported.stderr
    archive = ArchiveReader.open(tmp_path / "out")
    verification = Verification(archive, archive.names, complete=archive.complete)

    assert list(verification.faults()) == []
    _, expected = verified(written)
    expected.snapshots = 0
    assert verification.counts == expected
    with closing(written.reader()) as reader:
        for partition in range(PARTITIONS):
            assert [(r.offset, r.key, r.value, r.headers) for r in archive.read(written.names.events, partition)] == [
                (r.offset, r.key, r.value, r.headers) for r in reader.read(written.names.events, partition)
            ]
