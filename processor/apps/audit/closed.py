"""The records of a partition's ended executions against the fold of its events."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Final

from processor.apps.audit.checks import Counts, Fault, Rule
from processor.apps.audit.differences import Difference, differences
from processor.apps.audit.folding import unwritten
from processor.apps.audit.held import Held
from processor.apps.render.state import state_json
from processor.apps.render.values import struct_json
from processor.engine.encoding import STATE_FORMAT, decode_closed, decode_execution
from processor.engine.ports import Reader
from processor.errors import DecodingFailed
from processor.model.json import Json
from processor.model.records import ClosedExecution


class Closed:
    """`complete`: nothing of the events was deleted by age, so every record has its history."""

    def __init__(self, topic: str, number: int, held: Held, counts: Counts, *, complete: bool) -> None:
        self._topic, self._number, self._held, self._counts = topic, number, held, counts
        self._complete = complete
        self._last: dict[str, tuple[int, bytes | None]] = {}
        self._faults: list[Fault] = []

    def read(self, reader: Reader, *, wants: Callable[[str], bool]) -> None:
        for record in reader.read(self._topic, self._number):
            id = (record.key or b"").decode("utf-8", "replace")
            if wants(id):
                self._last[id] = record.offset, record.value

    def faults(self, *, before: int) -> list[Fault]:
        """Return what is wrong. A record at or after the offset `before` may be newer than the events that were read:
        it may confirm what they say, and contradict nothing."""
        for id, (offset, value) in self._last.items():
            if value is not None:
                self._record(id, offset, value, newer=offset >= before)
            elif offset < before and self._held.ended(id) is not None:
                self._tell("CLOSED", "it has ended, and the record of that is removed", offset=offset, id=id)
        for id in self._held.ended_ids():
            if id not in self._last:
                self._tell("CLOSED", "it has ended, and there is no record of that", offset=None, id=id)
        return self._faults

    def _record(self, id: str, offset: int, value: bytes, *, newer: bool) -> None:
        try:
            found = decode_closed(value)
        except DecodingFailed as fault:
            self._tell("UNREADABLE", str(fault), offset=offset, id=id)
            return
        if found.execution_id != id:
            self._tell("KEY", f"the key is {id}, of the record of {found.execution_id}", offset=offset, id=id)
            return
        expected = self._held.ended(id)
        if expected is None:
            self._without_end(id, offset, found, newer=newer)
        elif not (newer and found.last_sequence > expected.last_sequence):
            self._counts.closed += 1
            if different := self._differences(expected, found):
                self._tell("CLOSED", "it is not what the events come to", offset=offset, id=id, different=different)

    def _without_end(self, id: str, offset: int, found: ClosedExecution, *, newer: bool) -> None:
        known = self._held.is_open(id)
        if newer:
            return
        if known:
            self._tell("CLOSED", f"it says {found.status}, by its events it is open", offset=offset, id=id)
        elif id in self._held.broken or id in self._held.gone or not self._complete:
            self._counts.unchecked += 1
        else:
            self._tell("CLOSED", f"it says {found.status}, and there is no event of it", offset=offset, id=id)

    def _differences(self, expected: ClosedExecution, found: ClosedExecution) -> tuple[Difference, ...]:
        """A state that is not there is no difference: it may have been too large, and an archive holds none."""
        different = [] if _facts(expected) == _facts(found) else list(differences(_told(expected), _told(found)))
        state = self._held.state_of(expected)
        if found.state is not None and found.format == STATE_FORMAT and state is not None:
            try:
                written = decode_execution(found.state, unwritten(state.workflow.definition_hash))
                different += differences(state_json(state), state_json(written), path="/state")
            except DecodingFailed as fault:
                different.append(Difference(path="/state", new=str(fault)))
        return tuple(different)

    def _tell(
        self, rule: Rule, what: str, *, offset: int | None, id: str, different: tuple[Difference, ...] = ()
    ) -> None:
        self._faults.append(
            Fault(
                rule=rule,
                topic=self._topic,
                partition=self._number,
                offset=offset,
                execution_id=id,
                what=what,
                differences=different,
            )
        )


_FACTS: Final = tuple(name for name in ClosedExecution.__struct_fields__ if name not in ("state", "format"))
_facts = attrgetter(*_FACTS)


def _told(record: ClosedExecution) -> Json:
    told = struct_json(record)
    return {name: told[name] for name in _FACTS}
