"""What fuzzing starts from: the recordings' definitions, where they are, and inputs of our own; and the words that
mutations are made of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.scenarios.scenario import definition_of, load_tables

ROOT = Path(__file__).resolve().parents[2]

PATHS = (
    "$", "$$", "$.a", "$.a.b[0]", "$['a','b']", "$..a", "$..*", "$[*]", "$.a[1:]", "$.a[-2:]", "$.a[0:9:2]", "$.a[0,1]",
    "$.a[-1].b", "$$.Map.Item.Value[0]", "$.a[?(@.b)]", "$.a[?(@.b == 1 && !(@.c) || @.d != 'x')]",
    "$.a[?(@.b =~ /x+.*/i)]",
    "$.a[?(@.b in [1,'x',null])]", "$..[?(@.a contains 'x')].b", "$.a[?(@.b==text/without-quotes)].c", r"$.a\.b",
    r"$['\u00e9\n']",
    "$.a[?(@.b size 2)]", "$.a[?(@.b subsetof [1,2,3])]", "$.a[?(@.b anyof [2])]", "$.a[?(@.b empty true)]",
    "$.a.length()",
    r"$[?(@.v =~ /[\h\p{Alpha}]\Q.\E\u0041(?i:x)?/s)]", "$.a[?(@.b > $.c)]", "$[?(@.a[?(@.b[?(@.c)])])]",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, {}, [], "x", 0, {"a": [1, {"b": "x", "c": [1, 2]}]}, {"a": {"b": [{"c": 1}]}, "b": 2}, [[1, 2], [3]],
    {"a": [{"b": 1, "v": "xA"}, {"b": 2, "c": True}, {"b": None, "d": "x"}]}, {"a.b": {"é\n": 1}},
)  # fmt: skip
CALLS = (
    "States.Format('{} and \\\\{{}\\\\}', $.a, States.Array(1, null, true))", "States.ArrayRange(0, 100, 7)",
    "States.ArrayPartition($.a, 2)", "States.ArrayContains($.a, 'x')", "States.ArrayGetItem($.a, 0)",
    "States.ArrayLength($.a)", "States.ArrayUnique($.a)", "States.Base64Encode('x')", "States.Base64Decode('eA==')",
    "States.Hash('x', 'SHA-256')", "States.JsonMerge($.a, $.b, false)", "States.JsonToString($)",
    "States.MathAdd(1, -1)",
    "States.MathRandom(0, 10)", "States.MathRandom(0, 10, 42)", "States.StringSplit('a,b', ',')",
    "States.StringToJson('{\"a\":[1e3,null]}')", "States.UUID()",
    "States.StringToJson(States.Format('[{},{}]', States.JsonToString($), States.JsonToString($)))",
)  # fmt: skip
RULES: tuple[Any, ...] = (
    {"Variable": "$.a", "StringEquals": "x"}, {"Variable": "$.a", "NumericLessThanPath": "$.b"},
    {"Variable": "$.a", "TimestampGreaterThanEquals": "2016-08-18T17:33:00Z"}, {"Variable": "$.a", "IsPresent": True},
    {"Variable": "$.a", "StringMatches": "*a\\*b*"}, {"Variable": "$$.Map.Item.Index", "NumericEquals": 0},
    {"And": [{"Variable": "$.a", "IsNull": False}, {"Not": {"Variable": "$.a", "BooleanEquals": True}}]},
    {"Or": [{"Variable": "$.a", "IsTimestamp": True}, {"Variable": "$.a[0]", "IsNumeric": True}]},
)  # fmt: skip
DEFINITIONS: tuple[Any, ...] = (
    {"StartAt": "A", "States": {"A": {"Type": "Pass", "Parameters": {"x.$": "$.a"}, "ResultPath": "$.b", "End": True}}},
    {"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [{**RULES[6], "Next": "B"}], "Default": "B"},
                                "B": {"Type": "Wait", "SecondsPath": "$.n", "Next": "C"}, "C": {"Type": "Succeed"}}},
    {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemsPath": "$.a", "MaxConcurrency": 2, "End": True,
        "ItemSelector": {"v.$": "$$.Map.Item.Value"}, "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}],
        "ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "work", "TimeoutSeconds": 5,
            "Catch": [{"ErrorEquals": ["E"], "Next": "F", "ResultPath": None}], "End": True},
            "F": {"Type": "Fail", "ErrorPath": "States.UUID()", "Cause": "c"}}}}}},
    {"StartAt": "P", "TimeoutSeconds": 60, "States": {"P": {"Type": "Parallel", "End": True, "Branches": [
        {"StartAt": "X", "States": {"X": {"Type": "Pass", "Result": 1, "End": True}}},
        {"StartAt": "Y", "States": {"Y": {"Type": "Pass", "InputPath": None, "OutputPath": "$.o", "End": True}}}]}}},
    {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Output": "{% $states.input %}",
        "Assign": {"x": "{% 1 %}"}, "End": True}}},
)  # fmt: skip
EXPRESSIONS = (
    "$states.input.a[0]", "$states.input.a[b='x'].c", "$sum([1, 2, $states.input.b])", "$x[1].a & 'y'", "$exists($y)",
    "$map([1..5], function($v, $i) { $v * $i })", "$reduce([1, 2, 3], function($a, $b) { $a + $b }, 0)",
    "($f := function($n) { $n <= 1 ? 1 : $n * $f($n - 1) }; $f(10))", "$replace('abab', /a(b)/, '$1')",
    "$partition([1, 2, 3, 4], 3)", "$range(0, 10, 2)", "$hash('x', 'SHA-256')", "$uuid()", "$parse('[1]')",
    "$states.context.Execution.Name", "$merge([{'a': 1}, $states.input])", "$sort([3, 1], function($l, $r) { $l })",
    "$states.input ~> |$|{'c': 2}|", "$split('a,b', ',')[0]", "$now()", "$fromMillis(0, '[Y]-[M01]')",
    "$string({'a': [null, 1.5e300]})", "$number('0x1F')", "$join($states.input.a.b, '-')",
    "$single([1], function($v) { true })",
    "[1..100].($ % 7)", "$states.input.**.b", "$states.input.a{b: $count($)}", "$formatNumber(1234.5, '#,##0.00')",
    "$type($states.input) in ['object', 'null']", "$each($states.input, function($v, $k) { $k })", "$pad('x', -5, '#')",
)  # fmt: skip
WORDS: tuple[Any, ...] = (
    *PATHS, *CALLS, *(f"{{% {text} %}}" for text in EXPRESSIONS), "Assign", "Output", "Arguments", "QueryLanguage",
    "JSONata", "StartAt", "States", "Type", "Next", "End", "x.$", "a", "b", "Pass", "Task", "Choice", "Map",
    "Parallel",
    "Wait", "Fail", "Succeed", "States.ALL", "$x", "{% $x %}", "", "\u0000", "\ud800",
    "é" * 50, "arn:aws:states:::sns:publish",
    0, -1, 1, 2**31, 2**63, 2**64, 10**400, -0.0, 1e308, 5e-324, float("nan"), float("inf"), True, False, None, [], {},
    [[[[[[]]]]]], {"a": {"a": {"a": {}}}},
)  # fmt: skip


def definitions() -> Iterator[bytes]:
    yield from map(_text, DEFINITIONS)
    for table in (table for _, table in load_tables()):
        yield from (_text(machine) for machine in table.machines.values())
    yield b"E" + _text(DEFINITIONS[0])
    yield (ROOT / "examples" / "order" / "order.asl.json").read_bytes()
    for case in _recorded():
        if isinstance(case.get("definition"), dict) and len(definition := _text(case["definition"])) < 4_000:
            yield (b"E" if case.get("type") == "EXPRESS" else b"") + definition


def paths() -> Iterator[bytes]:
    for number, path in enumerate(PATHS):
        yield path.encode() + b"\n" + _text(VALUES[number % len(VALUES)])
        yield path.encode() + b"\n" + _text(VALUES[8])


def expressions() -> Iterator[bytes]:
    for number, text in enumerate(EXPRESSIONS):
        yield text.encode() + b"\n" + _text(VALUES[number % len(VALUES)])
        yield text.encode() + b"\n" + _text(VALUES[8])


def executions() -> Iterator[bytes]:
    """The scenarios' definitions: all that parse takes, with inputs that lead somewhere."""
    for _, table in load_tables():
        for scenario in table.scenarios:
            made = _text({"definition": definition_of(table, scenario), "input": scenario.input})
            if len(made) < 4_000:
                yield made


def templates() -> Iterator[bytes]:
    for number, text in enumerate((*CALLS, *PATHS)):
        yield _text({"template": {"x.$": text, "y": [1, {"z.$": "$"}]}, "value": VALUES[number % len(VALUES)]})
    for case in _recorded():
        yield from _within(case.get("definition"), case.get("input"))


def rules() -> Iterator[bytes]:
    for rule in RULES:
        for value in ({"a": "x", "b": 1}, {"a": [1]}, {"a": "2016-08-18T17:33:00Z"}):
            yield _text({"rule": rule, "value": value})


def _within(definition: Any, value: Any) -> Iterator[bytes]:
    """Give the payload templates of a recorded definition."""
    states = definition.get("States") if isinstance(definition, dict) else None
    for state in states.values() if isinstance(states, dict) else ():
        for field in ("Parameters", "ResultSelector", "ItemSelector"):
            if isinstance(state, dict) and field in state:
                yield _text({"template": state[field], "value": value})


def _recorded() -> Iterable[dict[str, Any]]:
    folder = Path(os.environ.get("CONFORMANCE_DIR", ROOT.parent / "shared" / "conformance" / "aws"))
    for file in sorted(folder.glob("*.json")):
        yield from json.loads(file.read_text())


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
