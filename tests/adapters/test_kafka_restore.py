"""What is read ahead of the thread that polls stays within bounds, and nothing of it is lost."""

from __future__ import annotations

import pytest
from confluent_kafka import Message as KafkaMessage

from processor.adapters.kafka import restore as module
from processor.adapters.kafka.connection import Connection
from processor.adapters.kafka.restore import Restorer, Stable
from processor.adapters.kafka.settings import ClientSettings
from processor.engine.ports import AllRestored, RecordsRestored
from processor.engine.topics import TopicNames
from tests.adapters.kafka_fakes import Cluster, FakeAdmin, FakeClients, ManualTiming

NAMES = TopicNames(prefix="t.")
MEBIBYTE = bytes(1024 * 1024)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def restorer(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Restorer:
    monkeypatch.setattr(module, "CHUNK", 1)  # one besides the first: two records a reading
    connection = Connection(
        role="test",
        address="fake:9092",
        settings=ClientSettings(bootstrap="fake:9092", names=NAMES, properties={}),
        clients=FakeClients(cluster),
        admin=FakeAdmin(cluster),
        timing=ManualTiming(),
    )
    return Restorer(connection, slot="0", process="p")


@pytest.mark.parametrize(
    ("value", "read_ahead"),
    [
        (MEBIBYTE, 32),  # WAITING_BYTES
        (b"small", 80),  # WAITING_CHUNKS, of two
    ],
)
def test_reading_waits_for_the_poll_thread_by_chunks_and_by_bytes(
    cluster: Cluster, restorer: Restorer, value: bytes, read_ahead: int
) -> None:
    cluster.ends = {(NAMES.events, 0): 200}
    restorer.take(0, 1)
    assert restorer.results(1) == [Stable(partition=0, assignment=1, offset=None)]
    [reader] = cluster.consumers
    reader.inbox = [KafkaMessage(NAMES.events, 0, offset, b"", value) for offset in range(200)]
    restorer.named(0, 1)
    assert restorer.results(1) == [AllRestored(partition=0, assignment=1, of="snapshots")]
    restorer.read_events(0, 1, 0)
    for _ in range(100):
        restorer.step(wait=False)
    assert 200 - len(reader.inbox) == read_ahead

    seen: list[int] = []
    while not isinstance(result := restorer.results(1)[0], AllRestored):
        assert isinstance(result, RecordsRestored)
        assert result.of == "events"
        seen += [record.offset for record in result.records]
    assert seen == list(range(200))
