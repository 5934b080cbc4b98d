"""The sandbox: the same answers as here, and an end to what has none. Real processes."""

from __future__ import annotations

import io
import os
import resource
import time
from collections.abc import Iterator

import orjson
import pytest

from processor.adapters import jsonata_sandbox
from processor.adapters.jsonata_sandbox import ProcessSandbox, serve
from processor.interpreter.jsonata import Bounded, EvaluationFailed, compile_expression
from processor.interpreter.jsonata_engine import Engine, Panicked
from processor.model.definition import Budget
from processor.model.ids import Millis
from processor.model.json import Json

SEED = bytes(range(16))
NEST = "($f := function($a, $n) { $n = 0 ? $a : $f(%s, $n - 1) }; %s)"
TIMEOUT = "Expression evaluation timeout: Check for infinite loop"
MEMORY = "Expression evaluation memory limit exceeded: Check for excessive memory usage"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ProcessSandbox]:
    made = ProcessSandbox()
    yield made
    made.close()


def evaluated(sandbox: ProcessSandbox | None, text: str, budget: Budget | None = None) -> object:
    expression = compile_expression(text, field="Output")
    variables: dict[str, Json] = {"x": [1, None, "ü"]}
    bounded = None if sandbox is None else Bounded(sandbox, budget or Budget())
    return expression.evaluate({"input": {"a": 1}}, variables, entropy=lambda: SEED, now=Millis(5), sandbox=bounded)


@pytest.mark.parametrize(
    "text",
    [
        "($f := function($v) { [$v, $x, $states.input, $millis(), $uuid(), $random()] }; $f(1))",
        "[1..3].$gone",
        "$reduce([1], function($a, $b) { null })",
        "($f := function($v) { null }; $f(1))",
        "$shuffle([1..9])",
    ],
)
def test_the_sandbox_answers_as_an_evaluation_here(sandbox: ProcessSandbox, text: str) -> None:
    assert evaluated(sandbox, text) == evaluated(None, text)


@pytest.mark.parametrize("text", ["[1..3] + 1", "[1..1000000]", "$reduce([1..3], $parse)"])
def test_the_sandbox_fails_as_an_evaluation_here(sandbox: ProcessSandbox, text: str) -> None:
    with pytest.raises(EvaluationFailed) as here:
        evaluated(None, text)
    with pytest.raises(EvaluationFailed) as there:
        evaluated(sandbox, text)
    assert there.value.cause == here.value.cause


@pytest.mark.parametrize(
    "text",
    [
        NEST % ("[[$a], [$a]]", "$boolean($f(0, 60))"),  # no limit of the engine ends these
        NEST % ("{'a': $a, 'b': $a}", "$f(1, 60) = $f(1, 60)"),
        NEST % ("[[$a], [$a]]", "$count($f({'b': 1}, 60).a)"),
        NEST % ("{'a': $a, 'b': $a}", "$length($f(1, 60))"),
        "($a := [1..200000]; $count($map([1..1000], function($i) { $append($a, 1) })))",
        "[1..100000].[[1..100000]]",
        "($s := $pad('x', 4000000); $count($map([1..1000], function($i) { $s & 'y' })))",
        "$match('" + "a" * 40 + "b', /(a+)+$/)",
        "($f := function($x) { $f($x + 1) }; $f(1))",
    ],
)
def test_what_no_limit_of_the_engine_ends_is_ended(sandbox: ProcessSandbox, text: str) -> None:
    evaluated(sandbox, "[1..2]")  # a process is there
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with pytest.raises(EvaluationFailed) as failed:
        evaluated(sandbox, text)
    taken = time.monotonic() - started
    assert failed.value.cause.partition("evaluation: ")[2] in (TIMEOUT, MEMORY)
    assert taken < 3  # 0.8 s and what a busy machine adds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024
    assert evaluated(sandbox, "[1..2]") == [1, 2]


def test_the_expressions_of_one_event_share_its_time(sandbox: ProcessSandbox) -> None:
    """However many there are, and each by itself ends in time."""
    budget, endless = Budget(), "[1..2].$match('" + "a" * 40 + "b', /(a+)+$/)"
    budget.seconds = 0.2
    with pytest.raises(EvaluationFailed, match=TIMEOUT):
        evaluated(sandbox, endless, budget)
    assert budget.seconds <= 0
    for _ in range(100):  # none of these is asked of the process, which would take a minute
        with pytest.raises(EvaluationFailed, match=TIMEOUT):
            evaluated(sandbox, endless, budget)
    assert -0.2 < budget.seconds <= 0
    assert evaluated(sandbox, "[1..2]", Budget()) == [1, 2]


def test_a_process_that_is_gone_is_replaced() -> None:
    sandbox = ProcessSandbox()
    try:
        assert evaluated(sandbox, "[1..2]") == [1, 2]
        assert sandbox._process is not None
        os.kill(sandbox._process.pid, 9)
        sandbox._process.wait()
        with pytest.raises(EvaluationFailed, match="memory limit"):
            evaluated(sandbox, "[1..2]")
        assert evaluated(sandbox, "[1..2]") == [1, 2]
    finally:
        sandbox.close()


def test_the_process_answers_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonata_sandbox, "KEPT_ENGINES", 1)
    texts = ["1", "$x", "1 + 'a'", "$range(1, 1e9, 1)", "$n", "$n"]
    lines = [orjson.dumps([text, {}, {"n": 1}, SEED.hex(), 5]) + b"\n" for text in texts]
    answers = io.BytesIO()
    serve(io.BytesIO(b"".join(lines)), answers)
    assert answers.getvalue().splitlines() == [
        b"ready",
        b'["value",1]',
        b'["undefined"]',
        b'["refused","T2002","The right side of the \\"+\\" operator must evaluate to a number"]',
        b'["exhausted","' + MEMORY.encode() + b'"]',
        b'["value",1]',
        b'["value",1]',
    ]


@pytest.mark.parametrize(
    ("raised", "answer"), [(Panicked(), b'["panicked"]'), (MemoryError(), b'["exhausted","' + MEMORY.encode() + b'"]')]
)
def test_a_fault_of_the_process_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, raised: BaseException, answer: bytes
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(Engine, "evaluate", failing)
    answers = io.BytesIO()
    serve(io.BytesIO(orjson.dumps(["1", {}, {}, SEED.hex(), 5]) + b"\n"), answers)
    assert answers.getvalue() == b"ready\n" + answer + b"\n"


def test_a_panic_in_the_process_is_told(monkeypatch: pytest.MonkeyPatch, sandbox: ProcessSandbox) -> None:
    monkeypatch.setattr(jsonata_sandbox, "_asked", lambda *_: b'["panicked"]')
    with pytest.raises(EvaluationFailed, match="internal error"):
        evaluated(sandbox, "[1..2]")
