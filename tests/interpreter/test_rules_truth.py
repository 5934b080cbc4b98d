"""The 39 comparison operators as truth tables: every operator against every type of value, constant and Path form.

Each row: an operator, its operand, and the values it holds for. Source: ASL specification, "Choice State": "if the
values are not both of the appropriate type … the comparison will return false"; the recorded cases say the same, and
test_rules.py holds the operators to them.
"""

from __future__ import annotations

import pytest

from processor.interpreter.rules import OPERATORS, compile_rule
from processor.model.definition import StateFailure
from processor.model.json import Json
from tests.interpreter.surroundings import NOWHERE, Surroundings

EARLY, NOON, SAME, LATE = (
    "2024-02-29T11:59:59.999Z",
    "2024-02-29T12:00:00Z",
    "2024-02-29T14:30:00.000+02:30",  # the same moment as NOON
    "2024-02-29T12:00:00.001Z",
)
VALUES: dict[str, Json] = {
    "null": None,
    "true": True,
    "false": False,
    "0": 0,
    "1": 1,
    "1.0": 1.0,
    "-1.5": -1.5,
    "2**53+1": 2**53 + 1,
    "''": "",
    "'1'": "1",
    "'a'": "a",
    "'B'": "B",
    "'true'": "true",
    "early": EARLY,
    "noon": NOON,
    "same": SAME,
    "late": LATE,
    "date": "2024-02-29",
    "no zone": "2024-02-29T12:00:00",
    "no such day": "2023-02-29T12:00:00Z",
    "[]": [],
    "[1]": [1],
    "{}": {},
}
TIMES = "early noon same late"
TEXTS = "'' '1' 'a' 'B' 'true' early noon same late date|no zone|no such day"

TABLE: list[tuple[str, Json, str]] = [
    ("StringEquals", "a", "'a'"),
    ("StringEquals", "", "''"),
    ("StringEquals", NOON, "noon"),
    ("StringLessThan", "B", "'' '1' early noon same late date|no zone|no such day"),
    ("StringLessThanEquals", "B", "'' '1' 'B' early noon same late date|no zone|no such day"),
    ("StringGreaterThan", "B", "'a' 'true'"),
    ("StringGreaterThanEquals", "B", "'a' 'B' 'true'"),
    ("NumericEquals", 1, "1 1.0"),
    ("NumericEquals", 2**53 + 1, "2**53+1"),
    ("NumericEquals", 0.0, "0"),
    ("NumericLessThan", 1, "0 -1.5"),
    ("NumericLessThanEquals", 1, "0 1 1.0 -1.5"),
    ("NumericGreaterThan", -1.5, "0 1 1.0 2**53+1"),
    ("NumericGreaterThanEquals", -1.5, "0 1 1.0 -1.5 2**53+1"),
    ("BooleanEquals", True, "true"),
    ("BooleanEquals", False, "false"),
    ("TimestampEquals", NOON, "noon same"),
    ("TimestampLessThan", NOON, "early"),
    ("TimestampLessThanEquals", SAME, "early noon same"),
    ("TimestampGreaterThan", SAME, "late"),
    ("TimestampGreaterThanEquals", NOON, "noon same late"),
    ("StringMatches", "*", TEXTS),
    ("StringMatches", "2024-*T*Z", "early noon late"),
    ("IsNull", True, "null"),
    ("IsBoolean", True, "true false"),
    ("IsNumeric", True, "0 1 1.0 -1.5 2**53+1"),
    ("IsString", True, TEXTS),
    ("IsTimestamp", True, TIMES),
    ("IsPresent", True, "null true false 0 1 1.0 -1.5 2**53+1 [] [1] {} " + TEXTS),
]


def names(row: str) -> list[str]:
    """Split a row's names; one with a blank in it stands between bars."""
    first, *others = row.split("|")
    return [*first.split(), *others]


def held(rule: Json, operand: Json = None) -> list[str]:
    """Return the names of the values for which the rule holds, in the order of VALUES."""
    faults: list[str] = []
    test = compile_rule(rule, pointer="", report=lambda pointer, message: faults.append(message))
    assert faults == []
    return [name for name, value in VALUES.items() if test({"v": value, "w": operand}, NOWHERE)]


def ordered(row: str) -> list[str]:
    wanted = names(row)
    assert set(wanted) <= set(VALUES)
    return [name for name in VALUES if name in wanted]


@pytest.mark.parametrize(("operator", "operand", "row"), TABLE)
def test_an_operator_holds_for_values_of_its_type_alone(operator: str, operand: Json, row: str) -> None:
    assert held({"Variable": "$.v", operator: operand}) == ordered(row)


@pytest.mark.parametrize(
    ("operator", "operand", "row"), [row for row in TABLE if not row[0].startswith("Is") and row[0] != "StringMatches"]
)
def test_a_path_form_compares_as_the_constant_would(operator: str, operand: Json, row: str) -> None:
    assert held({"Variable": "$.v", f"{operator}Path": "$.w"}, operand) == ordered(row)


@pytest.mark.parametrize("operator", sorted(name for name in OPERATORS if name.startswith("Is")))
def test_a_type_test_can_be_asked_for_false(operator: str) -> None:
    asked = held({"Variable": "$.v", operator: True})

    assert held({"Variable": "$.v", operator: False}) == [name for name in VALUES if name not in asked]


PATH_FORMS = sorted(name for name in OPERATORS if name.endswith("Path"))


@pytest.mark.parametrize("operator", PATH_FORMS)
def test_a_path_form_holds_for_no_operand_of_another_type(operator: str) -> None:
    operands: dict[str, Json] = {"String": "x", "Numeric": 1, "Boolean": True, "Timestamp": NOON}
    kind = next(kind for kind in operands if operator.startswith(kind))
    own = {"String": {"String", "Timestamp"}, "Timestamp": {"Timestamp"}}.get(kind, {kind})
    others: list[Json] = [None, [], {}, *(value for name, value in operands.items() if name not in own)]

    assert [held({"Variable": "$.v", operator: "$.w"}, other) for other in others] == [[]] * len(others)


@pytest.mark.parametrize("operator", PATH_FORMS)
def test_either_path_may_read_the_context_object_and_fails_where_nothing_is(operator: str) -> None:
    operands: dict[str, Json] = {"String": "x", "Numeric": 1, "Boolean": True, "Timestamp": NOON}
    value = next(value for kind, value in operands.items() if operator.startswith(kind))
    here = Surroundings({"Execution": {"Input": {"v": value}}})

    def holds(variable: str, other: str) -> bool:
        rule: Json = {"Variable": variable, operator: other}
        return compile_rule(rule, pointer="", report=lambda pointer, message: None)({"w": value}, here)

    read = "$$.Execution.Input.v"
    assert (
        holds(read, "$.w")
        is holds("$.w", read)
        is holds(read, read)
        is ("Than" not in operator or "Equals" in operator)
    )
    for paths in (("$$.no", "$.w"), ("$.w", "$$.no"), ("$.no", "$.w"), ("$.w", "$.no")):
        with pytest.raises(StateFailure, match="condition path references an invalid value"):
            holds(*paths)


def test_every_operator_stands_in_the_table() -> None:
    told = {operator for operator, _, _ in TABLE}

    assert told | {f"{operator}Path" for operator in told if f"{operator}Path" in OPERATORS} == OPERATORS


def test_what_a_patterns_text_may_cost_is_counted() -> None:
    """Else a Choice of many rules takes as many times as long for its one event."""
    rule: Json = {"Or": [{"Variable": "$.v", "StringMatches": "*a*b*"}] * 300}
    test = compile_rule(rule, pointer="", report=lambda pointer, message: None)

    assert not test({"v": "a" * 2_000}, Surroundings())
    with pytest.raises(StateFailure) as failure:
        test({"v": "a" * 250_000}, Surroundings())
    assert (failure.value.error, failure.value.cause) == (
        "States.Runtime",
        "The rules of one Choice look at more than 1000000 values",
    )


@pytest.mark.parametrize("operator", ["StringEqualsPath", "StringGreaterThanPath"])
def test_what_a_comparison_of_texts_may_cost_is_counted(operator: str) -> None:
    """Of the shorter one: a thousand comparisons of the longest texts are carried out, ten thousand are not."""
    value: Json = {"a": "\U00010000" * 31_000 + "a", "b": "\U00010000" * 31_000 + "b", "short": "\U00010001" * 511}

    def holds(other: str, times: int) -> bool:
        rule: Json = {"Or": [{"Variable": "$.a", operator: other}] * times}
        return compile_rule(rule, pointer="", report=lambda pointer, message: None)(value, Surroundings())

    assert not holds("$.b", 1_000)
    assert not holds("$.short", 20_000)
    with pytest.raises(StateFailure) as failure:
        holds("$.b", 20_000)
    assert (failure.value.error, failure.value.cause) == (
        "States.Runtime",
        "The rules of one Choice look at more than 1000000 values",
    )


def test_a_comparison_with_a_long_constant_is_counted_too() -> None:
    text = "a" * 200_000
    rule: Json = {"And": [{"Variable": "$.v", "StringEquals": text}] * 3_000}
    test = compile_rule(rule, pointer="", report=lambda pointer, message: None)

    assert not test({"v": 1}, Surroundings())
    assert not test({"v": "b"}, Surroundings())
    with pytest.raises(StateFailure, match="look at more than"):
        test({"v": text}, Surroundings())
