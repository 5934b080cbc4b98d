"""What a partition of an index holds that is to be done at its time, and again as long as there is no tombstone for it:
timers to fire, executions to purge; and how the role stands that does it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from processor.model.ids import Millis

REPEAT_AFTER_MS: Final = 60_000
REPEAT_AT_MOST_MS: Final = 600_000


class _Pending(Struct):
    """Something without a tombstone: when it fires next, and how long after that again."""

    at: Millis
    repeat_ms: int = REPEAT_AFTER_MS
    fired: bool = False


class Schedule:
    """What is due when, by id. Every operation is O(log n), the sweep of outdated heap entries amortised O(1)."""

    def __init__(self) -> None:
        self.caught_up = False
        self._pending: dict[str, _Pending] = {}
        # An entry whose time is not the pending one's is outdated: cheaper than finding and removing it in place.
        self._heap: list[tuple[Millis, str]] = []
        self._fired: dict[str, Millis] = {}  # and not resolved: when each fell due, in the order of their firing

    def __len__(self) -> int:
        return len(self._pending)

    def arm(self, id: str, due: Millis, now: Millis) -> None:
        """Take its record. One that was fired and is due again already waits for its repetition all the same: armed
        anew after each firing, by a clock that is behind, it would fire without end."""
        pending = self._pending.get(id)
        if pending is None or not pending.fired or due > now:
            self._fired.pop(id, None)
            self._set(id, _Pending(due))

    def _set(self, id: str, pending: _Pending) -> None:
        self._pending[id] = pending
        heapq.heappush(self._heap, (pending.at, id))

    def resolve(self, id: str) -> None:
        self._pending.pop(id, None)
        self._fired.pop(id, None)
        # Cancelled timeouts of a year would otherwise stay for a year.
        if len(self._heap) > 2 * len(self._pending) + 64:
            self._heap = [(pending.at, id) for id, pending in self._pending.items()]
            heapq.heapify(self._heap)

    def next_due(self) -> Millis | None:
        """Return when the first one is due; None while the partition is still being read, or has none."""
        if not self.caught_up:
            return None
        while self._heap:
            at, id = self._heap[0]
            pending = self._pending.get(id)
            if pending is not None and pending.at == at:
                return at
            heapq.heappop(self._heap)
        return None

    def due(self, now: Millis, at_most: int) -> list[str]:
        """Take out at most `at_most` that are due by `now`; each must be re-armed or is forgotten until read again."""
        taken: dict[str, None] = {}  # one moved away and back to its first time stands in the heap twice
        while len(taken) < at_most and (at := self.next_due()) is not None and at <= now:
            taken[heapq.heappop(self._heap)[1]] = None
        return list(taken)

    def repeat(self, id: str, now: Millis) -> None:
        """It was fired: fire again later, twice as late each time, as long as there is no tombstone."""
        pending = self._pending[id]
        self._fired.setdefault(id, pending.at)
        longer = min(pending.repeat_ms * 2, REPEAT_AT_MOST_MS)
        self._set(id, _Pending(Millis(now + pending.repeat_ms), longer, fired=True))

    def first_due(self) -> Millis | None:
        """Return when that one fell or falls due which does so first: a fired one fires again later, but it is the one
        that waits."""
        fired = next(iter(self._fired.values()), None)
        return self.next_due() if fired is None else fired

    def put_back(self, id: str) -> None:
        heapq.heappush(self._heap, (self._pending[id].at, id))


class ScheduleStanding(Struct, frozen=True, kw_only=True):
    """`ready`: the group has said what is this member's, and all of it has been read. `pending`: what has no tombstone,
    by partition. `lag_ms`: for how long that which fell due first, and still has none, has been due."""

    ready: bool
    counts: Mapping[str, int]
    pending: Mapping[int, int]
    lag_ms: int


TellSchedules: TypeAlias = Callable[[Callable[[], ScheduleStanding]], None]
"""Called after every step; asks for the standing when it wants to know."""


def standing_of(
    schedules: Mapping[int, Schedule], *, settled: bool, counts: Mapping[str, int], now: Millis
) -> ScheduleStanding:
    """Return how a role stands that has these schedules, by partition."""
    due = [at for schedule in schedules.values() if (at := schedule.first_due()) is not None]
    return ScheduleStanding(
        ready=settled and all(schedule.caught_up for schedule in schedules.values()),
        counts=dict(counts),
        pending={number: len(schedules[number]) for number in sorted(schedules)},
        lag_ms=max(0, now - min(due, default=now)),
    )
