"""docs/asl-coverage.md is whole, and what it points at is there. `make docs` writes it anew."""

from __future__ import annotations

import re
from typing import Any

import pytest

from processor.errors import InvalidDefinition
from processor.interpreter import written
from processor.interpreter.context import OWN_KEYS
from processor.interpreter.parse import parse
from processor.interpreter.rules import JUNCTIONS, OPERATORS
from processor.interpreter.trial_api import inspection_json
from processor.interpreter.trial_inspection import ErrorDetails, InspectionData
from processor.interpreter.validation.query_language import other_language_message
from processor.interpreter.validation.walk import Language
from processor.interpreter.written import Written
from tests.conformance.coverage import DOCUMENT, NOWHERE, ROOT, made_up
from tests.conformance.language import CONTEXT_OBJECT, RULE, TEST_STATE, Name, all_names
from tests.conformance.runner import conformance_dir, load_cases
from tests.conformance.test_executions import KNOWN
from tests.conformance.uses import Uses, noting
from tests.interpreter.scenario import Run, scope_of
from tests.scenarios.scenario import load_tables

FOLDER = conformance_dir()
recorded = pytest.mark.skipif(FOLDER is None, reason="no conformance cases: set CONFORMANCE_DIR")
TEXT = DOCUMENT.read_text()


def rows() -> dict[Name, list[str]]:
    """Return the cells after the name of each row of the document."""
    found: dict[Name, list[str]] = {}
    chapter = section = ""
    for line in TEXT.splitlines():
        if line.startswith("## "):
            chapter, section = line[3:], ""
        elif line.startswith("### "):
            section = line[4:]
        elif chapter and line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
            found[Name(chapter, section, name.strip("`"))] = cells
    return found


# ---- the document


def test_every_name_that_is_known_has_a_row_and_no_other() -> None:
    assert sorted(rows()) == sorted(all_names()), "make docs"


def test_every_name_is_used_by_a_case_or_a_test_or_it_says_why_by_none() -> None:
    unused = {name for name, (cases, _, tests, _) in rows().items() if cases == tests == "0"}
    assert {name for name in unused if not ".".join(name).startswith(tuple(NOWHERE))} == set()


def test_every_test_and_scenario_it_names_is_there() -> None:
    scenarios = {f"scenarios/{stem}.yaml: {one.name}" for stem, table in load_tables() for one in table.scenarios}
    named = {cells[3].strip("`") for cells in rows().values() if cells[2] != "0"}
    missing = [test for test in sorted(named - scenarios) if not is_test(test)]
    assert missing == [], "make docs"


def is_test(id: str) -> bool:
    file, _, function = id.partition("::")
    path = ROOT / "tests" / file
    return path.exists() and re.search(rf"^def {function}\(", path.read_text(), re.MULTILINE) is not None


@recorded
def test_every_case_it_names_is_there_and_those_with_a_reason_are_those_that_need_one() -> None:
    assert FOLDER is not None
    short = {case["id"].rpartition("::")[2] for case in load_cases(FOLDER)}
    assert {cells[1].strip("`") for cells in rows().values() if cells[0] != "0"} - short == set()

    reasons = dict(re.findall(r"^- `(.*)`: (.*)$", TEXT, re.MULTILINE))
    given = {id.rpartition("::")[2]: reason for id, reason in made_up(FOLDER).items()}
    assert reasons == {**KNOWN, **given}


# ---- what it lists


def models() -> set[type[Written]]:
    return {model for model in vars(written).values() if isinstance(model, type) and issubclass(model, Written)}


def test_every_field_that_a_shape_of_the_parser_has_is_listed_in_a_section() -> None:
    abstract = {model for model in models() if model.__name__.startswith("_")} | {Written, written.WrittenState}
    listed: dict[str, set[str]] = {}
    for chapter, section, name in all_names():
        listed.setdefault(f"{chapter}/{section}", set()).add(name)
    unlisted = [
        model.__name__
        for model in models() - abstract
        if {str(field.alias) for field in model.model_fields.values()} not in listed.values()
    ]
    assert unlisted == []


@pytest.mark.parametrize("language", ["JSONPath", "JSONata"])
def test_an_entry_of_choices_takes_what_is_listed_and_no_other_field(language: Language) -> None:
    known = {name.name for name in all_names()}
    base = {"Condition": True} if language == "JSONata" else {"Variable": "$", "IsNull": True}
    taken = {field for field in known if not is_refused(language, {**base, "Next": "B", field: "x"}, field)}
    operators = OPERATORS | JUNCTIONS if language == "JSONPath" else set()
    assert taken - operators == set(RULE[language])
    assert operators <= taken


def is_refused(language: Language, rule: dict[str, Any], field: str) -> bool:
    states: dict[str, Any] = {"A": {"Type": "Choice", "Choices": [rule]}, "B": {"Type": "Succeed"}}
    try:
        parse({"QueryLanguage": language, "StartAt": "A", "States": states})
    except InvalidDefinition as invalid:
        refusals = {f"Field '{field}' is not supported", other_language_message(field, language)}
        return not refusals.isdisjoint(told.message for told in invalid.diagnostics)
    return False


def test_the_context_objects_parts_are_those_that_are_its_own() -> None:
    listed = {name.name.partition(".")[0] for name in all_names() if name.chapter == CONTEXT_OBJECT}
    assert listed == OWN_KEYS


def test_what_a_trial_may_tell_is_what_awss_api_has() -> None:
    details = ErrorDetails(catch_index=0, retry_index=0, retry_backoff_interval_seconds=0)
    everything: dict[str, Any] = dict.fromkeys(InspectionData.__struct_fields__, 0)
    told = inspection_json(InspectionData(**{**everything, "error_details": details}), as_text=False)
    names = {f"inspectionData.{name}" for name in told}
    names |= {f"inspectionData.errorDetails.{camel}" for camel in told["errorDetails"]}  # type: ignore[union-attr]
    assert names - {name.name for name in all_names() if name.chapter == TEST_STATE} == set()


# ---- what is noted


def noted(id: str, definition: dict[str, Any], input: Any) -> set[str]:
    uses = Uses()
    with noting(uses), uses.during(id):
        Run(definition, input)
    return {f"{section or chapter} {name}" for chapter, section, name in uses.by_id[id]}


def test_a_field_is_used_where_its_state_does_its_work_and_an_operator_where_it_is_asked() -> None:
    second = {"Variable": "$.b", "StringEquals": "x", "Next": "P"}
    states = {
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "S"}, second]},
        "P": {"Type": "Pass", "Comment": "never", "End": True},
        "S": {"Type": "Pass", "Parameters": {"x.$": "States.Format('{}', $$.State.Name)"}, "End": True},
    }
    assert noted("test", {"StartAt": "C", "States": states}, {"a": None}) == {
        *("The machine StartAt", "The machine States"),
        *("Choice Type", "Choice Choices", "Choices Variable", "Choices Next", "Comparison operators IsNull"),
        *("Pass Type", "Pass Parameters", "Pass End", "Intrinsic functions States.Format"),
        "The context object State.Name",
    }


def test_a_function_is_used_where_its_expression_is_evaluated() -> None:
    state = {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $abs($states.input.n) %}", "End": True}
    used = noted("test", scope_of("A", state), {"n": -1})
    assert {name for name in used if "$" in name} == {"JSONata functions $abs", "What JSONata has of $states input"}
