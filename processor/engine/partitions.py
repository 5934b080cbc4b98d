"""What a processor knows of a partition it owns: its executions, and which of them can go on."""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from processor.engine.definitions import Definitions
from processor.engine.encoding import decode_events
from processor.engine.ports import Record
from processor.errors import AslError, HistoryBroken, InvalidDefinition
from processor.interpreter.evolve import begin, evolve
from processor.interpreter.interpreter import input_hash
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.execution import Execution
from processor.model.records import Status


class Closed(Struct, frozen=True, kw_only=True):
    """What is left of an ended execution: enough to refuse its id, and to know its history's end."""

    status: Status
    input_hash: bytes
    last_sequence: int


def kept(execution: Execution) -> Execution | Closed:
    """Return what to hold of an execution: all of it while it runs."""
    if not execution.closed:
        return execution
    return Closed(
        status=execution.status,
        input_hash=input_hash(execution.started.input, execution.started.context),
        last_sequence=execution.sequence - 1,
    )


class Partition:
    """Committed state only: transactions stage what they change, and `fold` takes it over after the commit."""

    def __init__(self, *, number: int, assignment: int) -> None:
        self.number = number
        self.assignment = assignment
        self.executions: dict[str, Execution | Closed] = {}
        self.open = False  # commands flow
        self.position = 0  # the next command, as committed
        self.next_offset = 0  # of commands, after the greatest that an event names
        self.restored = 0  # events
        self.stopped: AslError | None = None
        self.cut_off = 0  # executions without their beginning, which was deleted by age
        self._first_offset: int | None = None
        self._skipped: dict[str, int] = {}  # of those the ones not ended yet, and their next sequence
        self._runnable: deque[str] = deque()
        self._queued: set[str] = set()

    def restore(self, record: Record, definitions: Definitions) -> None:
        """Fold one record of the events topic.

        Raises UnknownSchema, DecodingFailed, HistoryBroken, the last also for whatever evolve raises: nothing of the
        partition may be written then.
        """
        if self._first_offset is None:
            self._first_offset = record.offset
        if record.value is None:
            return
        for event in decode_events(record.value):
            self._restore_event(event, definitions)
            self.restored += 1
            offset = event.caused_by.offset
            if offset is not None and offset >= self.next_offset:
                self.next_offset = offset + 1

    def _restore_event(self, event: e.AnyEvent, definitions: Definitions) -> None:
        known = self.executions.get(event.execution_id)
        if known is None:
            if self._skips(event):
                return
            if not isinstance(event, e.ExecutionStarted) or event.sequence != 0:
                raise self._broken(event, f"begins with {type(event).__name__} number {event.sequence}")
            self.executions[event.execution_id] = begin(self._workflow(event, definitions), event)
            return
        if isinstance(known, Closed):
            raise self._broken(event, f"goes on with number {event.sequence} after it ended with {known.last_sequence}")
        if event.sequence != known.sequence:
            raise self._broken(event, f"goes on with number {event.sequence}, {known.sequence} is missing")
        try:
            after = evolve(known, event)
        except Exception as fault:  # a bug of ours: of this partition nothing is known, the others go on
            reason = f"number {event.sequence} raises {type(fault).__name__}: {fault}"
            raise self._broken(event, reason) from fault
        self.executions[event.execution_id] = kept(after)

    def _skips(self, event: e.AnyEvent) -> bool:
        """Return whether the event is of an execution whose beginning was deleted by age, which is so only where the
        partition no longer begins with its first record. It must have ended since: `end_restore` sees to that."""
        expected = self._skipped.get(event.execution_id)
        if expected is None and (event.sequence == 0 or not self._first_offset):
            return False
        if expected is not None and event.sequence != expected:
            raise self._broken(event, f"goes on with number {event.sequence}, {expected} is missing")
        if expected is None:
            self.cut_off += 1
        if isinstance(event, e.TERMINAL_EVENTS):
            self._skipped.pop(event.execution_id, None)
        else:
            self._skipped[event.execution_id] = event.sequence + 1
        return True

    def end_restore(self) -> None:
        """Raises HistoryBroken where an execution has neither its beginning nor its end."""
        for id, sequence in self._skipped.items():
            reason = f"has no beginning, and no end up to number {sequence - 1}"
            raise HistoryBroken(partition=self.number, execution_id=id, reason=reason)

    def _workflow(self, event: e.ExecutionStarted, definitions: Definitions) -> Workflow:
        revision = f"revision {event.revision} of {event.state_machine}"
        try:
            workflow = definitions.workflow(event.state_machine, event.revision)
        except InvalidDefinition as fault:
            raise self._broken(event, f"{revision} cannot run: {fault}") from fault
        if workflow is None:
            raise self._broken(event, f"{revision} is not among the definitions")
        return workflow

    def _broken(self, event: e.AnyEvent, reason: str) -> HistoryBroken:
        return HistoryBroken(partition=self.number, execution_id=event.execution_id, reason=reason)

    def queue_all(self) -> None:
        """After a restore: whatever a slice or a death left runnable goes on."""
        for id, execution in self.executions.items():
            self._queue(id, execution)

    def fold(self, id: str, execution: Execution) -> None:
        """Take over what was committed."""
        held = kept(execution)
        self.executions[id] = held
        self._queue(id, held)

    def _queue(self, id: str, execution: Execution | Closed) -> None:
        if isinstance(execution, Execution) and not execution.at_rest and id not in self._queued:
            self._queued.add(id)
            self._runnable.append(id)

    @property
    def has_runnable(self) -> bool:
        return bool(self._runnable)

    def take_runnable(self) -> str:
        """Return the execution that has waited longest to go on; `fold` and `put_back` queue it again."""
        id = self._runnable.popleft()
        self._queued.remove(id)
        return id

    def put_back(self, id: str) -> None:
        """Queue it again, if it still can go on and no commit has queued it already."""
        self._queue(id, self.executions[id])
