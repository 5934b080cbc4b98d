"""The rules of a Choice, each operator, its Path form, and And, Or, Not."""

from __future__ import annotations

import fnmatch
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.interpreter.rules import MAX_DEPTH, OPERATORS, compile_pattern, compile_rule
from processor.model.definition import StateFailure
from processor.model.json import Json
from tests.interpreter.surroundings import NOWHERE


def holds(rule: Json, value: Json) -> bool:
    def refuse(pointer: str, message: str) -> None:
        raise AssertionError((pointer, message))

    return compile_rule(rule, pointer="", report=refuse)(value, NOWHERE)


def faults_of(rule: Json) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    compile_rule(rule, pointer="", report=lambda pointer, message: faults.append((pointer, message)))
    return faults


def compares(operator: str, value: Json, constant: Json) -> bool:
    """Whether `value` compares so with `constant`: asked of the constant and of the Path form, which must agree."""
    by_constant = holds({"Variable": "$.v", operator: constant}, {"v": value})
    by_path = holds({"Variable": "$.v", f"{operator}Path": "$.w"}, {"v": value, "w": constant})
    assert by_constant is by_path
    return by_constant


def test_there_are_39_operators() -> None:
    assert len(OPERATORS) == 39


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("String", "A", "AB"),
        ("String", "", " "),
        ("String", "Z", "a"),
        ("String", "\U0001f600", "\uff5e"),  # as Java compares UTF-16: 0xD83D stands before 0xFF5E
        ("String", "\u00e9", "\u00e9\u00e9"),
        ("Numeric", 0, 0.5),
        ("Numeric", -1.5, 1),
        ("Timestamp", "2012-10-09T19:00:55Z", "2012-10-09T19:00:56Z"),
        ("Timestamp", "2012-10-09T19:00:55+01:00", "2012-10-09T18:00:55.001Z"),
        ("Timestamp", "2012-10-09T19:00:55.123456Z", "2012-10-09T19:00:55.123456001Z"),
    ],
)
def test_two_values_of_one_type_are_ordered(kind: str, low: Json, high: Json) -> None:
    told = {
        (name, at): compares(f"{kind}{name}", value, constant)
        for name in ("Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
        for at, (value, constant) in {"<": (low, high), "=": (low, low), ">": (high, low)}.items()
    }

    assert {name: [at for at in "<=>" if told[name, at]] for name, _ in told} == {
        "Equals": ["="],
        "LessThan": ["<"],
        "LessThanEquals": ["<", "="],
        "GreaterThan": [">"],
        "GreaterThanEquals": ["=", ">"],
    }


def test_equal_moments_are_equal_however_they_are_written() -> None:
    assert compares("TimestampEquals", "2012-10-09T19:00:55+01:00", "2012-10-09T18:00:55Z")
    assert compares("NumericEquals", 0.0, 0)
    assert compares("BooleanEquals", False, False)
    assert not compares("BooleanEquals", False, True)


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "x", "2012-10-09", [], {}, [1]])
def test_a_value_of_another_type_is_no_match_and_no_failure(value: Json) -> None:
    others: dict[str, Json] = {"String": "x", "Numeric": 0, "Boolean": True, "Timestamp": "2012-10-09T19:00:55Z"}
    own = {"x": ["String"], "2012-10-09": [], True: ["Boolean"], 0: ["Numeric"]}

    matched = [kind for kind, constant in others.items() if compares(f"{kind}Equals", value, constant)]

    assert matched == (own.get(value, []) if isinstance(value, str | int) else [])


def test_the_path_form_with_a_value_of_another_type_is_no_match() -> None:
    assert not holds({"Variable": "$.v", "StringEqualsPath": "$.w"}, {"v": "1", "w": 1})
    assert not holds({"Variable": "$.v", "NumericEqualsPath": "$.w"}, {"v": 1, "w": True})


@pytest.mark.parametrize(
    ("operator", "matching"),
    [
        ("IsNull", [None]),
        ("IsNumeric", [0, -1.5]),
        ("IsString", ["", "2012-10-09T19:00:55Z"]),
        ("IsBoolean", [True, False]),
        ("IsTimestamp", ["2012-10-09T19:00:55Z"]),
        ("IsPresent", [None, True, False, 0, -1.5, "", "2012-10-09T19:00:55Z", [], {}]),
    ],
)
def test_type_tests_tell_types_apart_and_may_be_asked_the_other_way_round(operator: str, matching: list[Json]) -> None:
    values: list[Json] = [None, True, False, 0, -1.5, "", "2012-10-09T19:00:55Z", [], {}]

    found = [value for value in values if holds({"Variable": "$.v", operator: True}, {"v": value})]
    turned = [value for value in values if not holds({"Variable": "$.v", operator: False}, {"v": value})]

    assert [repr(value) for value in found] == [repr(value) for value in matching]
    assert [repr(value) for value in turned] == [repr(value) for value in matching]


def test_presence_can_be_asked_of_what_is_not_there() -> None:
    assert holds({"Variable": "$.a.b", "IsPresent": False}, {})
    assert not holds({"Variable": "$.a.b", "IsPresent": True}, {"a": 1})
    assert holds({"Variable": "$.a[1]", "IsPresent": True}, {"a": [1, None]})


@pytest.mark.parametrize(
    "rule",
    [
        {"Variable": "$.v", "StringEquals": "x"},
        {"Variable": "$.v", "IsNull": True},
        {"Variable": "$.v", "StringMatches": "*"},
        {"Variable": "$.v", "NumericEqualsPath": "$.w"},
        {"Variable": "$.w", "NumericEqualsPath": "$.v"},
    ],
)
def test_a_variable_that_is_not_there_fails_the_state(rule: Json) -> None:
    with pytest.raises(StateFailure) as failure:
        holds(rule, {"w": 1})

    assert (failure.value.error, failure.value.cause) == (
        "States.Runtime",
        "Invalid path '$.v': The choice state's condition path references an invalid value.",
    )


def test_a_variable_may_be_read_from_the_context_object() -> None:
    rule: Json = {"Variable": "$$.Execution.Input.n", "NumericLessThanEquals": 1, "Next": "Quit"}

    assert holds(rule, None)


def test_rules_join_and_stop_at_the_first_that_decides() -> None:
    there: Json = {"Variable": "$.a", "IsPresent": True}
    one: Json = {"Variable": "$.a", "NumericEquals": 1}

    assert holds({"And": [there, one], "Next": "N"}, {"a": 1})
    assert not holds({"And": [there, one]}, {})
    assert holds({"Or": [{"Not": there}, one], "Comment": "c"}, {})
    assert not holds({"Or": [{"Not": there}, one]}, {"a": 2})
    assert holds({"Not": {"And": [there, {"Not": one}]}}, {"a": 1})


# ---- StringMatches


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("foo*.log", ["foo.log", "foo23.log", "foobar.log.log"], ["foo.logs", "fo.log", "zfoo.log", ""]),
        ("*.log", [".log", "zebra.log"], ["log", ".log "]),
        ("foo*.*", ["foobar.zebra", "foo."], ["foo"]),
        ("*", ["", "anything\nat all"], []),
        ("", [""], ["a"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("a**b*", ["ab", "axbx"], ["b"]),
        ("*ab*ba*", ["abba", "xabyba"], ["aba", "baab"]),
        (r"a\*b", ["a*b"], ["axb", r"a\*b"]),
        (r"\\*", ["\\", "\\x"], ["x"]),
        (r"a\b", [r"a\b"], ["ab"]),
        ("a\\", ["a\\"], ["a"]),
    ],
)
def test_a_star_matches_any_text_and_a_backslash_takes_that_away(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    match = compile_pattern(pattern)

    assert [text for text in matching + others if match(text)] == matching
    assert [text for text in matching + others if holds({"Variable": "$", "StringMatches": pattern}, text)] == matching
    assert not holds({"Variable": "$", "StringMatches": pattern}, 5)


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_patterns_match_what_the_shell_matches(pattern: str, text: str) -> None:
    assert compile_pattern(pattern)(text) is fnmatch.fnmatchcase(text, pattern)


def test_a_pattern_of_many_stars_takes_no_longer_than_its_text() -> None:
    assert not compile_pattern("*a" * 2_000 + "*b")("a" * 250_000)


# ---- faults


ONE = "This object should have only one of the following fields:"
SELECT = "The object must have only one of the following fields, [And, Or, Not, Variable, Condition]"


@pytest.mark.parametrize(
    ("rule", "faults"),
    [
        ("x", [("", "Expected value of type [OBJECT]")]),
        ({"Variable": "$.a"}, [("", f"{ONE} [{', '.join(sorted(OPERATORS))}]")]),
        (
            {"Variable": "$.a", "IsNull": True, "IsString": True},
            [("", "There should only be one of the following fields: [IsNull, IsString]")],
        ),
        ({"IsNull": True}, [("", SELECT)]),
        ({"Variable": 5, "IsNull": True}, [("/Variable", "Expected value of type [STRING]")]),
        ({"Variable": "a", "IsNull": True}, [("/Variable", "Value is not a Reference Path: 'a'")]),
        ({"Variable": "$.a", "StringEqualsPath": "b"}, [("/StringEqualsPath", "Value is not a Reference Path: 'b'")]),
        ({"Variable": "$.a", "IsNull": "yes"}, [("/IsNull", 'Expected value of type [BOOLEAN], got "yes"')]),
        ({"Variable": "$.a", "IsPresent": 1}, [("/IsPresent", "Expected value of type [BOOLEAN], got 1")]),
        ({"Variable": "$.a", "StringMatches": 1}, [("/StringMatches", "Expected value of type [STRING], got 1")]),
        ({"Variable": "$.a", "NumericEquals": True}, [("/NumericEquals", "Expected value of type [NUMBER], got true")]),
        (
            {"Variable": "$.a", "TimestampEquals": "now"},
            [("/TimestampEquals", "String does not match RFC3339 timestamp")],
        ),
        (
            {"Variable": "$.a", "TimestampEquals": 5},
            [("/TimestampEquals", "Expected value of type Timestamp, got 5")],
        ),
        ({"Variable": "$.a[?(@.b =~ /x/)]", "IsNull": True}, []),
        ({"Variable": "$.a", "StringEqualsPath": 5}, [("/StringEqualsPath", "Expected value of type [STRING]")]),
        ({"Variable": "$.a", "IsNull": True, "Condition": "{% true %}"},
         [("", "Field 'Condition' is not supported"), ("", SELECT)]),
        ({"And": {}}, [("/And", "Expected value of type [ARRAY]")]),
        ({"Or": []}, [("/Or", "Value cannot be empty")]),
        ({"Not": [1]}, [("/Not", "Expected value of type [OBJECT]")]),
        ({"Variable": "$.a", "Not": {"Variable": "$", "IsNull": True}},
         [("", SELECT)]),
        ({"And": [{"Variable": "$", "IsNull": True, "Next": "N"}]}, [("/And/0", "Field 'Next' is not supported")]),
        ({"And": [5, {"Or": [6]}]}, [("/And/0", "Expected value of type [OBJECT]"),
                                     ("/And/1/Or/0", "Expected value of type [OBJECT]")]),
        ({"Variable": "$x", "IsNull": True}, []),
        ({"Variable": "$states", "IsNull": True}, [("/Variable", "Value is not a Reference Path: '$states'")]),
    ],
)  # fmt: skip
def test_a_rule_with_faults_is_reported_with_each(rule: Json, faults: list[tuple[str, str]]) -> None:
    assert faults_of(rule) == faults


def test_a_rule_that_could_not_be_read_never_holds() -> None:
    assert not compile_rule(5, pointer="", report=lambda pointer, message: None)({}, NOWHERE)


def test_rules_nest_up_to_a_limit() -> None:
    rule: Json = {"Variable": "$", "IsNull": True}
    for _ in range(MAX_DEPTH):
        rule = {"Not": rule}

    assert holds(rule, None)
    assert faults_of({"And": [rule]}) == [
        ("/And/0" + "/Not" * MAX_DEPTH, f"And, Or and Not are nested more than {MAX_DEPTH} deep")
    ]


# ---- what AWS does


def recorded_choices() -> list[tuple[str, Json, Json, Json]]:
    default = Path(__file__).parents[2].parent / "shared" / "conformance" / "aws"
    folder = Path(os.environ.get("CONFORMANCE_DIR", default))
    cases = []
    for file in sorted(folder.glob("choice_operators__*.json")):
        for case in json.loads(file.read_text()):
            rule = case["definition"]["States"]["CheckValues"]["Choices"][0]
            cases.append((case["id"], rule, case["input"], case["expected"]["output"]["TestResult.$"]))
    return cases


def test_every_recorded_choice_is_made_as_aws_made_it() -> None:
    cases = recorded_choices()
    if not cases:
        pytest.skip("no recordings of AWS here: set CONFORMANCE_DIR to their folder")

    wrong = [
        (case_id, rule, value, expected)
        for case_id, rule, value, expected in cases
        if holds(rule, value) is not (expected == "ConditionTrue")
    ]

    assert wrong == []
