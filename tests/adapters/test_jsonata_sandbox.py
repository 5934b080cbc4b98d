"""The sandbox: the same answers as here, and an end to what has none. Real processes."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import orjson
import pytest

from processor.adapters import jsonata_sandbox
from processor.adapters.jsonata_sandbox import ProcessSandbox, serve
from processor.errors import SandboxUnavailable
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
    bounded = Bounded(sandbox, budget or Budget())
    return expression.evaluate({"input": {"a": 1}}, variables, entropy=lambda: SEED, now=Millis(5), bounded=bounded)


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
    budget = Budget()
    with pytest.raises(EvaluationFailed) as failed:
        evaluated(sandbox, text, budget)
    assert failed.value.cause.partition("evaluation: ")[2] in (TIMEOUT, MEMORY)
    assert Budget().seconds - budget.seconds < 0.95
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


def test_what_was_evaluated_in_this_process_is_charged_by_its_time_on_a_processor() -> None:
    budget = Budget()
    assert evaluated(ProcessSandbox(), "$sum([$map([1, 2, 3], function($v) { $v })])", budget) == 6
    assert Budget().seconds - 0.5 < budget.seconds < Budget().seconds
    budget.seconds = 0
    with pytest.raises(EvaluationFailed, match=TIMEOUT):
        evaluated(ProcessSandbox(), "1 + 1", budget)


@pytest.mark.parametrize("text", ["($f := function($v) { $v }; $f('é' & $x[1] & 'abc'))", "[1..1000]"])
def test_results_are_charged_in_the_sandbox_as_here(sandbox: ProcessSandbox, text: str) -> None:
    here, there = Budget(), Budget()
    assert evaluated(sandbox, text, there) == evaluated(None, text, here)
    assert here.result_bytes == there.result_bytes < Budget().result_bytes
    here.result_bytes = there.result_bytes = 6
    causes = []
    for chosen, budget in ((None, here), (sandbox, there)):
        with pytest.raises(EvaluationFailed, match=MEMORY) as failed:
            evaluated(chosen, text, budget)
        causes.append((failed.value.cause, budget.result_bytes))
    assert causes[0] == causes[1]


def test_a_value_may_be_as_deep_there_as_here(sandbox: ProcessSandbox) -> None:
    """254 levels are the most that a payload has; with what stands around it they are more than orjson writes."""
    deep: Json = 1
    for _ in range(254):
        deep = [deep]
    found: list[object] = []
    for body in ("$v", "[[$v]]"):
        expression = compile_expression(f"($f := function($v) {{ {body} }}; $f($x))", field="Output")
        for chosen in (None, sandbox):
            bounded = Bounded(chosen, Budget())
            try:
                found.append(expression.evaluate({}, {"x": deep}, entropy=lambda: SEED, now=Millis(5), bounded=bounded))
            except EvaluationFailed as failed:
                found.append(failed.cause.rpartition("evaluation: ")[2])
    assert found == [deep, deep, MEMORY, MEMORY]


# ---- a sandbox that fails says nothing of an expression


def ended(sandbox: ProcessSandbox, number: int) -> None:
    assert sandbox._process is not None
    os.kill(sandbox._process.pid, number)
    sandbox._process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_is_gone_before_it_is_asked_is_replaced(number: int) -> None:
    with closing(ProcessSandbox()) as sandbox:
        assert evaluated(sandbox, "[1..2]") == [1, 2]
        ended(sandbox, number)
        assert evaluated(sandbox, "[1..2]") == [1, 2]


def test_a_process_that_is_ended_from_outside_while_it_evaluates_is_replaced_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = jsonata_sandbox._asked
    kills: list[int] = []

    def killed_while_asked(process: subprocess.Popen[bytes], line: bytes, *, until: float) -> bytes:
        if kills:
            os.kill(process.pid, kills.pop())
        return asked(process, line, until=until)

    monkeypatch.setattr(jsonata_sandbox, "_asked", killed_while_asked)
    with closing(ProcessSandbox()) as sandbox:
        kills[:] = [signal.SIGKILL]
        assert evaluated(sandbox, "[1..2]") == [1, 2]
        kills[:] = [signal.SIGTERM, signal.SIGKILL]
        with pytest.raises(SandboxUnavailable, match="twice one was ended from outside, by signal 15"):
            evaluated(sandbox, "[1..2]")
        kills[:] = [signal.SIGABRT]  # so the engine ends where there is no memory
        with pytest.raises(EvaluationFailed, match=MEMORY):
            evaluated(sandbox, "[1..2]")
        assert evaluated(sandbox, "[1..2]") == [1, 2]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit(1)", "ended as it started"),
        ("import time; time.sleep(60)", "took over 0.05 s to start"),
    ],
)
def test_a_process_that_does_not_come_up_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    start = jsonata_sandbox._start

    def broken() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr(jsonata_sandbox, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(jsonata_sandbox, "STALL_SECONDS", 0.05 if "sleep" in program else 10.0)
    monkeypatch.setattr(jsonata_sandbox, "_start", broken)
    with closing(ProcessSandbox()) as sandbox:
        for _ in range(3):
            with pytest.raises(SandboxUnavailable, match=reason):
                evaluated(sandbox, "[1..2]")
        monkeypatch.setattr(jsonata_sandbox, "STALL_SECONDS", 10.0)
        monkeypatch.setattr(jsonata_sandbox, "_start", start)
        assert evaluated(sandbox, "[1..2]") == [1, 2]


def test_a_process_that_is_stopped_says_nothing_of_an_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(ProcessSandbox()) as sandbox:
        assert evaluated(sandbox, "[1..2]") == [1, 2]
        monkeypatch.setattr(jsonata_sandbox, "STALL_SECONDS", 0.1)
        assert sandbox._process is not None
        os.kill(sandbox._process.pid, signal.SIGSTOP)
        with pytest.raises(SandboxUnavailable, match=r"gave no answer for 0\.1 s"):
            evaluated(sandbox, "[1..2]")
        monkeypatch.undo()
        assert evaluated(sandbox, "[1..2]") == [1, 2]


def test_a_process_that_cannot_be_started_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with closing(ProcessSandbox()) as sandbox, pytest.raises(SandboxUnavailable, match="No such file"):
        evaluated(sandbox, "[1..2]")


# ---- the process itself


def test_the_process_answers_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonata_sandbox, "KEPT_ENGINES", 1)
    texts = ["1", "$x", "1 + 'a'", "$range(1, 1e9, 1)", "$n", "$n"]
    lines = [orjson.dumps([text, {}, {"n": 1}, SEED.hex(), 5, 100]) + b"\n" for text in texts]
    answers = io.BytesIO()
    serve(io.BytesIO(b"".join(lines)), answers)
    assert answers.getvalue().splitlines() == [
        b"ready",
        b"=1",
        b"-",
        b'?["T2002","The right side of the \\"+\\" operator must evaluate to a number"]',
        b'!"' + MEMORY.encode() + b'"',
        b"=1",
        b"=1",
    ]


@pytest.mark.parametrize(("raised", "answer"), [(Panicked(), b"#"), (MemoryError(), b'!"' + MEMORY.encode() + b'"')])
def test_a_fault_of_the_process_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, raised: BaseException, answer: bytes
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(Engine, "evaluate", failing)
    answers = io.BytesIO()
    serve(io.BytesIO(orjson.dumps(["1", {}, {}, SEED.hex(), 5, 100]) + b"\n"), answers)
    assert answers.getvalue() == b"ready\n" + answer + b"\n"


def test_a_panic_in_the_process_is_told(monkeypatch: pytest.MonkeyPatch, sandbox: ProcessSandbox) -> None:
    monkeypatch.setattr(jsonata_sandbox, "_asked", lambda *_, until: b"#\n")
    with pytest.raises(EvaluationFailed, match="internal error"):
        evaluated(sandbox, "[1..2]")
