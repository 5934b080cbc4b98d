"""One scope's turn: what its state's code reads, and the envelope of the event it gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypedDict

from orjson import JSONEncodeError

from processor.interpreter.context import MapItem, context_object
from processor.interpreter.entropy import draw
from processor.interpreter.folding import growth
from processor.interpreter.retry import DATA_LIMIT_EXCEEDED, RUNTIME
from processor.model import events as e
from processor.model.commands import MAX_CAUSE_LENGTH, MAX_ERROR_LENGTH
from processor.model.definition import AnyState, Assign, Budget, Evaluate, Finish, StateFailure
from processor.model.execution import Execution, Failed, Filling, Iterations, Prepared, Scope
from processor.model.ids import Millis, ScopeKey
from processor.model.json import Json, is_longer, json_bytes

MAX_PAYLOAD_BYTES = 262_144
"""AWS's quota for the input or output of a state, as UTF-8 JSON text."""


MAX_VARIABLES_BYTES = 10_485_760
"""AWS's quota for all variables of an execution."""


class Envelope(TypedDict):
    execution_id: str
    sequence: int
    time: Millis
    caused_by: e.Cause
    scope: ScopeKey
    state: str


def envelope_of(execution: Execution, key: ScopeKey, state: str) -> Envelope:
    """Return the envelope of the execution's next event; the execution's own have scope () and state ""."""
    return {
        "execution_id": execution.started.execution_id,
        "sequence": execution.sequence,
        "time": execution.time,
        "caused_by": execution.caused_by,
        "scope": key,
        "state": state,
    }


class Turn:
    """Also the Environment of the state's expressions. `item` is the Map item being selected, if one is."""

    __slots__ = ("_budget", "_context", "execution", "item", "key", "scope", "state", "visited")

    def __init__(
        self,
        execution: Execution,
        key: ScopeKey,
        scope: Scope,
        state: AnyState,
        *,
        item: MapItem | None = None,
    ) -> None:
        self.execution = execution
        self.key = key
        self.scope = scope
        self.state = state
        self.item = item
        self.visited = 0
        self._context: Json = None
        self._budget: Budget | None = None

    @property
    def context(self) -> Json:
        if self._context is None:
            self._context = context_object(self.execution, self.key, item=self.item)
        return self._context

    @property
    def variables(self) -> Mapping[str, Json]:
        return self.scope.variables

    @property
    def now(self) -> Millis:
        return self.execution.time

    @property
    def budget(self) -> Budget:
        if self._budget is None:
            self._budget = Budget()
        return self._budget

    def draw(self, number: int) -> bytes:
        """Return 16 random bytes: of the item's own where one is being selected, for that happens many times."""
        scope = self.scope
        place = self.key if self.item is None else (*self.key, self.item.index)
        seed = self.execution.started.seed
        return draw(seed, scope=place, visit=scope.visit, attempt=scope.retry_count, number=number)

    def envelope(self) -> Envelope:
        return envelope_of(self.execution, self.key, self.scope.state)

    def prepared(self) -> Json:
        """Return the state's input after InputPath and Parameters. Raises StateFailure."""
        prepare = self.state.prepare
        if prepare is None:
            return self.scope.value
        children = self.scope.children
        if isinstance(children, Iterations) and isinstance(self.scope.phase, Filling):
            return self._kept(children.prepared, prepare)
        return self.bounded(prepare(self.scope.value, self))

    def _kept(self, prepared: Prepared, prepare: Evaluate) -> Json:
        """As prepared, for a Map whose iterations run: worked out once, however many of them ask. What that takes
        counts for none of them, or a failure would depend on whether it was there."""
        if not prepared.there:
            alone = Turn(self.execution, self.key, self.scope, self.state)
            prepared.value = self.bounded(prepare(self.scope.value, alone))
            prepared.there = True
        return prepared.value

    def select(self, item: MapItem, selector: Evaluate) -> Json:
        """Return what an ItemSelector makes for the item, with what this event may still use. Raises StateFailure."""
        selecting = Turn(self.execution, self.key, self.scope, self.state, item=item)
        selecting.visited, selecting._budget = self.visited, self.budget
        value = selecting.bounded(selector(self.prepared(), selecting))
        self.visited = selecting.visited
        return value

    def bounded(self, value: Json) -> Json:
        """Return `value`, newly made here, if a state may hold so much. Raises StateFailure."""
        if is_longer(value, MAX_PAYLOAD_BYTES):
            raise DataLimitExceeded(self.scope.state)
        try:
            size = len(json_bytes(value))
        except JSONEncodeError:  # what cannot be written down cannot be an output; the writer takes 254 levels
            raise StateFailure(RUNTIME, "The value is nested too deeply.") from None
        if size > MAX_PAYLOAD_BYTES:
            raise DataLimitExceeded(self.scope.state)
        return value

    def assignable(self, values: dict[str, Json]) -> dict[str, Json]:
        """Return the variables that one Assign gives, if they may be so large: 256 KiB together, and 10 MiB with all
        that the execution holds then, counted as the fold counts them (Developer Guide, "Limits"; the cause is by
        analogy). Raises StateFailure.
        """
        self.bounded(values)
        if self.execution.variable_bytes + growth(self.scope, values) > MAX_VARIABLES_BYTES:
            raise StateFailure(DATA_LIMIT_EXCEEDED, "The variables of the execution exceed the service limit.")
        return values


class BareFailure(StateFailure):
    """One whose cause AWS gives without the usual opening."""


class DataLimitExceeded(BareFailure):
    """More than a state may hold."""

    def __init__(self, what: str) -> None:
        what = f"The state/task '{what}' returned a result"
        super().__init__(
            DATA_LIMIT_EXCEEDED, f"{what} with a size exceeding the maximum number of bytes service limit."
        )


def as_failed(error: str | None, cause: str | None) -> Failed:
    """Return a failure found here, cut to what AWS's events hold. Nothing tells what AWS does with a longer one, of a
    Fail's ErrorPath for example; that its history's fields have these bounds is documented."""
    return Failed(error and error[:MAX_ERROR_LENGTH], cause and cause[:MAX_CAUSE_LENGTH])


class Exit(Protocol):
    """What ends a state: the state itself, a rule of a Choice, a Catch."""

    @property
    def next(self) -> str | None: ...
    @property
    def finish(self) -> Finish: ...
    @property
    def assign(self) -> Assign | None: ...


def exit_with(turn: Turn, result: Json) -> e.StateExited:
    """Return the exit of a state that gave `result`. Raises StateFailure."""
    return exit_by(turn, turn.state, result)


def exit_by(turn: Turn, way: Exit, result: Json, *, catcher: int | None = None) -> e.StateExited:
    """Return the exit by the given way: both Assign and the output read the variables as they were before.

    Raises StateFailure.
    """
    value = turn.scope.value
    assigned = None if way.assign is None else turn.assignable(way.assign(value, result, turn))
    output_of, output = way.finish(value, result, turn)
    output = turn.bounded(output) if output_of == "VALUE" else None
    execution = turn.execution
    return e.StateExited(
        execution_id=execution.started.execution_id,
        sequence=execution.sequence,
        time=execution.time,
        caused_by=execution.caused_by,
        scope=turn.key,
        state=turn.scope.state,
        output_of=output_of,
        output=output,
        assigned=assigned,
        next=way.next,
        catcher=catcher,
    )
