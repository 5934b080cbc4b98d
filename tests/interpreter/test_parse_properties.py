"""parse is total: any JSON whatsoever becomes a workflow or an InvalidDefinition, whose pointers lead somewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.errors import InvalidDefinition
from processor.interpreter.parse import parse
from processor.interpreter.validation.answers import diagnostics_of, refusal_message, validate_definition
from processor.interpreter.validation.query_language import FIELDS as FIELDS_OF_TYPES
from processor.interpreter.validation.query_language import JSONATA_ONLY, PATH_ONLY
from processor.interpreter.written import STATES
from processor.model.definition import Workflow
from processor.model.events import MachineType
from processor.model.json import Json

TEXTS = [
    "{% $states.input %}", "{% $states.result.a %}", "{% ( %}", "{% phone %}", "{% $x %}", "{%", "%}", "JSONata",
    "JSONPath",
    "$x", "States.UUID()", "States.Format('{}', $.a)", "2016-03-14T01:59:00Z", "DISTRIBUTED", "INLINE", "states", "x.$",
]  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        ["$", "$.a", "$$", "$..a", "A", "B", "States.ALL", "work", "arn:aws:states:::sns:publish.sync", *TEXTS]
    ),
)
FIELDS = sorted(
    set().union(*FIELDS_OF_TYPES.values())
    | PATH_ONLY
    | JSONATA_ONLY
    | {"Type", "Comment", "QueryLanguage", "ReaderConfig", "X", "a.$"}
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, "A", "B"]), inner, max_size=4)
    ),
    max_leaves=15,
)
STATE: st.SearchStrategy[dict[str, Json]] = st.builds(
    lambda kind, fields, leads: {"Type": kind, **leads, **fields},
    st.sampled_from([*STATES, "Nope"]),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4),
    st.sampled_from([{"End": True}, {"Next": "A"}, {"Next": "B"}, {}]),
)
SCOPE: st.SearchStrategy[dict[str, Json]] = st.deferred(
    lambda: st.fixed_dictionaries(
        {"StartAt": st.sampled_from(["A", "B", "C"]), "States": st.dictionaries(st.sampled_from("ABC"), NESTED)}
    )
)
NESTED: st.SearchStrategy[dict[str, Json]] = STATE | st.builds(
    lambda state, scope: {**state, "Type": "Parallel", "Branches": [scope]} if len(state) % 2 else
    {**state, "Type": "Map", "ItemProcessor": scope}, STATE, SCOPE
)  # fmt: skip


def follow(definition: Json, pointer: str) -> Json:
    """Resolve a JSON pointer; a field that is missing is looked for in its object."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        definition = definition[int(name)] if isinstance(definition, list) else definition[name]  # type: ignore[index]
    return definition


@settings(max_examples=400, deadline=None)
@given(JSON | SCOPE | st.fixed_dictionaries({"StartAt": SCALARS, "States": JSON}, optional={"QueryLanguage": SCALARS}))
def test_any_json_becomes_a_workflow_or_a_list_of_faults(definition: Json) -> None:
    try:
        workflow = parse(definition)
    except InvalidDefinition as invalid:
        assert invalid.diagnostics
        for fault in invalid.diagnostics:
            follow(definition, fault.pointer)
    else:
        assert isinstance(workflow, Workflow)
        assert parse(json.dumps(workflow.definition)) == workflow


@settings(max_examples=200, deadline=None)
@given(JSON | SCOPE | st.text(), st.sampled_from(["STANDARD", "EXPRESS"]), st.integers(0, 3))
def test_any_definition_has_an_answer_that_agrees_with_parse(
    definition: Json, type: MachineType, max_results: int
) -> None:
    every = diagnostics_of(definition, type=type)
    errors = [diagnostic for diagnostic in every if diagnostic.severity == "ERROR"]

    answer = validate_definition(definition, type=type, max_results=max_results, severity="WARNING")

    told: Any = answer["diagnostics"]
    limit = max_results or 100
    assert [(each["code"], each["message"]) for each in told] == [(d.code, d.message) for d in every][:limit]
    assert answer["result"] == ("FAIL" if errors else "OK")
    assert answer["truncated"] is (len(every) > limit)
    assert list(every) == [*errors, *(d for d in every if d.severity == "WARNING")]
    if errors:
        assert refusal_message(InvalidDefinition(every), definition).count(" at ") >= len(errors)


@given(st.text() | st.binary())
def test_any_text_becomes_a_workflow_or_a_list_of_faults(definition: str | bytes) -> None:
    with pytest.raises(InvalidDefinition):
        parse(definition)


# ---- what AWS does


def recordings() -> list[dict[str, Any]]:
    default = Path(__file__).parents[2].parent / "shared" / "conformance" / "aws"
    folder = Path(os.environ.get("CONFORMANCE_DIR", default))
    return [case for file in sorted(folder.glob("*.json")) for case in json.loads(file.read_text())]


def test_what_aws_ran_is_accepted() -> None:
    cases = [case for case in recordings() if case["kind"] == "execution"]
    if not cases:
        pytest.skip("no recordings of AWS here: set CONFORMANCE_DIR to their folder")

    refused = {}
    for case in cases:
        try:
            parse(case["definition"], type="EXPRESS" if case["type"] == "EXPRESS" else "STANDARD")
        except InvalidDefinition as invalid:
            refused[str(case["id"])] = [str(fault) for fault in invalid.diagnostics]

    assert refused == {}
