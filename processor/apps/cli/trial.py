"""One state on trial: `asl test-state`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, cast, get_args

import typer

from processor.apps.cli.options import InputOption, JsonOption
from processor.apps.cli.outcome import WORKFLOW_FAILED
from processor.apps.cli.terminal import Terminal
from processor.errors import AslError, InvalidDefinition, InvalidSettings
from processor.interpreter.validation.walk import states_in
from processor.model.json import Json

if TYPE_CHECKING:
    from rich.table import Table

    from processor.interpreter.trial import TestStateResult
    from processor.interpreter.trial_request import Mock, StateConfiguration
    from processor.interpreter.trial_shapes import ServiceModels

_NOBODYS_ROLE: Final = "arn:aws:iam::111111111111:role/nobody"
"""AWS asks for a role where a Task is really to be called; here nobody would assume it."""

DefinitionOption: TypeAlias = Annotated[
    Path, typer.Option("--definition", metavar="FILE", help="A state, or with --state a machine; JSON, or YAML.")
]
StateOption: TypeAlias = Annotated[
    str | None, typer.Option("--state", metavar="NAME", help="Which state of the machine, however deep in it.")
]
LevelOption: TypeAlias = Annotated[
    str, typer.Option("--inspection-level", help="INFO; DEBUG or TRACE: the values between the fields, too.")
]


def test_state(  # noqa: PLR0913, PLR0917 - one option for each field of AWS's request
    definition: DefinitionOption,
    state: StateOption = None,
    input: InputOption = "{}",
    context: Annotated[
        str | None, typer.Option("--context", metavar="JSON", help="The whole context object; with a mock only.")
    ] = None,
    variables: Annotated[str | None, typer.Option("--variables", metavar="JSON", help="By name.")] = None,
    mock: Annotated[
        str | None,
        typer.Option("--mock", metavar="JSON", help="result or errorOutput {error, cause}, fieldValidationMode."),
    ] = None,
    mock_result: Annotated[
        str | None, typer.Option("--mock-result", metavar="JSON", help="What the state's work gives.")
    ] = None,
    mock_error: Annotated[
        str | None, typer.Option("--mock-error", metavar="ERROR[:CAUSE]", help="How the state's work fails.")
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option(
            "--configuration",
            metavar="JSON",
            help="retrierRetryCount, errorCausedByState, mapIterationFailureCount, mapItemReaderData.",
        ),
    ] = None,
    inspection_level: LevelOption = "INFO",
    role_arn: Annotated[str | None, typer.Option("--role-arn", help="Shown in the context object.")] = None,
    json: JsonOption = False,
) -> None:
    """Try one state with an input, as AWS's TestState does; a Task, Parallel or Map with a mock. Exit 1 if it fails.

    JSON options take a text, @FILE, or - for standard input. Nothing is called, no time passes.
    """
    from msgspec import UNSET

    from processor.adapters.clock import OsEntropy, SystemClock
    from processor.adapters.jsonata_sandbox import ProcessSandbox
    from processor.apps.loading import load_definition
    from processor.interpreter.trial import test_state as try_state
    from processor.interpreter.trial_request import InspectionLevel

    terminal = Terminal(as_json=json)
    given = _mock(mock, mock_result, mock_error)
    level = _one_of(inspection_level, get_args(InspectionLevel), option="--inspection-level")
    with terminal.faults_of(definition), closing(ProcessSandbox()) as sandbox, _placed_in_the_file(state):
        written = load_definition(definition)
        _check_named(written, state)
        result = try_state(
            written,
            _load(input, "--input"),
            state_name=state,
            context=UNSET if context is None else _load(context, "--context"),
            variables=UNSET if variables is None else _load(variables, "--variables"),
            mock=given,
            state_configuration=None if configuration is None else _configuration(configuration),
            inspection_level=cast(InspectionLevel, level),
            role_arn=_NOBODYS_ROLE if role_arn is None and given is None else role_arn,
            models=_models(),
            sandbox=sandbox,
            now=SystemClock().now(),
            seed=OsEntropy().seed(),
        )
    _report(terminal, result)
    if result.status == "FAILED":
        raise typer.Exit(WORKFLOW_FAILED)


# ---- what was asked


def _check_named(definition: Json, state: str | None) -> None:
    """A machine's definition by itself says nothing of which state is to be tried."""
    if not isinstance(definition, dict) or "Type" in definition:
        return
    names = [each.name for each in states_in(definition)]
    if names and state not in names:
        got = "" if state is None else f", got {state!r}"
        more = ", …" if len(names) > _NAMES else ""
        rule = f"must name a state of the machine, one of {', '.join(names[:_NAMES])}{more}{got}"
        raise _unfit("--state", rule, f"--state {names[0]}")


@contextmanager
def _placed_in_the_file(state: str | None) -> Iterator[None]:
    """The faults of a state without a machine are found in one made for it; in its file they are where they were
    written."""
    from processor.interpreter.trial_request import STATE_NAME

    try:
        yield
    except InvalidDefinition as fault:
        made = f"/States/{STATE_NAME}"
        if state is not None:
            raise
        raise InvalidDefinition(
            [
                replace(
                    each, pointer=each.pointer.removeprefix(made), field=each.field and each.field.removeprefix(made)
                )
                for each in fault.diagnostics
            ]
        ) from None


def _load(text: str, option: str) -> Json:
    from processor.apps.loading import load_json

    return load_json(text, option=option, stdin=sys.stdin)


def _mock(mock: str | None, result: str | None, error: str | None) -> Mock | None:
    from processor.interpreter.trial_request import MockedError, MockedResult, ValidationMode

    named = [text for text in (mock, result, error) if text is not None]
    if len(named) > 1:
        raise _unfit("--mock", "excludes --mock-result and --mock-error, and these each other", "--mock @mock.json")
    if error is not None:
        name, colon, cause = error.partition(":")
        return MockedError(error=name, cause=cause.strip() if colon else None)
    if result is not None:
        return MockedResult(result=_load(result, "--mock-result"))
    if mock is None:
        return None
    fields = _object(_load(mock, "--mock"), "--mock", ("result", "errorOutput", "fieldValidationMode"))
    if ("result" in fields) == ("errorOutput" in fields):
        raise _unfit("--mock", "must have result or errorOutput", _MOCK_EXAMPLE)
    if "result" in fields:
        mode = _one_of(fields.get("fieldValidationMode", "STRICT"), get_args(ValidationMode), option="--mock")
        return MockedResult(result=fields["result"], field_validation_mode=cast(ValidationMode, mode))
    output = _object(fields["errorOutput"], "--mock", ("error", "cause"))
    failed, because = output.get("error"), output.get("cause")
    if not isinstance(failed, str) or not isinstance(because, str | None):
        raise _unfit("--mock", "errorOutput must have error, and may have cause, both texts", _MOCK_EXAMPLE)
    return MockedError(error=failed, cause=because)


_NAMES: Final = 20  # of states that are listed where one is asked for
_MOCK_EXAMPLE: Final = """--mock '{"errorOutput": {"error": "CardDeclined", "cause": "over the limit"}}'"""


def _configuration(text: str) -> StateConfiguration:
    from processor.interpreter.trial_request import StateConfiguration

    option, example = "--configuration", """--configuration '{"retrierRetryCount": 2}'"""
    numbers, texts = ("retrierRetryCount", "mapIterationFailureCount"), ("errorCausedByState", "mapItemReaderData")
    fields = _object(_load(text, option), option, numbers + texts)
    for name in numbers:
        number = fields.get(name, 0)
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise _unfit(option, f"{name} must be an integer, 0 or more", example)
    for name in texts:
        if not isinstance(fields.get(name, ""), str):
            raise _unfit(option, f"{name} must be a text", example)
    return StateConfiguration(
        retrier_retry_count=cast(int, fields.get("retrierRetryCount", 0)),
        error_caused_by_state=cast("str | None", fields.get("errorCausedByState")),
        map_iteration_failure_count=cast("int | None", fields.get("mapIterationFailureCount")),
        map_item_reader_data=cast("str | None", fields.get("mapItemReaderData")),
    )


def _object(value: Json, option: str, names: tuple[str, ...]) -> dict[str, Json]:
    if not isinstance(value, dict) or set(value) - set(names):
        raise _unfit(option, f"must be an object of {', '.join(names)}", f"{option} '{{…}}'")
    return value


def _one_of(text: Json, names: tuple[str, ...], *, option: str) -> str:
    if isinstance(text, str) and text.upper() in names:
        return text.upper()
    raise _unfit(option, f"must be one of {', '.join(names)}, got {text!r}", f"{option} {names[0]}")


def _unfit(setting: str, rule: str, example: str) -> InvalidSettings:
    return InvalidSettings(setting=setting, rule=rule, example=example)


def _models() -> ServiceModels | None:
    """None where botocore is not installed: whether that matters, the mock tells."""
    from processor.adapters.aws_models import AwsModels

    try:
        return AwsModels()
    except AslError:
        return None


# ---- what came of it


def _report(terminal: Terminal, result: TestStateResult) -> None:
    told = _told(result)
    if terminal.as_json:
        terminal.result(told)
    else:
        terminal.table(_table(told))


def _told(result: TestStateResult) -> dict[str, Json]:
    """AWS's answer, with payloads as values rather than texts."""
    from msgspec import UnsetType

    from processor.interpreter.trial_api import inspection_json

    told: dict[str, Json] = {"status": result.status}
    for name, text in (("error", result.error), ("cause", result.cause), ("nextState", result.next_state)):
        if text is not None:
            told[name] = text
    if not isinstance(result.output, UnsetType):
        told["output"] = result.output
    if result.inspection is not None:
        told["inspectionData"] = inspection_json(result.inspection, as_text=False)
    return told


def _table(told: dict[str, Json]) -> Table:
    from rich.json import JSON
    from rich.table import Table
    from rich.text import Text

    from processor.model.json import render_json

    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    inspected = told.pop("inspectionData", None)
    for name, value in told.items():
        table.add_row(name, JSON(render_json(value)) if name == "output" else Text(str(value)))
    if isinstance(inspected, dict):
        table.add_section()
        for name, value in inspected.items():
            table.add_row(name, JSON(render_json(value)))
    return table
