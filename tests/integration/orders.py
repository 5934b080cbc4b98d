"""200 orders that drive every way through the order example, and what their events must come to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from processor.engine.encoding import decode_events
from processor.engine.ports import Log
from processor.model import events as e
from processor.model.commands import token_of
from processor.model.ids import ScopeKey
from processor.model.json import canonical_json
from tests.examples.order_oracle import expected
from tests.integration.fleet import ORDER

KINDS = {path.stem: json.loads(path.read_text()) for path in sorted((ORDER / "inputs").glob("*.json"))}
AT_LEAST = 10
"""How often every state of the definition is to be entered, over all orders."""

FAILING_MS = {"broken": 9_000, "retries-exhausted": 3_000}
"""A worker's partitions go to the other 6 s after its death; retries take their time in addition."""

ANSWERS = (e.TaskSucceeded, e.TaskFailed, e.TaskTimedOut)


def make_orders(count: int) -> dict[str, dict[str, Any]]:
    """Return orders by name, of all kinds in turn. Where charging fails for good it takes so long that the goods beside
    it are reserved by then, even if the worker that had them dies: else their task is cut off, and nobody ran it."""
    orders = {}
    kinds = list(KINDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        order = {**KINDS[kind], "order_id": f"{kind}-{number}"}
        order.setdefault("delay_ms", FAILING_MS.get(kind, 600 + 50 * (number % 10)))
        orders[order["order_id"]] = order
    return orders


def expected_end(order: dict[str, Any]) -> tuple[str, Any]:
    """Return (status, output), or (FAILED, (error, cause))."""
    status, output = expected(order)
    if status == "SUCCEEDED":
        return status, output
    assert isinstance(output, dict)
    return status, (output["error"], output["cause"])


class Watch:
    """Reads events as they come, through the project's own ports."""

    def __init__(self, log: Log) -> None:
        self._names, self._reader = log.names, log.reader()
        self._positions = dict.fromkeys(range(self._reader.partitions(log.names.events) or 0), 0)
        self.histories: dict[str, list[e.AnyEvent]] = {}
        self.pending: dict[tuple[str, ScopeKey], e.TaskScheduled] = {}
        self.ended: dict[str, e.TerminalEvent] = {}

    def look(self) -> Watch:
        for partition, position in self._positions.items():
            for record in self._reader.read(self._names.events, partition, start=position):
                self._positions[partition] = record.offset + 1
                for event in decode_events(record.value or b""):
                    self._take(event)
        return self

    def close(self) -> None:
        self._reader.close()

    def running(self) -> set[str]:
        return self.histories.keys() - self.ended.keys()

    def waiting(self) -> int:
        """Return how many executions rest in their Wait."""
        return sum(1 for id in self.running() if isinstance(self.histories[id][-1], e.WaitStarted))

    def _take(self, event: e.AnyEvent) -> None:
        place = event.execution_id, event.scope
        self.histories.setdefault(event.execution_id, []).append(event)
        match event:
            case e.TaskScheduled():
                self.pending[place] = event
            case e.TaskSucceeded() | e.TaskFailed() | e.TaskTimedOut() | e.StateAborted():
                self.pending.pop(place, None)
            case e.ExecutionSucceeded() | e.ExecutionFailed() | e.ExecutionTimedOut() | e.ExecutionAborted():
                self.ended[event.execution_id] = event


def ends(histories: dict[str, list[e.AnyEvent]]) -> dict[str, tuple[str, Any]]:
    """Return what each execution ended with, as `expected_end` has it."""
    found: dict[str, tuple[str, Any]] = {}
    for id, history in histories.items():
        match history[-1]:
            case e.ExecutionSucceeded(output=output):
                found[id] = "SUCCEEDED", output
            case e.ExecutionFailed(error=error, cause=cause):
                found[id] = "FAILED", (error, cause)
            case other:
                found[id] = type(other).__name__, None
    return found


def check_states_entered(histories: Iterable[list[e.AnyEvent]]) -> Counter[str]:
    """Assert that every state was entered, and every error retried, often enough; return how often."""
    seen: Counter[str] = Counter()
    for history in histories:
        for event in history:
            match event:
                case e.StateEntered(state=state):
                    seen[state] += 1
                case e.StateExited(state=state, catcher=int()):
                    seen[f"{state} caught"] += 1
                case e.RetryScheduled(state=state):
                    seen[f"{state} retried"] += 1
    wanted = [*_states_of(json.loads((ORDER / "order.asl.json").read_text()))]
    wanted += ["Charge retried", "Ship retried"]
    wanted += ["Validate caught", "Charge caught", "Reserve caught", "Settle caught"]
    assert {name: seen[name] for name in wanted if seen[name] < AT_LEAST} == {}
    return seen


def _states_of(scope: dict[str, Any]) -> Iterable[str]:
    for name, state in scope["States"].items():
        yield name
        for inner in (*state.get("Branches", ()), *([state["ItemProcessor"]] if "ItemProcessor" in state else ())):
            yield from _states_of(inner)


def check_ledger(path: Path, histories: Iterable[list[e.AnyEvent]]) -> str:
    """Assert that every task scheduled stands in the workers' ledger with its input, and that exactly one result was
    accepted of each that was not cut off; return a line that says how many there were."""
    noted = Counter(
        (line["token"], canonical_json(_payload(line["input"])))
        for line in map(json.loads, path.read_text().splitlines())
    )
    scheduled: dict[str, bytes] = {}
    accepted: Counter[str] = Counter()
    cut: set[str] = set()
    for history in histories:
        pending: dict[ScopeKey, str] = {}
        for event in history:
            if isinstance(event, e.TaskScheduled):
                pending[event.scope] = token_of(event)
                scheduled[token_of(event)] = canonical_json(_payload(event.arguments))
            elif isinstance(event, ANSWERS):
                accepted[pending[event.scope]] += 1
            elif isinstance(event, e.StateAborted) and event.scope in pending and not accepted[pending[event.scope]]:
                cut.add(pending[event.scope])
    missing = {token for token, input in scheduled.items() if (token, input) not in noted}
    assert missing == set()
    assert accepted == Counter(scheduled.keys() - cut)
    strangers = {token for token, _ in noted} - scheduled.keys()
    assert strangers == set()
    runs, repeated = noted.total(), noted.total() - len(noted)
    return (
        f"{len(scheduled)} tasks scheduled, all in the ledger with their inputs; {runs} runs, {repeated} repeated;"
        f" one result accepted of each, but for {len(cut)} cut off by a failure beside them"
    )


def _payload(arguments: Any) -> Any:
    """What `lambda:invoke` hands to the function."""
    if isinstance(arguments, dict) and arguments.keys() == {"FunctionName", "Payload"}:
        return arguments["Payload"]
    return arguments


def eventually_all(watch: Watch, names: Iterable[str]) -> Callable[[], bool]:
    ids = {f"order:{name}" for name in names}
    return lambda: watch.look().ended.keys() >= ids
