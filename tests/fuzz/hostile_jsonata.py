"""Hostile definitions in JSONata, each with the error that it ends in; None: it does no harm and succeeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from processor.model.json import Json

Case: TypeAlias = tuple[str, Json, Json, str | None]
"""name, definition, input, error; REFUSED where that is what becomes of the definition."""

EVALUATION: Final = "States.QueryEvaluationError"
TOO_LARGE: Final = "States.DataLimitExceeded"
RUNTIME: Final = "States.Runtime"

ITEMS: Json = {"a": [0] * 130_000}
TEXT: Json = {"s": "ab" * 120_000}
BACKTRACKING = "$match('" + "a" * 40 + "b', /(a+)+$/)"
NEST = "($f := function($a, $n) { $n = 0 ? $a : $f(%s, $n - 1) }; %s)"


def _machine(*states: dict[str, Any]) -> dict[str, Any]:
    """Return a definition in which the states follow each other."""
    named = {f"S{number}": dict(state) for number, state in enumerate(states)}
    for number, state in enumerate(named.values()):
        state.update({"Next": f"S{number + 1}"} if number + 1 < len(states) else {"End": True})
    return {"QueryLanguage": "JSONata", "StartAt": "S0", "States": named}


def _pass(output: Json, **fields: Json) -> dict[str, Any]:
    return {"Type": "Pass", "Output": output, **fields}


def _many(text: str, times: int) -> dict[str, Any]:
    return _machine(_pass({f"x{number}": f"{{% {text} %}}" for number in range(times)}))


def _one(text: str) -> dict[str, Any]:
    return _many(text, 1)


def _repeated(call: str, times: int) -> dict[str, Any]:
    return _one("$count([" + ",".join([f"[{call}]"] * times) + "])")


def _deep(levels: int, leaf: Json = 1) -> Json:
    for _ in range(levels):
        leaf = {"a": leaf}
    return leaf


def cases() -> Iterator[Case]:
    yield from _many_in_one_event()
    yield from _one_expression()
    yield from _depth()
    yield from _containers()


def _many_in_one_event() -> Iterator[Case]:
    yield "30 results of 2 MB", _many("$states.input.a.{'a':{'a':{}}}", 30), ITEMS, EVALUATION
    yield "30 results of 2 MB by $map", _many("$map($states.input.a, function($v){{'a':{}}})", 30), ITEMS, EVALUATION
    yield "500 ranges", _many("[1..100000]", 500), {}, EVALUATION
    yield "8,000 ranges", _many("[1..100000]", 8_000), {}, EVALUATION
    yield "8,000 ranges counted", _many("$count([1..100000])", 8_000), {}, EVALUATION
    yield "31 copies of the input", _many("[$states.input.a]", 31), ITEMS, EVALUATION
    yield "8,000 arrays handed on", _many("$states.input.a", 8_000), ITEMS, TOO_LARGE
    rows: list[Json] = [{"b": 0}] * 30_000
    rows.append({"c": 1})
    yield "8,000 paths through an array", _many("$states.input.a.b", 8_000), {"a": rows}, EVALUATION
    yield "8,000 paths through an array to its end", _many("$states.input.a.c", 8_000), {"a": rows}, EVALUATION
    yield "8,000 sums", _many("$sum($states.input.a)", 8_000), ITEMS, EVALUATION
    yield "30 sums", _many("$sum($states.input.a)", 30), ITEMS, None
    yield "8,000 texts of the input", _many("$length($string($states.input))", 8_000), ITEMS, EVALUATION
    yield "8,000 regular expressions", _many("$count($match('" + "a" * 17 + "b', /(a+)+$/))", 8_000), {}, EVALUATION
    yield "8,000 small ones", _many("1 + 1", 8_000), {}, None
    yield "4,000 draws", _many("$random()", 4_000), {}, None
    copy = "{% [$states.input.a] %}"
    copies = _pass([copy] * 3, Assign={"a": "{% [$states.input.a, 1] %}"})
    yield "copies in Assign and Output", _machine(copies), ITEMS, TOO_LARGE
    rules: list[Json] = [{"Condition": "{% $count([1..100000]) = 1 %}", "Next": "S"}] * 8_000
    choice: Json = {"Type": "Choice", "Choices": rules, "Default": "S"}
    machine: Json = {"QueryLanguage": "JSONata", "StartAt": "C", "States": {"C": choice, "S": {"Type": "Succeed"}}}
    yield "8,000 conditions", machine, {}, EVALUATION


def _one_expression() -> Iterator[Case]:
    pieces: Json = {"s": "[" + "[]," * 80_000 + "[]]"}
    calls: tuple[tuple[str, Json], ...] = (
        ("$split($states.input.s, '')", TEXT),
        ("$replace($states.input.s, 'a', 'bbbbbbbbbbbbbbbb')", TEXT),
        ("$sort($states.input.a)", ITEMS),
        ("$distinct($map($states.input.a, function($v, $i) { $i }))", ITEMS),
        ("$parse($states.input.s)", pieces),
    )
    for call, value in calls:
        yield f"400 times {call}", _repeated(call, 400), value, EVALUATION  # far past the time, on any machine
    yield "a regular expression that backtracks", _one(BACKTRACKING), {}, EVALUATION
    yield "a loop without end", _one("($f := function($x) { $f($x + 1) }; $f(1))"), {}, EVALUATION
    yield "a recursion without end", _one("($f := function($x) { 1 + $f($x) }; $f(1))"), {}, EVALUATION
    yield "2**60 values seen as a boolean", _one(NEST % ("[[$a], [$a]]", "$boolean($f(0, 60))")), {}, EVALUATION
    yield "2**60 values compared", _one(NEST % ("{'a': $a, 'b': $a}", "$f(1, 60) = $f(1, 60)")), {}, EVALUATION
    yield "2**60 values as a text", _one(NEST % ("{'a': $a, 'b': $a}", "$length($f(1, 60))")), {}, EVALUATION
    yield "2**60 values as a result", _one(NEST % ("{'a': $a, 'b': $a}", "$f(1, 60)")), {}, EVALUATION
    yield "a text doubled 60 times", _one(NEST % ("$a & $a", "$f('x', 60)")), {}, EVALUATION
    yield "ranges of ranges", _one("[1..100000].[[1..100000]]"), {}, EVALUATION
    yield "a join of all with all", _one("$states.input.a@$x.$states.input.a@$y[$x = $y]"), ITEMS, EVALUATION
    yield "$range of all integers", _one("$range(-1e300, 1e300, 1)"), {}, EVALUATION
    yield "an error of 2 MB", _one("$error($pad('x', 1900000))"), {}, EVALUATION
    yield "a value of 2 MB in an error", _one("$number($pad('x', 1900000))"), {}, EVALUATION
    yield "what $eval would do", _one("$eval('[1..1000000]')"), {}, EVALUATION
    yield "900 terms", _one("+".join(["1"] * 900)), {}, EVALUATION
    yield "65,000 terms", _one("+".join(["1"] * 65_000)), {}, "REFUSED"
    text: Json = "{% $pad('x', 1000000) %}"
    yield "a cause of 1 MB", _machine({"Type": "Wait", "Timestamp": text}), {}, EVALUATION
    assigned = [{"Type": "Pass", "Assign": {f"v{number}": "{% $states.input %}"}} for number in range(39)]
    summed = ",".join([f"$sum($v{number}.a)" for number in range(10)] * 400)
    yield "1 GB of variables summed", _machine(*assigned[:10], _pass(f"{{% [{summed}] %}}")), ITEMS, EVALUATION
    split = ",".join(f"[$split($v{number}.s, '')]" for number in range(39))
    yield "10 MB of variables in pieces", _machine(*assigned, _pass(f"{{% $count([{split}]) %}}")), TEXT, EVALUATION


def _depth() -> Iterator[Case]:
    yield "each state a level deeper", _machine(*[_pass({"a": "{% $states.input %}"})] * 300), {}, RUNTIME
    yield "each state deeper by the engine", _machine(*[_pass("{% {'a': $states.input} %}")] * 300), {}, EVALUATION
    yield "100,000 levels", _one(NEST % ("[$a]", "$f(1, 100000)")), {}, EVALUATION
    yield "100,000 levels seen as a boolean", _one(NEST % ("[$a]", "$boolean($f(1, 100000))")), {}, EVALUATION
    wild = "{% ($f := function($x) { $x }; [$f($states.input), $f($states.context)]) %}"
    yield "the deepest input in the sandbox", _machine(_pass(wild)), _deep(253), EVALUATION
    yield "JSON of 5,000 levels", _one("$parse($states.input.s)"), {"s": "[" * 5_000 + "]" * 5_000}, EVALUATION
    yield "JSON of 900 levels", _one("$parse($states.input.s)"), {"s": "[" * 900 + "]" * 900}, EVALUATION


def _containers() -> Iterator[Case]:
    processor: Json = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I",
        "States": {"I": {"Type": "Pass", "End": True}},
    }
    selected = {"Type": "Map", "ItemProcessor": processor, "Items": "{% $states.input.a %}", "Output": "{% 1 %}"}
    ranges = {f"x{number}": "{% [1..100000] %}" for number in range(99)}
    large = {"ItemBatcher": {"MaxItemsPerBatch": 9, "BatchInput": ranges}}
    yield "BatchInput of 99 ranges", _machine({**selected, **large}), ITEMS, EVALUATION
    yield "an ItemSelector of 99 ranges", _machine({**selected, "ItemSelector": ranges}), ITEMS, EVALUATION
    endless = {"ItemBatcher": {"MaxItemsPerBatch": f"{{% {BACKTRACKING} %}}"}}
    yield "a batch whose size has no end", _machine({**selected, **endless}), ITEMS, EVALUATION
