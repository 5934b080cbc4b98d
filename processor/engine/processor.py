"""The loop: one poll is one transaction. Numbers are those of docs/architecture.md, "The commit cycle".

1. collect a batch            4. begin, offsets first, then the records   } in the
2. apply each command         5. commit                                  } Inbox
3. check every record         … and only then fold the overlay into memory
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import assert_never

from processor.engine.answers import Answers
from processor.engine.applier import SLICE_EVENTS, Applier
from processor.engine.definitions import Definitions
from processor.engine.partitions import Partition
from processor.engine.ports import (
    Clock,
    CommandArrived,
    Delivery,
    Entropy,
    EventsRestored,
    Log,
    PartitionLost,
    PartitionRestored,
    PartitionTaken,
    Record,
    Transaction,
)
from processor.engine.staging import Overlay
from processor.engine.topics_setup import verify_partitions
from processor.errors import AslError, DecodingFailed, HistoryBroken
from processor.interpreter.jsonata import Sandbox
from processor.model.execution import Execution

log = logging.getLogger(__name__)

TRANSACTION_MS = 100
"""A transaction should last no longer: commands behind it wait, and a takeover waits for it."""

MAX_BATCH = 2_000
_SLICES = 64  # in one transaction


class Processor:
    """One member of the processor group. Single-threaded: `step` is to be called again and again, or `run`.

    Raises TopicsUnfit when made over topics that do not fit together, and what the log's ports raise. `counts` tells
    what was committed, by kind, and what was passed over. `sandbox` evaluates what JSONata only another process can
    bound, and is closed with the processor; without one it is evaluated here (docs/decisions/0010).
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
    ) -> None:
        self._clock, self._sandbox = clock, sandbox
        self._reader = log.reader()
        count = verify_partitions(self._reader, log.names)
        self._inbox = log.inbox(slot=slot)
        limit = self._inbox.max_record_bytes
        self.counts: Counter[str] = Counter()
        self._definitions = Definitions(self._reader, log.names, counts=self.counts, sandbox=sandbox)
        self._answers = Answers(names=log.names, reader=self._reader, clock=clock, max_record_bytes=limit)
        self._applier = Applier(
            names=log.names,
            partitions=count,
            definitions=self._definitions,
            answers=self._answers,
            clock=clock,
            entropy=entropy,
            max_record_bytes=limit,
            slice_events=slice_events,
        )
        self._partitions: dict[int, Partition] = {}
        self._kept: list[Record] = []  # delivered, and left for the next transaction
        self._batch_size = 100

    def run(self, stop: Callable[[], bool], *, timeout_seconds: float = 0.5) -> None:
        """Step until `stop()`; what was begun is finished first. Raises as `step`."""
        while not stop():
            self.step(timeout_seconds=timeout_seconds)

    def step(self, *, timeout_seconds: float = 0.5) -> None:
        """Poll once and commit what came of it, or drop it.

        Raises SlotTaken, NotAuthorized and TopicsUnfit where going on would be wrong, and LogUnavailable where the log
        stays out of reach while definitions or topics of replies are asked for, or an embedded log's file is. Nothing
        of the step is then committed, unless it was the commit that raised; in memory it is unfinished: close this
        one, and make another, to which the commands come again.
        """
        # What was kept goes first. The poll in between is for rebalances, which do not wait.
        kept = bool(self._kept)
        busy = kept or any(p.has_runnable for p in self._partitions.values())
        deliveries = self._inbox.poll(  # (1)
            timeout_seconds=0 if busy else timeout_seconds, max_commands=0 if kept else self._batch_size
        )
        self._definitions.expire()
        commands = self._take(deliveries)
        began = self._clock.now()
        overlay = Overlay()
        applied = 0
        for record in commands:
            self._apply(record, overlay)  # (2), (3)
            applied += 1
            if overlay.full or self._clock.now() - began >= TRANSACTION_MS:
                break
        self._kept = commands[applied:]
        slices = self._go_on(overlay, until=began + TRANSACTION_MS // 2)
        if overlay.empty:
            for partition, id in slices:
                partition.put_back(id)
            return
        committed = self._inbox.commit(  # (4), (5)
            Transaction(offsets=overlay.offsets, messages=tuple(overlay.messages))
        )
        if committed:
            self._fold(overlay)
        else:
            log.warning("transaction_dropped", extra={"offsets": dict(overlay.offsets)})
            self.counts["dropped_transactions"] += 1
            self._answers.forget()
            self._kept.clear()  # they come again, behind those that were dropped
        for partition, id in slices:
            partition.put_back(id)
        if not kept:
            self._adapt(applied, self._clock.now() - began)

    def close(self) -> None:
        """Leave the group; what is not committed is left to the next owner."""
        self._inbox.close()
        self._reader.close()
        if self._sandbox is not None:
            self._sandbox.close()

    @property
    def ready(self) -> bool:
        """Everything owned has been restored."""
        return all(p.open for p in self._partitions.values())

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
                    self._partitions[number] = Partition(number=number, assignment=assignment)
                    log.info("partition_taken", extra={"partition": number})
                case EventsRestored():
                    self._restore(delivery)
                case PartitionRestored():
                    self._open(delivery)
                case PartitionLost(partition=number):
                    self._partitions.pop(number, None)
                    commands = [r for r in commands if r.partition != number]
                    log.info("partition_lost", extra={"partition": number})
                case _:
                    assert_never(delivery)
        return commands

    def _restore(self, restored: EventsRestored) -> None:
        partition = self._partitions.get(restored.partition)
        if partition is None or partition.assignment != restored.assignment or partition.stopped is not None:
            return
        try:
            for record in restored.records:
                partition.restore(record, self._definitions)
        except (DecodingFailed, HistoryBroken) as fault:
            self._stop(partition, fault)

    def _stop(self, partition: Partition, fault: AslError) -> None:
        """Never skipped: what cannot be folded leaves the partition closed, and the others go on."""
        partition.stopped = fault
        log.error("partition_stopped", extra={"partition": partition.number, "reason": str(fault)})
        self.counts["stopped_partitions"] += 1

    def _open(self, restored: PartitionRestored) -> None:
        partition = self._partitions.get(restored.partition)
        if partition is None or partition.assignment != restored.assignment or partition.stopped is not None:
            return
        try:
            partition.end_restore()
        except HistoryBroken as fault:
            self._stop(partition, fault)
            return
        if partition.cut_off:
            fields = {"partition": partition.number, "executions": partition.cut_off}
            log.warning("histories_cut_off_by_retention", extra=fields)
        partition.position = self._inbox.open(
            partition=partition.number, assignment=partition.assignment, fallback_offset=partition.next_offset
        )
        partition.open = True
        partition.queue_all()
        log.info("partition_restored", extra={"partition": partition.number, "events": partition.restored})

    # ---- (2), (3)

    def _apply(self, record: Record, overlay: Overlay) -> None:
        partition = self._partitions.get(record.partition)
        if partition is None or not partition.open:
            return
        staged = self._applier.apply(record, partition, overlay)
        overlay.add(partition.number, staged, next_offset=record.offset + 1)

    def _go_on(self, overlay: Overlay, *, until: int) -> list[tuple[Partition, str]]:
        """Give slices to what is runnable, the longest waiting first and the partitions in turn, until it is time
        to commit; at least one. An execution that a command of this batch has just advanced has had its turn."""
        taken: list[tuple[Partition, str]] = []
        waiting = [p for p in self._partitions.values() if p.open and p.has_runnable]
        while waiting:
            for partition in waiting:
                id = partition.take_runnable()
                taken.append((partition, id))
                execution = partition.executions[id]
                if overlay.execution(partition.number, id) is None and isinstance(execution, Execution):
                    staged = self._applier.go_on(execution, partition)
                    overlay.add(partition.number, staged, next_offset=partition.position)
                if overlay.full or self._clock.now() >= until or len(taken) >= _SLICES:
                    return taken
            waiting = [p for p in waiting if p.has_runnable]
        return taken

    # ---- after (5)

    def _fold(self, overlay: Overlay) -> None:
        for number, executions in overlay.executions.items():
            for id, execution in executions.items():
                self._partitions[number].fold(id, execution)
        for number, offset in overlay.offsets.items():
            self._partitions[number].position = offset
        self.counts.update(overlay.counts)
        self.counts["transactions"] += 1

    def _adapt(self, commands: int, took_ms: int) -> None:
        """Double what a full batch may hold while transactions are short, halve it when they are long."""
        if took_ms > TRANSACTION_MS:
            self._batch_size = max(1, self._batch_size // 2)
        elif commands == self._batch_size and took_ms * 2 < TRANSACTION_MS:
            self._batch_size = min(MAX_BATCH, self._batch_size * 2)
