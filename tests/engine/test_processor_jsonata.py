"""JSONata in the processor: what only another process can bound goes there, and a hostile expression ends nothing but
its own execution."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from processor.adapters.jsonata_sandbox import ProcessSandbox
from processor.engine.encoding import decode_events
from processor.errors import SandboxUnavailable
from processor.interpreter.jsonata import Task, Undefined
from processor.model import events as e
from processor.model.definition import Budget
from processor.model.json import Json
from tests.engine.world import World


def definition(output: str) -> Json:
    state: dict[str, Json] = {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"}
    then: dict[str, Json] = {"Type": "Pass", "Output": output, "End": True}
    return {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": state, "B": then}}


HOSTILE = "{% ($f := function($a, $n) { $n = 0 ? $a : $f([[$a], [$a]], $n - 1) }; $boolean($f(0, 60))) %}"
WILD = "{% ($f := function($v) { $v + $x }; $f($states.input)) %}"


def test_a_hostile_expression_fails_its_execution_and_every_other_one_goes_on() -> None:
    world = World(sandbox=ProcessSandbox())
    try:
        world.deploy("hostile", definition(HOSTILE))
        world.deploy("wild", definition(WILD))
        world.start("wild:a", 1)
        world.start("hostile:a", {})
        world.start("wild:b", 2)
        world.settle()
        assert world.types("hostile:a")[-2:] == ["EvaluationFailed", "ExecutionFailed"]
        ended = world.events("hostile:a")[-1]
        assert isinstance(ended, e.ExecutionFailed)
        assert ended.error == "States.QueryEvaluationError"
        outputs = [world.events(id)[-1] for id in ("wild:a", "wild:b")]
        assert [end.output for end in outputs if isinstance(end, e.ExecutionSucceeded)] == [2, 3]
    finally:
        world.processor.close()


class Failing:
    """A sandbox that cannot be had for the first few times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def evaluate(self, task: Task, budget: Budget) -> Json | Undefined:
        if self.times:
            self.times -= 1
            raise SandboxUnavailable(reason="no memory")
        return 7

    def timed(self, evaluate: Callable[[], Json | Undefined], budget: Budget) -> Json | Undefined:
        return evaluate()

    def close(self) -> None:
        pass


def test_a_sandbox_that_cannot_be_had_is_held_against_no_execution() -> None:
    sandbox = Failing(3)
    world = World(sandbox=sandbox)
    world.deploy("wild", definition(WILD))
    world.deploy("other", definition("{% $states.input + $x %}"))
    world.start("wild:a", 1)
    world.start("other:a", 1)
    world.settle()
    assert (world.types("wild:a")[-1], world.types("other:a")[-1]) == ("ExecutionSucceeded", "ExecutionSucceeded")
    assert (world.processor.counts["sandbox_unavailable"], sandbox.times) == (3, 0)
    assert world.processor.counts["quarantined"] == 0
    again = World(sandbox=Failing(0))
    again.deploy("wild", definition(WILD))
    again.start("wild:a", 1)
    again.settle()
    assert again.events("wild:a") == world.events("wild:a")


def nested(levels: int, leaf: Json) -> Json:
    for _ in range(levels):
        leaf = {"a": leaf}
    return leaf


def test_a_payload_nested_as_deeply_as_may_be_is_evaluated_in_the_sandbox() -> None:
    """Input, context and what is around them are deeper than orjson writes."""
    world = World(sandbox=ProcessSandbox())
    try:
        found = "[$f($states.input) ? 1 : 2, $f($states.context).Execution.Input.a ? 1 : 2]"
        wild = f"{{% ($f := function($v) {{ $v }}; {found}) %}}"
        states: dict[str, Json] = {
            "Deeper": {"Type": "Pass", "Output": nested(54, "{% $states.input %}"), "Next": "Wild"},
            "Wild": {"Type": "Pass", "Output": wild, "End": True},
        }
        world.deploy("deep", {"QueryLanguage": "JSONata", "StartAt": "Deeper", "States": states})
        world.start("deep:a", nested(200, 1))
        world.settle()
        ended = world.events("deep:a")[-1]
        assert isinstance(ended, e.ExecutionSucceeded), ended
        assert ended.output == [1, 1]
    finally:
        world.processor.close()


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Pass", "Output": "{% $error($pad('x', 1900000)) %}", "End": True},
        {"Type": "Pass", "Output": "{% $number($pad('x', 1900000)) %}", "End": True},
        {"Type": "Wait", "Timestamp": "{% $pad('x', 1000000) %}", "End": True},
        {"Type": "Wait", "Seconds": "{% [1..150000] %}", "End": True},
        {"Type": "Fail", "Error": "E", "Cause": "{% $pad('x', 1048500) %}"},
        {"Type": "Fail", "Error": "{% $pad('x', 1048500) %}", "Cause": "C"},
        {"Type": "Choice", "Choices": [{"Condition": "{% [1..150000] %}", "Next": "End"}], "Default": "End"},
    ],
)
def test_a_value_of_a_megabyte_in_a_cause_is_no_quarantine(state: dict[str, Json]) -> None:
    end: dict[str, Json] = {"End": {"Type": "Succeed"}} if state["Type"] == "Choice" else {}
    world = World(sandbox=ProcessSandbox())
    try:
        world.deploy("m", {"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": state, **end}})
        world.start("m:a", {})
        world.settle()
        assert world.types("m:a")[-1] == "ExecutionFailed"
    finally:
        world.processor.close()


def test_what_was_assigned_is_in_the_events_and_is_known_again_after_a_restart() -> None:
    world = World()
    states: dict[str, Json] = {
        "A": {"Type": "Pass", "Assign": {"x": {"n": "{% $states.input + 1 %}"}}, "Next": "W"},
        "W": {"Type": "Wait", "Seconds": 10, "Output": "{% $x.n %}", "End": True},
    }
    world.deploy("m", {"QueryLanguage": "JSONata", "StartAt": "A", "States": states})
    world.start("m:a", 1)
    world.settle()
    world.restart()
    world.advance(10)
    world.fire("wait")
    world.settle()
    records = [record.value for record in world.records(world.names.events) if record.value is not None]
    exits = [event for value in records for event in decode_events(value) if isinstance(event, e.StateExited)]
    assert [exit.assigned for exit in exits] == [{"x": {"n": 2}}, None]
    ended = world.events("m:a")[-1]
    assert isinstance(ended, e.ExecutionSucceeded)
    assert ended.output == 2
