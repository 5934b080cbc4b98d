"""What one transaction will write and what it will change in memory; dropped whole if it is not committed."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from processor.engine.ports import Message
from processor.model.execution import Execution

TRANSACTION_BYTES = 8 << 20
"""What a transaction should hold at most, for the same reasons as it should not last long."""


class Staged(Struct):
    """The effect of one command, or of one slice of a runnable execution."""

    execution: Execution | None = None
    purged: str | None = None  # the id of an execution that is removed
    closed: bytes | None = None  # the record that an execution leaves, having ended, or for now, being removed
    chunks: int = 0  # of the snapshot that is written with it, being redriven
    messages: list[Message] = []
    counts: tuple[str, ...] = ()
    events: int = 0
    bytes: int = 0
    measured: int = 0  # of the messages, the first so many: what `bytes` counts

    def also(self, other: Staged) -> None:
        """Stage what stands beside an effect, as replies do."""
        self.messages += other.messages
        self.counts += other.counts


class Overlay:
    """The effects so far, over the committed state."""

    def __init__(self) -> None:
        self.offsets: dict[int, int] = {}
        self.messages: list[Message] = []
        self.executions: dict[int, dict[str, Execution]] = {}
        self.closed: dict[str, bytes] = {}
        self.purged: dict[int, dict[str, bytes | None]] = {}  # and what is left of each
        self.chunks: dict[str, int] = {}
        self.events: Counter[int] = Counter()
        self.woken: Counter[int] = Counter()  # of the commands that waited, how many are among these
        self.counts: Counter[str] = Counter()
        self.bytes = 0

    @property
    def empty(self) -> bool:
        return not self.offsets

    @property
    def full(self) -> bool:
        return self.bytes >= TRANSACTION_BYTES

    def add(self, partition: int, staged: Staged, *, next_offset: int) -> None:
        """Take over one effect. `next_offset` of the commands, unchanged for a slice: without an offset of its
        partition a transaction would not be fenced."""
        self.offsets[partition] = max(next_offset, self.offsets.get(partition, 0))
        self.messages += staged.messages
        self.bytes += staged.bytes
        self.counts.update(staged.counts)
        self.counts["events"] += staged.events
        self.events[partition] += staged.events
        if staged.purged is not None:
            for known in (self.executions.get(partition, {}), self.closed, self.chunks):
                known.pop(staged.purged, None)
            self.purged.setdefault(partition, {})[staged.purged] = staged.closed
        if staged.execution is not None:
            id = staged.execution.execution_id
            self.executions.setdefault(partition, {})[id] = staged.execution
            if staged.closed is not None:
                self.closed[id] = staged.closed
            else:
                self.closed.pop(id, None)  # it was redriven
            if staged.chunks:
                self.chunks[id] = staged.chunks

    def execution(self, partition: int, id: str) -> Execution | None:
        return self.executions.get(partition, {}).get(id)


def record_bytes(message: Message) -> int:
    """Return what a record takes of `Inbox.max_record_bytes`: its key, value and headers. What else a log writes around
    them, the adapter has taken off its limit; a header's two lengths take up to 8 bytes (KIP-98, record format v2)."""
    size = len(message.key or b"") + len(message.value or b"")
    return size + sum(len(name.encode()) + len(value) + 8 for name, value in message.headers)
