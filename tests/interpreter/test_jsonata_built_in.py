"""Each built-in function of JSONata once, through a state: the engine is pinned, and these are relied on.

Values: the JSONata documentation (docs.jsonata.org, "Function Library"), and AWS's for its own functions.
"""

from __future__ import annotations

import pytest

from processor.interpreter.jsonata_syntax import BUILT_IN
from processor.model.json import Json
from tests.interpreter.scenario import Run

CALLS: list[tuple[str, Json]] = [
    ("$string({'a': 1})", '{"a":1}'),
    ("$length('häuser')", 6),
    ("$substring('hello', 1, 3)", "ell"),
    ("$substringBefore('a-b-c', '-')", "a"),
    ("$substringAfter('a-b-c', '-')", "b-c"),
    ("$uppercase('Hello')", "HELLO"),
    ("$lowercase('Hello')", "hello"),
    ("$trim('  a  b ')", "a b"),
    ("$pad('x', -3, '#')", "##x"),
    ("$contains('abracadabra', 'bra')", True),
    ("$split('so many words', ' ')", ["so", "many", "words"]),
    ("$join(['a', 'b'], '-')", "a-b"),
    ("$match('ababb', /a(b+)/)[0].match", "ab"),
    ("$replace('John Smith', 'John', 'Mr')", "Mr Smith"),
    ("$base64encode('myuser:mypass')", "bXl1c2VyOm15cGFzcw=="),
    ("$base64decode('bXl1c2VyOm15cGFzcw==')", "myuser:mypass"),
    ("$encodeUrlComponent('?x=test')", "%3Fx%3Dtest"),
    ("$encodeUrl('https://a.b/?x=ö')", "https://a.b/?x=%C3%B6"),
    ("$decodeUrlComponent('%3Fx%3Dtest')", "?x=test"),
    ("$decodeUrl('https://a.b/?x=%C3%B6')", "https://a.b/?x=ö"),
    ("$number('5')", 5),
    ("$abs(-5)", 5),
    ("$floor(5.8)", 5),
    ("$ceil(5.2)", 6),
    ("$round(123.456, 2)", 123.46),
    ("$power(2, 8)", 256),
    ("$sqrt(4)", 2),
    ("$formatNumber(12345.6, '#,###.00')", "12,345.60"),
    ("$formatBase(100, 2)", "1100100"),
    ("$formatInteger(2789, 'w')", "two thousand, seven hundred and eighty-nine"),
    ("$parseInteger('twelve', 'w')", 12),
    ("$sum([5, 1, 3])", 9),
    ("$max([5, 1, 3])", 5),
    ("$min([5, 1, 3])", 1),
    ("$average([5, 1, 3])", 3),
    ("$boolean([0])", False),
    ("$not(false)", True),
    ("$exists($states.input.no)", False),
    ("$count([1, 2])", 2),
    ("$append([1], [2, 3])", [1, 2, 3]),
    ("$sort([3, 1, 2])", [1, 2, 3]),
    ("$reverse([1, 2])", [2, 1]),
    ("$distinct([1, 2, 1])", [1, 2]),
    ("$zip([1, 2], [3, 4])", [[1, 3], [2, 4]]),
    ("$keys({'a': 1, 'b': 2})", ["a", "b"]),
    ("$lookup({'a': 1}, 'a')", 1),
    ("$clone({'a': 1})", {"a": 1}),  # not documented: what the reference implementation's transforms copy with
    ("$spread({'a': 1, 'b': 2})", [{"a": 1}, {"b": 2}]),
    ("$merge([{'a': 1}, {'b': 2}])", {"a": 1, "b": 2}),
    ("$sift({'a': 1, 'b': 2}, function($v) { $v > 1 })", {"b": 2}),
    ("$each({'a': 1}, function($v, $k) { $k & $v })", "a1"),
    ("$type([])", "array"),
    ("$map([1, 2], function($v) { $v * 2 })", [2, 4]),
    ("$filter([1, 2, 3], function($v) { $v > 1 })", [2, 3]),
    ("$single([1, 2], function($v) { $v = 2 })", 2),
    ("$reduce([1, 2, 3], function($a, $b) { $a + $b })", 6),
    ("$fromMillis(1510067557121)", "2017-11-07T15:12:37.121Z"),
    ("$toMillis('2017-11-07T15:12:37.121Z')", 1510067557121),
    ("$now()", "1970-01-01T00:00:00.000Z"),
    ("$millis()", 0),
    ("$assert(true, 'never')", None),
    ("$count($shuffle([1, 2, 3]))", 3),
    ("$random() < 1", True),
    ("$length($uuid())", 36),
    ("$partition([1, 2, 3, 4], 2)", [[1, 2], [3, 4]]),
    ("$range(0, 10, 5)", [0, 5, 10]),
    ("$hash('input', 'SHA-1')", "140f86aae51ab9e1cda9b4254fe98a74eb54c1a1"),
    ("$parse('{\"a\": 1}')", {"a": 1}),
]
OTHERWISE = {"error", "eval"}  # of no argument here; they fail: the next test


def outcome(text: str) -> tuple[str, Json]:
    wrapped = f"[{text}][0]" if text.startswith("$assert") else text
    state = {"Type": "Pass", "Output": f"{{% {wrapped} %}}", "End": True}
    run = Run({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": state}}, {})
    return (run.status, run.execution.output if run.status == "SUCCEEDED" else run.execution.cause)


@pytest.mark.parametrize(("text", "value"), [call for call in CALLS if not call[0].startswith("$assert")])
def test_a_built_in_function_gives_what_its_documentation_says(text: str, value: Json) -> None:
    assert outcome(text) == ("SUCCEEDED", value)


def test_error_assert_and_eval_fail_the_state() -> None:
    for text, said in (
        ("$error('mine')", "mine"),
        ("$assert(false, 'not so')", "not so"),
        ("$eval('1')", "threw an error during evaluation"),
    ):
        status, cause = outcome(text)
        assert status == "FAILED"
        assert said in str(cause)


def test_every_built_in_function_is_called_here() -> None:
    called = {name for name in BUILT_IN if any(f"${name}(" in text for text, _ in CALLS)}
    assert BUILT_IN - called == OTHERWISE
