"""TestState as AWS's API speaks: JSON with JSON texts in it, in and out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from processor.errors import DecodingFailed, InvalidDefinition, RequestRefused
from processor.interpreter.interpreter import ZERO
from processor.interpreter.jsonata import Sandbox
from processor.interpreter.trial import Invoke, TestStateResult, test_state
from processor.interpreter.trial_inspection import InspectionData
from processor.interpreter.trial_request import (
    DEFINITION,
    InspectionLevel,
    Mock,
    MockedError,
    MockedResult,
    StateConfiguration,
    ValidationMode,
    refuse,
)
from processor.interpreter.trial_shapes import ServiceModels
from processor.model.ids import EPOCH, Millis
from processor.model.json import Json, parse_json

Request = Mapping[str, Json]


def answer_test_state(
    request: Request,
    *,
    models: ServiceModels | None = None,
    invoke: Invoke | None = None,
    sandbox: Sandbox | None = None,
    now: Millis = EPOCH,
    seed: bytes = ZERO,
) -> dict[str, Json]:
    """Return the answer to a TestState request.

    Raises RequestRefused for what AWS refuses, definitions included. Bounds on lengths and the types of fields are not
    looked at: AWS's clients and whoever serves them have those from the API's own model.
    """
    configuration = _object(request, "stateConfiguration")
    try:
        result = test_state(
            _text(request, "definition") or "",
            _payload(request, "input", code="InvalidExecutionInput"),
            state_name=_text(request, "stateName"),
            context=_payload(request, "context"),
            variables=_payload(request, "variables"),
            mock=_mock(request),
            state_configuration=None if configuration is None else _configuration(configuration),
            inspection_level=_level(request),
            reveal_secrets=request.get("revealSecrets") is True,
            role_arn=_text(request, "roleArn"),
            models=models,
            invoke=invoke,
            sandbox=sandbox,
            now=now,
            seed=seed,
        )
    except InvalidDefinition as invalid:
        told = ", ".join(f"{d.code}: {d.message} at {d.pointer or '/'}" for d in invalid.diagnostics)
        raise RequestRefused(code=DEFINITION, message=f"Invalid State Machine Definition: '{told}'") from None
    return _answer(result)


# ---- the request


def _text(fields: Request, name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _object(fields: Request, name: str) -> dict[str, Json] | None:
    value = fields.get(name)
    return value if isinstance(value, dict) else None


def _payload(fields: Request, name: str, *, code: str = "ValidationException") -> Json | UnsetType:
    text = _text(fields, name)
    if text is None:
        return UNSET
    try:
        return parse_json(text, what=name)
    except DecodingFailed as fault:
        refuse(f"Invalid {name}: {fault.reason}", code=code)


def _mock(request: Request) -> Mock | None:
    mock = _object(request, "mock")
    if mock is None:
        return None
    result, error = _text(mock, "result"), _object(mock, "errorOutput")
    if (result is None) == (error is None):
        refuse("A test mock should have only one of the following fields: [result, errorOutput].")
    if error is not None:
        # API reference: "This field is required if mock.errorOutput is specified."
        return MockedError(error=_text(error, "error") or "", cause=_text(error, "cause"))
    mode: ValidationMode = "STRICT"
    match mock.get("fieldValidationMode"):
        case "PRESENT" | "NONE" as mode:
            pass
    try:
        return MockedResult(result=parse_json(result or "", what="mock"), field_validation_mode=mode)
    except DecodingFailed:
        refuse("Mocked result must be valid JSON")  # as LocalStack words it


def _configuration(written: Request) -> StateConfiguration:
    retries, failures = written.get("retrierRetryCount"), written.get("mapIterationFailureCount")
    return StateConfiguration(
        retrier_retry_count=retries if isinstance(retries, int) else 0,
        error_caused_by_state=_text(written, "errorCausedByState"),
        map_iteration_failure_count=failures if isinstance(failures, int) else None,
        map_item_reader_data=_text(written, "mapItemReaderData"),
    )


def _level(request: Request) -> InspectionLevel:
    level = _text(request, "inspectionLevel")
    return "INFO" if level is None else cast(InspectionLevel, level)  # which `test_state` checks


# ---- the answer


def _answer(result: TestStateResult) -> dict[str, Json]:
    answer: dict[str, Json] = {"status": result.status}
    if not isinstance(result.output, UnsetType):
        answer["output"] = _spaced(result.output)
    for name, value in (("error", result.error), ("cause", result.cause), ("nextState", result.next_state)):
        if value is not None:
            answer[name] = value
    if result.inspection is not None:
        answer["inspectionData"] = inspection_json(result.inspection, as_text=True)
    return answer


_PLAIN = frozenset(("max_concurrency", "tolerated_failure_count", "tolerated_failure_percentage"))


def inspection_json(data: InspectionData, *, as_text: bool) -> dict[str, Json]:
    """Return what was told, by AWS's names; payloads as JSON texts, as AWS has them, or as values."""
    told: dict[str, Json] = {}
    for name, value in asdict(data).items():
        if name == "error_details":
            if data.error_details is not None:
                details = asdict(data.error_details).items()
                told["errorDetails"] = {_camel(part): number for part, number in details if number is not None}
        elif name in _PLAIN:
            if value is not None:
                told[_camel(name)] = value
        elif not isinstance(value, UnsetType):
            told[_camel(name)] = _spaced(value) if as_text else value
    return told


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _spaced(value: Json) -> str:
    """Recorded: TestState's texts have a blank after commas and colons (`[1, 4, 9]`), unlike those of a history."""
    return json.dumps(value, ensure_ascii=False)
