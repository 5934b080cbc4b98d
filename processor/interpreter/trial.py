"""One state on trial: what it would do with an input, told without a machine, a log or anything outside.

AWS's TestState. The state is compiled, prepared, retried, caught and exited by the code that runs executions; only its
work is replaced: by the caller's mock, or by whoever `invoke` asks. In this order: the definition, what may be asked of
the state (`trial_request.py`, `trial_context.py`, `trial_shapes.py`), its turn; what lies between its fields is in
`trial_inspection.py`, AWS's JSON in `trial_api.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, assert_never

from immutables import Map
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from processor.errors import InvalidSettings
from processor.interpreter.context import MapItem
from processor.interpreter.dataflow import Stages, compile_stages
from processor.interpreter.evolve_containers import members
from processor.interpreter.folding import assigned
from processor.interpreter.interpreter import ZERO, first_event
from processor.interpreter.jsonata import Sandbox
from processor.interpreter.refused import Refused
from processor.interpreter.retry import RUNTIME, handlers, matching_retrier
from processor.interpreter.states.containers import run_map
from processor.interpreter.states.simple import end_wait, run_choice, run_fail, run_pass, run_succeed, run_wait
from processor.interpreter.states.task import run_task
from processor.interpreter.step import failed_of, handle
from processor.interpreter.trial_context import check_context, default_context
from processor.interpreter.trial_inspection import ErrorDetails, InspectionData, Value, after_work, before_work
from processor.interpreter.trial_items import has_pointer, read_items
from processor.interpreter.trial_request import (
    InspectionLevel,
    Mock,
    MockedError,
    MockedResult,
    StateConfiguration,
    Subject,
    check_level,
    check_request,
    find_state,
    refuse,
)
from processor.interpreter.trial_shapes import ServiceModels, answering_operation, check_shape
from processor.interpreter.turn import Turn, exit_with
from processor.model import events as e
from processor.model.commands import StartExecution
from processor.model.definition import (
    ChoiceState,
    Evaluate,
    FailState,
    MapState,
    ParallelState,
    PassState,
    StateFailure,
    SucceedState,
    TaskState,
    WaitState,
)
from processor.model.execution import ENTERED, Execution, Failed, Scope
from processor.model.ids import EPOCH, TOP, Millis
from processor.model.json import Json, private_json

Status: TypeAlias = Literal["SUCCEEDED", "FAILED", "RETRIABLE", "CAUGHT_ERROR"]

Invoke: TypeAlias = Callable[[e.TaskScheduled], Mock]
"""Does a task's work. A mocked result that it gives is taken as it is."""

EXCEEDED = "States.ExceedToleratedFailureThreshold"


class TestStateResult(Struct, frozen=True, kw_only=True):
    """What came of the trial. `output` UNSET: the state has none, because it failed or will be tried again.
    `inspection`: None at level INFO."""

    __test__ = False  # for pytest, which would take it for a test

    status: Status
    output: Value = UNSET
    error: str | None = None
    cause: str | None = None
    next_state: str | None = None
    inspection: InspectionData | None = None


def test_state(  # noqa: PLR0913 - one parameter for each field of AWS's request
    definition: Json | bytes,
    input: object = UNSET,  # AWS's own word
    *,
    state_name: str | None = None,
    context: object = UNSET,
    variables: object = UNSET,
    mock: Mock | None = None,
    state_configuration: StateConfiguration | None = None,
    inspection_level: InspectionLevel = "INFO",
    reveal_secrets: bool = False,
    role_arn: str | None = None,
    models: ServiceModels | None = None,
    invoke: Invoke | None = None,
    sandbox: Sandbox | None = None,
    now: Millis = EPOCH,
    seed: bytes = ZERO,
) -> TestStateResult:
    """Return what a state does with `input` (without one, an empty object), as AWS's TestState answers it.

    `definition` is that of the state, or with `state_name` that of the machine it is in. `context` is `$$` as a whole,
    and allowed with a mock only; `variables` are those that states before have assigned. `models` are needed to check a
    mocked result of an AWS service, `invoke` for a Task without a mock, `sandbox` as `parse` does. A Wait is over at
    once. Pure, but for what `invoke` does: equal arguments, equal results.

    Raises InvalidDefinition; RequestRefused for what AWS refuses; InvalidCommand for an input or a context that is no
    JSON; InvalidSettings where `models` or `invoke` is needed and missing. Source: AWS Step Functions API reference,
    TestState, and recordings of it.
    """
    check_level(inspection_level)
    tested = find_state(definition, state_name, sandbox=sandbox)
    configuration = state_configuration or StateConfiguration()
    given = {} if isinstance(input, UnsetType) else private_json(input, what="input")
    check_request(
        tested,
        mock=mock,
        configuration=configuration,
        has_context=not isinstance(context, UnsetType),
        reveal_secrets=reveal_secrets,
        role_arn=role_arn,
    )
    if isinstance(context, UnsetType):
        retries = configuration.retrier_retry_count
        seen = default_context(tested.state, input=given, role_arn=role_arn, retry_count=retries, now=now, seed=seed)
    else:
        seen = private_json(context, what="context")
        check_context(seen, tested.state)
    if isinstance(mock, MockedResult):
        _check_mocked_result(tested, mock, models)
    execution = entered(tested, given, configuration, now=now, seed=seed)
    if not isinstance(variables, UnsetType):
        execution = _with_variables(execution, private_json(variables, what="variables"))
    trial = Trial(tested, execution, seen, mock=mock, configuration=configuration, invoke=invoke)
    result = trial.run()
    return result if inspection_level != "INFO" else replace(result, inspection=None)


def _check_mocked_result(tested: Subject, mock: MockedResult, models: ServiceModels | None) -> None:
    if not isinstance(tested.state, TaskState) or mock.field_validation_mode == "NONE":
        return
    asked = answering_operation(tested.state.resource)
    if asked is None:
        return
    if models is None:
        raise InvalidSettings(
            setting="the field validation mode of a mock",
            rule=f"{mock.field_validation_mode} needs the models of AWS's services, which are not installed",
            example="NONE, or pip install 'asl-processor[aws]'",
        )
    shape = models.output(*asked)
    if shape is not None:
        check_shape(mock.result, shape, mode=mock.field_validation_mode)


def entered(tested: Subject, input: Json, configuration: StateConfiguration, *, now: Millis, seed: bytes) -> Execution:
    """Return an execution that has just entered the state, at the top, with the retries it is said to have behind."""
    command = StartExecution(execution_id="TestState:StateName", input=input)
    started = first_event(tested.workflow, command, now=now, seed=seed, cause=e.NO_CAUSE)
    if isinstance(started, Refused):
        refuse(started.detail, code="InvalidExecutionInput")
    retriers, _ = handlers(tested.state)
    retries = configuration.retrier_retry_count
    scope = Scope(
        value=input,
        phase=ENTERED,
        state=tested.state.name,
        visit=1,
        entered_time=now,
        attempts=(retries,) * len(retriers),
        retry_count=retries,
    )
    return Execution(
        workflow=tested.workflow,
        started=started,
        sequence=1,
        time=now,
        caused_by=e.NO_CAUSE,
        scopes=Map({TOP: scope}),
    )


def _with_variables(execution: Execution, variables: Json) -> Execution:
    if not isinstance(variables, dict):
        refuse("Variables must be a JSON object")  # own words
    execution, scope = assigned(execution, execution.scopes[TOP], variables)
    return replace(execution, scopes=Map({TOP: scope}))


class _TrialTurn(Turn):
    """A turn whose context object is given."""

    __slots__ = ("given",)

    given: Json

    @property
    def context(self) -> Json:
        if self.item is None:
            return self.given
        assert isinstance(self.given, dict)
        return {**self.given, "Map": {"Item": {"Index": self.item.index, "Value": self.item.value}}}


class Trial:
    """One run. `data` grows as the state goes on; what was not reached stays untold."""

    def __init__(
        self,
        tested: Subject,
        execution: Execution,
        context: Json,
        *,
        mock: Mock | None,
        configuration: StateConfiguration,
        invoke: Invoke | None,
    ) -> None:
        self.tested, self.execution, self.context = tested, execution, context
        self.mock, self.configuration, self.invoke = mock, configuration, invoke
        self.state, self.scope = tested.state, execution.scopes[TOP]
        self.data = InspectionData(input=self.scope.value)
        self.stages = _stages(tested)
        self.result: Json = None

    def turn(self, *, item: MapItem | None = None) -> _TrialTurn:
        turn = _TrialTurn(self.execution, TOP, self.scope, self.state, item=item)
        turn.given = self.context
        return turn

    def run(self) -> TestStateResult:
        turn = self.turn()
        self.data = before_work(self.data, self.state, self.stages, self.turn)
        try:
            ended = self._go_on(turn)
        except StateFailure as failure:
            ended = Failed(failure.error, failure.cause)
        if isinstance(ended, Failed):
            return self._failed(turn, ended)
        return self._told("SUCCEEDED", ended)

    # ---- the state's work

    def _go_on(self, turn: Turn) -> e.StateExited | Failed:
        """Return how the state ends. Raises StateFailure."""
        match self.state:
            case PassState() as state:
                result = state.result if state.has_result else turn.prepared()
                self.data = after_work(self.data, state, self.stages, result, self.turn)
                return _exited(run_pass(turn, state))
            case ChoiceState() as state:
                return _exited(run_choice(turn, state))
            case WaitState() as state:
                run_wait(turn, state)
                return _exited(end_wait(turn))
            case SucceedState() as state:
                return _exited(run_succeed(turn, state))
            case FailState() as state:
                return run_fail(turn, state)
            case TaskState() as state:
                scheduled = run_task(turn, state)
                return self._end(turn, self.mock or self._invoked(scheduled))
            case ParallelState():
                turn.prepared()
                assert self.mock is not None
                return self._end(turn, self.mock)
            case MapState() as state:
                self._fan_out(turn, state)
                assert self.mock is not None
                return self._end(turn, self.mock)
            case _:
                assert_never(self.state)

    def _invoked(self, scheduled: e.AnyEvent) -> Mock:
        assert isinstance(scheduled, e.TaskScheduled)
        if self.invoke is None:
            asked = f"{scheduled.resource_type}:{scheduled.resource}" if scheduled.resource_type else scheduled.resource
            raise InvalidSettings(
                setting="mock",
                rule=f"is needed: the Task {scheduled.state} asks for {asked}, and a trial calls nothing",
                example="--mock-result '{\"ok\": true}'",
            )
        return self.invoke(scheduled)

    def _end(self, turn: Turn, mock: Mock) -> e.StateExited | Failed:
        if isinstance(mock, MockedError):
            return Failed(mock.error, mock.cause)
        self.result = turn.bounded(mock.result)
        self.data = after_work(self.data, self.state, self.stages, self.result, self.turn)
        return exit_with(turn, self.result)

    def _fan_out(self, turn: Turn, state: MapState) -> None:
        """What a Map does before its iterations. Raises StateFailure, also where more of them failed than it bears."""
        prepared = turn.prepared()
        items = self._items(turn, state, prepared)
        if state.selector is not None:
            self.data = replace(self.data, after_item_selector=self._selected(state.selector, prepared, items))
        count = _number(state.tolerated_count, prepared, turn)
        percentage = _number(state.tolerated_percentage, prepared, turn)
        self.data = replace(
            self.data,
            max_concurrency=int(_number(state.max_concurrency, prepared, turn) or 0),
            tolerated_failure_count=None if count is None else int(count),
            tolerated_failure_percentage=None if percentage is None else float(percentage),
        )
        failed = self.configuration.map_iteration_failure_count or 0
        if failed > len(items):
            refuse("Map iteration failure count must be less than or equal to the number of Map iterations")
        # Recorded: without a tolerated count or percentage any number of failures is borne.
        if (count is not None and failed > count) or (
            percentage is not None and failed * 100 > percentage * max(len(items), 1)
        ):
            raise StateFailure(EXCEEDED, "The specified tolerated failure threshold was exceeded")

    def _items(self, turn: Turn, state: MapState, prepared: Json) -> list[Json]:
        """Return what the Map runs over: what an ItemReader is said to read, else what its fields gave."""
        reader = self.tested.fields.get("ItemReader")
        if isinstance(reader, dict):
            if self.configuration.map_item_reader_data is None:
                refuse("mapItemReaderData must be specified when testing a Map state with an ItemReader")  # own words
            items = read_items(self.configuration.map_item_reader_data, reader)
            if has_pointer(reader):
                self.data = replace(self.data, after_items_pointer=items)
            return items
        started = run_map(turn, state)
        assert isinstance(started, e.MapStarted)
        found = prepared if started.items is None else started.items
        assert isinstance(found, list | dict)
        if self.stages is not None:
            self.data = replace(self.data, after_items_path=found)
        return members(found)[1]

    def _selected(self, selector: Evaluate, prepared: Json, items: list[Json]) -> list[Json]:
        selected: list[Json] = []
        for index, value in enumerate(items):
            selecting = self.turn(item=MapItem(index, value))
            selected.append(selecting.bounded(selector(prepared, selecting)))
        return selected

    # ---- how it ends

    def _failed(self, turn: Turn, failed: Failed) -> TestStateResult:
        """Retry, Catch, or the end: as `handle` decides, which for a container first reports that it failed."""
        self.data = replace(self.data, error_details=self._exhausted(failed))
        event = handle(turn, failed)
        if isinstance(event, e.ParallelFailed | e.MapFailed):
            event = handle(turn, replace(failed, reported=True))
        if isinstance(event, e.EvaluationFailed):  # in a Catch: nothing is asked after that
            event = handle(turn, Failed(event.error, event.cause, final=True))
        if isinstance(event, e.RetryScheduled):
            seconds = (event.due - self.execution.time) // 1000
            self._detail(ErrorDetails(retry_index=event.retrier, retry_backoff_interval_seconds=seconds))
            return self._told("RETRIABLE", failed)
        if isinstance(event, e.StateExited):
            before = self.data.error_details or ErrorDetails()
            self._detail(replace(before, catch_index=event.catcher))
            return replace(self._told("CAUGHT_ERROR", event), error=failed.error, cause=failed.cause)
        assert isinstance(event, e.ExecutionFailed)
        # What goes wrong in a Catch has the usual opening of a cause, which TestState leaves out.
        opening = failed_of(turn, StateFailure("", "")).cause or ""
        return self._told("FAILED", Failed(event.error, event.cause and event.cause.removeprefix(opening)))

    def _exhausted(self, failed: Failed) -> ErrorDetails | None:
        """Recorded: the retrier that takes the error is told, also where it has no attempts left."""
        retriers, _ = handlers(self.state)
        if failed.error == RUNTIME:
            return None
        index = matching_retrier(retriers, failed, attempts=())
        return None if index is None else ErrorDetails(retry_index=index)

    def _detail(self, details: ErrorDetails) -> None:
        self.data = replace(self.data, error_details=details)

    def _told(self, status: Status, ended: e.StateExited | Failed) -> TestStateResult:
        made = ended.assigned if isinstance(ended, e.StateExited) else None
        if held := self.scope.variables.update(made or {}):
            self.data = replace(self.data, variables=dict(held))
        if isinstance(ended, Failed):
            return TestStateResult(status=status, error=ended.error, cause=ended.cause, inspection=self.data)
        return TestStateResult(status=status, output=self._output(ended), next_state=ended.next, inspection=self.data)

    def _output(self, exited: e.StateExited) -> Json:
        match exited.output_of:
            case "VALUE":
                return exited.output
            case "INPUT":
                return self.scope.value
            case "RESULT":
                return self.result
            case _:
                assert_never(exited.output_of)


def _stages(tested: Subject) -> Stages | None:
    if tested.jsonata:
        return None
    template = "Parameters" if isinstance(tested.state, TaskState | PassState | ParallelState) else None
    return compile_stages(tested.fields, template=template, pointer=tested.pointer, report=lambda *_: None)


def _exited(event: e.AnyEvent) -> e.StateExited:
    assert isinstance(event, e.StateExited)
    return event


def _number(written: float | Evaluate | None, prepared: Json, turn: Turn) -> float | None:
    if not callable(written):
        return written
    number = written(prepared, turn)
    assert isinstance(number, int | float)
    return number
