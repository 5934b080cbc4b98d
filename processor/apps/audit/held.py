"""The executions of a partition while it is verified: no more is held than a processor holds that owns it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from processor.apps.audit.folding import unwritten
from processor.engine.closing import closed_value
from processor.engine.encoding import decode_closed, decode_execution, encode_execution
from processor.model.execution import Execution
from processor.model.records import ClosedExecution

IN_USE: Final = 2_000
"""How many executions are held folded; others are encoded meanwhile."""

_ANY_SIZE: Final = 1 << 62


class Broken(Struct):
    """A history that is no longer folded. `next`: what number is to follow, None where that cannot be known."""

    next: int | None
    cut_off: bool
    ended: bool = False


class Held:
    """An id is open, ended or broken, or not known. `gone`: those that were purged, and have not begun again."""

    def __init__(self, *, in_use: int = IN_USE) -> None:
        self._limit = in_use
        self._used: OrderedDict[str, Execution] = OrderedDict()
        self._idle: dict[str, tuple[bytes, bytes]] = {}  # and the hash of the definition
        self._ended: dict[str, tuple[bytes, bytes]] = {}
        self.broken: dict[str, Broken] = {}
        self.gone: set[str] = set()

    def open(self, id: str) -> Execution | None:
        found = self._used.get(id)
        if found is None and (idle := self._idle.get(id)) is not None:
            found = decode_execution(idle[0], unwritten(idle[1]))
        return found

    def is_open(self, id: str) -> bool:
        return id in self._used or id in self._idle

    def ended(self, id: str) -> ClosedExecution | None:
        """Return the record that the execution must have left, with its state whatever its size."""
        found = self._ended.get(id)
        return None if found is None else decode_closed(found[0])

    def state_of(self, ended: ClosedExecution) -> Execution | None:
        """Return the state that the record of an execution that did not succeed holds."""
        if ended.state is None:
            return None
        return decode_execution(ended.state, unwritten(self._ended[ended.execution_id][1]))

    def put(self, execution: Execution) -> None:
        id = execution.execution_id
        self.gone.discard(id)
        if execution.closed:
            self._used.pop(id, None)
            self._idle.pop(id, None)
            record = closed_value(execution, max_record_bytes=_ANY_SIZE)
            self._ended[id] = record, execution.workflow.definition_hash
            return
        self._used[id] = execution
        self._used.move_to_end(id)
        self._idle.pop(id, None)
        self._ended.pop(id, None)
        if len(self._used) > self._limit:
            oldest, rested = self._used.popitem(last=False)
            self._idle[oldest] = encode_execution(rested), rested.workflow.definition_hash

    def break_off(self, id: str, broken: Broken) -> None:
        self._drop(id)
        self.broken[id] = broken

    def purge(self, id: str) -> bool:
        """Return whether it was known until now."""
        known = id not in self.gone and (id in self._ended or id in self.broken)
        self._drop(id)
        self.broken.pop(id, None)
        self.gone.add(id)
        return known

    def ended_ids(self) -> Iterator[str]:
        yield from self._ended

    def _drop(self, id: str) -> None:
        self._used.pop(id, None)
        self._idle.pop(id, None)
        self._ended.pop(id, None)
