"""What a JSONata text refers to, and which texts are tame."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jlens import Expression

from processor.interpreter.jsonata import EvaluationFailed, JsonataFault, compile_expression
from processor.interpreter.jsonata_syntax import scan
from processor.model.ids import Millis

S = frozenset({"states"})


@pytest.mark.parametrize(
    ("text", "names", "fields", "top_level"),
    [
        ("$states.input.a", S, {"input"}, ()),
        ("$states . result", S, {"result"}, ()),
        ("$states.`input`.x + $states.context.y", S, {"input", "context"}, ()),
        ("$states", S, None, ()),
        ("$states + $states.input", S, None, ()),
        ("$states[0]", S, None, ()),
        ("$states.(input.a)", S, None, ()),
        ("$states.*", S, None, ()),
        ("$states.function($i) { $i.c }(1)", S, None, ()),
        ("$x + $y", {"x", "y"}, set(), ()),
        ("$sum($x)", {"sum", "x"}, set(), ()),
        ("phone", set(), set(), ("phone",)),
        ("`a b`.c", set(), set(), ("a b",)),
        ("$.a & $$.b", set(), set(), ("$", "$$")),
        ("[*, **, $x.b.%.c]", {"x"}, set(), ("*", "**")),
        ("a and b or c in d", set(), set(), ("a", "b", "c", "d")),
        ("$x ? y : -z", {"x"}, set(), ("y", "z")),
        ("$x[a > 1].b.(c + $y).{'d': e}", {"x", "y"}, set(), ()),
        ("$x^(>b, <c).and", {"x"}, set(), ()),
        ("$x{k: $sum(v)}", {"x", "sum"}, set(), ()),
        ("$x.a.[b, %]", {"x"}, set(), ()),
        ("$x.$string(id)", {"x", "string"}, set(), ()),
        ("$string(id)", {"string"}, set(), ("id",)),
        ("$map($x, function($v) { b })", {"map", "x"}, set(), ("b",)),
        ("$x.$map(a, function($v) { b })", {"map", "x"}, set(), ()),
        ("λ($a, $b)<n-(sn):a<n>> { $a + $c }", {"c"}, set(), ()),
        ("function() { 1 }", set(), set(), ()),
        ("($x := 1; $x + $y)", {"y"}, set(), ()),
        ("($x := $x + 1; $x)", {"x"}, set(), ()),
        ("(($x := 1); $x)", {"x"}, set(), ()),
        ("($f := function($n) { $f($n - 1) }; $f(2))", set(), set(), ()),
        ("[$a := 1, $a]", set(), set(), ()),
        ("$a@$b#$i[$b.x = $i].c", {"a"}, set(), ()),
        ("$x ~> |a.b|{'c': d}, ['e']|", {"x"}, set(), ()),
        ("$x ~> |a|{'c': $q}|", {"x", "q"}, set(), ()),
        ("$substring(?, 1)", {"substring"}, set(), ()),
        ("$match('a/b', /[/]\\/x(a{1,2})/i)", {"match"}, set(), ()),
        ("$x / 2 / $y", {"x", "y"}, set(), ()),
        ("/* $no */ $x /* no */", {"x"}, set(), ()),
        ("true and null = false", set(), set(), ()),
        ("'its' & \"$no\"", set(), set(), ()),
        ("[1..$n]", {"n"}, set(), ()),
        ("(1; 2;)", set(), set(), ()),
        ("$now()", {"now"}, set(), ()),
    ],
)
def test_a_text_is_known_by_what_it_refers_to(
    text: str, names: set[str] | frozenset[str], fields: set[str] | None, top_level: tuple[str, ...]
) -> None:
    Expression(text)  # the engine takes it
    found = scan(text)
    assert (set(found.names), found.top_level) == (names, top_level)
    assert found.states_fields == (None if fields is None else frozenset(fields))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"'\ud800'", True),
        (r"'\udc00 x'", True),
        (r"'\ud800\ud800'", True),
        (r"'\ud83d\ude00'", False),
        (r"'\\ud800'", False),
        (r"'\n\u00e9'", False),
        (r"'\ud800' & 'x'", True),
    ],
)
def test_half_of_a_pair_is_seen(text: str, expected: bool) -> None:
    assert scan(text).lone_surrogate == expected


@pytest.mark.parametrize("text", ["1 / 2", "$x % 2", "$parseInteger('1', '0')"])
def test_what_may_give_no_number_is_seen(text: str) -> None:
    assert scan(text).may_give_nan
    assert not scan("$x + 1").may_give_nan


@pytest.mark.parametrize(
    "text",
    [
        "$states.input.a + 1",
        "$sum($states.input.a)",
        "$map($x, function($v) { {'a': $v.a, 'b': [$v.b, $v.c]} })",
        "$x ~> $sum",
        "$x ~> $map(function($v) { $v })",
        "($a := {'x': 1, 'y': 2}; $b := {'x': $a, 'y': $a}; $b)",
        "{'a': {'b': 1, 'c': 2}, 'd': [1, 2, 3], 'e': $string($x), 'f': [1, 2, 3, 4, 5, 6], 'g': [1, 2, 3, 4, 5]}",
        "$x.{'a': $, 'b': $}",
        "$sort($x, function($l, $r) { $l.n > $r.n })",
        "$replace($x, /a/, function($m) { $m.match })",
    ],
)
def test_a_text_without_repetition_is_tame(text: str) -> None:
    assert scan(text).tame


@pytest.mark.parametrize(
    "text",
    [
        "($f := function($n) { $f($n) }; $f(1))",
        "($f := function($a) { $map([{'x': $a, 'y': $a}], $f) }; $map([1], $f))",
        "$reduce($x, function($a, $b) { {'a': $a, 'b': $a} })",
        "[1..3]",
        "$range(1, 9, 1)",
        "$pad('x', 1000000)",
        "$distinct($x)",
        "(" + "$a := {'x': $a, 'y': $a};" * 12 + "$a)",
        "$x" + ".{'a': $, 'b': $}" * 12,
        "$x" + ".[[$, $]]" * 12,
        "$x" + "{'a': $, 'b': $}" + ".{'a': $, 'b': $}" * 12,
        "$x ~> $f",
        "$x ~> function($v) { $v }",
        "$x ~> |a|{}|",
        "$o.f(1)",
        "(function($v) { $v })(1)",
        "$lookup($o, 'f')(1)",
        "($map := 1; $map)",
        "$filter($x, function($map) { $map })",
        "($g := $append(?, 1); 1)",
    ],
)
def test_a_text_that_may_repeat_is_not_tame(text: str) -> None:
    Expression(text)
    assert not scan(text).tame


# fmt: off
WORDS = [
    "$x", "$states", ".a", "a", "1", "\"s\"", "/r/", "/[/]/i", "(", ")", "[", "]", "{", "}", ",", ";", ":", ":=",
    "+", "-", "*", "/", "%", "**", "..", ".", "?", "~>", "^(", "@$v", "#$i", "|", "function($p){", "λ()<n:n>{",
    "and", "in", "null", "`q`", "=", "<", "&", "$sum(", "$map(", "$f(", "/**/", "\"\\ud800\"", "$uuid()", "$$",
]
# fmt: on
CLOSING = {"(": ")", "[": "]", "{": "}"}


@given(st.lists(st.sampled_from(WORDS), max_size=10), st.sampled_from(["", " "]))
def test_any_text_is_refused_or_evaluates_or_fails(words: list[str], separator: str) -> None:
    text = separator.join(words)
    opened: list[str] = []
    for character in text:
        if character in CLOSING:
            opened.append(CLOSING[character])
        elif opened and opened[-1] == character:
            opened.pop()
    text += "".join(reversed(opened))
    try:
        expression = compile_expression(text, field="Output")
    except JsonataFault:
        return
    with suppress(EvaluationFailed):
        expression.evaluate({"a": [1, {"a": 2}]}, {"x": [1, 2]}, entropy=lambda: bytes(16), now=Millis(0))
