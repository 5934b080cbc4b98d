"""What the other topics hold: indexes derived from events, definitions, answers."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from processor.model.events import MachineType, TaskKind
from processor.model.ids import Millis, ScopeKey, TimerKind
from processor.model.json import Json

Status: TypeAlias = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]

RejectionReason: TypeAlias = Literal[
    "UnknownExecution",
    "ExecutionAlreadyExists",
    "TaskNotPending",
    "TimerNotPending",
    "ExecutionEnded",
    "ExecutionQuarantined",
    "DefinitionNotFound",
    "InvalidDefinition",
    "InvalidCommand",
    "InputTooLarge",
    "ReplyTopicRefused",
    "NotSupported",
    "ExecutionNotRedrivable",
    "ExecutionNotQuarantined",
    "ExecutionNotPurgeable",
]


class Timer(Struct, frozen=True, kw_only=True):
    """A timer not yet fired or cancelled; key: its id; a tombstone when resolved."""

    timer_id: str
    execution_id: str
    scope: ScopeKey
    sequence: int
    kind: TimerKind
    due: Millis
    state: str


class Task(Struct, frozen=True, kw_only=True):
    """Work to be done; key: its token; a tombstone when resolved. All of it stands in TaskScheduled too."""

    token: str
    execution_id: str
    state: str
    kind: TaskKind
    resource_type: str | None = None
    resource: str
    region: str | None = None
    attempt: int = 0
    arguments: Json
    role: str | None = None
    timeout_at: Millis | None = None
    heartbeat_seconds: int | None = None
    scheduled_at: Millis


class Definition(Struct, frozen=True, kw_only=True):
    """One immutable revision; key `<machine>#<revision>`; the machine's last record is its latest."""

    state_machine: str
    revision: str
    definition_hash: bytes
    type: MachineType
    definition: Json
    deployed_at: Millis
    retention_ms: int | None = None  # of the machine's ended executions, as its last record says; None: the default


class PartitionCount(Struct, frozen=True, kw_only=True):
    """The one record under the key `#partitions` of definitions."""

    partitions: int


class Migration(Struct, frozen=True, kw_only=True):
    """Under the key `#migrated` of definitions: the topics were carried over to those of another prefix."""

    prefix: str
    time: Millis


class Reply(Struct, frozen=True, kw_only=True):
    """ACCEPTED and REJECTED answer the command named; FINISHED tells the outcome to who started it."""

    kind: Literal["ACCEPTED", "REJECTED", "FINISHED"]
    execution_id: str
    command_id: str
    correlation_id: str | None = None
    time: Millis
    reason: RejectionReason | None = None
    detail: str | None = None
    status: Status | None = None
    output: Json = None
    error: str | None = None
    cause: str | None = None


class Rejection(Struct, frozen=True, kw_only=True):
    """A command refused, why, and where it stands in the commands topic."""

    execution_id: str
    command_id: str
    type: str
    issuer: str | None = None
    correlation_id: str | None = None
    reason: RejectionReason
    detail: str
    partition: int
    offset: int
    time: Millis


class Snapshot(Struct, frozen=True, kw_only=True):
    """A part of an open execution's folded state; key `<execution id>#<chunk>`. `sequence` is that of the execution's
    next event; chunks of one snapshot have one. `format` names the encoding of `state`, which no other release need
    know: whoever does not reads the events."""

    execution_id: str
    chunk: int
    chunks: int
    sequence: int
    format: str
    state: bytes


class Checkpoint(Struct, frozen=True, kw_only=True):
    """Key `#checkpoint`: every event before `position` of the partition of events is covered by what stands in
    snapshots and in closed. `commands_offset`: the next command then; `partitions`: how many the topics had."""

    position: int
    commands_offset: int
    partitions: int
    format: str
    time: Millis


class ClosedExecution(Struct, frozen=True, kw_only=True):
    """What is left of an ended execution; key: its id. As long as it stands the id is taken. `state`: the folded
    execution, in the encoding `format` names, for a redrive; None where it succeeded, or where that is too large.
    `purged`: how many of its events a purge that is under way has removed."""

    execution_id: str
    state_machine: str
    revision: str
    status: Status
    input_hash: bytes
    start_command_id: str
    last_sequence: int
    started_at: Millis
    ended_at: Millis
    redrive_count: int
    format: str
    state: bytes | None = None
    purged: int = 0
