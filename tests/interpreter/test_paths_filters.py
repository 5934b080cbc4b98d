r"""Filters: what they compare, and regular expressions in them.

What AWS takes is known from reports and from its guide, not from recordings (docs/decisions/0011): a literal may stand
without quotes, text is read as the type that it is compared with, what is missing passes neither `==` nor `!=`.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.interpreter.paths import PathFault, compile_path
from processor.interpreter.paths_regex import MAX_PATTERN, PatternFault, compile_regex
from processor.model.definition import StateFailure
from processor.model.json import Json
from tests.interpreter.surroundings import NOWHERE


def kept(condition: str, values: list[Json]) -> list[Json]:
    """Return those of the values that, as member v of an object, pass."""
    rows: list[Json] = [{"v": value} for value in values]
    found = compile_path(f"$[?({condition})].v", field="x.$").evaluate(rows, NOWHERE)
    assert isinstance(found, list)
    return found


# ---- comparison

TYPED: list[Json] = ["5", "10", "abc", "true", "null", 5, 10, 4.5, True, False, None, [5], {"a": 5}]

TRUTH: list[tuple[str, list[Json]]] = [
    # A literal is text. With a text it compares as text does: "10" comes before "5".
    ("@.v == 5", ["5", 5]),
    ("@.v == '5'", ["5", 5]),
    ("@.v == 5.0", [5]),
    ("@.v != 5", ["10", "abc", "true", "null", 10, 4.5, None]),
    ("@.v < 5", ["10", 4.5]),
    ("@.v <= 5", ["5", "10", 5, 4.5]),
    ("@.v > 5", ["abc", "true", "null", 10]),
    ("@.v >= 5", ["5", "abc", "true", "null", 5, 10]),
    ("5 > @.v", ["10", 4.5]),
    # Booleans compare with what is spelled as one.
    ("@.v == true", ["true", True]),
    ("@.v == 'false'", [False]),
    ("@.v != true", ["5", "10", "abc", "null", False, None]),
    # Null is like nothing else, and has no order.
    ("@.v == null", ["null", None]),
    ("@.v != null", ["5", "10", "abc", "true", 5, 10, 4.5, True, False, [5], {"a": 5}]),
    ("@.v >= null", ["true", "null", None]),
    # Text needs no quotes.
    ("@.v == abc", ["abc"]),
    ("@.v != abc", ["5", "10", "true", "null", None]),
    ("@.v == ab.c-d/e:f", []),
    # There is null, but it is no value to exist.
    ("@.v", ["5", "10", "abc", "true", "null", 5, 10, 4.5, True, False, [5], {"a": 5}]),
    ("!@.v", [None]),
    # The operators that are words compare as JSON does.
    ("@.v in [5, 'abc', null]", ["abc", 5, None]),
    ("@.v nin [5, 'abc', null]", ["5", "10", "true", "null", 10, 4.5, True, False, [5], {"a": 5}]),
    ("@.v all [5]", [[5]]),
    ("@.v empty false", ["5", "10", "abc", "true", "null", [5], {"a": 5}]),
    ("@.v contains 5", [[5]]),
]


@pytest.mark.parametrize(("condition", "passing"), TRUTH)
def test_a_literal_is_read_as_the_type_of_what_it_is_compared_with(condition: str, passing: list[Json]) -> None:
    assert [repr(value) for value in kept(condition, TYPED)] == [repr(value) for value in passing]


def test_texts_are_ordered_as_java_orders_them() -> None:
    values: list[Json] = ["\U0001f600", "\uff5e", "a"]
    assert kept("@.v < '\uff5e'", values) == ["\U0001f600", "a"]
    between = compile_path("$.rows[?(@.v > $.than)].v", field="x.$")
    rows: list[Json] = [{"v": value} for value in values]
    assert between.evaluate({"rows": rows, "than": "\U0001f600"}, NOWHERE) == ["\uff5e"]


@pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">=", "=~"])
def test_what_is_not_there_passes_no_comparison(operator: str) -> None:
    operand = "/.*/" if operator == "=~" else "null"

    assert kept(f"@.w {operator} {operand}", [1, None]) == []
    assert kept(f"!(@.w {operator} {operand})", [1, None]) == [1, None]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        # Each is from a definition that its author reports to run on AWS.
        ("$.P[?(@.Name==/eggs/cooked/like)].Value", {"P": [{"Name": "/eggs/cooked/like", "Value": 1}]}),
        ("$.Payload[?(@.status==subject_completed)]..id", {"Payload": [{"status": "subject_completed", "id": 1}]}),
        ("$.Outputs[?(@.OutputKey == FooBar)].Value", {"Outputs": [{"OutputKey": "FooBar", "Value": 1}]}),
        ("$.list[?(@.name==ecs.availability-zone)].v", {"list": [{"name": "ecs.availability-zone", "v": 1}]}),
        ("$.items[?(@.a == true && @.b == true)].v", {"items": [{"a": True, "b": True, "v": 1}, {"a": True}]}),
    ],
)  # fmt: skip
def test_filters_that_users_run_are_taken(path: str, value: Json) -> None:
    assert compile_path(path, field="x.$").evaluate(value, NOWHERE) == [1]


NUMBERS = st.integers(-10_000, 10_000) | st.floats(-1e6, 1e6, allow_nan=False)


@given(NUMBERS, NUMBERS)
def test_numbers_compare_as_numbers_do_however_they_are_written(one: float, other: float) -> None:
    told = {symbol: kept(f"@.v {symbol} {other!r}", [one]) == [one] for symbol in ("==", "!=", "<", "<=", ">", ">=")}

    assert told == {
        "==": one == other, "!=": one != other, "<": one < other, "<=": one <= other, ">": one > other,
        ">=": one >= other,
    }  # fmt: skip


def test_a_number_of_any_length_is_a_literal() -> None:
    assert kept(f"@.v < {'9' * 400}", [1, 1e300]) == [1, 1e300]
    assert kept(f"@.v < {'9' * 401}", [1]) == []
    assert kept("@.v < 1e400", [1]) == []


# ---- regular expressions


@pytest.mark.parametrize(
    ("condition", "passing"),
    [
        ("@.v =~ /foo.*/", ["foobar"]),
        ("@.v =~ /FOO.*/i", ["foobar"]),
        ("@.v =~ /o+/", []),  # all of the text has to match
        (r"@.v =~ /a\/b/", ["a/b"]),
        ("@.v =~ /[0-9.]+/", [5, 4.5]),
        ("@.v =~ /true|false/", [True]),
        ("@.v =~ /4.5/ || @.v =~ /x{3}/", [4.5, ["no", "xxx", ["deep"]]]),
        (r"@.v =~ /a.b/s && !(@.v =~ /a\/b/)", ["a\nb"]),
        ("@.v =~ /null|deep|/", []),
    ],
)
def test_a_regular_expression_matches_all_of_a_text_or_one_of_an_array(condition: str, passing: list[Json]) -> None:
    values: list[Json] = ["foobar", "a/b", "a\nb", 5, 4.5, True, None, {"a": "foo"}, ["no", "xxx", ["deep"]]]

    assert kept(condition, values) == passing


@pytest.mark.parametrize(
    ("pattern", "flags", "matching", "others"),
    [
        (r"\u0041\x42\x{43}\0104\011", "", ["ABCD\t"], []),
        (r"\ud83d\ude00", "", ["😀"], ["\ud83d"[:0]]),
        (r"\h\v[\h\v]\R\Z", "", ["\t\n\u2003\r\n", " \x0b\n\u2028"], ["\t\n\t"]),
        (r"\H\V", "", ["ab"], ["\tb", "a\n"]),
        (r"\s[\s]\S", "", ["\x0b\x0ba"], ["\x0b\x0b\x0b"]),
        (r"\p{Alpha}\P{Alpha}[\p{Digit}_\P{ASCII}]", "", ["a15", "b-_", "c-é"], ["a1b", "éa1"]),
        (r"\pL\p{IsLatin}\p{Lu}\PL", "", ["éaÉ1"], ["1aÉ1"]),
        (r"\Qa.*[\E+", "", ["a.*[[["], ["ab["]),
        (r"a\Q+", "", ["a+"], ["aa"]),
        (r"\cA\c[\e\a", "", ["\x01\x1b\x1b\x07"], []),
        (r"[]a][^]a]", "", ["]b", "ac"], ["a]"]),
        (r"[\[&\-]+", "", ["[&-"], ["a"]),
        (r"(?<name>a)(?:b)(?i:C)(?s).", "", ["abc\n"], ["ABC\n"]),
        (r"a{2}?b+?c??", "", ["aabb"], ["ab"]),
        ("^a$\n^b$", "m", ["a\nb"], []),
        ("straße", "iu", ["STRAßE"], []),
        ("", "", [""], ["a"]),
    ],
)
def test_what_java_writes_otherwise_is_rewritten(
    pattern: str, flags: str, matching: list[str], others: list[str]
) -> None:
    regex = compile_regex(pattern, flags)

    assert [text for text in matching + others if regex.matches(text)] == [
        *matching, *(text for text in others if text == "" == pattern)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "a back-reference, which cannot be matched in linear time, is not supported, at character 4"),
        (r"(?<n>a)\k<n>", "a back-reference, which"),
        ("x(?=a)", "lookahead, which cannot be matched in linear time, is not supported, at character 2"),
        ("(?!a)", "lookahead, which"),
        ("(?<=a)b", "lookbehind, which"),
        ("(?<!a)b", "lookbehind, which"),
        ("(?>a)", "an independent group, which"),
        ("a++", "a possessive quantifier, which"),
        ("a{2,}+", "a possessive quantifier, which"),
        ("(?x)a", r"the group '\(\?x\)' is not supported"),
        ("[a[b]]", "a character class within another"),
        ("[a-z&&[^b]]", "an intersection of character classes"),
        ("[a", "a character class is not closed"),
        ("a\\", "ends with a backslash"),
        (r"\X", r"\\X is not supported"),
        (r"[\V]", r"\\V is not supported"),
        (r"\u00", r"\\u is not supported"),
        (r"\ud83d", "half a surrogate pair"),
        ("\ud83d", "half a surrogate pair"),
        (r"\p{javaLowerCase}", "invalid character class range"),
        ("(", "is not a regular expression"),
        ("a{1001}", "invalid repetition size"),
        ("[^a]{900}", "is too large"),
        ("(a{1000}){1000}", "is not a regular expression"),
        (r"[\p{L}\p{N}]" * 80, "too large"),
        ("a" * (MAX_PATTERN + 1), "at most 1000 characters"),
    ],
)
def test_what_cannot_be_matched_in_linear_time_is_refused_by_name(pattern: str, why: str) -> None:
    with pytest.raises(PatternFault, match=why):
        compile_regex(pattern)


@pytest.mark.parametrize("flags", ["x", "d", "U", "ig"])
def test_other_flags_are_refused_by_name(flags: str) -> None:
    with pytest.raises(PatternFault, match=f"flag '{flags[-1]}'"):
        compile_regex("a", flags)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("$[?(@.a =~ 'x')]", "expected a regular expression such as /a.*b/i at character 12"),
        ("$[?(@.a =~ /x)]", "a regular expression is not closed at character 16"),
        ("$[?(@.a =~ /x\\", "a regular expression is not closed"),
        ("$[?(@.a =~ /(?=x)/)]", "lookahead, which cannot be matched in linear time, is not supported, at character 1"),
    ],
)
def test_a_filter_whose_regular_expression_is_refused_is_no_path(path: str, fault: str) -> None:
    with pytest.raises(PathFault, match=re.escape(fault)):
        compile_path(path, field="x.$")


def test_equal_patterns_are_equal() -> None:
    assert compile_regex("a", "i") == compile_regex("a", "i")
    assert compile_regex("a", "i") != compile_regex("a")


SIMPLE = st.recursive(
    st.sampled_from(["a", "b", "é", ".", "[ab]", "[^a]", r"\d", r"\w", r"\.", "a{2}", "(?:ab)?"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{0,2}", "*?"])).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=6,
)


@given(SIMPLE, st.text("abé1.", max_size=6), st.booleans())
def test_the_common_syntax_matches_as_pythons_does(pattern: str, text: str, ignoring_case: bool) -> None:
    found = compile_regex(pattern, "i" if ignoring_case else "").matches(text)

    expected = re.compile(pattern, (re.IGNORECASE if ignoring_case else 0) | re.ASCII).fullmatch(text)
    assert found is (expected is not None)


@pytest.mark.parametrize(
    ("pattern", "rows", "passes"),
    [("(a+)+", 4, True), (r"\p{L}+", 1, True), (r"\p{L}+", 4, False), ("[ab]*a[ab]{900}", 4, False)],
)
def test_what_regular_expressions_may_cost_is_counted_by_their_size(pattern: str, rows: int, passes: bool) -> None:
    """How long they then take is measured in tests/fuzz."""
    value: Json = [{"v": "a" * 50_000}] * rows
    path = compile_path(f"$[?(@.v =~ /{pattern}/)]", field="x.$")

    if passes:
        assert path.evaluate(value, NOWHERE) == value
    else:
        with pytest.raises(StateFailure, match="looks at more than 1000000 values"):
            path.evaluate(value, NOWHERE)
