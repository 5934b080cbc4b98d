"""Facts, past tense. One class per member of the union in `schemas/event_batch.avsc`, in its order.

In memory every event carries its envelope itself; on the topic one command's consecutive events share one
(`EventBatch`). Payloads are JSON values here and JSON text there. How each folds is in
`interpreter/evolve.py`, what it renders to in AWS's GetExecutionHistory in `interpreter/history.py`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from processor.model.ids import Millis, ScopeKey
from processor.model.json import Json

StateType: TypeAlias = Literal["Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"]
MachineType: TypeAlias = Literal["STANDARD", "EXPRESS"]
OutputOf: TypeAlias = Literal["VALUE", "INPUT", "RESULT"]
TaskKind: TypeAlias = Literal["LAMBDA", "SERVICE", "ACTIVITY", "ITEM_READER", "RESULT_WRITER"]
MapMode: TypeAlias = Literal["INLINE", "DISTRIBUTED"]


class Cause(Struct, frozen=True, kw_only=True, gc=False):
    """The command an event came of. `offset` is its place in the commands topic, None outside a log."""

    command_id: str = ""
    type: str = "StartExecution"
    issuer: str = ""
    offset: int | None = None


NO_CAUSE = Cause()


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """The envelope. `sequence` runs 0, 1, 2 … over all events of an execution, without a gap."""

    execution_id: str
    sequence: int
    time: Millis
    caused_by: Cause
    scope: ScopeKey = ()
    state: str = ""


class Parent(Struct, frozen=True, kw_only=True):
    """The task or distributed Map that asked for this execution."""

    execution_id: str
    scope: ScopeKey
    sequence: int
    map_run: str | None = None
    index: int | None = None


# ---- the execution's own


class ExecutionStarted(Event, frozen=True, kw_only=True):
    state_machine: str
    revision: str
    definition_hash: bytes
    version: int | None = None
    reply_to: str | None = None
    correlation_id: str | None = None
    type: MachineType = "STANDARD"
    input: Json
    context: Json = None  # the user's; None where there is none
    seed: bytes
    first: str
    role: str | None = None
    alias: str | None = None
    trace: str | None = None
    timeout_at: Millis | None = None
    parent: Parent | None = None
    synchronous: bool = False


class ExecutionSucceeded(Event, frozen=True, kw_only=True):
    output: Json


class ExecutionFailed(Event, frozen=True, kw_only=True):
    error: str | None = None
    cause: str | None = None


class ExecutionTimedOut(Event, frozen=True, kw_only=True):
    error: str | None = None
    cause: str | None = None


class ExecutionAborted(Event, frozen=True, kw_only=True):
    error: str | None = None
    cause: str | None = None


class ExecutionRedriven(Event, frozen=True, kw_only=True):
    redrive_count: int
    revision: str
    definition_hash: bytes
    timeout_at: Millis | None = None


class ExecutionQuarantined(Event, frozen=True, kw_only=True):
    reason: str


class ExecutionReleased(Event, frozen=True, kw_only=True):
    pass


# ---- any state's


class StateEntered(Event, frozen=True, kw_only=True):
    type: StateType


class StateExited(Event, frozen=True, kw_only=True):
    """`next` None: the scope ends. `output` only where `output_of` is VALUE."""

    output_of: OutputOf
    output: Json = None
    assigned: dict[str, Json] | None = None
    next: str | None = None
    catcher: int | None = None


class StateAborted(Event, frozen=True, kw_only=True):
    pass


class EvaluationFailed(Event, frozen=True, kw_only=True):
    error: str
    cause: str
    location: str | None = None


class RetryScheduled(Event, frozen=True, kw_only=True):
    """`attempt`: which retry of this retrier, the first is 1. `retrier`: its index in Retry."""

    attempt: int
    retrier: int
    error: str | None = None
    cause: str | None = None
    due: Millis


class WaitStarted(Event, frozen=True, kw_only=True):
    due: Millis


# ---- Task


class TaskScheduled(Event, frozen=True, kw_only=True):
    """`attempt`: retries so far, 0 at first. The token is task_token(execution_id, scope, sequence)."""

    kind: TaskKind
    resource_type: str | None = None
    resource: str
    region: str | None = None
    attempt: int = 0
    arguments: Json
    role: str | None = None
    timeout_seconds: int | None = None
    heartbeat_seconds: int | None = None
    timeout_at: Millis | None = None
    heartbeat_at: Millis | None = None


class TaskStarted(Event, frozen=True, kw_only=True):
    worker: str | None = None


class TaskSubmitted(Event, frozen=True, kw_only=True):
    output: Json


class TaskHeartbeatRecorded(Event, frozen=True, kw_only=True):
    detail: Json = None


class TaskSucceeded(Event, frozen=True, kw_only=True):
    output: Json


class TaskFailed(Event, frozen=True, kw_only=True):
    """Also of a state that rested without a task (a Wait, or one to be tried again) and failed by itself, where others
    are to be cut first: AWS has no event for that."""

    error: str | None = None
    cause: str | None = None


class TaskTimedOut(Event, frozen=True, kw_only=True):
    error: str
    cause: str | None = None
    heartbeat: bool = False


# ---- Parallel and Map


class ParallelStarted(Event, frozen=True, kw_only=True):
    """`has_input`: `input` is what the branches share; else they share the state's input."""

    attempt: int = 0
    has_input: bool = False
    input: Json = None
    first: tuple[str, ...]


class ParallelSucceeded(Event, frozen=True, kw_only=True):
    pass


class ParallelFailed(Event, frozen=True, kw_only=True):
    error: str | None = None
    cause: str | None = None


class MapStarted(Event, frozen=True, kw_only=True):
    """`items` None: the state's input is the array, or the object. An object's members are the items of a distributed
    Map, and no other's; where an ItemReader brings them, there are none yet."""

    attempt: int = 0
    length: int
    mode: MapMode = "INLINE"
    items: list[Json] | dict[str, Json] | None = None
    first: str
    max_concurrency: int
    tolerated_count: int | None = None
    tolerated_percentage: float | None = None


class MapIterationStarted(Event, frozen=True, kw_only=True):
    """`has_input`: `input` was made, by an ItemSelector, an ItemBatcher or of an object's member; else it is the next
    item. `items`: how many of them the iteration takes."""

    has_input: bool = False
    input: Json = None
    child: str | None = None
    items: int = 1


class MapIterationSucceeded(Event, frozen=True, kw_only=True):
    """`has_output`: a child execution's result, or what a ResultWriter says of it; else the iteration's value."""

    has_output: bool = False
    output: Json = None


class MapIterationFailed(Event, frozen=True, kw_only=True):
    error: str | None = None
    cause: str | None = None


class MapIterationAborted(Event, frozen=True, kw_only=True):
    pass


class MapSucceeded(Event, frozen=True, kw_only=True):
    """`has_output`: what a ResultWriter made or gave; else the results by index."""

    has_output: bool = False
    output: Json = None


class MapFailed(Event, frozen=True, kw_only=True):
    error: str | None = None
    cause: str | None = None


class MapRunStarted(Event, frozen=True, kw_only=True):
    """`map_run`: what follows `mapRun:` in AWS's ARN, <state machine>/<label>:<uuid>."""

    map_run: str


class MapRunSucceeded(Event, frozen=True, kw_only=True):
    pass


class MapRunFailed(Event, frozen=True, kw_only=True):
    error: str | None = None
    cause: str | None = None


class MapRunAborted(Event, frozen=True, kw_only=True):
    pass


class MapRunRedriven(Event, frozen=True, kw_only=True):
    map_run: str
    redrive_count: int


AnyEvent: TypeAlias = (
    ExecutionStarted | ExecutionSucceeded | ExecutionFailed | ExecutionTimedOut | ExecutionAborted
    | ExecutionRedriven | ExecutionQuarantined | ExecutionReleased
    | StateEntered | StateExited | StateAborted | EvaluationFailed | RetryScheduled | WaitStarted
    | TaskScheduled | TaskStarted | TaskSubmitted | TaskHeartbeatRecorded | TaskSucceeded | TaskFailed | TaskTimedOut
    | ParallelStarted | ParallelSucceeded | ParallelFailed
    | MapStarted | MapIterationStarted | MapIterationSucceeded | MapIterationFailed | MapIterationAborted
    | MapSucceeded | MapFailed
    | MapRunStarted | MapRunSucceeded | MapRunFailed | MapRunAborted | MapRunRedriven
)  # fmt: skip

TerminalEvent: TypeAlias = ExecutionSucceeded | ExecutionFailed | ExecutionTimedOut | ExecutionAborted
TERMINAL_EVENTS = (ExecutionSucceeded, ExecutionFailed, ExecutionTimedOut, ExecutionAborted)
