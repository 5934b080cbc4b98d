"""A Kafka cluster, as far as the commit cycle and the takeover can see it.

What is modelled was read in the sources of the broker and of librdkafka (../shared/protocol has it as a formal model):

- EndTxn writes the decision and answers; the markers on each partition and on the group's offsets follow separately,
  in any order, after any delay. Until then records are open, offsets pending, and the same transactional.id cannot
  begin again.
- init_transactions aborts an open transaction, waits for a decided one, then bumps the epoch: whoever held that id is
  fenced. The coordinator's timeout aborts and bumps as well.
- Transactional offsets are checked when sent (member, generation) and never again: EndTxn is not.
- A static member that comes back takes the place of its former self, in the same generation if that still lives.

Not modelled: several brokers and their failover, compaction, retention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from tests.simulation.scheduler import Process, Scheduler

Place = tuple[str, int]
SESSION_SECONDS = 6.0
TRANSACTION_SECONDS = 10.0


class Entry(NamedTuple):
    """A record, or a transaction's marker (`value` and `key` None, `marker` set)."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None
    time: int
    run: Run | None  # None: outside any transaction
    marker: bool = False


@dataclass(slots=True, eq=False)
class Run:
    """One transaction's records on one partition."""

    first: int
    transaction: Transaction
    state: Literal["open", "committed", "aborted"] = "open"


@dataclass(slots=True)
class Partition:
    entries: list[Entry] = field(default_factory=list)
    open: dict[Transaction, Run] = field(default_factory=dict)
    heard: list[Callable[[], None]] = field(default_factory=list)

    @property
    def high_watermark(self) -> int:
        return len(self.entries)

    @property
    def last_stable(self) -> int:
        return min((run.first for run in self.open.values()), default=len(self.entries))


@dataclass(slots=True, eq=False)
class Transaction:
    """`owed`: partitions without their marker yet, the group's offsets as None."""

    phase: Literal["open", "committed", "aborted"] = "open"
    owed: set[Place | None] = field(default_factory=set)
    offsets: dict[int, tuple[int, str, int]] = field(default_factory=dict)  # offset, metadata, when it was written

    @property
    def over(self) -> bool:
        return self.phase != "open" and not self.owed


@dataclass(slots=True, eq=False)
class Coordinator:
    """Of one transactional.id. `holder`: the process with the newest epoch."""

    epoch: int = -1
    holder: Process | None = None
    now: Transaction | None = None

    @property
    def idle(self) -> bool:
        return self.now is None or self.now.over


@dataclass(slots=True, eq=False)
class Member:
    id: str
    instance: str | None
    client: str
    process: Process


@dataclass(slots=True)
class Group:
    """`assigned`: who has each partition of the one topic; `wanted`: who is to have it. A partition is given away only
    once its owner has let it go, which it does in a poll (cooperative)."""

    generation: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)  # whose group.instance.id was taken over
    assigned: dict[int, str | None] = field(default_factory=dict)
    wanted: dict[int, str | None] = field(default_factory=dict)
    offsets: dict[int, tuple[int, str, int]] = field(default_factory=dict)
    pending: list[Transaction] = field(default_factory=list)


@dataclass(slots=True)
class Rules:
    """What a broker does; a mutant may change it."""

    old_epochs_accepted: bool = False


class GroupConsumer(Protocol):
    quiet: bool

    @property
    def member(self) -> str: ...
    @property
    def process(self) -> Process: ...
    def rejoin_quietly(self) -> None: ...


class Broker:
    def __init__(self, scheduler: Scheduler, topics: dict[str, int], *, marker_seconds: Callable[[], float]) -> None:
        self.scheduler = scheduler
        self.counts = topics
        self.partitions = {(t, p): Partition() for t, n in topics.items() for p in range(n)}
        self.coordinators: dict[str, Coordinator] = {}
        self.group = Group()
        self.rules = Rules()
        self.nuisances: list[str] = []
        self.consumers: list[GroupConsumer] = []  # every one that ever subscribed
        self.member_changed_in_commit = False
        """A process was given no time between asking for its member id and committing, and the group went on: the
        offset may have gone back. What comes again is refused, never applied again."""
        self._marker_seconds = marker_seconds
        self._written = 0
        self._members = 0

    # ---- partitions

    def append(
        self,
        place: Place,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]] | None = None,
        *,
        transaction: Transaction | None = None,
    ) -> int:
        partition = self.partitions[place]
        run = None
        if transaction is not None:
            run = partition.open.get(transaction)
            if run is None:
                run = partition.open[transaction] = Run(len(partition.entries), transaction)
                transaction.owed.add(place)
        partition.entries.append(Entry(key, value, headers, self._millis(), run))
        if run is None:
            self._tell(partition)
        return len(partition.entries) - 1

    def _tell(self, partition: Partition) -> None:
        for hear in partition.heard:
            hear()

    def _millis(self) -> int:
        return int(self.scheduler.now * 1000)

    # ---- transactions

    def coordinator(self, id: str) -> Coordinator:
        return self.coordinators.setdefault(id, Coordinator())

    def begin(self, id: str) -> Transaction:
        coordinator = self.coordinator(id)
        transaction = coordinator.now = Transaction()

        def time_out() -> None:
            if coordinator.now is transaction and transaction.phase == "open":
                self.scheduler.note(f"coordinator: {id} timed out")
                self.end(transaction, "aborted")
                coordinator.epoch += 1
                coordinator.holder = None

        self.scheduler.at(TRANSACTION_SECONDS, time_out)
        return transaction

    def end(self, transaction: Transaction, phase: Literal["committed", "aborted"]) -> None:
        """Decide it. Every marker comes when it comes."""
        transaction.phase = phase
        for owed in sorted(transaction.owed, key=lambda place: place or ("", -1)):
            self.scheduler.at(self._marker_seconds(), lambda place=owed: self._mark(transaction, place))  # type: ignore[misc]

    def _mark(self, transaction: Transaction, place: Place | None) -> None:
        transaction.owed.discard(place)
        committed = transaction.phase == "committed"
        if place is None:
            self.group.pending.remove(transaction)
            if committed:
                for number, (offset, metadata, written) in transaction.offsets.items():
                    standing = self.group.offsets.get(number)
                    if standing is None or standing[2] < written:
                        self.group.offsets[number] = (offset, metadata, written)
            return
        partition = self.partitions[place]
        run = partition.open.pop(transaction)
        run.state = "committed" if committed else "aborted"
        partition.entries.append(Entry(None, None, None, self._millis(), run, marker=True))
        self._tell(partition)

    def take_id(self, id: str, by: Process, *, first: bool) -> int | None:
        """One attempt at a new epoch; None while what was there before is not over. Whom the first attempt fences is
        judged: a client goes on with the others by itself."""
        coordinator = self.coordinator(id)
        if coordinator.now is not None and not coordinator.now.over:
            if coordinator.now.phase == "open":
                self._fence(coordinator, by, judged=first)
                self.end(coordinator.now, "aborted")
            return None
        self._fence(coordinator, by, judged=first)
        # Who takes another's id to end what that left open is no producer under it.
        coordinator.holder = by if id.endswith("-" + by.slot) else None
        return coordinator.epoch

    def _fence(self, coordinator: Coordinator, by: Process, *, judged: bool) -> None:
        holder = coordinator.holder
        if judged and holder is not None and holder is not by and holder.alive:
            working = any(m.process is holder for m in self.group.members.values())
            # Two in one slot fence each other, as is meant; but not whoever was told that it is the older one.
            if working and (by.slot != holder.slot or by.told_fenced):
                self.nuisances.append(f"{by.name} fences {holder.name}, a working member")
        coordinator.epoch += 1
        coordinator.holder = None

    # ---- the group

    def join(self, instance: str | None, client: str, process: Process) -> Member:
        """A new member; a static one takes over what its former self had, if that was still there."""
        self._members += 1
        member = Member(f"{instance or client}-{self._members}", instance, client, process)
        former = next((m for m in self.group.members.values() if instance is not None and m.instance == instance), None)
        self.group.members[member.id] = member
        if former is not None:
            del self.group.members[former.id]
            self.group.replaced.add(former.id)
            for shares in (self.group.assigned, self.group.wanted):
                for number, id in shares.items():
                    if id == former.id:
                        shares[number] = member.id
        else:
            self.rebalance()
        return member

    def expel(self, id: str) -> None:
        """Its session is over."""
        if self.group.members.pop(id, None) is None:
            return
        self.scheduler.note(f"group: {id} is expelled")
        for number, owner in self.group.assigned.items():
            if owner == id:
                self.group.assigned[number] = None
        self.rebalance()

    def rebalance(self) -> None:
        """A new generation; partitions move only as far as fairness asks."""
        group, members = self.group, sorted(self.group.members)
        group.generation += 1
        loads = dict.fromkeys(members, 0)
        fair = -(-len(group.wanted) // max(1, len(members)))
        homeless = []
        for number, id in group.wanted.items():
            if id in loads and loads[id] < fair:
                loads[id] += 1
            else:
                homeless.append(number)
        for number in homeless:
            least = min(loads.values(), default=0)
            candidates = [id for id in members if loads[id] == least]
            chosen = self.scheduler.chance.choice(candidates) if candidates else None
            group.wanted[number] = chosen
            if chosen is not None:
                loads[chosen] += 1

    def move(self, number: int) -> None:
        """Let another member have a partition."""
        others = [id for id in sorted(self.group.members) if id != self.group.wanted[number]]
        if others:
            self.group.wanted[number] = self.scheduler.chance.choice(others)
            self.group.generation += 1
            self.scheduler.note(f"group: commands[{number}] is to go to {self.group.wanted[number]}")

    def settle_assignment(self, id: str) -> None:
        """What `id` gets of what nobody has, when it has joined the generation."""
        group = self.group
        taken = [n for n, owner in group.assigned.items() if owner is None and group.wanted[n] == id]
        for number in taken:
            group.assigned[number] = id
        if taken:
            group.generation += 1

    def let_go(self, id: str, numbers: Iterable[int]) -> None:
        for number in numbers:
            if self.group.assigned[number] == id:
                self.group.assigned[number] = None
                self.group.generation += 1
        for consumer in self.consumers:
            if consumer.quiet and consumer.process.alive:  # its client's own thread is told
                self.settle_assignment(consumer.member)

    def commit_offsets(self, offsets: dict[int, tuple[int, str]]) -> None:
        for number, (offset, metadata) in offsets.items():
            self._written += 1
            self.group.offsets[number] = (offset, metadata, self._written)

    def pend_offsets(self, transaction: Transaction, offsets: dict[int, tuple[int, str]]) -> None:
        if transaction not in self.group.pending:
            self.group.pending.append(transaction)
        transaction.owed.add(None)
        for number, (offset, metadata) in offsets.items():
            self._written += 1
            transaction.offsets[number] = (offset, metadata, self._written)

    def unstable(self, numbers: Sequence[int]) -> bool:
        return any(number in t.offsets for t in self.group.pending for number in numbers)
