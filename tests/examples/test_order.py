"""The order example: every input comes to what the oracle computes from it; the demo holds its promises."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from processor.adapters.clock import ManualClock, SeededEntropy
from processor.adapters.memory import MemoryLog
from processor.apps.client import Client
from processor.apps.executions import Description, History, describe
from processor.apps.loading import load_definition, load_worker
from processor.apps.timers import TimerService
from processor.apps.worker import WorkerRunner
from processor.engine.processor import Processor
from processor.engine.topics_setup import create_topics
from processor.model.commands import StartExecution
from processor.model.events import AnyEvent, RetryScheduled, TaskScheduled
from tests.examples.order_oracle import ARMS, arm_of, expected

EXAMPLE = Path(__file__).parents[2] / "examples" / "order"
INPUTS = {path.stem: json.loads(path.read_text()) for path in sorted((EXAMPLE / "inputs").glob("*.json"))}
WAIT_SECONDS = 30.0


class World:
    """All roles on one log in memory, stepped by the test; the clock moves on only when all are at rest."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = MemoryLog(clock=self.clock)
        create_topics(self.log, partitions=3)
        self._processor = Processor(log=self.log, clock=self.clock, entropy=SeededEntropy(), slot="0")
        self._timers = TimerService(self.log, self.clock)
        self._worker = WorkerRunner(self.log, load_worker(str(EXAMPLE / "workers.py")), self.clock)
        self._reader = self.log.reader()

    def run(self, orders: dict[str, dict[str, Any]]) -> dict[str, Description]:
        """Start an execution for each order; return what each has come to once all have ended."""
        with Client(self.log, self.clock) as client:
            client.deploy(state_machine="order", definition=load_definition(EXAMPLE / "order.asl.json"))
            for name, order in orders.items():
                client.send(StartExecution(execution_id=f"order:{name}", input=order))
        ended: dict[str, Description] = {}
        for _ in range(300):
            self._step_until_at_rest()
            found = {name: describe(self.history(name)) for name in orders}
            ended = {name: d for name, d in found.items() if d is not None and d.status != "RUNNING"}
            if len(ended) == len(orders):
                return ended
            self.clock.advance(timedelta(seconds=1))
        raise AssertionError(f"did not end: {[name for name in orders if name not in ended]}")

    def history(self, name: str) -> History:
        return History(self._reader, self.log.names, f"order:{name}")

    def events(self, name: str) -> list[AnyEvent]:
        return [event for batch in self.history(name).read() for event in batch]

    def close(self) -> None:
        self._worker.close()
        self._timers.close()
        self._processor.close()

    def _step_until_at_rest(self) -> None:
        before = None
        while before != (before := self._written()):
            self._processor.step(timeout_seconds=0)
            self._worker.step(0)
            assert self._worker.drain(timeout_seconds=WAIT_SECONDS)
            self._timers.step(0)

    def _written(self) -> list[int]:
        names = self.log.names
        topics = (names.commands, names.events, names.tasks, names.timers)
        return [self._reader.end(topic, partition) for topic in topics for partition in range(3)]


@pytest.fixture
def world() -> World:
    return World()


def with_no_delay(order: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in order.items() if name != "delay_ms"}


def outcome_of(description: Description) -> tuple[str, object]:
    if description.status == "SUCCEEDED":
        return "SUCCEEDED", description.output
    return description.status, {"error": description.error, "cause": description.cause}


def test_every_input_comes_to_what_the_oracle_computes(world: World) -> None:
    orders = {name: with_no_delay(order) for name, order in INPUTS.items()}
    ended = world.run(orders)
    assert {name: outcome_of(d) for name, d in ended.items()} == {
        name: expected(order) for name, order in orders.items()
    }
    world.close()


def test_the_inputs_drive_every_arm_retry_catch_and_compensation(world: World) -> None:
    orders = {name: with_no_delay(order) for name, order in INPUTS.items()}
    world.run(orders)
    entered = {event.state for name in orders for event in world.events(name)}
    states = _state_names(json.loads((EXAMPLE / "order.asl.json").read_text()))
    assert states - entered == set()
    assert {arm_of(order) for order in orders.values()} == set(ARMS)
    retried = [event.state for name in ("retried", "carrier-busy") for event in world.events(name)
               if isinstance(event, RetryScheduled)]  # fmt: skip
    assert retried == ["Charge", "Charge", "Ship"]
    world.close()


def test_the_ledger_holds_the_token_and_arguments_of_every_call(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    monkeypatch.setenv("ORDER_LEDGER", str(ledger))
    world.run({"retried": INPUTS["retried"]})
    calls = [json.loads(line) for line in ledger.read_text().splitlines()]
    scheduled = [
        f"{event.execution_id}#{'.'.join(map(str, event.scope))}#{event.sequence}"
        for event in world.events("retried")
        if isinstance(event, TaskScheduled)
    ]
    assert sorted(call["token"] for call in calls) == sorted(scheduled)
    assert calls[0]["input"] == INPUTS["retried"]
    world.close()


def test_the_demo_kills_a_processor_and_no_event_repeats() -> None:
    ended = subprocess.run(
        [sys.executable, str(EXAMPLE / "demo.py")],
        check=False, capture_output=True, text=True, timeout=120, cwd=EXAMPLE.parents[1],
    )  # fmt: skip
    claims = [line.strip() for line in ended.stdout.splitlines() if line.startswith(("  ok ", "  NOT"))]
    assert (ended.returncode, len(claims), [claim for claim in claims if not claim.startswith("ok ")]) == (0, 5, []), (
        ended.stdout + ended.stderr
    )
    rows = [line.split()[0] for line in ended.stdout.splitlines() if re.match(r"\d+ |-------- killed", line)]
    kill = rows.index("--------")
    assert rows == [*map(str, range(kill)), "--------", *map(str, range(kill, len(rows) - 1))]


def _state_names(machine: dict[str, Any]) -> set[str]:
    names: set[str] = set()
    for name, state in machine["States"].items():
        inner = [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]
        names |= {name}.union(*map(_state_names, inner))
    return names
