"""A compiled definition: what `parse` makes of ASL, once; nothing here is looked at again per event.

Expressions are closures of type Evaluate. They raise StateFailure, the one exception that means "this state fails":
the interpreter turns it into data at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from processor.errors import Diagnostic
from processor.model.events import MachineType, MapMode, OutputOf, TaskKind
from processor.model.ids import Millis
from processor.model.json import Json


class StateFailure(Exception):
    """An expression or a rule made the state fail. `cause` is AWS's text after the usual opening."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause


class Budget:
    """What the JSONata expressions of one event may take together, so that many are bounded as one is.

    `result_bytes`: of JSON text that they may still give; `visits`: values that their paths may still look at. Both are
    counted, so an expression that finds too little left fails on every machine. `seconds`: of a processor's time, spent
    by the Sandbox, which alone has a clock. `here`: whether one may still be tried in this process: not after one that
    met a limit there.
    """

    __slots__ = ("here", "result_bytes", "seconds", "visits")

    def __init__(self) -> None:
        self.result_bytes, self.visits, self.seconds, self.here = 1_048_576, 1_000_000, 0.7, True


class Environment(Protocol):
    """What an expression may read besides its input, and what all those of one event may use together.

    `visited`: how many values their paths have looked at so far.
    """

    visited: int

    @property
    def context(self) -> Json:
        """The context object (`$$`), made when first asked for."""

    @property
    def variables(self) -> Mapping[str, Json]:
        """The workflow variables as they were when the state was entered."""

    @property
    def now(self) -> Millis:
        """The time of the event that is being decided."""

    @property
    def budget(self) -> Budget:
        """What the JSONata expressions of one event may take together."""

    def draw(self, number: int) -> bytes:
        """Return 16 random bytes, the same for the same number whenever this visit and attempt is run again.

        `number` is one of 1 to 2**64, different for every draw in a definition.
        """


Evaluate: TypeAlias = Callable[[Json, Environment], Json]
"""(input, environment) → value."""

Finish: TypeAlias = Callable[[Json, Json, Environment], tuple[OutputOf, Json]]
"""(state's input, its result, environment) → where the output lies, and the output. INPUT and RESULT only where the
whole input or result was handed on: told by how the fields are written, never by comparing values."""

Assign: TypeAlias = Callable[[Json, Json, Environment], dict[str, Json]]
"""(state's input, its result, environment) → the variables it assigns."""

Predicate: TypeAlias = Callable[[Json, Environment], bool]


class State(Struct, frozen=True, kw_only=True, eq=False):
    """`prepare` None: the input is handed on as it is. `next` None: the state ends its scope."""

    name: str
    prepare: Evaluate | None = None
    finish: Finish
    assign: Assign | None = None
    next: str | None = None


class PassState(State, frozen=True, kw_only=True, eq=False):
    """`has_result`: the field Result stands in the definition."""

    has_result: bool = False
    result: Json = None


class Resource(Struct, frozen=True, kw_only=True):
    """Who runs a task. LAMBDA: `resource` is the function's ARN or name as written; ACTIVITY: the activity's ARN;
    SERVICE: `resource_type` and `resource` are AWS's two names. A plain word is a LAMBDA resource of that name."""

    kind: TaskKind
    resource_type: str | None = None
    resource: str
    pattern: Literal["REQUEST_RESPONSE", "SYNC", "WAIT_FOR_TOKEN"] = "REQUEST_RESPONSE"


class Retrier(Struct, frozen=True, kw_only=True):
    errors: tuple[str, ...]
    interval_seconds: int = 1
    max_attempts: int = 3
    backoff_rate: float = 2.0
    max_delay_seconds: int | None = None
    jitter: bool = False


class Catcher(Struct, frozen=True, kw_only=True, eq=False):
    """`finish` and `assign` take the state's input and the error output {Error, Cause}."""

    errors: tuple[str, ...]
    next: str
    finish: Finish
    assign: Assign | None = None


class TaskState(State, frozen=True, kw_only=True, eq=False):
    """The Path forms give an int of 1 to 99,999,999, or raise; `credentials` gives the role's ARN."""

    resource: Resource
    timeout_seconds: int | Evaluate | None = None
    heartbeat_seconds: int | Evaluate | None = None
    credentials: Evaluate | None = None
    retriers: tuple[Retrier, ...] = ()
    catchers: tuple[Catcher, ...] = ()


class Rule(Struct, frozen=True, kw_only=True, eq=False):
    when: Predicate
    next: str
    finish: Finish
    assign: Assign | None = None


class ChoiceState(State, frozen=True, kw_only=True, eq=False):
    """The state's own `next`, `finish` and `assign` are those of Default."""

    rules: tuple[Rule, ...]


class WaitState(State, frozen=True, kw_only=True, eq=False):
    """`seconds` or `timestamp`: a constant, or the Path form. That gives an int, 0 or more, or Millis, or raises."""

    seconds: int | Evaluate | None = None
    timestamp: Millis | Evaluate | None = None


class SucceedState(State, frozen=True, kw_only=True, eq=False):
    pass


class FailState(State, frozen=True, kw_only=True, eq=False):
    error: str | Evaluate | None = None
    cause: str | Evaluate | None = None


class ParallelState(State, frozen=True, kw_only=True, eq=False):
    """`branches`: the first state of each."""

    branches: tuple[str, ...]
    retriers: tuple[Retrier, ...] = ()
    catchers: tuple[Catcher, ...] = ()


class ItemReader(Struct, frozen=True, kw_only=True, eq=False):
    """Where a distributed Map's items are read. `parameters` gives an object; `config` is ReaderConfig as written, but
    for MaxItems: that gives an int of any sign, or raises. 0 and None: all of them."""

    resource: Resource
    parameters: Evaluate
    config: Mapping[str, Json]
    max_items: int | Evaluate | None = None


class ItemBatcher(Struct, frozen=True, kw_only=True, eq=False):
    """How many items go to one child, and what besides. The closures of the limits give an int, 0 or more, or raise; 0
    sets no limit."""

    max_items: int | Evaluate | None = None
    max_bytes: int | Evaluate | None = None
    batch_input: Evaluate | None = None


Transformation: TypeAlias = Literal["NONE", "COMPACT", "FLATTEN"]


class ResultWriter(Struct, frozen=True, kw_only=True, eq=False):
    """What becomes of the children's outputs. `resource` None: they are transformed and stay the state's result."""

    resource: Resource | None = None
    parameters: Evaluate | None = None
    transformation: Transformation
    output_type: Literal["JSON", "JSONL"] = "JSON"


class MapState(State, frozen=True, kw_only=True, eq=False):
    """`items` None: the prepared input is to be the array, which `check` sees to; else it gives one, or raises.
    `selector` sees the state's prepared input and, in the context, Map.Item. `max_concurrency` 0: as many as the mode
    allows. The closures of what is
    tolerated give a number in its range, or raise."""

    first: str
    mode: MapMode = "INLINE"
    execution_type: MachineType = "STANDARD"
    items: Evaluate | None = None
    check: Callable[[Json], list[Json] | dict[str, Json]]
    selector: Evaluate | None = None
    max_concurrency: int | Evaluate = 0
    tolerated_count: int | Evaluate | None = None
    tolerated_percentage: float | Evaluate | None = None
    label: str | None = None
    reader: ItemReader | None = None
    batcher: ItemBatcher | None = None
    writer: ResultWriter | None = None
    retriers: tuple[Retrier, ...] = ()
    catchers: tuple[Catcher, ...] = ()


AnyState: TypeAlias = (
    PassState | TaskState | ChoiceState | WaitState | SucceedState | FailState | ParallelState | MapState
)


class Workflow(Struct, frozen=True, kw_only=True, eq=False):
    """A definition ready to run. Equal to another of the same content, whoever compiled it."""

    definition: Json
    type: MachineType
    definition_hash: bytes
    first: str
    states: Mapping[str, AnyState]  # of all scopes: names are unique in a whole definition
    timeout_seconds: int | None = None
    warnings: tuple[Diagnostic, ...] = ()  # what is probably not meant as it is written
    history_quota: int | None = None  # AWS events that an execution may have

    @property
    def revision(self) -> str:
        """The first 16 hex digits of definition_hash."""
        return self.definition_hash.hex()[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workflow) and other.definition_hash == self.definition_hash

    def __hash__(self) -> int:
        return hash(self.definition_hash)
