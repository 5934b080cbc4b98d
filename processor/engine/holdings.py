"""The executions of a partition, each held in the cheapest form that serves it.

open, in use     folded; the most recent ones
open, idle       encoded as in a snapshot, and decoded when a command comes
closed           its record of the closed topic, decoded when somebody asks

A million waiting executions are so a million short byte strings.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from processor.engine.definitions import Definitions
from processor.engine.encoding import decode_closed, decode_execution, encode_execution, execution_header
from processor.errors import InvalidDefinition
from processor.model.definition import Workflow
from processor.model.execution import Execution
from processor.model.records import ClosedExecution

IN_USE = 500
"""How many executions of a partition are held folded."""


class RevisionMissing(Exception):
    """An execution's definition is not known, or cannot run."""


class Holdings:
    """Open and closed executions by id; an id is in one of the three forms. Raises RevisionMissing where something
    was held encoded whose definition is gone."""

    def __init__(self, definitions: Definitions, *, in_use: int = IN_USE) -> None:
        self._definitions, self._limit = definitions, in_use
        self._used: OrderedDict[str, Execution] = OrderedDict()
        self._idle: dict[str, bytes] = {}
        self._closed: dict[str, bytes] = {}
        self.closed_bytes = 0  # of their records: what failed is kept whole, to be redriven
        self._quarantined: set[str] = set()

    def find(self, id: str) -> Execution | ClosedExecution | None:
        found = self._used.get(id)
        if found is not None:
            return found
        idle = self._idle.get(id)
        if idle is not None:
            return self._decoded(idle)
        closed = self._closed.get(id)
        return None if closed is None else decode_closed(closed)

    def put(self, execution: Execution) -> None:
        """Hold an open execution as in use."""
        id = execution.execution_id
        self._used[id] = execution
        self._used.move_to_end(id)
        self._idle.pop(id, None)
        self._forget_closed(id)
        if execution.quarantined is not None:
            self._quarantined.add(id)
        elif self._quarantined:
            self._quarantined.discard(id)
        if len(self._used) > self._limit:
            oldest, rested = self._used.popitem(last=False)
            self._idle[oldest] = encode_execution(rested)

    def put_idle(self, id: str, state: bytes) -> None:
        """Hold an open execution as it is encoded. Raises RevisionMissing, DecodingFailed."""
        header = execution_header(state)
        workflow_of(self._definitions, header.state_machine, header.revision)
        self._used.pop(id, None)
        self._forget_closed(id)
        self._idle[id] = state
        if header.quarantined:
            self._quarantined.add(id)

    def close(self, id: str, record: bytes) -> None:
        """Keep of an execution its record of the closed topic, where it is not known any better."""
        self.forget(id)
        self._closed[id] = record
        self.closed_bytes += len(record)

    def forget(self, id: str) -> None:
        """Of a purged execution nothing is left."""
        self._used.pop(id, None)
        self._idle.pop(id, None)
        self._forget_closed(id)
        self._quarantined.discard(id)

    def _forget_closed(self, id: str) -> None:
        if (record := self._closed.pop(id, None)) is not None:
            self.closed_bytes -= len(record)

    def is_open(self, id: str) -> bool:
        return id in self._used or id in self._idle

    def is_closed(self, id: str) -> bool:
        return id in self._closed

    def state(self, id: str) -> bytes:
        """Return an open execution as it is encoded."""
        used = self._used.get(id)
        return self._idle[id] if used is None else encode_execution(used)

    def next_sequence(self, id: str) -> int | None:
        """Return the sequence of the next event of an open execution, None where it is not open."""
        used = self._used.get(id)
        if used is not None:
            return used.sequence
        idle = self._idle.get(id)
        return None if idle is None else execution_header(idle).sequence

    def not_at_rest(self) -> Iterator[str]:
        """Yield the open executions that can go on by themselves."""
        yield from (id for id, execution in self._used.items() if not execution.at_rest)
        yield from (id for id, state in self._idle.items() if not execution_header(state).at_rest)

    @property
    def open_count(self) -> int:
        return len(self._used) + len(self._idle)

    @property
    def closed_count(self) -> int:
        return len(self._closed)

    @property
    def quarantined_count(self) -> int:
        return len(self._quarantined)

    def _decoded(self, state: bytes) -> Execution:
        header = execution_header(state)
        return decode_execution(state, workflow_of(self._definitions, header.state_machine, header.revision))


def workflow_of(definitions: Definitions, machine: str, revision: str) -> Workflow:
    """Return the compiled definition. Raises RevisionMissing."""
    try:
        workflow = definitions.workflow(machine, revision)
    except InvalidDefinition as fault:
        raise RevisionMissing(f"revision {revision} of {machine} cannot run: {fault}") from fault
    if workflow is None:
        raise RevisionMissing(f"revision {revision} of {machine} is not among the definitions")
    return workflow
