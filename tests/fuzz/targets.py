"""What is fuzzed, and what may come of it. To add a target: write its function, add it to TARGETS.

A target takes bytes and raises whatever it should not: a declared error is its normal outcome, every other exception
is a crash, and so is an input that takes longer than MAX_SECONDS. It returns a word for what came of the input, so that
a run can show that it got anywhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from msgspec.structs import replace

from processor import CompleteTask, FireTimer, Rejected, recover, start
from processor.adapters.jsonata_sandbox import ProcessSandbox
from processor.errors import DecodingFailed, InvalidDefinition
from processor.interpreter.jsonata import (
    UNDEFINED,
    Bounded,
    EvaluationFailed,
    JsonataFault,
    compile_expression,
)
from processor.interpreter.parse import parse
from processor.interpreter.paths import Missing, PathFault, compile_path, compile_reference_path
from processor.interpreter.rules import compile_rule
from processor.interpreter.templates import compile_template
from processor.model.definition import Budget, Environment, StateFailure
from processor.model.ids import EPOCH
from processor.model.json import Json, is_longer, parse_json, render_json
from tests.fuzz import corpus
from tests.properties import replay
from tests.properties.workflows import INPUT
from tests.properties.world import Played

MAX_SECONDS = 2.0
"""CPU time of one input. The promise is 1 s for an execution; instrumented code runs at half its speed."""
MAX_PAYLOAD = 262_144
MOST_EVENTS = 400  # of AWS's, in an execution
MOST_ANSWERS = 25
CRASHES = Path(__file__).parent / "crashes"


class TooSlow(AssertionError):
    """An input took longer than MAX_SECONDS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    name: str
    run: Callable[[bytes], str]
    seeds: Callable[[], Iterable[bytes]]

    def check(self, data: bytes) -> str:
        """Run one input. Raises what it should not have raised."""
        before = time.process_time()
        outcome = self.run(data)
        taken = time.process_time() - before
        if taken > MAX_SECONDS:
            raise TooSlow(f"{taken:.1f} s for {data[:200]!r}")
        return outcome

    def crashes(self) -> list[Path]:
        """Return the inputs that once crashed it, each kept as a file: `<target>-<what>`."""
        return sorted(CRASHES.glob(f"{self.name}-*"))


class Surroundings:
    """The Environment of an expression by itself."""

    def __init__(self, context: Json) -> None:
        self.context, self.visited = context, 0
        self.variables: dict[str, Json] = {"x": [1, {"a": "b"}], "y": None}
        self.budget, self.now = Budget(), EPOCH

    def draw(self, number: int) -> bytes:
        return blake2b(str(number).encode(), digest_size=16).digest()


def _surroundings() -> Environment:
    return Surroundings({"Execution": {"Input": {"a": 1}, "Name": "n"}, "Map": {"Item": {"Index": 0, "Value": [1]}}})


def _read(data: bytes) -> Json:
    """Return the JSON value; a payload is read with a parser that bounds its depth, and has at most 256 KiB."""
    if len(data) > MAX_PAYLOAD:
        raise DecodingFailed(what="payload", reason="too long")
    return parse_json(data)


def _settle(made: Json) -> str:
    """A result within a state's limit must be JSON, and read back as itself."""
    if is_longer(made, MAX_PAYLOAD):
        return "long"
    try:
        text = render_json(made)
    except TypeError:
        return "deep"  # written nowhere: a state's output is refused for it
    assert parse_json(text) == made, text
    return "made"


# ---- the targets


def run_parse(data: bytes) -> str:
    """Any text and any JSON value, of either type of machine: nothing but InvalidDefinition."""
    kind = "EXPRESS" if data[:1] == b"E" else "STANDARD"
    text = data[1:] if data[:1] == b"E" else data
    outcome = "refused"
    for definition in _readings(text):
        try:
            workflow = parse(definition, type=kind)  # type: ignore[arg-type]  # one of the two
        except InvalidDefinition as invalid:
            assert invalid.diagnostics
            str(invalid)
        else:
            outcome = "accepted"
            assert parse(render_json(workflow.definition), type=workflow.type) == workflow
    return outcome


def _readings(text: bytes) -> Iterable[Json | bytes]:
    yield text
    yield text.decode(errors="surrogateescape")  # lone surrogates too: a caller may hand over any str
    with suppress(ValueError, RecursionError):
        yield json.loads(text)  # Python's reader: NaN, Infinity, lone surrogates, numbers of any length


def run_paths(data: bytes) -> str:
    """A path on the first line, a value after it: PathFault when compiled, StateFailure when evaluated."""
    text, _, payload = data.partition(b"\n")
    path_text = text.decode(errors="surrogateescape")
    outcome = "refused"
    try:
        value = _read(payload)
    except DecodingFailed:
        value = {"a": [1, {"b": "x"}]}
    for field in ("x.$", "InputPath", "Variable"):
        try:
            path = compile_path(path_text, field=field)
        except PathFault as fault:
            str(fault).encode(errors="replace")
            break
        for attempt in (path.evaluate, path.find):
            try:
                found = attempt(value, _surroundings())
            except StateFailure as failure:
                assert failure.error.startswith("States.")
                outcome = "failed"
            else:
                outcome = "found"
                if not isinstance(found, Missing):
                    _settle(found)
                    assert path.definite or isinstance(found, list)
                else:
                    assert attempt is path.find
    try:
        place = compile_reference_path(path_text)
    except PathFault:
        return outcome
    try:
        made = place.insert(value, "put")
    except StateFailure:
        return outcome
    assert compile_path(path_text, field="x.$").evaluate(made, _surroundings()) == "put"
    return "put"


def run_templates(data: bytes) -> str:
    """{"template": …, "value": …}: faults are reported when compiled, StateFailure is raised when evaluated."""
    try:
        read = _read(data)
    except DecodingFailed:
        return "refused"
    if not isinstance(read, dict):
        read = {"template": {"x.$": read}, "value": read}
    faults: list[str] = []
    evaluate = compile_template(
        read.get("template"), pointer="/T", report=lambda pointer, message: faults.append(f"{pointer}: {message}")
    )
    if faults:
        return "refused"
    return _evaluated(lambda: evaluate(read.get("value"), _surroundings()))


def run_rules(data: bytes) -> str:
    """{"rule": …, "value": …}: a rule of a Choice."""
    try:
        read = _read(data)
    except DecodingFailed:
        return "refused"
    if not isinstance(read, dict):
        read = {"rule": read, "value": read}
    faults: list[str] = []
    holds = compile_rule(read.get("rule"), pointer="/R", report=lambda pointer, message: faults.append(pointer))
    if faults:
        return "refused"
    return _evaluated(lambda: holds(read.get("value"), _surroundings()))


def run_jsonata(data: bytes) -> str:
    """An expression on the first line, its input after it: JsonataFault when compiled, EvaluationFailed when evaluated;
    what is not tame in a process of its own."""
    text, _, payload = data.partition(b"\n")
    try:
        value = _read(payload)
    except DecodingFailed:
        value = {"a": [1, {"b": "x"}]}
    try:
        expression = compile_expression(text.decode(errors="surrogateescape"), field="Output")
    except JsonataFault as fault:
        fault.message.encode(errors="replace")
        return "refused"
    surroundings = _surroundings()
    states = {"input": value, "context": surroundings.context, "result": value}
    bounded = Bounded(_sandbox(), surroundings.budget)
    try:
        made = expression.evaluate(
            states, {"x": [1, {"a": "b"}], "y": None}, entropy=lambda: bytes(16), now=EPOCH, bounded=bounded
        )
    except EvaluationFailed as failure:
        failure.cause.encode()
        return "failed"
    return "undefined" if made is UNDEFINED else _settle(made)


@cache
def _sandbox() -> ProcessSandbox:
    return ProcessSandbox()


def run_executions(data: bytes) -> str:
    """{"definition": …, "input": …}, or a definition: what parse takes runs, with its tasks answered and its timers
    fired, and never raises; what was written folds to the same state."""
    try:
        read = _read(data)
        given = read if isinstance(read, dict) and "definition" in read else {"definition": read, "input": INPUT}
        workflow = parse(given["definition"], sandbox=_sandbox())
    except (DecodingFailed, InvalidDefinition):
        return "refused"
    workflow, input = replace(workflow, history_quota=MOST_EVENTS), given.get("input", INPUT)
    if isinstance(start(workflow, input), Rejected):
        return "refused"
    played = Played(workflow, input=input)
    for _ in range(MOST_ANSWERS):
        if played.execution.closed or not (played.pending() or played.timers()):
            break
        _answer(played)
    written = [replay.written_as([event])[0] for event in played.events]
    assert recover(played.workflow, replay.read(written)).execution == played.execution
    return played.execution.status.lower()


def _answer(played: Played) -> None:
    """Answer the first task with its arguments; where none waits, fire the first timer."""
    pending = played.pending()
    if pending:
        played.give(CompleteTask.of(pending[0], pending[0].arguments))
    else:
        event, kind = played.timers()[0]
        played.give(FireTimer.of(event, kind))


def _evaluated(evaluate: Callable[[], Json]) -> str:
    try:
        made = evaluate()
    except StateFailure as failure:
        assert failure.error.startswith("States.")
        failure.cause.encode()
        return "failed"
    return _settle(made)


TARGETS = {
    target.name: target
    for target in (
        Target(name="parse", run=run_parse, seeds=corpus.definitions),
        Target(name="paths", run=run_paths, seeds=corpus.paths),
        Target(name="templates", run=run_templates, seeds=corpus.templates),
        Target(name="rules", run=run_rules, seeds=corpus.rules),
        Target(name="jsonata", run=run_jsonata, seeds=corpus.expressions),
        Target(name="executions", run=run_executions, seeds=corpus.executions),
    )
}
