"""What the processor's own code costs, without a broker: python -m benchmarks.hot_path [--profile]

Commands that start a chain of ten Pass states are decoded, decided, encoded and folded; the log is one that hands them
out and takes what is committed, so that nothing else is measured.
"""

from __future__ import annotations

import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from processor.adapters.clock import OsEntropy, SystemClock
from processor.adapters.memory import MemoryLog
from processor.engine.definitions import deployment
from processor.engine.encoding import encode_command
from processor.engine.ports import (
    AllRestored,
    CommandArrived,
    Committed,
    Delivery,
    Inbox,
    PartitionTaken,
    Record,
    Restorable,
    Transaction,
)
from processor.engine.processor import Processor
from processor.engine.topics_setup import create_topics
from processor.model.commands import StartExecution
from processor.model.ids import Millis
from processor.model.json import Json

RESTORED: tuple[Restorable, ...] = ("snapshots", "events", "closed")
EXECUTIONS = 5_000
ROUNDS = 5
BATCH = 500
CHAIN: Json = {
    "StartAt": "Step1",
    "States": {
        f"Step{n}": {"Type": "Pass", **({"Next": f"Step{n + 1}"} if n < 10 else {"End": True})} for n in range(1, 11)
    },
}
INPUT: Json = {"customer": "c-1029", "note": "x" * 170}  # 200 bytes of JSON text


class Conveyor:
    """An Inbox of one partition: hands out what it is given, batch by batch, and keeps nothing of what is committed."""

    max_record_bytes = 1_048_588
    settled = True

    def __init__(self, records: Sequence[Record]) -> None:
        self._records, self._next, self._begun = records, 0, False
        self.bytes = 0

    @property
    def empty(self) -> bool:
        return self._next >= len(self._records)

    def poll(self, *, timeout_seconds: float, max_commands: int | None) -> Sequence[Delivery]:
        if not self._begun:
            self._begun = True
            return (
                PartitionTaken(partition=0, assignment=1),
                *(AllRestored(partition=0, assignment=1, of=of) for of in RESTORED),
            )
        batch = self._records[self._next : self._next + BATCH]
        self._next += len(batch)
        return [CommandArrived(record=record) for record in batch]

    def restore_events(self, *, partition: int, assignment: int, start: int) -> None:
        pass

    def open(self, *, partition: int, assignment: int, fallback_offset: int) -> int:
        return 0

    def commit(self, transaction: Transaction) -> Committed:
        self.bytes += sum(len(message.value or b"") for message in transaction.messages)
        return Committed(ends={})

    def leave(self) -> None:
        pass

    def close(self) -> None:
        pass


class ConveyorLog(MemoryLog):
    def __init__(self, conveyor: Conveyor) -> None:
        super().__init__()
        self._conveyor = conveyor

    def inbox(self, *, slot: str) -> Inbox:  # type: ignore[override]  # that is what it is for
        return self._conveyor


def commands(count: int, topic: str) -> Iterator[Record]:
    for number in range(count):
        command = StartExecution(
            execution_id=f"chain:7b6a1f0e-2f0c-4d4e-9b1d-{number:012}",
            command_id=f"0f3e7a52-7c1d-4b0e-9f57-{number:012}",
            issuer="api",
            input=INPUT,
        )
        yield Record(
            topic=topic,
            partition=0,
            offset=number,
            key=command.execution_id.encode(),
            value=encode_command(command),
            time=Millis(0),
        )


def prepare(count: int) -> tuple[Processor, Conveyor]:
    """Return a processor that has its partition, and the commands before it."""
    log = MemoryLog()
    conveyor = Conveyor(list(commands(count, log.names.commands)))
    log = ConveyorLog(conveyor)
    create_topics(log, partitions=1)
    _, message = deployment(log.names, state_machine="chain", definition=CHAIN, type="STANDARD", now=Millis(0))
    outbox = log.outbox()
    outbox.send([message])
    processor = Processor(log=log, clock=SystemClock(), entropy=OsEntropy())
    processor.step(timeout_seconds=0)
    return processor, conveyor


def run(processor: Processor, conveyor: Conveyor) -> Mapping[str, float]:
    """Return microseconds of CPU and wall per execution."""
    cpu, wall = time.process_time(), time.perf_counter()
    while not conveyor.empty:
        processor.step(timeout_seconds=0)
    assert processor.counts["started"] * 22 == processor.counts["events"]
    count = processor.counts["started"]
    return {
        "cpu": (time.process_time() - cpu) / count * 1e6,
        "wall": (time.perf_counter() - wall) / count * 1e6,
        "bytes": conveyor.bytes / count,
    }


def main() -> None:
    if "--profile" in sys.argv:
        processor, conveyor = prepare(EXECUTIONS)
        with cProfile.Profile() as profile:
            run(processor, conveyor)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        return
    rounds = [run(*prepare(EXECUTIONS)) for _ in range(ROUNDS)]
    cpu = [one["cpu"] for one in rounds]
    print(f"chain of ten Pass states, {EXECUTIONS} executions, {ROUNDS} rounds, no broker")
    print(f"CPU per execution: {statistics.median(cpu):.0f} µs ({min(cpu):.0f} to {max(cpu):.0f})")
    print(f"events of an execution take {rounds[0]['bytes']:.0f} bytes")


if __name__ == "__main__":
    main()
