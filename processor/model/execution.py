"""The folded state of an execution: nothing here is computed from anything but its events.

A scope's phase says what its last event left it in. Phases that rest wait for a command (or for their children);
the others are runnable, and `Execution.runnable` lists exactly those scopes, lowest first, until it is closed.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from immutables import Map
from msgspec import Struct, field

from processor.model.definition import Workflow
from processor.model.events import Cause, ExecutionStarted, MapMode, StateType, TaskKind
from processor.model.ids import Millis, ScopeKey
from processor.model.json import Json
from processor.model.records import Status
from processor.model.runnable import NONE_RUNNABLE, Runnable

# ---- phases that go on by themselves


class Next(Struct, frozen=True, gc=False):
    """`state` is to be entered with the scope's value."""

    runnable: ClassVar[bool] = True
    state: str


class Ended(Struct, frozen=True, gc=False):
    """The scope has ended with its value; its container, or the execution, goes on."""

    runnable: ClassVar[bool] = True


class Entered(Struct, frozen=True, gc=False):
    """The state is to be evaluated with the scope's value as its input."""

    runnable: ClassVar[bool] = True


class Succeeded(Struct, frozen=True, gc=False):
    """The state's work gave `result`; the state is to be exited."""

    runnable: ClassVar[bool] = True
    result: Json


class Failed(Struct, frozen=True, gc=False):
    """The state failed; Retry, Catch or the container is next. `reported`: ParallelFailed or MapFailed is written,
    so no retry is left. `heartbeat`: it is States.HeartbeatTimeout too. `cutting`: its children still run. `final`: it
    failed in a Catch, and none is asked again."""

    runnable: ClassVar[bool] = True
    error: str | None
    cause: str | None
    reported: bool = False
    heartbeat: bool = False
    cutting: bool = False
    final: bool = False


class Filling(Struct, frozen=True, gc=False):
    """A Parallel or Map that runs: iterations to start, or all have ended (see `children`)."""

    runnable: ClassVar[bool] = True


# ---- phases that rest


class Waiting(Struct, frozen=True, kw_only=True, gc=False):
    """A Wait: until the timer that event `sequence` set fires."""

    runnable: ClassVar[bool] = False
    sequence: int
    due: Millis


class Retrying(Struct, frozen=True, kw_only=True, gc=False):
    """A failed state: until its retry's timer fires."""

    runnable: ClassVar[bool] = False
    sequence: int
    due: Millis


class Pending(Struct, frozen=True, kw_only=True, gc=False):
    """A Task: until an answer to the token of TaskScheduled number `sequence`."""

    runnable: ClassVar[bool] = False
    sequence: int
    kind: TaskKind
    timeout_at: Millis | None = None
    heartbeat_seconds: int | None = None
    heartbeat_at: Millis | None = None
    last_heartbeat: Millis | None = None
    started: bool = False
    submitted: bool = False


class Running(Struct, frozen=True, gc=False):
    """A Parallel or Map: until a child ends or fails."""

    runnable: ClassVar[bool] = False


class Cut(Struct, frozen=True, gc=False):
    """The container failed because of this scope or of a sibling; kept until the container exits, and for a redrive:
    `before` is where it goes on then, None where its state was open and is evaluated again."""

    runnable: ClassVar[bool] = False
    before: Next | Ended | None = None


Phase: TypeAlias = Next | Ended | Entered | Succeeded | Failed | Filling | Waiting | Retrying | Pending | Running | Cut
RUNNING = Running()
ENDED = Ended()
ENTERED = Entered()
FILLING = Filling()

# ---- what a container knows of its children


class Branches(Struct, frozen=True, kw_only=True, gc=False):
    """A Parallel's: `results` by branch index, `ended`: how many there are. `dropped`: they are not kept any more, for
    together they are more than a state may hold."""

    count: int
    ended: int = 0
    results: Map[int, Json] = Map()
    result_bytes: int = 0
    dropped: bool = False

    @property
    def started(self) -> int:
        return self.count

    @property
    def all_ended(self) -> bool:
        return self.ended == self.count

    @property
    def joined_bytes(self) -> int:
        """Of the array of all results: with its commas and brackets."""
        return self.result_bytes + self.count + 1

    @property
    def least_bytes(self) -> int:
        """What those that have ended come to at least."""
        return self.result_bytes


STATE_DATA = "STATE_DATA"
"""Map.Item.Source of items that were in the state's input; AWS Developer Guide, "Context object"."""


class MapRun(Struct, frozen=True, kw_only=True, gc=False):
    """A distributed Map's run. `id`: <state machine>/<label>:<uuid>. `pages`: what an ItemReader has brought so far;
    `read`: all of it. `written`: a ResultWriter's executor has answered with `output`. `ended`: its last event is
    there."""

    id: str
    pages: tuple[Json, ...] = ()
    read: bool = False
    written: bool = False
    output: Json = None
    ended: bool = False

    @property
    def machine(self) -> str:
        """The children's state machine: <state machine>/<label>."""
        return self.id.rpartition(":")[0]


class Prepared:
    """The input of a Map after InputPath, once it was asked for: worked out of the state around it, and no part of
    that. Therefore it may be filled where all else is frozen, all are equal, and none is written."""

    __slots__ = ("there", "value")

    def __init__(self) -> None:
        self.there = False
        self.value: Json = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prepared)

    __hash__ = None  # type: ignore[assignment]  # nothing that holds one has a hash

    def __repr__(self) -> str:
        return "Prepared()"


class Iterations(Struct, frozen=True, kw_only=True, gc=False):
    """A Map's. Iterations [0, next_index) were started and have taken the items [0, next_item); `running` of them have
    not ended. `keys`: of items that were an object's members. `ended`, `results`, `dropped`: as of Branches.
    `failures`: what the tolerated ones came to, `failed`: how many items they had taken."""

    items: list[Json]
    keys: list[str] | None = None
    source: str = STATE_DATA
    mode: MapMode
    first: str
    max_concurrency: int
    tolerated_count: int | None = None
    tolerated_percentage: float | None = None
    next_index: int = 0
    next_item: int = 0
    running: int = 0
    ended: int = 0
    results: Map[int, Json] = Map()
    result_bytes: int = 0
    failures: Map[int, Json] = Map()
    failure_bytes: int = 0
    failed: int = 0
    dropped: bool = False
    run: MapRun | None = None
    prepared: Prepared = field(default_factory=Prepared)

    @property
    def started(self) -> int:
        return self.next_index

    @property
    def has_work(self) -> bool:
        """A free slot with an item left, or nothing left at all."""
        if self.next_item < len(self.items):
            return self.running < self.max_concurrency
        return self.running == 0

    @property
    def all_ended(self) -> bool:
        return self.ended == self.next_index and self.next_item == len(self.items)

    @property
    def joined_bytes(self) -> int:
        """Of the array of all results and failures."""
        return self.result_bytes + self.failure_bytes + self.next_index + 1

    @property
    def least_bytes(self) -> int:
        """What those that have ended come to at least, however they are transformed: FLATTEN takes brackets away."""
        return self.result_bytes - 2 * self.ended + self.failure_bytes

    @property
    def exceeds_tolerance(self) -> bool:
        """Whether more items have failed than a distributed Map was to tolerate: none where it does not say.

        Source: AWS Developer Guide, "Setting failure thresholds for Distributed Map states".
        """
        count, percentage = self.tolerated_count, self.tolerated_percentage
        if count is None and percentage is None:
            return self.failed > 0
        if count is not None and self.failed > count:
            return True
        return percentage is not None and self.failed * 100 > percentage * len(self.items)


Children: TypeAlias = Branches | Iterations


NO_VARIABLES: Map[str, Json] = Map()


class Child(Struct, frozen=True, kw_only=True, gc=False):
    """What an iteration of a distributed Map is to itself: an execution of its own, of `input`, begun at `started`.
    `items`: how many of the Map's it has taken."""

    input: Json
    started: Millis
    items: int


class Scope(Struct, frozen=True, kw_only=True, gc=False):
    """One line of control. `value` is the input of the state entered, else what the next one will get."""

    value: Json
    phase: Phase
    state: str = ""
    type: StateType | None = None  # of the state entered and not exited
    visit: int = 0  # states entered so far
    entered_id: int = 0  # AWS's id of the StateEntered
    entered_time: Millis = Millis(0)
    attempts: tuple[int, ...] = ()  # retries per retrier
    retry_count: int = 0
    children: Children | None = None
    cut_from: int | None = None  # children below this index are cut; None: none is being cut
    aborted: bool = False  # its StateAborted is written
    variables: Map[str, Json] = NO_VARIABLES  # those of the scopes around it too, as they were when it was opened
    variable_bytes: int = 0  # of the JSON of those that it has assigned itself
    silent: bool = False  # under a distributed Map: its events have no AWS ids
    child: Child | None = None  # of an iteration of a distributed Map


class Execution(Struct, frozen=True, kw_only=True, gc=False):
    """`sequence` and `aws_events` count what is there: the next event has this sequence and AWS id aws_events + 1.

    `time` and `caused_by` are the last event's; what is decided without a command continues under them.
    """

    workflow: Workflow
    started: ExecutionStarted
    status: Status = "RUNNING"
    sequence: int = 0
    aws_events: int = 0
    time: Millis
    caused_by: Cause
    scopes: Map[ScopeKey, Scope] = Map()
    runnable: Runnable = NONE_RUNNABLE
    timeout_at: Millis | None = None
    timer_sequence: int = 0  # of the event that set the execution's own timer
    redrive_count: int = 0
    redrive_time: Millis | None = None
    quarantined: str | None = None
    variable_bytes: int = 0  # of all scopes
    output: Json = None
    error: str | None = None
    cause: str | None = None

    @property
    def execution_id(self) -> str:
        return self.started.execution_id

    @property
    def closed(self) -> bool:
        return self.status != "RUNNING"

    @property
    def at_rest(self) -> bool:
        """Nothing to do until a command comes."""
        return not self.runnable or self.closed or self.quarantined is not None
