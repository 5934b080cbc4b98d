"""start, resume, recover: what a definition, an input and commands come to. Pure.

start    decide the first event, then whatever follows until the execution rests
resume   the same for a command, or without one from wherever a log was cut
recover  fold a history
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace

from processor.errors import DecodingFailed, InvalidCommand
from processor.interpreter.context import check_user_context
from processor.interpreter.decide import Nothing, decide, timer_due
from processor.interpreter.evolve import begin, evolve
from processor.interpreter.refused import Refused
from processor.interpreter.step import next_event
from processor.interpreter.turn import MAX_PAYLOAD_BYTES
from processor.model import commands as c
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.execution import Execution
from processor.model.ids import EPOCH, Millis, parse_execution_id
from processor.model.json import Json, canonical_json, json_bytes, private_json
from processor.model.records import RejectionReason

MAX_EXPRESS_SECONDS = 300
"""How long an EXPRESS execution may run; it has no quota of events. Source: Developer Guide, "Service quotas"."""

ZERO = bytes(16)
"""A seed for tests and trials; the processor draws one per execution."""


class Continued(Struct, frozen=True, kw_only=True):
    """It goes on: it waits for a command, or has spent its budget and is still runnable."""

    execution: Execution
    events: tuple[e.AnyEvent, ...]


class Succeeded(Struct, frozen=True, kw_only=True):
    execution: Execution
    events: tuple[e.AnyEvent, ...]
    output: Json


class Failed(Struct, frozen=True, kw_only=True):
    execution: Execution
    events: tuple[e.AnyEvent, ...]
    error: str | None
    cause: str | None


class TimedOut(Struct, frozen=True, kw_only=True):
    execution: Execution
    events: tuple[e.AnyEvent, ...]
    error: str | None
    cause: str | None


class Aborted(Struct, frozen=True, kw_only=True):
    execution: Execution
    events: tuple[e.AnyEvent, ...]
    error: str | None
    cause: str | None


class Rejected(Struct, frozen=True, kw_only=True):
    """The command cannot apply and changed nothing. `execution` is None where it would have started one."""

    execution: Execution | None
    events: tuple[e.AnyEvent, ...] = ()
    reason: RejectionReason
    detail: str


Outcome: TypeAlias = Continued | Succeeded | Failed | TimedOut | Aborted | Rejected


def start(
    workflow: Workflow,
    input: object,  # AWS's own word
    *,
    context: Mapping[str, object] | None = None,
    execution_id: str = "local:1",
    now: Millis = EPOCH,
    seed: bytes = ZERO,
) -> Continued | Succeeded | Failed | Rejected:
    """Start an execution and run it until it rests or ends.

    `context` is read as `$$.<key>`. Equal arguments give equal outcomes, byte for byte. Rejected, never raised: an
    execution id AWS would refuse, an input that is no JSON or over 256 KiB, a context that is no JSON object or takes
    AWS's own names.
    """
    given: object = dict(context) if isinstance(context, Mapping) else context
    try:
        command = c.StartExecution(
            execution_id=execution_id,
            input=private_json(input, what="input"),
            context=None if given is None or given == {} else private_json(given, what="context"),
        )
    except InvalidCommand as fault:
        return Rejected(execution=None, reason="InvalidCommand", detail=str(fault))
    started = first_event(workflow, command, now=now, seed=seed, cause=e.NO_CAUSE)
    if isinstance(started, Refused):
        return Rejected(execution=None, reason=started.reason, detail=started.detail)
    execution, events = proceed(begin(workflow, started))
    outcome = outcome_of(execution, (started, *events))
    assert not isinstance(outcome, (TimedOut, Aborted))
    return outcome


def payload_bytes(command: c.StartExecution) -> int:
    """Return how much of JSON the execution is to start with: MAX_PAYLOAD_BYTES are allowed."""
    context = 0 if command.context is None else len(json_bytes(command.context))
    return len(json_bytes(command.input)) + context


def first_event(
    workflow: Workflow, command: c.StartExecution, *, now: Millis, seed: bytes, cause: e.Cause
) -> e.ExecutionStarted | Refused:
    """Return the event that StartExecution decides."""
    try:
        machine, _ = parse_execution_id(command.execution_id)
        if command.context is not None:
            check_user_context(command.context)
    except InvalidCommand as fault:
        return Refused("InvalidCommand", str(fault))
    size = payload_bytes(command)
    if size > MAX_PAYLOAD_BYTES:
        return Refused("InputTooLarge", f"input and context take {size} bytes of JSON, {MAX_PAYLOAD_BYTES} are allowed")
    timeout_seconds = _longest(workflow)
    return e.ExecutionStarted(
        execution_id=command.execution_id,
        sequence=0,
        time=now,
        caused_by=cause,
        state_machine=machine,
        revision=workflow.revision,
        definition_hash=workflow.definition_hash,
        version=command.version,
        reply_to=command.reply_to,
        correlation_id=command.correlation_id,
        type=workflow.type,
        input=command.input,
        context=command.context,
        seed=seed,
        first=workflow.first,
        role=command.role,
        alias=command.alias,
        trace=command.trace,
        timeout_at=None if timeout_seconds is None else Millis(now + timeout_seconds * 1000),
        parent=command.parent,
        synchronous=command.synchronous,
    )


def _longest(workflow: Workflow) -> int | None:
    if workflow.type == "STANDARD":
        return workflow.timeout_seconds
    return min(workflow.timeout_seconds or MAX_EXPRESS_SECONDS, MAX_EXPRESS_SECONDS)


def resume(
    execution: Execution, command: c.AnyCommand | None = None, *, now: Millis | None = None, offset: int | None = None
) -> Outcome:
    """Apply a command, until the execution rests or ends.

    Without one, that is None, an execution that is still runnable goes on from where its history was cut; one that
    rests stays as it is, without an event. `now` None: the last event's time, or when the timer fired is due if that is
    later. Time never runs backwards. Rejected, never raised: a command that cannot apply, or whose payload is no JSON.
    """
    if command is None:
        advanced, events = proceed(execution)
        return outcome_of(advanced, events)
    try:
        command = _private(command)
    except InvalidCommand as fault:
        return Rejected(execution=execution, reason="InvalidCommand", detail=str(fault))
    if now is None:
        now = _due_time(execution, command)
    decision = decided(execution, command, now=now, offset=offset)
    match decision:
        case Refused(reason, detail):
            return Rejected(execution=execution, reason=reason, detail=detail)
        case Nothing():
            return outcome_of(execution, ())
        case event:
            advanced, events = proceed(evolve(execution, event))
            return outcome_of(advanced, (event, *events))


def _private(command: c.AnyCommand) -> c.AnyCommand:
    """Return the command with a payload that nobody else holds. What came over a log is JSON; what a caller gives need
    not be. Raises InvalidCommand."""
    match command:
        case c.CompleteTask() | c.SubmitTask():
            return replace(command, output=private_json(command.output, what="output"))
        case c.HeartbeatTask():
            return replace(command, detail=private_json(command.detail, what="detail"))
        case c.FailTask() | c.StopExecution():
            texts: tuple[tuple[str, object], ...] = (("error", command.error), ("cause", command.cause))
            for name, text in texts:
                if not isinstance(private_json(text, what=name), str | None):
                    raise InvalidCommand(where=name, rule="must be a string", value=text)
    return command


def decided(
    execution: Execution, command: c.AnyCommand, *, now: Millis, offset: int | None
) -> e.AnyEvent | Refused | Nothing:
    """As decide, with a time that is never before the last event's."""
    cause = cause_of(command, offset=offset)
    return decide(execution, command, now=max(now, execution.time), cause=cause)


def cause_of(command: c.AnyCommand, *, offset: int | None) -> e.Cause:
    return e.Cause(
        command_id=command.command_id or "",
        type=type(command).__name__,
        issuer=command.issuer or "",
        offset=offset,
    )


def steps(execution: Execution, *, max_events: int | None = None) -> Iterator[tuple[e.AnyEvent, Execution]]:
    """Yield each event that follows without a command, and the execution after it, until it rests, ends or has given
    `max_events`; what it gives is the same however that is sliced."""
    given = 0
    while max_events is None or given < max_events:
        event = next_event(execution)
        if event is None:
            return
        execution = evolve(execution, event)
        yield event, execution
        given += 1


def proceed(execution: Execution) -> tuple[Execution, tuple[e.AnyEvent, ...]]:
    """Let the execution go on until it rests or ends."""
    events: list[e.AnyEvent] = []
    while (event := next_event(execution)) is not None:
        execution = evolve(execution, event)
        events.append(event)
    return execution, tuple(events)


def recover(workflow: Workflow, events: Iterable[e.AnyEvent]) -> Outcome:
    """Fold a history, or the beginning of one. The outcome's events are ().

    Raises DecodingFailed where the events are not the first ones of one execution in order, and where the execution is
    not one of `workflow`: of the definition that it started with or was last redriven on.
    """
    execution: Execution | None = None
    definition = b""
    for event in events:
        if isinstance(event, (e.ExecutionStarted, e.ExecutionRedriven)):
            definition = event.definition_hash
        if execution is None:
            if not isinstance(event, e.ExecutionStarted) or event.sequence != 0:
                raise DecodingFailed(what="history", reason=f"begins with {type(event).__name__} {event.sequence}")
            execution = begin(workflow, event)
            continue
        if event.execution_id != execution.execution_id or event.sequence != execution.sequence:
            expected = f"{execution.execution_id} {execution.sequence}"
            raise DecodingFailed(
                what="history", reason=f"expected event {expected}, got {event.execution_id} {event.sequence}"
            )
        execution = evolve(execution, event)
    if execution is None:
        raise DecodingFailed(what="history", reason="it is empty")
    if definition != workflow.definition_hash:
        wanted = f"it is of the definition with the hash {definition.hex()}"
        raise DecodingFailed(what="history", reason=f"{wanted}, the workflow's is {workflow.definition_hash.hex()}")
    return outcome_of(execution, ())


def outcome_of(
    execution: Execution, events: tuple[e.AnyEvent, ...]
) -> Continued | Succeeded | Failed | TimedOut | Aborted:
    match execution.status:
        case "RUNNING":
            return Continued(execution=execution, events=events)
        case "SUCCEEDED":
            return Succeeded(execution=execution, events=events, output=execution.output)
        case "FAILED":
            return Failed(execution=execution, events=events, error=execution.error, cause=execution.cause)
        case "TIMED_OUT":
            return TimedOut(execution=execution, events=events, error=execution.error, cause=execution.cause)
        case "ABORTED":
            return Aborted(execution=execution, events=events, error=execution.error, cause=execution.cause)
        case _:
            assert_never(execution.status)


def input_hash(input: Json, context: Json) -> bytes:  # AWS's own word
    """Return what tells whether a repeated StartExecution asks for the same: SHA-256 of both, keys sorted."""
    return sha256(canonical_json([input, context])).digest()


def _due_time(execution: Execution, command: c.AnyCommand) -> Millis:
    if isinstance(command, c.FireTimer):
        try:
            due = timer_due(execution, command.timer_id)
        except InvalidCommand:
            return execution.time
        if due is not None:
            return max(due, execution.time)
    return execution.time
