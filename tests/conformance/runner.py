"""Drives executions of the shared conformance cases: what AWS Step Functions was recorded to do.

The outside world is the recorded history: its answers are fed in recorded order; timers fire in virtual time. Each case
runs twice, straight and recovered from bytes after every command. `make conformance` runs all of them, with the other
kinds of cases.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from processor import (
    EPOCH,
    ZERO,
    AnyEvent,
    CompleteTask,
    ExecutionStarted,
    FailTask,
    FireTimer,
    HeartbeatTask,
    InvalidDefinition,
    Millis,
    Outcome,
    Rejected,
    StartExecution,
    SubmitTask,
    TaskScheduled,
    TaskSubmitted,
    Workflow,
    parse,
    recover,
    resume,
)
from processor.engine.encoding import decode_events, encode_events
from processor.interpreter.decide import timer_due
from processor.interpreter.evolve import begin
from processor.interpreter.history import render_history
from processor.interpreter.interpreter import cause_of, first_event
from processor.model.commands import AnyCommand, timers_set_by, token_of
from processor.model.execution import Execution, Pending
from processor.model.ids import TimerKind, parse_task_token
from processor.model.json import Json, render_json
from tests.conformance.s3 import CaseObjects, page_of, written_of

Case: TypeAlias = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
MAX_COMMANDS = 2_000


def conformance_dir() -> Path | None:
    """Return the folder of the cases: CONFORMANCE_DIR, else ../shared/conformance/aws beside the repository."""
    named = os.environ.get("CONFORMANCE_DIR")
    folder = Path(named) if named else ROOT.parent / "shared" / "conformance" / "aws"
    return folder if folder.is_dir() else None


def required_dir() -> Path:
    """Return the folder of the cases; where it is none, exit with 2 and say on standard error what it must be."""
    folder = conformance_dir()
    if folder is not None and any(folder.glob("*.json")) and (folder.parent / "compare.py").is_file():
        return folder
    named = os.environ.get("CONFORMANCE_DIR")
    got = "and is not set" if named is None else f"got {named!r}"
    rule = "must name a folder of recorded cases, *.json, with compare.py beside it"
    print(f"CONFORMANCE_DIR: {rule}, {got}, for example ../shared/conformance/aws", file=sys.stderr)
    sys.exit(2)


def load_cases(folder: Path) -> list[Case]:
    return [case for file in sorted(folder.glob("*.json")) for case in json.loads(file.read_text())]


def load_compare(folder: Path) -> Any:
    """Return the reference comparison, compare.py beside the folder."""
    spec = importlib.util.spec_from_file_location("conformance_compare", folder.parent / "compare.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- one execution


@dataclass
class Driven:
    """How a case ended here. `made_up`: the states whose tasks were given an answer that no recording shows."""

    outcome: Outcome
    events: list[AnyEvent] = field(default_factory=list)
    objects: CaseObjects = field(default_factory=lambda: CaseObjects(()))
    made_up: set[str] = field(default_factory=set)

    @property
    def execution(self) -> Execution:
        assert self.outcome.execution is not None
        return self.outcome.execution

    @property
    def output(self) -> str | None:
        return render_json(self.execution.output) if self.execution.status == "SUCCEEDED" else None


Between: TypeAlias = Callable[[Workflow, list[AnyEvent], Outcome], Outcome]
"""What is done to the outcome after each command: nothing, or a way over bytes."""


def straight(_workflow: Workflow, _events: list[AnyEvent], outcome: Outcome) -> Outcome:
    return outcome


def recovered(workflow: Workflow, events: list[AnyEvent], _outcome: Outcome) -> Outcome:
    """As after a crash: from the bytes of all events so far."""
    batches: list[list[AnyEvent]] = []
    for event in events:
        if batches and (batches[-1][0].time, batches[-1][0].caused_by) == (event.time, event.caused_by):
            batches[-1].append(event)
        else:
            batches.append([event])
    stored = [record.value for batch in batches for record in encode_events(batch)]
    return recover(workflow, [event for value in stored for event in decode_events(value)])


def drive(case: Case, between: Between = straight) -> Driven:
    """Run an execution case to its end, or until the recording has nothing more to say. Raises InvalidDefinition."""
    workflow = parse(case["definition"], type=case["type"])
    answers = list(recorded_answers(case))
    command = StartExecution(
        execution_id="machine:name",
        input=case["input"],
        role="arn:aws:iam::111111111111:role/name",
        synchronous=case["id"].endswith("#start_execution_sync_response"),
    )
    cause = cause_of(command, offset=None)
    started = first_event(workflow, command, now=now_of(case), seed=ZERO, cause=cause)
    assert isinstance(started, ExecutionStarted), started
    outcome: Outcome = resume(begin(workflow, started))
    driven = Driven(outcome, [started, *outcome.events], CaseObjects(case.get("s3_objects") or ()))
    stand_in = _stand_in(case)
    for _ in range(MAX_COMMANDS):
        driven.outcome = between(workflow, driven.events, driven.outcome)
        answer = None if driven.execution.closed else next_command(driven, answers, stand_in)
        if case["expected"]["status"] == "RUNNING" and isinstance(answer, FireTimer):
            break  # nobody waited for it
        if answer is None:
            break
        outcome = resume(driven.execution, answer)
        assert not isinstance(outcome, Rejected), outcome
        driven.outcome = outcome
        driven.events += outcome.events
    return driven


def now_of(case: Case) -> Millis:
    date = case.get("recorded_date")
    if not date:
        return EPOCH
    return Millis(int(datetime.strptime(date, "%d-%m-%Y, %H:%M:%S").replace(tzinfo=UTC).timestamp() * 1000))


# ---- the outside world


ANY_STATE = ""
ANSWERS = ("Succeeded", "Failed", "TimedOut", "Submitted")


@dataclass(frozen=True)
class Answer:
    """A recorded answer to the task of a state."""

    state: str
    kind: str  # of ANSWERS, or an activity's Started
    details: Case
    spaced: bool = False  # the runtime of Lambda functions writes its causes with blanks; the snapshot has decoded them


def recorded_answers(case: Case) -> Iterator[Answer]:
    ordered = not case.get("events_sorted")  # else ids are lost, and the events that have one id are in any order
    events = {event["id"]: event for event in case["history"]} if ordered else {}
    for event in sorted(case["history"], key=lambda e: e["id"]) if ordered else case["history"]:
        for prefix in ("Task", "LambdaFunction", "Activity"):
            kind = event["type"].removeprefix(prefix)
            if event["type"].startswith(prefix) and (kind in ANSWERS or event["type"] == "ActivityStarted"):
                details: Case = next((v for k, v in event.items() if k.endswith("EventDetails")), {})
                state = _state_around(events, event) if ordered else ANY_STATE
                yield Answer(state, kind, details, spaced=prefix == "LambdaFunction")


def _state_around(events: dict[int, Case], event: Case) -> str:
    while not event["type"].endswith("StateEntered"):
        event = events[event["previousEventId"]]
    return str(event["stateEnteredEventDetails"]["name"])


def _stand_in(case: Case) -> Answer | None:
    """Return the answer to give where no history was recorded (Express, and a few more): what the case ended with.

    An error output was what a Catch made of the failure. Any other output is the task's result as it came out of the
    states after it, of which none makes another value here: at most a last Pass places its input into itself.
    """
    expected = case["expected"]
    output = expected.get("output")
    if case["history"] or expected["status"] != "SUCCEEDED":
        return None
    if isinstance(output, dict) and output.keys() == {"Error", "Cause"}:
        return Answer(state=ANY_STATE, kind="Failed", details={"error": output["Error"], "cause": output["Cause"]})
    for state in case["definition"]["States"].values():
        if state["Type"] == "Pass" and state.get("End") and not state.keys() & {"Result", "Parameters"}:
            place = str(state.get("ResultPath", "$")).removeprefix("$.")
            if isinstance(output, dict) and place in output:
                output = output[place]
    return Answer(state=ANY_STATE, kind="Succeeded", details={"output": output})


def next_command(driven: Driven, answers: list[Answer], stand_in: Answer | None) -> AnyCommand | None:
    """Return the next recorded answer that a task waits for, else the timer due first; None: nothing will come."""
    pending = {
        event.state: event
        for event in reversed(driven.events)
        if isinstance(event, TaskScheduled) and _is_pending(driven.execution, event)
    }
    reader = next((task for task in pending.values() if task.kind == "ITEM_READER"), None)
    if reader is not None:
        read = sum(isinstance(event, TaskSubmitted) and event.scope == reader.scope for event in driven.events)
        return page_of(reader, driven.objects, index=read)
    writer = next((task for task in pending.values() if task.kind == "RESULT_WRITER"), None)
    if writer is not None:
        return written_of(writer)
    child = next((task for task in pending.values() if driven.execution.scopes[task.scope].silent), None)
    if child is not None:
        # The parent's history does not show what a distributed Map's children were told: their functions echo.
        driven.made_up.add(child.state)
        return CompleteTask.of(child, child.arguments)
    answer = next((a for a in answers if a.state in pending or (a.state == ANY_STATE and pending)), None)
    if answer is not None:
        answers.remove(answer)
        return _answer(answer, pending.get(answer.state) or next(iter(pending.values())))
    if pending and stand_in is not None:
        asked = next(iter(pending.values()))
        driven.made_up.add(asked.state)
        return _answer(stand_in, asked)
    # A task whose answer is not in the recording stays as it is: a timeout of it would be in the recording.
    own = [timer for timer in timers_of(driven) if timer[1] in ("wait", "retry", "execution")]
    return own[0][2] if own else None


def timers_of(driven: Driven) -> list[tuple[Millis, TimerKind, FireTimer]]:
    waiting = []
    for event in driven.events:
        for kind in timers_set_by(event):
            command = FireTimer.of(event, kind)
            due = timer_due(driven.execution, command.timer_id)
            if due is not None:
                waiting.append((due, kind, command))
    return sorted(waiting, key=lambda timer: timer[0])


def _is_pending(execution: Execution, event: TaskScheduled) -> bool:
    _, key, sequence = parse_task_token(token_of(event))
    scope = execution.scopes.get(key)
    return scope is not None and isinstance(scope.phase, Pending) and scope.phase.sequence == sequence


def _answer(answer: Answer, asked: TaskScheduled) -> AnyCommand:
    match answer.kind:
        case "Succeeded":
            return CompleteTask.of(asked, _payload(answer.details["output"]))
        case "Submitted":
            return SubmitTask.of(asked, _payload(answer.details["output"]))
        case "Started":
            return HeartbeatTask.of(asked, worker=answer.details.get("workerName"))
        case "TimedOut":
            return FireTimer.of(asked, "heartbeat" if asked.heartbeat_at is not None else "timeout")
        case _:
            cause = answer.details.get("cause")
            text = cause if cause is None or isinstance(cause, str) else _text(cause, spaced=answer.spaced)
            return FailTask.of(asked, error=answer.details.get("error"), cause=text)


def _text(cause: Json, *, spaced: bool) -> str:
    return json.dumps(cause, ensure_ascii=False) if spaced else render_json(cause)


def _payload(recorded: Json) -> Json:
    """The snapshot decoded texts that begin with `{`; others are still JSON texts."""
    if not isinstance(recorded, str):
        return recorded
    try:
        value: Json = json.loads(recorded)
    except ValueError:
        return recorded
    return value


# ---- all of them


Watch: TypeAlias = Callable[[str], AbstractContextManager[object]]
"""Entered with a case's id while that runs."""


def unwatched(_id: str) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass
class Report:
    """How many executions are right up to each level. `made_up`: of each case, the tasks whose answers are."""

    cases: int = 0
    end: int = 0
    cause: int = 0
    history_cases: int = 0
    history: int = 0
    failures: dict[str, list[str]] = field(default_factory=dict)
    made_up: dict[str, set[str]] = field(default_factory=dict)

    def by_kind(self) -> dict[str, int]:
        levels = {"cases": self.cases, "end": self.end, "cause": self.cause}
        return {**levels, "history_cases": self.history_cases, "history": self.history}


def judge(case: Case, driven: Driven, compare: Any) -> list[str]:
    """Return what differs at the levels `end` and `cause`."""
    execution = driven.execution
    found: list[str] = compare.differences(case, execution.status, driven.output, execution.error, execution.cause)
    return found


def run_executions(
    folder: Path, *, between: tuple[Between, ...] = (straight, recovered), watch: Watch = unwatched
) -> Report:
    """Judge every case of kind execution. Ways of `between` that do not give the same events are right at no level."""
    compare, report = load_compare(folder), Report()
    for case in load_cases(folder):
        if case["kind"] != "execution":
            continue
        case["history"] = compare.fix_constants(case["history"])
        report.cases += 1
        report.history_cases += bool(case["history"])
        with watch(case["id"]):
            try:
                driven, *others = (drive(case, way) for way in between)
            except InvalidDefinition as invalid:
                report.failures[case["id"]] = [f"refused: {invalid}"]
                continue
        if driven.made_up:
            report.made_up[case["id"]] = driven.made_up
        if any(other.events != driven.events for other in others):
            report.failures[case["id"]] = ["recovered from bytes after each command it goes another way"]
            continue
        _count(report, case, driven, compare)
    return report


def _count(report: Report, case: Case, driven: Driven, compare: Any) -> None:
    different = judge(case, driven, compare)
    report.end += not set(different) - {"cause"}
    report.cause += not different
    if case["history"]:
        in_history = compare.history_differences(case, render_history(driven.events))
        report.history += not different and not in_history
        different += [f"history: {found}" for found in in_history]
    if different:
        execution = driven.execution
        given = {"status": execution.status, "output": driven.output, "error": execution.error}
        told = json.dumps({**given, "cause": execution.cause})
        report.failures[case["id"]] = [*different, f"expected {json.dumps(case['expected'])}", f"given {told}"]
