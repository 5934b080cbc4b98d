"""Retention on every log, the real broker among them: processor and janitor on a clock that the test advances."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from processor.adapters.clock import ManualClock, OsEntropy
from processor.adapters.memory import MemoryLog
from processor.adapters.sqlite import SqliteLog
from processor.apps.client import Client
from processor.apps.executions import summaries
from processor.apps.janitor import Janitor
from processor.engine.ports import Log, Record
from processor.engine.processor import Processor
from processor.engine.topics import TopicNames, topic_specs
from processor.engine.topics_setup import create_topics
from processor.model.commands import StartExecution
from processor.model.json import Json

PARTITIONS = 2
WITHIN_SECONDS = 60.0
PASS: Json = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
WAIT: Json = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 9, "End": True}}}

AT_ONCE = {
    "segment.ms": "100",
    "segment.bytes": "1048576",
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "0",
}
"""A cleaner that does today what it would do next week."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path, topic_prefix: str) -> Iterator[Log]:
    made: Log
    match request.param:
        case "memory":
            made = MemoryLog(clock=clock)
        case "sqlite":
            made = SqliteLog(tmp_path / "log.db", clock=clock)
        case _:
            from processor.adapters.kafka import KafkaLog

            bootstrap = request.getfixturevalue("kafka").bootstrap_servers
            made = KafkaLog(bootstrap, names=TopicNames(prefix=topic_prefix))
    specs = topic_specs(made.names, partitions=PARTITIONS)
    made.create_topics(
        [replace(s, config={**s.config, **AT_ONCE}) if s.name == made.names.events else s for s in specs]
    )
    create_topics(made, partitions=PARTITIONS)
    yield made
    made.close()


class Engine:
    """A processor and a janitor, stepped in turn."""

    def __init__(self, log: Log, clock: ManualClock) -> None:
        self.log, self._clock = log, clock
        self.reader = log.reader()
        self.janitor = Janitor(log, clock, retention=timedelta(days=30))
        self.processor = self.make_processor()

    def make_processor(self) -> Processor:
        return Processor(log=self.log, clock=self._clock, entropy=OsEntropy())

    def restart(self) -> None:
        self.processor.close()
        self.processor = self.make_processor()
        self.until(lambda: self.processor.partitions == tuple(range(PARTITIONS)) and self.processor.ready)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN_SECONDS
        while not condition():
            assert time.monotonic() < deadline, (self.processor.counts, self.janitor.counts)
            self.processor.step(timeout_seconds=0.05)
            self.janitor.step(0.05)

    def records(self, topic: str) -> list[Record]:
        return [record for p in range(PARTITIONS) for record in self.reader.read(topic, p)]

    def statuses(self) -> dict[str, str]:
        return {one.execution_id: one.status for one in summaries(self.reader, self.log.names)}

    def closed(self) -> set[bytes | None]:
        live = {record.key: record.value is not None for record in self.records(self.log.names.closed)}
        return {key for key, is_live in live.items() if is_live}

    def close(self) -> None:
        self.processor.close()
        self.janitor.close()
        self.reader.close()


@pytest.fixture
def engine(log: Log, clock: ManualClock) -> Iterator[Engine]:
    with Client(log, clock) as client:
        client.deploy(state_machine="pass", definition=PASS)
        client.deploy(state_machine="short", definition=PASS, retention=timedelta(hours=1))
        client.deploy(state_machine="wait", definition=WAIT)
    engine = Engine(log, clock)
    yield engine
    engine.close()


def start(engine: Engine, clock: ManualClock, *ids: str) -> None:
    with Client(engine.log, clock) as client:
        for id in ids:
            client.send(StartExecution(execution_id=id, input={"text": "x" * 500}))


def test_what_ended_long_ago_is_gone_and_the_rest_goes_on(engine: Engine, clock: ManualClock) -> None:
    ids = [f"pass:{number}" for number in range(20)]
    start(engine, clock, *ids, "short:a", "wait:a")
    engine.until(lambda: len(engine.closed()) == 21 and "wait:a" in engine.statuses())
    clock.advance(timedelta(hours=2))
    engine.until(lambda: len(engine.closed()) == 20)
    assert engine.statuses() == dict.fromkeys(ids, "SUCCEEDED") | {"wait:a": "RUNNING"}
    clock.advance(timedelta(days=30))
    engine.until(lambda: not engine.closed())
    assert engine.statuses() == {"wait:a": "RUNNING"}

    engine.restart()
    start(engine, clock, "pass:0")
    engine.until(lambda: engine.closed() == {b"pass:0"})
    assert engine.statuses() == {"wait:a": "RUNNING", "pass:0": "SUCCEEDED"}
    engine.restart()
    assert engine.processor.stopped == {}
    assert engine.records(engine.log.names.rejections) == []


def test_the_log_itself_holds_no_more_of_it(engine: Engine, clock: ManualClock) -> None:
    if isinstance(engine.log, MemoryLog):
        pytest.skip("memory forgets nothing before its process ends")
    ids = [f"pass:{number}" for number in range(20)]
    start(engine, clock, *ids)
    engine.until(lambda: len(engine.closed()) == 20)
    clock.advance(timedelta(days=30))
    engine.until(lambda: not engine.closed())
    rest = iter(range(1_000))

    def only_the_last() -> bool:
        start(engine, clock, f"wait:{next(rest)}")  # a segment is rolled by what comes after it
        left = [record.key for record in engine.records(engine.log.names.events) if record.value is not None]
        return not any((key or b"").startswith(b"pass:") for key in left)

    engine.until(only_the_last)
    engine.restart()
    assert engine.processor.stopped == {}
