"""Clients that nothing is asked of are heard all the same: what they say of lost brokers would fill the memory."""

from __future__ import annotations

from threading import Event
from typing import Any, cast

import pytest

from processor.adapters.kafka import restore
from processor.adapters.kafka.connection import Connection
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.restore import Restorer
from processor.adapters.kafka.settings import ClientSettings
from processor.adapters.kafka.survey import KafkaSurvey
from processor.engine.topics import TopicNames
from tests.adapters.kafka_fakes import Cluster, FakeAdmin, FakeClients, ManualTiming

NAMES = TopicNames(prefix="t.")


class Idle:
    """A consumer that has something to say."""

    def __init__(self) -> None:
        self.heard = Event()

    def poll(self, timeout: float) -> None:
        assert timeout == 0
        self.heard.set()

    def close(self) -> None:
        pass


@pytest.fixture
def connection() -> Connection:
    cluster = Cluster()
    cluster.ends = {(NAMES.definitions, 0): 0}
    return Connection(
        role="test",
        address="fake:9092",
        settings=ClientSettings(bootstrap="fake:9092", names=NAMES, properties={}),
        clients=FakeClients(cluster),
        admin=FakeAdmin(cluster),
        timing=ManualTiming(),
    )


def test_a_consumer_kept_for_the_next_read_is_heard_whenever_an_end_is_asked_for(connection: Connection) -> None:
    reader, idle = KafkaReader(connection), Idle()
    reader._put_back(cast(Any, Assigned(idle)))

    reader.end(NAMES.definitions, 0)

    assert idle.heard.is_set()


class Assigned(Idle):
    def __init__(self, idle: Idle) -> None:
        self.heard = idle.heard

    def assign(self, places: list[object]) -> None:
        assert places == []


def test_those_of_a_survey_are_heard_at_each_look(connection: Connection) -> None:
    survey, asking, reading = KafkaSurvey(connection), Idle(), Idle()
    survey._consumer = cast(Any, asking)
    survey._reader._put_back(cast(Any, Assigned(reading)))

    survey.look([])

    assert asking.heard.is_set() and reading.heard.is_set()


def test_the_one_that_restores_is_heard_while_nothing_is_to_be_restored(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "REST_SECONDS", 0.01)
    restorer, idle = Restorer(connection, slot="0", process="p"), Idle()
    restorer._reader = cast(Any, idle)
    restorer.start()
    try:
        assert idle.heard.wait(30)
    finally:
        restorer.stop()
