"""The name of an execution that has ended stays taken, whoever reads what is left of it, and whatever ended the last
processor. In memory: tests/engine/test_partitions.py and test_checkpoints.py."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from processor.adapters.clock import SystemClock
from processor.apps.client import Client
from processor.engine.encoding import decode_rejection
from processor.engine.ports import Log
from processor.model import events as e
from processor.model.commands import StartExecution
from processor.model.json import Json
from processor.model.records import Rejection
from tests.broker import Broker
from tests.engine.world import PASS
from tests.integration.fleet import Fleet
from tests.integration.orders import Watch
from tests.integration.test_orders_paused import open_log

PARTITIONS = 3
PATIENCE_SECONDS = 120.0
FAILS: Json = {"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "No"}}}
ENDED = ("pass:once", "fails:once")


def refusals(log: Log) -> list[Rejection]:
    with closing(log.reader()) as reader:
        return [
            decode_rejection(record.value or b"")
            for partition in range(reader.partitions(log.names.rejections) or 0)
            for record in reader.read(log.names.rejections, partition)
        ]


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.parametrize("killed", [True, False], ids=["killed, so its events are read", "stopped, so closed alone is"])
def test_a_start_that_is_repeated_after_the_end_and_a_restart_is_refused(
    kind: str, killed: bool, request: pytest.FixtureRequest, topic_prefix: str, tmp_path: Path
) -> None:
    address = f"sqlite:{tmp_path / 'log.db'}"
    if kind == "kafka":
        broker: Broker = request.getfixturevalue("kafka")
        address = f"kafka:{broker.bootstrap_servers}"
    with Fleet(address, tmp_path / "run", prefix=topic_prefix) as fleet:
        fleet.asl("topics", "create", "--partitions", str(PARTITIONS))
        with closing(open_log(address, topic_prefix)) as log, closing(Watch(log)) as watch:
            starts = [StartExecution(execution_id=id, input={"same": True}) for id in ENDED]
            with Client(log, SystemClock()) as client:
                client.deploy(state_machine="pass", definition=PASS)
                client.deploy(state_machine="fails", definition=FAILS)
                first = fleet.processor(0)
                for start in starts:
                    client.send(start)
                fleet.wait(lambda: len(watch.look().ended) == 2, seconds=PATIENCE_SECONDS, what="both have ended")
                if killed:
                    first.kill()
                else:
                    first.process.terminate()
                    first.process.wait(timeout=PATIENCE_SECONDS)
                    fleet.roles.remove(first)  # it was meant to end
                for start in starts:
                    client.send(start)
                second = fleet.processor(0)
                fleet.wait(lambda: len(refusals(log)) >= 2, seconds=PATIENCE_SECONDS, what="both are refused")
                client.send(StartExecution(execution_id="pass:new", input=None))
                fleet.wait(lambda: len(watch.look().ended) == 3, seconds=PATIENCE_SECONDS, what="another one runs")

            restored = [line for line in second.lines() if line["event"] == "partition_restored"]
            assert (sum(line["events"] for line in restored) > 0) is killed
            assert sorted((one.execution_id, one.reason, one.detail) for one in refusals(log)) == [
                ("fails:once", "ExecutionAlreadyExists", "fails:once has ended as FAILED"),
                ("pass:once", "ExecutionAlreadyExists", "pass:once has ended as SUCCEEDED"),
            ]
            ends = {id: [type(event) for event in history][-1:] for id, history in watch.histories.items()}
            assert ends == {
                "pass:once": [e.ExecutionSucceeded],
                "fails:once": [e.ExecutionFailed],
                "pass:new": [e.ExecutionSucceeded],
            }
            assert {id: [event.sequence for event in history] for id, history in watch.histories.items()} == {
                id: list(range(len(history))) for id, history in watch.histories.items()
            }
