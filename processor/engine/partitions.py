"""What a processor knows of a partition it owns: its executions, which of them can go on, and what waits."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from processor.engine.coverage import Coverage
from processor.engine.dealt_with import DealtWith
from processor.engine.definitions import Definitions
from processor.engine.holdings import Holdings, RevisionMissing
from processor.engine.ports import Record
from processor.engine.restoring import Restoring
from processor.engine.standing import PartitionStanding, PartitionState, Restored
from processor.errors import AslError, DecodingFailed, HistoryBroken
from processor.model.execution import Execution
from processor.model.ids import Millis
from processor.model.records import ClosedExecution

WAITING_RECORDS = 10_000
WAITING_BYTES = 8 << 20
WAITING_BEHIND = 50_000
"""How many commands may wait for `closed` to be read, and how far others may go ahead of them."""


class Partition:
    """Committed state only: transactions stage what they change, and `fold` takes it over after the commit.

    Until `closed` is read, commands to executions that are not open wait: whether those ever were is not known yet.
    Commands to others do not. The offset that is committed stays before the first that waits.
    """

    def __init__(
        self, *, number: int, assignment: int, partitions: int, definitions: Definitions, max_record_bytes: int
    ) -> None:
        self.number = number
        self.assignment = assignment
        self.holdings = Holdings(definitions)
        self.coverage = Coverage()
        self.restoring = Restoring(
            number=number,
            partitions=partitions,
            holdings=self.holdings,
            coverage=self.coverage,
            definitions=definitions,
            max_record_bytes=max_record_bytes,
        )
        self.restored = Restored()
        self.open = False  # commands flow
        self.knows_closed = False
        self.applied = 0  # the offset after the last command applied, as committed
        self.attempts = 0  # deaths of its owners since its last progress
        self.opened_at = Millis(0)
        self.stopped: AslError | None = None
        self._dealt_with = DealtWith()  # by another owner: of commands that come again
        self._waiting: deque[Record] = deque()
        self._waiting_offsets: set[int] = set()
        self._waiting_keys: Counter[bytes | None] = Counter()
        self._waiting_bytes = 0
        self._runnable: deque[str] = deque()
        self._queued: set[str] = set()

    # ---- coming back

    def begin(self, *, position: int, attempts: int, now: Millis) -> None:
        """Commands flow from `position`; whatever a slice or a death left runnable goes on."""
        self.open, self.applied, self.attempts, self.opened_at = True, position, attempts, now
        self._dealt_with = self.restoring.named.dealt_with(position)
        for id in self.holdings.not_at_rest():
            self._queue(id)

    def end_restore(self) -> None:
        """What is closed is known: nothing waits any longer."""
        self.restoring.end_closed()
        self.knows_closed = True

    @property
    def standing(self) -> PartitionStanding:
        return PartitionStanding(
            partition=self.number,
            state=self._state,
            open=self.holdings.open_count,
            runnable=len(self._runnable),
            quarantined=self.holdings.quarantined_count,
            closed=self.holdings.closed_count,
            closed_bytes=self.holdings.closed_bytes,
            waiting_commands=len(self._waiting),
            restored=dict(self.restored.records),
            restoring_left=self.restored.left,
            restore_seconds_left=self.restored.seconds_left,
        )

    @property
    def _state(self) -> PartitionState:
        if self.stopped is not None:
            return "STOPPED"
        if not self.open:
            return "RESTORING"
        return "READY" if self.knows_closed else "OPEN"

    # ---- commands that wait

    def must_wait(self, record: Record) -> bool:
        """Return whether one before it, to the same execution, waits."""
        return record.key in self._waiting_keys

    def comes_again(self, record: Record) -> bool:
        """Return whether it was dealt with, being applied and committed, or waits."""
        return record.offset < self.applied or record.offset in self._waiting_offsets

    def dealt_with(self, record: Record) -> bool:
        """Return whether an owner before had applied or refused it, and had only not committed its offset, for one
        before it waited: events tell of it, or of a later one to the same execution."""
        return record in self._dealt_with

    @property
    def none_comes_again(self) -> bool:
        """Nothing that was dealt with would come again after a death. Else no checkpoint may be written: events before
        it are not read again, and what they tell of would be done twice."""
        return self.open and not self._waiting and self.applied >= self._dealt_with.until

    @property
    def checkpoints(self) -> bool:
        """A round is under way, and can go on."""
        return self.coverage.under_way and self.none_comes_again

    def set_aside(self, record: Record) -> None:
        self._waiting.append(record)
        self._waiting_offsets.add(record.offset)
        self._waiting_keys[record.key] += 1
        self._waiting_bytes += len(record.value or b"")

    def forget_unapplied(self) -> None:
        """Nothing at or after `applied` counts as dealt with: it comes again, in order.

        Otherwise what waits behind a dropped command could go ahead of it, and the offset with it.
        """
        while self._waiting and self._waiting[-1].offset >= self.applied:
            self._no_longer(self._waiting.pop())

    @property
    def full(self) -> bool:
        """So much waits, or so long, that no more commands should be asked for."""
        if not self._waiting:
            return False
        behind = self.applied - self._waiting[0].offset
        many = len(self._waiting) >= WAITING_RECORDS or self._waiting_bytes >= WAITING_BYTES
        return many or behind >= WAITING_BEHIND

    @property
    def has_woken(self) -> bool:
        return self.knows_closed and bool(self._waiting)

    def woken(self) -> Iterator[Record]:
        """The commands that wait no longer; `awoke` once they are committed."""
        return iter(self._waiting) if self.knows_closed else iter(())

    def position(self, *, applied: int, woken: int) -> int:
        """Return the offset to commit once all before `applied` are done, but for those that still wait when the first
        `woken` do no longer."""
        return self._waiting[woken].offset if woken < len(self._waiting) else max(applied, self.applied)

    # ---- what is held

    def find(self, id: str) -> Execution | ClosedExecution | None:
        """Raises HistoryBroken where what is held cannot be read. A restore looks into one of a kind, and at the
        headers of the others: it is as if it had met it then."""
        try:
            return self.holdings.find(id)
        except (DecodingFailed, RevisionMissing) as fault:
            reason = f"what is held of it cannot be read: {fault}"
            raise HistoryBroken(partition=self.number, execution_id=id, reason=reason) from fault

    # ---- after a commit

    def fold(self, execution: Execution, *, closed: bytes | None, chunks: int, before: int) -> None:
        """Take over what was committed to events at or after the position `before`; `closed` is the record that an
        ended execution leaves, `chunks` how many a snapshot has that was written with it."""
        id = execution.execution_id
        if chunks:
            self.coverage.reopened(id, chunks)
        if closed is not None:
            self.holdings.close(id, closed)
            self.coverage.closed(id)
            return
        self.holdings.put(execution)
        self.coverage.touched(id, position=before)
        if not execution.at_rest:
            self._queue(id)

    def fold_purge(self, id: str, left: bytes | None) -> None:
        """Forget an ended execution, but for the record of closed that a purge under way has left."""
        self.coverage.purged(id)
        self.holdings.forget(id)
        if left is not None:
            self.holdings.close(id, left)

    def fold_commands(self, *, applied: int, woken: int) -> None:
        self.applied, self.attempts = max(self.applied, applied), 0
        for _ in range(woken):
            self._no_longer(self._waiting.popleft())

    def _no_longer(self, record: Record) -> None:
        self._waiting_offsets.remove(record.offset)
        self._waiting_bytes -= len(record.value or b"")
        self._waiting_keys[record.key] -= 1
        if not self._waiting_keys[record.key]:
            del self._waiting_keys[record.key]

    # ---- what can go on

    def _queue(self, id: str) -> None:
        if id not in self._queued:
            self._queued.add(id)
            self._runnable.append(id)

    @property
    def has_runnable(self) -> bool:
        return bool(self._runnable)

    @property
    def rests(self) -> bool:
        """Nothing of what came is left to do."""
        return not self._runnable and not self._waiting

    def take_runnable(self) -> Execution | None:
        """Return the execution that has waited longest to go on, None where it no longer can; `fold` and `put_back`
        queue it again. Raises HistoryBroken as `find`."""
        id = self._runnable.popleft()
        self._queued.remove(id)
        found = self.find(id)
        return found if isinstance(found, Execution) and not found.at_rest else None

    def put_back(self, id: str) -> None:
        """Queue it again: `take_runnable` sees whether it still can go on."""
        self._queue(id)
