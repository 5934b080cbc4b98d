"""What one asks of a state on trial: which state of which definition, what its work is said to come to.

Everything that AWS's TestState refuses before it runs anything is refused here, by RequestRefused. Sources: the
recordings of TestState; its API reference; "Testing state machines with TestState API" in the Developer Guide. Texts
are recorded, but for those marked as this project's own.
"""

from __future__ import annotations

from typing import Literal, NoReturn, TypeAlias, get_args

from msgspec import Struct

from processor.errors import DecodingFailed, InvalidCommand, RequestRefused
from processor.interpreter.jsonata import Sandbox
from processor.interpreter.parse import parse
from processor.interpreter.transitions import targets_of
from processor.interpreter.validation.walk import states_in
from processor.model.definition import AnyState, MapState, ParallelState, Resource, TaskState, Workflow
from processor.model.json import Json, parse_json, private_json

InspectionLevel: TypeAlias = Literal["INFO", "DEBUG", "TRACE"]
ValidationMode: TypeAlias = Literal["STRICT", "PRESENT", "NONE"]

STATE_NAME = "StateName"
"""What AWS calls a state that comes without a machine; its context object has this name for every state on trial."""

VALIDATION = "ValidationException"
DEFINITION = "InvalidDefinition"


class MockedResult(Struct, frozen=True, kw_only=True):
    """What the state's work gives. STRICT: every required field of the API's answer must be there, and all that are
    there must be as its model says; PRESENT: the latter; NONE: anything goes."""

    result: Json
    field_validation_mode: ValidationMode = "STRICT"


class MockedError(Struct, frozen=True, kw_only=True):
    """How the state's work fails."""

    error: str
    cause: str | None = None


Mock: TypeAlias = MockedResult | MockedError


class StateConfiguration(Struct, frozen=True, kw_only=True):
    """`retrier_retry_count`: retries so far of the retrier that takes the mocked error. `error_caused_by_state`: where
    in a Parallel or Map it came from. `map_iteration_failure_count`: iterations that failed. `map_item_reader_data`:
    what an ItemReader reads, as it lies in its source."""

    retrier_retry_count: int = 0
    error_caused_by_state: str | None = None
    map_iteration_failure_count: int | None = None
    map_item_reader_data: str | None = None


class Subject(Struct, frozen=True, kw_only=True):
    """The state on trial: compiled, and as written at `pointer` of the definition it was compiled from."""

    workflow: Workflow
    state: AnyState
    fields: dict[str, Json]
    pointer: str
    jsonata: bool


# ---- which state


def find_state(definition: Json | bytes, state_name: str | None, *, sandbox: Sandbox | None) -> Subject:
    """Return the state named, of a whole machine; without a name the definition is that of one state, which may lead
    anywhere. Raises InvalidDefinition, and RequestRefused where the machine has no such state."""
    if state_name is None:
        definition, state_name = _machine_of(definition), STATE_NAME
    workflow = parse(definition, sandbox=sandbox)
    machine = workflow.definition
    assert isinstance(machine, dict)
    for found in states_in(machine):
        if found.name == state_name:
            return Subject(
                workflow=workflow,
                state=workflow.states[state_name],
                fields=found.fields,
                pointer=found.pointer,
                jsonata=found.language == "JSONata",
            )
    refuse("State not found in definition")  # not recorded; as LocalStack words it


def _machine_of(definition: Json | bytes) -> Json | bytes:
    """Return the machine that AWS makes of a single state: its faults are told at /States/StateName."""
    state: Json | bytes = definition
    try:
        state = parse_json(state, what="definition") if isinstance(state, str | bytes) else private_json(state, what="")
    except (DecodingFailed, InvalidCommand):
        return definition  # `parse` says what is wrong with it
    if not isinstance(state, dict):
        return definition
    beyond = {target for _, target in targets_of(state)} - _names_within(state) - {STATE_NAME}
    ends: dict[str, Json] = {target: {"Type": "Succeed"} for target in sorted(beyond)}
    return {"StartAt": STATE_NAME, "States": {STATE_NAME: state, **ends}}


def _names_within(state: dict[str, Json]) -> set[str]:
    """Return the names of the states in the branches or the processor of `state`, however deep."""
    _, *inner = states_in({"States": {STATE_NAME: state}})
    return {each.name for each in inner}


# ---- what may be asked of it


def check_level(level: str) -> None:
    """Raise RequestRefused where the API's model has no such level. Recorded of other fields and other constraints; AWS
    words this one so for every enumeration."""
    levels = get_args(InspectionLevel)
    if level not in levels:
        rule = f"failed to satisfy constraint: Member must satisfy enum value set: [{', '.join(levels)}]"
        refuse(f"1 validation error detected: Value '{level}' at 'inspectionLevel' {rule}")


def check_request(
    tested: Subject,
    *,
    mock: Mock | None,
    configuration: StateConfiguration,
    has_context: bool,
    reveal_secrets: bool,
    role_arn: str | None,
) -> None:
    """Raise RequestRefused where the parts of a request do not go together."""
    state = tested.state
    if mock is None:
        _check_unmocked(state, configuration, has_context=has_context, role_arn=role_arn)
        return
    if not isinstance(state, TaskState | MapState | ParallelState):
        refuse(f"State type '{tested.fields['Type']}' is not supported when a mock is specified")
    if reveal_secrets:
        refuse("TestState does not support RevealSecrets when a mock is specified.")  # as LocalStack words it
    _check_configuration(tested, mock, configuration)
    if isinstance(mock, MockedResult):
        _check_container(tested, mock.result)


def _check_unmocked(
    state: AnyState, configuration: StateConfiguration, *, has_context: bool, role_arn: str | None
) -> None:
    if isinstance(state, MapState | ParallelState):
        supported = "Task, Wait, Pass, Succeed, Fail, Choice"
        refuse(
            f"TestState API does not support Map or Parallel states. Supported state types include: [{supported}]",
            code=DEFINITION,
        )
    # API reference: "This field may only be specified if a mock is specified in the same request." The words are own.
    if has_context:
        refuse("A Context object can only be specified when a mock is specified")
    if configuration != StateConfiguration():
        refuse("A state configuration can only be specified when a mock is specified")
    if isinstance(state, TaskState):
        _check_callable(state.resource)
        if role_arn is None:
            refuse("RoleArn must be specified when testing a Task state")


def _check_callable(resource: Resource) -> None:
    """API reference: "TestState only supports the following when a mock is specified: Activity tasks, .sync or
    .waitForTaskToken service integration patterns"; the words are this project's."""
    if resource.kind == "ACTIVITY":
        refuse("TestState API does not support Activity tasks when no mock is specified", code=DEFINITION)
    if resource.pattern != "REQUEST_RESPONSE":
        pattern = "'.sync' or '.waitForTaskToken' service integration patterns"
        refuse(f"TestState API does not support {pattern} when no mock is specified", code=DEFINITION)


def _check_configuration(tested: Subject, mock: Mock, configuration: StateConfiguration) -> None:
    """None of these texts is recorded: they are this project's."""
    for_map = (configuration.map_iteration_failure_count, configuration.map_item_reader_data)
    if for_map != (None, None) and not isinstance(tested.state, MapState):
        refuse("mapIterationFailureCount and mapItemReaderData can only be specified when testing a Map state")
    name = configuration.error_caused_by_state
    if name is None:
        return
    if not isinstance(mock, MockedError) or isinstance(tested.state, TaskState):
        refuse("errorCausedByState can only be specified when an error is mocked for a Map or Parallel state")
    if name not in _names_within(tested.fields):
        refuse(f"errorCausedByState '{name}' is not a state within the state under test")


def _check_container(tested: Subject, result: Json) -> None:
    match tested.state:
        case MapState() if "ResultWriter" in tested.fields:
            if not isinstance(result, dict):
                refuse("Mocked result must be a JSON object.")
        case MapState() | ParallelState():
            if not isinstance(result, list):
                refuse("Mocked result must be an array.")
            if isinstance(tested.state, ParallelState) and len(result) != len(tested.state.branches):
                refuse("Mocked result must contain the same number of items as number of Parallel branches.")
        case _:
            pass


def refuse(message: str, *, code: str = VALIDATION) -> NoReturn:
    raise RequestRefused(code=code, message=message)
