"""Whatever is asked is answered or refused; and what a state does on trial is what the engine does with it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from processor import (
    CompleteTask,
    Continued,
    Failed,
    FailTask,
    Outcome,
    StateExited,
    Succeeded,
    TaskScheduled,
    parse,
    resume,
    start,
)
from processor.errors import InvalidCommand, InvalidDefinition, InvalidSettings, RequestRefused
from processor.interpreter.transitions import targets_of
from processor.interpreter.trial import TestStateResult
from processor.interpreter.trial import test_state as try_state  # pytest takes what is called test_… for a test
from processor.interpreter.trial_request import Mock, MockedError, MockedResult, StateConfiguration
from processor.model.json import Json
from tests.interpreter.test_parse_properties import JSON, SCOPE, STATE

MOCK: st.SearchStrategy[Mock | None] = (
    st.none()
    | st.builds(MockedResult, result=JSON, field_validation_mode=st.just("NONE"))
    | st.builds(MockedError, error=st.sampled_from(["A", "States.Runtime", "States.TaskFailed"]))
)
CONFIGURATION = st.none() | st.builds(
    StateConfiguration,
    retrier_retry_count=st.integers(0, 3),
    map_iteration_failure_count=st.none() | st.integers(0, 3),
    error_caused_by_state=st.none() | st.just("A"),
)


@settings(max_examples=400, deadline=None)
@given(STATE | SCOPE | JSON, JSON, st.none() | st.sampled_from("AB"), MOCK, CONFIGURATION, st.just(UNSET) | JSON)
def test_whatever_is_asked_is_answered_or_refused(
    definition: Json,
    value: Json,
    name: str | None,
    mock: Mock | None,
    configuration: StateConfiguration | None,
    context: Any,
) -> None:
    try:
        result = try_state(
            definition, value, state_name=name, mock=mock, state_configuration=configuration, context=context,
            inspection_level="TRACE", role_arn="arn:role",
        )  # fmt: skip
    except (InvalidDefinition, RequestRefused, InvalidCommand, InvalidSettings):
        return
    assert isinstance(result, TestStateResult)
    assert (result.output is UNSET) == (result.status in ("FAILED", "RETRIABLE"))
    assert result.inspection is not None and result.inspection.input is not UNSET


PATHS = st.sampled_from(["$", "$.a", "$.a.b", "$.b", "$.a[0]", "$..b"])
TEMPLATES: st.SearchStrategy[Json] = st.sampled_from(
    [{"x.$": "$"}, {"y.$": "$.a"}, {"a": {"b": 1}}, {"u.$": "States.UUID()"}, {"f.$": "States.Format('{}', $.b)"}]
)
PLACES = st.none() | st.sampled_from(["$", "$.a", "$.out.deep", "$.b.c"])
PAYLOADS = st.recursive(
    st.integers(0, 9) | st.sampled_from(["x", None, True]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
FLOWING = st.fixed_dictionaries(
    {"Next": st.sampled_from(["Beyond", "Further"])},
    optional={
        "InputPath": st.none() | PATHS, "Parameters": TEMPLATES, "ResultPath": PLACES, "OutputPath": st.none() | PATHS,
    },
)  # fmt: skip
CATCH: Json = [{"ErrorEquals": ["Boom"], "ResultPath": "$.a", "Next": "Further"}]
HANDLING = st.fixed_dictionaries({}, optional={"ResultSelector": TEMPLATES, "Catch": st.just(CATCH)})


def run(state: dict[str, Json], value: Json, mock: Mock | None) -> tuple[str | None, Json, str | None]:
    """Return what the engine comes to: the state after, what that is given, or the error that ended the execution."""
    ends: dict[str, Json] = {target: {"Type": "Succeed"} for _, target in targets_of(state)}
    outcome: Outcome = start(parse({"StartAt": "StateName", "States": {"StateName": state, **ends}}), value)
    events = outcome.events
    if isinstance(outcome, Continued):
        asked = next(event for event in events if isinstance(event, TaskScheduled))
        if isinstance(mock, MockedResult):
            outcome = resume(outcome.execution, CompleteTask.of(asked, mock.result))
        else:
            assert mock is not None
            outcome = resume(outcome.execution, FailTask.of(asked, error=mock.error, cause=mock.cause))
        events = outcome.events
    if isinstance(outcome, Failed):
        return None, None, outcome.error
    assert isinstance(outcome, Succeeded)
    return next(event.next for event in events if isinstance(event, StateExited)), outcome.output, None


MOCKED: st.SearchStrategy[Mock | None] = (
    st.none() | st.builds(MockedResult, result=PAYLOADS) | st.just(MockedError(error="Boom"))
)


@settings(max_examples=300, deadline=None)
@given(FLOWING, HANDLING, PAYLOADS, MOCKED)
def test_a_state_on_trial_goes_where_it_would_go_with_the_same_output(
    flowing: dict[str, Json], handling: dict[str, Json], value: Json, mock: Mock | None
) -> None:
    state = {"Type": "Pass", **flowing} if mock is None else {"Type": "Task", "Resource": "w", **flowing, **handling}
    tried = try_state(state, value, mock=mock, inspection_level="DEBUG")
    if tried.status == "FAILED":
        assert run(state, value, mock) == (None, None, tried.error)
    else:
        assert run(state, value, mock) == (tried.next_state, tried.output, None)
    data = tried.inspection
    assert data is not None
    if tried.status == "SUCCEEDED" and state.get("OutputPath", "$") == "$" and state.get("ResultPath", "$"):
        assert data.after_result_path == tried.output
