"""The loop: one poll is one transaction. Numbers are those of docs/architecture.md, "The commit cycle".

1. collect a batch            4. begin, offsets first, then the records   } in the
2. apply each command         5. commit                                  } Inbox
3. check every record         … and only then fold the overlay into memory

Between two polls there may be a second transaction, which checkpoints one partition.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import assert_never

from processor.engine.answers import Answers
from processor.engine.applier import SLICE_EVENTS, Applier
from processor.engine.checkpoints import next_round
from processor.engine.definitions import Definitions
from processor.engine.partitions import Partition
from processor.engine.ports import (
    AllRestored,
    Clock,
    CommandArrived,
    Committed,
    Delivery,
    Entropy,
    Log,
    PartitionLost,
    PartitionTaken,
    Record,
    RecordsRestored,
    Transaction,
)
from processor.engine.staging import Overlay, Staged
from processor.engine.standing import Observer, Standing, Unobserved
from processor.engine.topics_setup import migrated_message, verify_partitions
from processor.errors import AslError, DecodingFailed, HistoryBroken, TopicsUnfit
from processor.interpreter.jsonata import Sandbox
from processor.model.ids import Millis

log = logging.getLogger(__name__)

TRANSACTION_MS = 100
"""A transaction should last no longer: commands behind it wait, and a takeover waits for it."""

STOP_MS = 5_000
"""How long a stop may take to checkpoint."""
STOP_POLL_SECONDS = 0.1

CAREFUL_FROM = 2
DEADLY_FROM = 3
"""After so many deaths without progress there is one command in a transaction; then the first one is held to be what
they died of."""
IDLE_MS = 5_000
"""A partition that had nothing to do for so long has survived it."""

LEAST_BATCH, MAX_BATCH = 100, 2_000
"""Commands that take long themselves end a batch wherever they stand in it."""
_SLICES = 64  # in one transaction


class Processor:
    """One member of the processor group. Single-threaded: `step` is to be called again and again, or `run`.

    Raises TopicsUnfit when made over topics that do not fit together, and what the log's ports raise. `counts` tells
    what was committed, by kind, and what was passed over. `sandbox` evaluates what JSONata only another process can
    bound, and is closed with the processor; without one it is evaluated here (docs/decisions/0010). `observer` is told
    how it stands (docs/decisions/0027).
    """

    def __init__(
        self,
        *,
        log: Log,
        clock: Clock,
        entropy: Entropy,
        slot: str = "0",
        slice_events: int = SLICE_EVENTS,
        sandbox: Sandbox | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._clock, self._sandbox = clock, sandbox
        self._observer: Observer = observer or Unobserved()
        self._reader = log.reader()
        self._names, self._count = log.names, verify_partitions(self._reader, log.names)
        self._inbox = log.inbox(slot=slot)
        limit = self._inbox.max_record_bytes
        self.counts: Counter[str] = Counter()
        self._definitions = Definitions(self._reader, log.names, counts=self.counts, sandbox=sandbox)
        self._answers = Answers(
            names=log.names,
            reader=self._reader,
            clock=clock,
            max_record_bytes=limit,
            origins=self._definitions.origins,
        )
        self._applier = Applier(
            names=log.names,
            partitions=self._count,
            definitions=self._definitions,
            answers=self._answers,
            clock=clock,
            entropy=entropy,
            max_record_bytes=limit,
            slice_events=slice_events,
        )
        self._partitions: dict[int, Partition] = {}
        self._kept: list[Record] = []  # delivered, and left for the next transaction
        self._batch_size = LEAST_BATCH

    def run(self, stop: Callable[[], bool], *, timeout_seconds: float = 0.5) -> None:
        """Step until `stop()`; what was begun is finished first, then all is checkpointed, so that the next owner has
        little to read, and given up, so that it need not wait. Raises as `step`."""
        while not stop():
            self.step(timeout_seconds=timeout_seconds)
        self._cover(within_ms=STOP_MS)
        self._inbox.leave()

    def step(self, *, timeout_seconds: float = 0.5) -> None:
        """Poll once and commit what came of it, or drop it.

        Raises SlotTaken, NotAuthorized and TopicsUnfit where going on would be wrong, and LogUnavailable where the log
        stays out of reach while definitions or topics of replies are asked for, or an embedded log's file is. Nothing
        of the step is then committed, unless it was the commit that raised; in memory it is unfinished: close this
        one, and make another, to which the commands come again.
        """
        # What was kept goes first. The poll in between is for rebalances, which do not wait.
        kept, held = bool(self._kept), self._partitions.values()
        busy = kept or any(p.open and (p.has_runnable or p.has_woken or p.checkpoints) for p in held)
        wanted = None if any(p.open and p.full for p in held) else 0 if kept else self._batch_size
        deliveries = self._inbox.poll(timeout_seconds=0 if busy else timeout_seconds, max_commands=wanted)  # (1)
        if deliveries or not kept:  # what was kept came before the definitions were asked for last
            self._definitions.expire()
        commands = self._take(deliveries)
        began = self._clock.now()
        overlay = Overlay()
        slices: list[tuple[Partition, str]] = []
        alone = self._deadly(commands)
        suspect = self._suspect(commands, alone)
        if self._foretell(suspect, trying=True):
            try:
                if alone is not None:
                    slices = self._fill_with_one(overlay, commands, alone)
                else:
                    slices = self._fill(overlay, commands, now=began, adapt=not kept)
            except AslError:  # it ends, but not of a command
                self._foretell(suspect, trying=False)
                raise
            self._note_idle(overlay, now=began)
            if self._foretell(suspect, trying=False) and not overlay.empty:
                self._commit(overlay, now=began)
        for partition, id in slices:
            partition.put_back(id)
        self._checkpoint(now=began)
        self._observer.stepped(self.standing)

    def close(self) -> None:
        """Leave the group; what is not committed is left to the next owner."""
        self._inbox.close()
        self._reader.close()
        if self._sandbox is not None:
            self._sandbox.close()

    def standing(self) -> Standing:
        """Tell how it stands; of the thread that steps it."""
        partitions = tuple(self._partitions[number].standing for number in sorted(self._partitions))
        return Standing(ready=self.ready, partition_count=self._count, counts=dict(self.counts), partitions=partitions)

    @property
    def ready(self) -> bool:
        """The group has said what is owned here, and all of it has been restored."""
        return self._inbox.settled and all(p.open and p.knows_closed for p in self._partitions.values())

    @property
    def partitions(self) -> tuple[int, ...]:
        """Those whose commands flow."""
        return tuple(sorted(n for n, p in self._partitions.items() if p.open))

    @property
    def stopped(self) -> dict[int, str]:
        """Those that are ours and stand still, and why."""
        return {n: str(p.stopped) for n, p in self._partitions.items() if p.stopped is not None}

    # ---- (1)

    def _take(self, deliveries: Sequence[Delivery]) -> list[Record]:
        """Return the commands to apply: those kept, then those that came, without those of lost partitions."""
        commands = self._kept
        for delivery in deliveries:
            match delivery:
                case CommandArrived(record=record):
                    commands.append(record)
                case PartitionTaken(partition=number, assignment=assignment):
                    self._partitions[number] = Partition(
                        number=number,
                        assignment=assignment,
                        partitions=self._count,
                        definitions=self._definitions,
                        max_record_bytes=self._inbox.max_record_bytes,
                    )
                    log.info("partition_taken", extra={"partition": number})
                case RecordsRestored() | AllRestored():
                    self._restore(delivery)
                case PartitionLost(partition=number):
                    self._partitions.pop(number, None)
                    commands = [r for r in commands if r.partition != number]
                    log.info("partition_lost", extra={"partition": number})
                case _:
                    assert_never(delivery)
        return commands

    def _restore(self, restored: RecordsRestored | AllRestored) -> None:
        partition = self._partitions.get(restored.partition)
        if partition is None or partition.assignment != restored.assignment or partition.stopped is not None:
            return
        try:
            match restored:
                case RecordsRestored(of=of, records=records, left=left):
                    partition.restoring.take(of, records)
                    partition.restored.take(of, len(records), left=left, now=self._clock.now())
                    return
                case AllRestored(of="snapshots"):
                    start = partition.restoring.end_snapshots()
                    self._inbox.restore_events(partition=partition.number, assignment=partition.assignment, start=start)
                case AllRestored(of="events"):
                    partition.restoring.end_events()
                    self._open(partition, attempts=restored.attempts)
                case AllRestored():
                    partition.end_restore()
                    log.info(
                        "closed_restored",
                        extra={"partition": partition.number, "executions": partition.holdings.closed_count},
                    )
            partition.restored.end()
        except (DecodingFailed, HistoryBroken) as fault:
            self._stop(partition, fault)

    def _stop(self, partition: Partition, fault: AslError) -> None:
        """Never skipped: what cannot be folded leaves the partition closed, and others go on. What was staged for it
        before is committed all the same; what comes for it from now on is dropped, and comes to its next owner."""
        partition.stopped, partition.open = fault, False
        log.error("partition_stopped", extra={"partition": partition.number, "reason": str(fault)})
        self.counts["stopped_partitions"] += 1

    def _open(self, partition: Partition, *, attempts: int) -> None:
        # Asked once more: a migration sees whoever is a member by now, and who joined later sees what it wrote.
        self._definitions.refresh()
        if self._definitions.migrated_to is not None:
            raise TopicsUnfit([migrated_message(self._names, self._definitions.migrated_to)])
        restoring = partition.restoring
        if restoring.cut_off:
            fields = {"partition": partition.number, "executions": restoring.cut_off}
            log.warning("histories_cut_off_by_retention", extra=fields)
        position = self._inbox.open(
            partition=partition.number, assignment=partition.assignment, fallback_offset=restoring.first_command
        )
        now = self._clock.now()
        partition.begin(position=position, attempts=attempts, now=now)
        if restoring.events:  # what was read again need not be read a third time
            partition.coverage.count(restoring.events, now=now)
        fields = {"partition": partition.number, "events": restoring.events, "open": partition.holdings.open_count}
        log.info("partition_restored", extra=fields)

    # ---- (2), (3)

    def _deadly(self, commands: Sequence[Record]) -> Partition | None:
        """Return a partition in which owners have died again and again, if it has something to do. One thing of it is
        done then and nothing else, so that a death tells of what."""
        careful = (p for p in self._partitions.values() if p.open and p.attempts >= CAREFUL_FROM)
        return next((p for p in careful if _has_work(p, commands)), None)

    def _suspect(self, commands: Sequence[Record], alone: Partition | None) -> dict[Partition, int]:
        """Return the partitions of which something is about to be done that an owner may have died of, and the position
        of each: what is staged meanwhile is not committed, and may leave others waiting behind it."""
        found = self._partitions.values() if alone is None else (alone,)
        suspected = (p for p in found if p.open and 0 < p.attempts < DEADLY_FROM and _has_work(p, commands))
        return {p: p.position(applied=p.applied, woken=0) for p in suspected}

    def _foretell(self, suspect: Mapping[Partition, int], *, trying: bool) -> bool:
        """Commit that a death is one of what is now tried, before it is, and take that back once it is done: who only
        loses its partitions, as happens where brokers die, has not died of a command (docs/decisions/0040). Return
        False where that was refused, with what was delivered dropped."""
        if not suspect:
            return True
        offsets = {p.number: position for p, position in suspect.items()}
        attempts = {p.number: p.attempts for p in suspect}
        if self._transact(Transaction(offsets=offsets, messages=(), attempts=attempts, trying=trying)) is None:
            self._drop(offsets)
            return False
        return True

    def _fill(
        self, overlay: Overlay, commands: list[Record], *, now: Millis, adapt: bool
    ) -> list[tuple[Partition, str]]:
        """Stage what came, as much as one transaction is to hold; return what was given a slice."""
        self._wake(overlay, among=self._partitions.values(), until=now + TRANSACTION_MS)
        applied = 0
        for record in commands:
            self._apply(record, overlay)
            applied += 1
            if overlay.full or self._clock.now() - now >= TRANSACTION_MS:
                break
        took = self._clock.now() - now
        self._kept = commands[applied:]
        if adapt:
            self._adapt(applied, took)
        return self._go_on(overlay, among=self._partitions.values(), until=now + TRANSACTION_MS // 2)

    def _fill_with_one(
        self, overlay: Overlay, commands: list[Record], partition: Partition
    ) -> list[tuple[Partition, str]]:
        """Stage what is first in this partition: what waited, else a command, else a slice. The rest is kept."""
        self._kept, now = commands, self._clock.now()
        if partition.has_woken:
            self._wake(overlay, among=(partition,), until=now)
            return []
        mine = next((record for record in commands if record.partition == partition.number), None)
        if mine is None:
            return self._go_on(overlay, among=(partition,), until=now)
        self._kept = [record for record in commands if record is not mine]
        self._apply(mine, overlay)
        return []

    def _wake(self, overlay: Overlay, *, among: Iterable[Partition], until: int) -> None:
        """Apply what waited for `closed`: it came before everything else. At least one."""
        for partition in among:
            for record in partition.woken() if partition.open else ():
                self._stage(record, partition, overlay)
                if not partition.open:
                    break
                overlay.woken[partition.number] += 1
                if overlay.full or self._clock.now() >= until:
                    return

    def _apply(self, record: Record, overlay: Overlay) -> None:
        partition = self._partitions.get(record.partition)
        if partition is None or not partition.open or partition.comes_again(record):
            return
        if partition.must_wait(record):
            partition.set_aside(record)
        elif CAREFUL_FROM <= partition.attempts < DEADLY_FROM and not partition.knows_closed:
            partition.set_aside(record)  # one that goes ahead of others would be progress, though those are deadly
        else:
            self._stage(record, partition, overlay)

    def _stage(self, record: Record, partition: Partition, overlay: Overlay) -> None:
        try:
            staged = self._staged(record, partition, overlay)
        except HistoryBroken as fault:
            self._stop(partition, fault)
            return
        if staged is None:
            partition.set_aside(record)
        else:
            overlay.add(partition.number, staged, next_offset=record.offset + 1)

    def _staged(self, record: Record, partition: Partition, overlay: Overlay) -> Staged | None:
        if partition.dealt_with(record):
            return Staged(counts=("repeated_commands",))
        if partition.attempts >= DEADLY_FROM:
            return self._applier.bury(record, partition, deaths=partition.attempts)
        return self._applier.apply(record, partition, overlay)

    def _go_on(self, overlay: Overlay, *, among: Iterable[Partition], until: int) -> list[tuple[Partition, str]]:
        """Give slices to what is runnable, the longest waiting first and the partitions in turn, until it is time
        to commit; at least one. An execution that a command of this batch has just advanced has had its turn."""
        taken: list[tuple[Partition, str]] = []
        waiting = [p for p in among if p.open and p.has_runnable]
        while waiting:
            for partition in waiting:
                try:
                    execution = partition.take_runnable()
                except HistoryBroken as fault:
                    self._stop(partition, fault)
                    continue
                if execution is None:
                    continue
                taken.append((partition, execution.execution_id))
                if overlay.execution(partition.number, execution.execution_id) is None:
                    deadly = partition.attempts >= DEADLY_FROM
                    staged = (self._applier.hold if deadly else self._applier.go_on)(execution, partition)
                    overlay.add(partition.number, staged, next_offset=partition.applied)
                if overlay.full or self._clock.now() >= until or len(taken) >= _SLICES:
                    return taken
            waiting = [p for p in waiting if p.open and p.has_runnable]
        return taken

    def _note_idle(self, overlay: Overlay, *, now: Millis) -> None:
        """Nothing came, waits or goes on: whatever the owners died of, it is not ahead."""
        for number, partition in self._partitions.items():
            idle = partition.open and partition.rests and now - partition.opened_at >= IDLE_MS
            if partition.attempts and idle and number not in overlay.offsets and not self._kept:
                overlay.offsets[number] = partition.applied

    # ---- (4), (5), and after

    def _commit(self, overlay: Overlay, *, now: Millis) -> None:
        offsets = {
            number: self._partitions[number].position(applied=applied, woken=overlay.woken[number])
            for number, applied in overlay.offsets.items()
        }
        committed = self._transact(Transaction(offsets=offsets, messages=tuple(overlay.messages)))
        if committed is None:
            self._drop(offsets)
        else:
            self._fold(overlay, committed, now=now)

    def _transact(self, transaction: Transaction) -> Committed | None:
        self._observer.committing()
        committed = self._inbox.commit(transaction)
        self._observer.committed(committed is not None)
        return committed

    def _drop(self, offsets: Mapping[int, int]) -> None:
        log.warning("transaction_dropped", extra={"offsets": dict(offsets)})
        self.counts["dropped_transactions"] += 1
        self._answers.forget()
        # They come again, behind those that were dropped.
        self._kept.clear()
        for partition in self._partitions.values():
            partition.forget_unapplied()

    def _fold(self, overlay: Overlay, committed: Committed, *, now: Millis) -> None:
        for number, applied in overlay.offsets.items():
            partition = self._partitions[number]
            coverage, before = partition.coverage, partition.coverage.end
            end, events = committed.ends.get(number), overlay.events[number]
            if events or end is not None:
                coverage.wrote(None if end is None else max(before, end))
            for id, left in overlay.purged.get(number, {}).items():
                partition.fold_purge(id, left)
            for id, execution in overlay.executions.get(number, {}).items():
                partition.fold(
                    execution, closed=overlay.closed.get(id), chunks=overlay.chunks.get(id, 0), before=before
                )
            if events:
                coverage.count(events, now=now)
            partition.fold_commands(applied=applied, woken=overlay.woken[number])
        self.counts.update(overlay.counts)
        self.counts["transactions"] += 1

    # ---- checkpoints

    def _cover(self, *, within_ms: int) -> None:
        """Checkpoint all that is held. Commands are applied meanwhile: nobody else does so before this one leaves."""
        deadline = self._clock.now() + within_ms
        for partition in self._partitions.values():
            if partition.open:
                partition.coverage.begin()
        while self._clock.now() < deadline and any(p.checkpoints or p.has_woken for p in self._partitions.values()):
            dropped = self.counts["dropped_transactions"]
            self.step(timeout_seconds=0)
            if self.counts["dropped_transactions"] > dropped:
                # Others may be stopping too: each that leaves changes the group, which is only heard of by polling.
                self._kept = self._take(self._inbox.poll(timeout_seconds=STOP_POLL_SECONDS, max_commands=0))

    def _checkpoint(self, *, now: Millis) -> None:
        """Take one partition's round one transaction further, where one is due."""
        partition = next((p for p in self._partitions.values() if p.none_comes_again and p.coverage.due(now)), None)
        if partition is None:
            return
        number = partition.number
        round = next_round(
            partition,
            names=self._names,
            partitions=self._count,
            max_record_bytes=self._inbox.max_record_bytes,
            now=now,
        )
        offsets = {number: partition.position(applied=partition.applied, woken=0)}
        # It is no progress with commands: what the owners died of may still be ahead.
        attempts = {number: partition.attempts}
        transaction = Transaction(offsets=offsets, messages=tuple(round.messages), attempts=attempts)
        if self._transact(transaction) is None:
            self._drop(offsets)
            return
        partition.coverage.checkpointed(round.position, taken=round.taken, disposed=round.disposed)
        self.counts["snapshots"] += len(round.taken)
        self.counts["checkpoints"] += 1

    def _adapt(self, commands: int, took_ms: int) -> None:
        """Double what a full batch may hold while it is applied quickly, halve it when it is not. How long the commit
        takes is no part of it: where that alone is too long, smaller batches only make more of them."""
        if took_ms > TRANSACTION_MS:
            self._batch_size = max(LEAST_BATCH, self._batch_size // 2)
        elif commands == self._batch_size and took_ms * 2 < TRANSACTION_MS:
            self._batch_size = min(MAX_BATCH, self._batch_size * 2)


def _has_work(partition: Partition, commands: Sequence[Record]) -> bool:
    number = partition.number
    return partition.has_woken or partition.has_runnable or any(record.partition == number for record in commands)
