"""What the embedded log asks of its store. One `Store` object is one party's access to it, as a connection is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from processor.engine.ports import Message, Record
from processor.engine.topics import TopicSpec

# Kafka's default max.message.bytes (1,048,588) less a batch's overhead for one record: what passes here passes there.
MAX_RECORD_BYTES = 1_048_588 - 100


class Group(Struct, frozen=True):
    """A consumer group's members for one topic."""

    name: str
    topic: str


class Member(Struct, frozen=True, kw_only=True):
    """`name`: the slot, or drawn. Two processes of one name are told apart by `incarnation`."""

    group: Group
    name: str
    incarnation: str


class Change(Struct, frozen=True, kw_only=True):
    """What became of a member's partitions. `taken`: partition → epoch, which counts up with each new owner.
    `attempts`: of those taken, how many owners have died since the last progress; left out: none, or not known."""

    lost: tuple[int, ...] = ()
    taken: Mapping[int, int] = {}
    attempts: Mapping[int, int] = {}


class Store(Protocol):
    def create(self, spec: TopicSpec) -> bool:
        """Make the topic unless there is one of that name; return whether it was made."""

    def partitions(self, topic: str) -> int | None: ...

    def config(self, topic: str) -> Mapping[str, str]:
        """What the topic was made with; empty where there is none."""

    def ends(self, topic: str) -> Mapping[int, int]:
        """Per partition the offset after the last record; empty where there is no such topic."""

    def fetch(
        self, topic: str, partition: int, *, start: int, end: int, max_records: int, max_bytes: int
    ) -> Sequence[Record]:
        """Return the first records from `start` to before `end`, within the bounds, but one if there is any."""

    def append(self, messages: Sequence[Message]) -> None:
        """Write all in one transaction. Raises TopicsUnfit, naming the topic, where one does not exist."""

    def commit(
        self,
        messages: Sequence[Message],
        *,
        member: Member,
        offsets: Mapping[int, int],
        epochs: Mapping[int, int],
        attempts: Mapping[int, int],
    ) -> bool:
        """Write messages and offsets in one transaction; not at all, and False, where `member` does not own every
        partition of `offsets` with the epoch given. `attempts`: of a Transaction."""

    def committed(self, group: Group, partition: int) -> int | None: ...

    def offsets(self, group: Group) -> Mapping[int, int]:
        """What was committed, per partition; the group need not be joined."""

    def members(self) -> Sequence[tuple[str, str]]:
        """The living of all groups: group and member."""

    def remember(self, group: Group, partition: int, offset: int) -> None: ...

    def join(self, group: Group, *, slot: str | None) -> Member:
        """Become a member, in place of whoever has the same slot."""

    def sync(self, member: Member, held: Mapping[int, int]) -> Change:
        """Take the member's next step. `held`: what it believes to own, partition → epoch.

        An expired member loses everything and joins anew. Raises SlotTaken where another took its slot.
        """

    def leave(self, member: Member, *, orderly: bool) -> None:
        """Give up everything. `orderly`: having stopped where it was told to, and died of nothing."""

    def expire(self, member: Member) -> None:
        """Do what happens to a member that was not heard of for too long: others may have its partitions."""

    def version(self) -> int:
        """A number that differs from an earlier one if anything was written in between."""

    def wait(self, seen: int, *, seconds: float) -> None:
        """Return when `version()` is no longer `seen`, or after `seconds`."""

    def close(self) -> None: ...
