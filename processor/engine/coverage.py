"""Which events of a partition a restore would have to read again, and what to write so that they are fewer.

An execution is dirty from the first of its events that no snapshot covers until one does, or until it is closed. A
checkpoint says that everything before the oldest of those is covered. What closed leaves its snapshot in place until a
checkpoint stands behind its last event: until then a restore meets that event, and needs what came before. Nor does
a checkpoint go ahead of what is disposed of: a snapshot that stands without that event would bring the execution back.
And no checkpoint stands between the first event of what closed that no snapshot covers and its last: a restore would
meet an end whose beginning it has not read.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from itertools import islice, takewhile
from typing import Final

from processor.model.ids import Millis

CHECKPOINT_EVENTS = 50_000
CHECKPOINT_MS = 60_000
UNKNOWN: Final = sys.maxsize
"""A position behind all others."""


class Coverage:
    """Positions are offsets of events[partition]; all that is asked of them is that they do not overstate."""

    def __init__(self) -> None:
        self.end = 0  # after everything known to be there
        self.position = 0  # what the last checkpoint said
        self.dirty: OrderedDict[str, int] = OrderedDict()  # by position, for positions only grow
        self.chunks: dict[str, int] = {}  # of the snapshot that stands, by execution
        self._closing: OrderedDict[str, int] = OrderedDict()  # closed, and before what: by position too
        self._spans: dict[int, int] = {}  # of what closed before the key, the first position that nothing covers
        self._placed = True  # the log has said where all stands; else what closes stands before UNKNOWN
        self._events = 0  # since the last round began
        self._due_at: Millis | None = None
        self._target: int | None = None  # of the round under way

    def wrote(self, end: int | None) -> None:
        """Events were written, all of them before `end`; None where the log has not said where they stand."""
        self._placed = end is not None
        if end is not None:
            self.end = end
            unplaced = list(takewhile(lambda id: self._closing[id] == UNKNOWN, reversed(self._closing)))
            self._closing.update(dict.fromkeys(unplaced, end))
            if (first := self._spans.pop(UNKNOWN, None)) is not None:
                self._spans[end] = min(first, self._spans.get(end, first))

    def touched(self, id: str, *, position: int) -> None:
        """Something of an open execution was written at or after `position`."""
        self.dirty.setdefault(id, position)
        self._keep(id)

    def reopened(self, id: str, chunks: int) -> None:
        """It was redriven, and its state as it was before is a snapshot of so many chunks."""
        self._keep(id)
        self.chunks[id] = chunks

    def closed(self, id: str) -> None:
        """Its last event stands before `end`, if that is known."""
        closing = self.end if self._placed else UNKNOWN
        if (first := self.dirty.pop(id, None)) is not None:
            self._spans[closing] = min(first, self._spans.get(closing, first))
        if id in self.chunks:
            self._closing[id] = closing

    def orphaned(self, id: str) -> None:
        """It is not open, and its snapshot stands: once all before `end` is covered, nobody needs that."""
        self._closing.setdefault(id, self.end)

    def purged(self, id: str, *, chunks: int = 0) -> None:
        """Nothing of what was written of it counts any longer, but for so many chunks of a later one's snapshot."""
        self.dirty.pop(id, None)
        self._keep(id)
        self.chunks.pop(id, None)
        if chunks:
            self.chunks[id] = chunks

    def _keep(self, id: str) -> None:
        """Its snapshot, if it has one, is not to be disposed of."""
        self._closing.pop(id, None)

    def count(self, events: int, *, now: Millis) -> None:
        self._events += events
        if self._due_at is None:
            self._due_at = Millis(now + CHECKPOINT_MS)

    @property
    def under_way(self) -> bool:
        """A round is not at its end."""
        return self._target is not None

    def due(self, now: Millis) -> bool:
        """Whether a round is under way, or one is to begin. A round covers everything that is there at its beginning;
        what is written meanwhile waits for the next."""
        if self._target is not None:
            return True
        if self._due_at is None or (self._events < CHECKPOINT_EVENTS and now < self._due_at):
            return False
        self.begin()
        return True

    def begin(self) -> None:
        self._target, self._events, self._due_at = self.end, 0, None

    @property
    def covered(self) -> int:
        """Everything before it is covered."""
        return self.covered_without(0)

    def covered_without(self, first: int) -> int:
        """Everything before it will be covered once the `first` dirty ones are."""
        return next(islice(self.dirty.values(), first, None), self.end)

    def next_checkpoint(self, taken: int, *, limit: int) -> tuple[int, list[str]]:
        """Return what a checkpoint may say once the `taken` first dirty ones are covered, and the closed executions
        whose snapshots nobody needs from then on: none that it passes is left out. They are at most `limit`, or else
        those that no position divides."""
        position = self._outside_spans(self.covered_without(taken))
        behind, found = self._disposable(position, limit=limit)
        if self._outside_spans(behind) < behind:
            behind, found = self._disposable(position, limit=len(self._closing))
        return behind, found

    def _outside_spans(self, position: int) -> int:
        """Return the greatest position up to this one that stands inside no closed execution's events."""
        # The latest end first: what lies before all that was looked at can only lie inside an earlier one.
        for closing, first in reversed(self._spans.items()):
            if closing > position > first:
                position = first
        return position

    def _disposable(self, position: int, *, limit: int) -> tuple[int, list[str]]:
        """Return the first of them in the order of their ends, and the position up to which those are all."""
        found: list[str] = []
        behind = self.position
        for id, closing in self._closing.items():
            if closing > position:
                break
            if len(found) >= limit and closing > behind:
                return behind, found
            found.append(id)
            behind = closing
        return position, found

    def checkpointed(self, position: int, *, taken: list[tuple[str, int]], disposed: list[str]) -> None:
        """A checkpoint says so now: the `taken` have snapshots, of so many chunks; those of the `disposed` are gone."""
        for id, chunks in taken:
            del self.dirty[id]
            self.chunks[id] = chunks
        for id in disposed:
            del self._closing[id], self.chunks[id]
        self.position = position
        self._spans = {closing: first for closing, first in self._spans.items() if closing > position}
        if self._target is not None and position >= self._target:
            self._target = None
