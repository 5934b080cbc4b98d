"""JSONata in the processor: what only another process can bound goes there, and a hostile expression ends nothing but
its own execution."""

from __future__ import annotations

from processor.adapters.jsonata_sandbox import ProcessSandbox
from processor.engine.encoding import decode_events
from processor.model import events as e
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
