"""Which commands of a partition were dealt with: what its checkpoint and the events behind it say.

While `closed` is read, commands go ahead of those that wait, and the committed offset stays before the first of these.
So of what stands behind it, something may have been applied; the events name the commands that they came of. A
processor that comes back passes those over, and a migration leaves them behind.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from processor.engine.encoding import BatchHead
from processor.engine.ports import Record
from processor.engine.topics import moved_from

DEALT_WITH = 100_000
"""How far back it is told which commands were dealt with, in offsets: twice as far as they go ahead of those that wait
for `closed` (partitions.WAITING_BEHIND)."""


class DealtWith:
    """Of the commands from `position` on. `last`: by execution, the last of its commands that events tell of; none
    stands at or after `until`."""

    def __init__(self, *, position: int = 0, last: Mapping[str, int] | None = None) -> None:
        self.position = position
        self._last: dict[bytes | None, int] = {
            id.encode(): offset for id, offset in (last or {}).items() if offset >= position
        }
        self.until = 1 + max(self._last.values(), default=-1)

    def __contains__(self, record: Record) -> bool:
        """Return whether the command was applied or refused: events tell of it, or of a later one to the same
        execution."""
        return record.offset <= self._last.get(record.key, -1)


class Named:
    """Gathers what the events name, from the position of a checkpoint on. `done`: what the checkpoint says, that all
    commands before it were dealt with; 0 where there is none; None: it is not known, and events are read from their
    beginning."""

    def __init__(self, *, done: int | None = 0) -> None:
        self.next_command = done or 0  # after the greatest that is known to have been applied
        self._done = done
        self._last: OrderedDict[str, int] = OrderedDict()

    def note(self, head: BatchHead, record: Record) -> None:
        """`head`: of this record of events."""
        offset = head.command_offset
        if offset is None or moved_from(record.headers) is not None:  # moved: a command under another prefix
            return
        self.next_command = max(self.next_command, offset + 1)
        self._last[head.execution_id] = offset
        self._last.move_to_end(head.execution_id)
        if next(iter(self._last.values())) < self.next_command - DEALT_WITH:
            self._last.popitem(last=False)

    @property
    def first_command(self) -> int:
        """Where commands go on if the group has no offset: not behind any that waited while others went ahead. Those
        come again, and `dealt_with` tells of them."""
        if self._done is None:
            return self.next_command
        return max(self._done, self.next_command - DEALT_WITH)

    def dealt_with(self, position: int) -> DealtWith:
        """Hand over what was gathered; commands go on from `position`."""
        last, self._last = self._last, OrderedDict()
        return DealtWith(position=position, last=last)
