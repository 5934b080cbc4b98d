"""Trying a definition: one execution of it here, with workers or mocked results, in virtual or in real time."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

import typer
from msgspec import Struct

from processor.apps.cli.drawing import check_place
from processor.apps.cli.options import (
    ContextOption,
    DefinitionArgument,
    InputOption,
    JsonOption,
    MachineNameOption,
    S3Option,
    TypeOption,
    WorkerOption,
    machine_type,
)
from processor.apps.cli.outcome import report_end, report_rejection
from processor.apps.cli.terminal import Terminal
from processor.errors import InvalidSettings
from processor.model.json import Json

if TYPE_CHECKING:
    from processor.apps.executions import History, Rejections
    from processor.apps.mocks import MockedCase
    from processor.apps.roles import Roles
    from processor.apps.worker import Worker
    from processor.interpreter.refused import Refused
    from processor.model.commands import AnyCommand, StartExecution
    from processor.model.definition import AnyState, Workflow
    from processor.model.events import AnyEvent, MachineType, TaskScheduled
    from processor.model.ids import Millis
    from processor.model.records import Rejection

_LOOK_EVERY_SECONDS: Final = 0.02
_GRACE_SECONDS: Final = 2.0


def run(  # noqa: PLR0913, PLR0917 # each argument is an option of the command line
    file: DefinitionArgument,
    input: InputOption = "{}",
    worker: WorkerOption = None,
    s3: S3Option = None,
    mocks: Annotated[
        Path | None,
        typer.Option("--mocks", metavar="FILE", help="Mocked task results, in the format of Step Functions Local."),
    ] = None,
    case: Annotated[
        str | None, typer.Option("--case", metavar="CASE", help="The mocks' test case, CASE or MACHINE#CASE.")
    ] = None,
    name: MachineNameOption = None,
    context: ContextOption = None,
    type: TypeOption = "STANDARD",
    virtual_time: Annotated[
        bool | None,
        typer.Option("--virtual-time/--real-time", help="Virtual by default, unless there are workers and no mocks."),
    ] = None,
    start_time: Annotated[
        str | None,
        typer.Option("--start-time", metavar="TIME", help="When virtual time begins, 2026-01-31T00:00:00Z; else now."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="For the same random draws again.")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Print AWS's GetExecutionHistory instead of the output.")
    ] = False,
    graph: Annotated[
        str | None,
        typer.Option("--graph", metavar="FILE", help="Draw the states visited: .svg, .mmd, .dot, .txt; - shows them."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run one execution here, in memory, and show commands and events side by side.

    Without side effects: tasks are answered by --mocks, all others by the functions of --worker. In virtual time waits,
    retries and timeouts pass at once, each in its turn.
    """
    from processor.apps.loading import load_definition, load_json, load_workers

    terminal = Terminal(as_json=json)
    chosen_type = machine_type(type)
    virtual = _is_virtual(virtual_time, mocks=mocks, works=bool(worker or s3), start_time=start_time)
    begins = _parse_time(start_time)
    check_place(graph, option="--graph")
    with terminal.faults_of(file):
        definition = load_definition(file, stdin=sys.stdin)
    machine, mocked = _mocked(terminal, file, mocks=mocks, case=case, name=name)
    trial = Trial(
        terminal=terminal,
        machine=machine,
        definition=definition,
        type=chosen_type,
        input=load_json(input, option="--input", stdin=sys.stdin),
        context=None if context is None else load_json(context, option="--context", stdin=sys.stdin),
        workers=tuple(load_workers(worker or (), s3=s3)),
        mocked=mocked,
        seed=seed,
        start_time=begins,
    )
    ran: list[AnyEvent] = []
    with terminal.faults_of(file):
        try:
            if virtual:
                _run_virtually(trial, ran)
            else:
                _run_really(trial, ran)
        finally:  # a run that could not go on is drawn too: where it stands is what one wants to see
            if graph is not None and ran:
                _draw(trial, ran, graph)
    _tell(terminal, ran, history=history)


class Trial(Struct, frozen=True, kw_only=True):
    """What is to be run. `seed` None: a new one; `start_time` None: now."""

    terminal: Terminal
    machine: str
    definition: Json
    type: MachineType
    input: Json
    context: Json
    workers: tuple[Worker, ...]
    mocked: MockedCase | None
    seed: int | None
    start_time: Millis | None

    def command(self, seed: bytes) -> StartExecution:
        """Return the command that starts it, under a name that the seed gives where one was given."""
        from processor.apps.client import ISSUER, new_command_id
        from processor.interpreter.entropy import uuid_of
        from processor.model.commands import StartExecution

        name = str(uuid4()) if self.seed is None else uuid_of(seed)
        return StartExecution(
            execution_id=f"{self.machine}:{name}",
            command_id=new_command_id() if self.seed is None else name,
            issuer=ISSUER,
            input=self.input,
            context=self.context,
        )


# ---- virtual time


def _run_virtually(trial: Trial, ran: list[AnyEvent]) -> None:
    from processor.adapters.jsonata_sandbox import ProcessSandbox
    from processor.interpreter.parse import parse

    _check_name(trial.machine)
    with closing(ProcessSandbox()) as sandbox:
        workflow = parse(trial.definition, type=trial.type, sandbox=sandbox)
        _check_mocked(trial, workflow)
        _run_to_its_end(trial, workflow, ran)


def _run_to_its_end(trial: Trial, workflow: Workflow, ran: list[AnyEvent]) -> None:
    from processor.adapters.clock import OsEntropy, SeededEntropy, SystemClock
    from processor.apps.cli.live import LiveView
    from processor.apps.mocks import Mocks
    from processor.apps.virtual import start_virtual
    from processor.interpreter.refused import Refused

    mocks = None if trial.mocked is None else Mocks(trial.mocked)

    def answer(task: TaskScheduled) -> Sequence[AnyCommand]:
        from processor.apps.local import call_worker

        if mocks is not None and mocks.covers(task.state):
            return mocks.answers(task)
        given = call_worker(task, trial.workers)
        if given is None:
            _nobody_runs(trial.terminal, task)
        return given or ()

    seed = (OsEntropy() if trial.seed is None else SeededEntropy(trial.seed)).seed()
    now = SystemClock().now() if trial.start_time is None else trial.start_time
    command = trial.command(seed)
    execution = start_virtual(workflow, command, now=now, seed=seed, answer=answer)
    if isinstance(execution, Refused):
        report_rejection(trial.terminal, _rejection(command, execution, now))
        return
    view = None if trial.terminal.as_json else LiveView(stderr=True, shows_date=True)
    for batch in execution.run():
        ran += batch
        if view is not None:
            view.show(batch)


def _rejection(command: StartExecution, refused: Refused, now: Millis) -> Rejection:
    from processor.model.records import Rejection

    return Rejection(
        execution_id=command.execution_id,
        command_id=command.command_id or "",
        type=type(command).__name__,
        issuer=command.issuer,
        reason=refused.reason,
        detail=refused.detail,
        partition=0,
        offset=0,
        time=now,
    )


def _check_mocked(trial: Trial, workflow: Workflow) -> None:
    """Warn of mocks that nothing will ask for: a misspelt name would otherwise only show by what is not mocked."""
    if trial.mocked is None:
        return
    case = f"the test case {trial.mocked.name!r}"
    for name in trial.mocked.states:
        state = workflow.states.get(name)  # of all scopes
        if state is None:
            similar = get_close_matches(name, workflow.states, n=1)
            meant = f"; is {similar[0]!r} meant?" if similar else ""
            trial.terminal.say(f"asl: warning: the machine has no state {name!r}, which {case} mocks{meant}")
        elif not _asks_outside(state):
            trial.terminal.say(f"asl: warning: the state {name!r}, which {case} mocks, asks for no result from outside")


def _asks_outside(state: AnyState) -> bool:
    from processor.model.definition import MapState, TaskState

    if isinstance(state, MapState):
        return state.reader is not None or (state.writer is not None and state.writer.resource is not None)
    return isinstance(state, TaskState)


# ---- real time


def _run_really(trial: Trial, ran: list[AnyEvent]) -> None:
    from processor.adapters.clock import SeededEntropy, SystemClock
    from processor.adapters.memory import MemoryLog
    from processor.apps.client import Client
    from processor.apps.executions import History, Rejections
    from processor.apps.local import start_roles
    from processor.apps.roles import Roles
    from processor.engine.topics_setup import create_topics

    log = MemoryLog(clock=SystemClock())
    create_topics(log, partitions=1)
    entropy = None if trial.seed is None else SeededEntropy(trial.seed)
    command = trial.command(bytes(16) if trial.seed is None else SeededEntropy(trial.seed).seed())
    reader = log.reader()
    history = History(reader, log.names, command.execution_id)
    rejections = Rejections(reader, log.names, execution_id=command.execution_id, command_id=command.command_id or "")
    with Client(log, SystemClock()) as client:
        client.deploy(state_machine=trial.machine, definition=trial.definition, type=trial.type)
        client.send(command)
    roles = Roles()
    start_roles(roles, log, trial.workers, slot="0", grace_seconds=_GRACE_SECONDS, entropy=entropy)
    try:
        _watch(trial, history, rejections, roles, ran)
    finally:
        roles.close()


def _watch(trial: Trial, history: History, rejections: Rejections, roles: Roles, ran: list[AnyEvent]) -> None:
    from processor.apps.cli.live import LiveView
    from processor.apps.executions import follow
    from processor.apps.local import has_function_for
    from processor.model.events import TaskScheduled
    from processor.model.records import Rejection

    view = None if trial.terminal.as_json else LiveView(stderr=True)
    for seen in follow(history, pause=lambda: _pause(roles), rejections=rejections):
        if isinstance(seen, Rejection):
            report_rejection(trial.terminal, seen)
            return
        ran += seen
        if view is not None:
            view.show(seen)
        for event in seen:
            if isinstance(event, TaskScheduled) and not has_function_for(event, trial.workers):
                _nobody_runs(trial.terminal, event)
    if roles.failure is not None:
        raise roles.failure


def _pause(roles: Roles) -> bool:
    time.sleep(_LOOK_EVERY_SECONDS)
    return roles.failure is not None


# ---- what both have in common


_FIELDS: Final[dict[str, str]] = {"ITEM_READER": "ItemReader", "RESULT_WRITER": "ResultWriter"}


def _nobody_runs(terminal: Terminal, task: TaskScheduled) -> None:
    """A task that nobody runs ends the run at once, unless its timeout will go on with the workflow."""
    asks = f"asks for {_resource(task)}"
    if task.kind in _FIELDS:
        raise InvalidSettings(
            setting=f"the {_FIELDS[task.kind]} of the Map {task.state}",
            rule=f"{asks}, and nothing that was given stands for S3",
            example="--s3 DIR, a folder DIR/BUCKET/KEY, or --mocks FILE with a response for the Map",
        )
    if task.timeout_at is None and task.heartbeat_at is None:
        raise InvalidSettings(
            setting=f"the Task {task.state}",
            rule=f"{asks}, and no worker that was given has a function for it",
            example="--worker examples/order/workers.py, or --mocks examples/order/mocks.json",
        )
    terminal.say(
        f"asl: the Task {task.state} {asks}, and no worker that was given has a function for it: it will time out"
    )


def _resource(task: TaskScheduled) -> str:
    from processor.apps.worker.routes import routes_of

    return task.resource if task.kind in ("LAMBDA", "ACTIVITY") else routes_of(task)[-1]


def _tell(terminal: Terminal, ran: list[AnyEvent], *, history: bool) -> None:
    """Print the output, the history or, as JSON, the whole execution; exit 1 where it failed."""
    from processor.apps.executions import Chronicle
    from processor.apps.render.events import event_json
    from processor.interpreter.history import render_history
    from processor.model.events import ExecutionStarted

    if not ran:  # refused, and told so
        return
    started, *others = ran
    assert isinstance(started, ExecutionStarted), started
    chronicle = Chronicle(started)
    for event in others:
        chronicle.add(event)
    if history:
        terminal.document({"events": list[Json](render_history(ran))})
        report_end(terminal, chronicle.description(), result=False)
    else:
        report_end(terminal, chronicle.description(), events=[event_json(event) for event in ran])


def _draw(trial: Trial, ran: list[AnyEvent], place: str) -> None:
    from processor.apps.cli.drawing import draw
    from processor.apps.render.graph import graph_of
    from processor.apps.render.graph_visits import visits_of
    from processor.interpreter.parse import parse

    graph = graph_of(parse(trial.definition, type=trial.type))
    draw(trial.terminal, graph, visits=visits_of(ran), title=ran[0].execution_id, place=place)


# ---- what was asked for


def _is_virtual(asked: bool | None, *, mocks: Path | None, works: bool, start_time: str | None) -> bool:
    """Without a worker nothing that takes time happens; functions of a worker may, unless mocks make it a trial."""
    if asked is False and (mocks or start_time):
        option = "--mocks" if mocks else "--start-time"
        raise InvalidSettings(
            setting="--real-time", rule=f"does not go with {option}", example="asl run FILE --worker …"
        )
    if asked is not None:
        return asked
    return mocks is not None or not works


def _mocked(
    terminal: Terminal, file: Path, *, mocks: Path | None, case: str | None, name: str | None
) -> tuple[str, MockedCase | None]:
    """Return the state machine's name, and its test case where there are mocks."""
    from processor.apps.loading import machine_name
    from processor.apps.mocks import load_mocks, split_case

    named, case_name = split_case(case) if case else (None, None)
    machine = name or named or machine_name(file) or "workflow"
    if mocks is None:
        if case is not None:
            raise InvalidSettings(setting="--case", rule="needs --mocks", example="--mocks MOCKS.json --case NAME")
        return machine, None
    with terminal.faults_of(mocks):
        config = load_mocks(mocks)
    return machine, config.case(named or machine, case_name)


def _check_name(machine: str) -> None:
    from processor.model.ids import is_name

    if not is_name(machine):
        rule = f"must be 1 to 80 characters that AWS allows in names, got {machine!r}"
        raise InvalidSettings(setting="--name", rule=rule, example="--name order")


def _parse_time(text: str | None) -> Millis | None:
    from processor.model.ids import Millis

    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as fault:
        rule, example = (
            f"must be a date, or a date and a time, of ISO 8601: {fault}",
            "--start-time 2026-01-31T12:00:00Z",
        )
        raise InvalidSettings(setting="--start-time", rule=rule, example=example) from None
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return Millis(int(aware.timestamp() * 1000))
