"""What a processor tells of itself to whoever watches over it: plain values, made only when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from processor.engine.ports import Restorable
from processor.model.ids import Millis

PartitionState: TypeAlias = Literal["RESTORING", "OPEN", "READY", "STOPPED"]
"""OPEN: commands flow, but what is closed is still being read."""


class PartitionStanding(Struct, frozen=True, kw_only=True):
    """One partition that is owned. `restored`: how many records were read, of each; `restoring_left`: how many may be
    left of that which is being read; `restore_seconds_left`: how long that takes at its pace so far, None where that
    cannot be told."""

    partition: int
    state: PartitionState
    open: int
    runnable: int
    quarantined: int
    closed: int
    closed_bytes: int
    waiting_commands: int
    restored: Mapping[Restorable, int]
    restoring_left: int
    restore_seconds_left: float | None


class Standing(Struct, frozen=True, kw_only=True):
    """`ready`: the group has said what is this member's, and all of it is READY. `counts`: since the processor was
    made, by kind. `partition_count`: how many there are, owned here or not."""

    ready: bool
    partition_count: int
    counts: Mapping[str, int]
    partitions: tuple[PartitionStanding, ...]


class Observer(Protocol):
    """Called on the thread that steps the processor, which waits meanwhile: it must be quick, and not raise."""

    def committing(self) -> None:
        """A transaction is handed to the log now."""

    def committed(self, done: bool) -> None:
        """It was committed, or dropped."""

    def stepped(self, standing: Callable[[], Standing]) -> None:
        """A step is done. Asking for the standing costs some microseconds for each partition: do not, every time."""


class Unobserved:
    def committing(self) -> None:
        pass

    def committed(self, done: bool) -> None:
        pass

    def stepped(self, standing: Callable[[], Standing]) -> None:
        pass


class Restored:
    """How far the restoring of one partition is, by what was read: one of the three after the other."""

    def __init__(self) -> None:
        self.records: dict[Restorable, int] = {}
        self.left = 0
        self._first = (Millis(0), 0)  # of what is being read: when its first records came, and what was left then
        self._last = Millis(0)

    def take(self, of: Restorable, records: int, *, left: int, now: Millis) -> None:
        if of not in self.records:
            self._first = (now, left)
        self.records[of] = self.records.get(of, 0) + records
        self.left, self._last = left, now

    def end(self) -> None:
        """All of one was read."""
        self.left = 0

    @property
    def seconds_left(self) -> float | None:
        if self.left == 0:
            return 0.0
        began, left = self._first
        read, took = left - self.left, self._last - began
        return self.left * took / read / 1000 if read > 0 and took > 0 else None
