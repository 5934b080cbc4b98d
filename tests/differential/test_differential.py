"""Generated definitions, run here and by moto 5.2.5's interpreter: every difference is decided by a rule with a source.

Moto's answers are kept in a file (`make differential` writes it anew); here moto is asked again for a sample.
"""

from __future__ import annotations

import re

import pytest

from processor.interpreter import dataflow, intrinsics_functions, rules, step
from processor.interpreter.intrinsics_syntax import FUNCTIONS
from processor.interpreter.rules import OPERATORS
from processor.interpreter.written import STATES
from processor.model.json import render_json
from tests.differential.adjudication import (
    RELATIONS,
    Difference,
    adjudicate,
    differences,
    load_rules,
    without_ids,
)
from tests.differential.answer import Answer
from tests.differential.answers import Kept, load
from tests.differential.ask import ask
from tests.differential.compared import Report, compare_all
from tests.differential.generator import COUNT, generated

EVERY = 10  # moto is asked again for one case in ten


@pytest.fixture(scope="module")
def kept() -> Kept:
    return load()


@pytest.fixture(scope="module")
def report(kept: Kept) -> Report:
    made = compare_all(kept)
    print(made.table())
    return made


def test_every_difference_is_decided_by_a_rule(report: Report) -> None:
    assert [(number, difference.told()) for number, difference in report.undecided] == []


def test_every_rule_decides_something(report: Report) -> None:
    assert report.unused == []


def test_no_rule_finds_this_interpreter_wrong(report: Report) -> None:
    """Where moto was right, the interpreter is to be mended, not the rule kept."""
    assert [rule.id for rule in report.rules if rule.right != "ours"] == []


def test_most_cases_succeed_and_most_agree(report: Report) -> None:
    assert sum(report.statuses.values()) == COUNT
    assert report.statuses.keys() == {"SUCCEEDED", "FAILED"}  # nothing generated is refused here
    assert report.statuses["SUCCEEDED"] >= 0.8 * COUNT
    assert report.agree >= 0.8 * COUNT


def test_moto_answers_as_is_kept(kept: Kept) -> None:
    sample = list(generated())[::EVERY]
    version, answers = ask([case.number for case in sample])
    assert version == kept.moto
    assert len(answers) == len(sample) == COUNT // EVERY
    assert [_steady(answer) for answer in answers] == [_steady(kept.of(case)) for case in sample]


def _steady(answer: Answer) -> tuple[object, ...]:
    return answer.status, without_ids(answer.output or ""), answer.error, without_ids(answer.cause or "")


def test_the_cases_use_every_operator_function_and_field() -> None:
    text = " ".join(render_json(case.definition) for case in generated())
    names = set(re.findall(r'"(\w+)":', text))
    functions = set(re.findall(r"States\.\w+(?=\()", text))
    assert len(OPERATORS) == 39
    assert OPERATORS - names == set()
    assert FUNCTIONS - functions == {"States.MathRandom", "States.UUID"}  # these would differ by chance
    assert set(re.findall(r'"Type":"(\w+)"', text)) == set(STATES) - {"Task"}
    assert FIELDS - names == set()


FIELDS = {
    *("InputPath", "Parameters", "Result", "ResultSelector", "ResultPath", "OutputPath", "Retry", "Catch"),
    *("Branches", "Iterator", "ItemProcessor", "ItemSelector", "ItemsPath", "MaxConcurrency", "MaxConcurrencyPath"),
    *("Seconds", "SecondsPath", "Timestamp", "TimestampPath", "Error", "Cause", "ErrorPath", "CausePath", "Default"),
    *("And", "Or", "Not", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "ProcessorConfig"),
}


FAULTS: dict[str, tuple[object, str, object]] = {
    "a null InputPath gives null": (dataflow, "_empty", lambda _value, _environment: None),
    "a null ResultPath hands on the result": (dataflow, "_hand_on_input", lambda _v, result, _e: ("VALUE", result)),
    "true is a number": (
        rules,
        "_TYPE_TESTS",
        {**rules._TYPE_TESTS, "IsNumeric": lambda v: isinstance(v, int | float)},
    ),
    "nothing is caught": (step, "matching_catcher", lambda _catchers, _failed: None),
    "JsonMerge keeps the first": (intrinsics_functions, "merged", lambda first, second: {**second, **first}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_noticed(fault: str, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*FAULTS[fault])
    assert compare_all(kept, count=600).undecided != []


# ---- the comparison itself


def test_numbers_are_told_apart_by_how_they_are_written_and_names_have_no_order() -> None:
    ours = Answer(status="SUCCEEDED", output='{"a":1,"b":[1.0,true],"c":null}')
    moto = Answer(status="SUCCEEDED", output='{"b":[1,1],"a":1}')
    definition = '{"StartAt":"A"}'
    assert differences({"StartAt": "A"}, ours, moto) == [
        Difference("output", definition, ours, moto, "/b/0", "1.0", "1"),
        Difference("output", definition, ours, moto, "/b/1", "true", "1"),
        Difference("output", definition, ours, moto, "/c", "null", "<absent>"),
    ]


def test_a_difference_of_a_new_kind_is_decided_by_no_rule() -> None:
    succeeded = Answer(status="SUCCEEDED", output="1")
    known = load_rules()
    for moto in (
        Answer(status="SUCCEEDED", output="2"),
        Answer(status="SUCCEEDED", output='"1"'),
        Answer(status="FAILED", error="E", cause="c", met=("E: c",)),
        Answer(status="REFUSED", cause="no"),
    ):
        for difference in differences({"StartAt": "$.list[0] $..id null States.ArrayUnique"}, succeeded, moto):
            assert adjudicate(difference, known) is None
    failed = Answer(status="FAILED", error="States.Runtime", cause="An error occurred while …. Another cause")
    for moto in (succeeded, Answer(status="FAILED", error="States.Runtime", cause="Yet another")):
        assert [adjudicate(one, known) for one in differences({}, failed, moto)] == [None]


def test_an_error_that_moto_lost_is_compared_as_it_was_before() -> None:
    lost = "ValueError(Custom Error Names MUST NOT begin with the prefix 'States.', got 'States.Runtime'.)"
    met = ("E1: retried", "States.Runtime: a path", f"States.Runtime: {lost}")
    moto = Answer(status="FAILED", error="States.Runtime", cause=lost, met=met)
    same = Answer(status="FAILED", error="States.Runtime", cause="a path")
    other = Answer(status="FAILED", error="States.Runtime", cause="another path")
    assert [one.level for one in differences({}, same, moto)] == ["lost"]
    assert [one.level for one in differences({}, other, moto)] == ["lost", "cause"]


def test_each_relation_is_used_by_a_rule() -> None:
    assert {rule.relation for rule in load_rules()} - {None} == set(RELATIONS)
