"""What it costs to verify a log, beside reading and decoding it: python -m benchmarks.audit [--profile]

Executions in memory, all of them open at once, so that most are encoded and decoded again whenever one of their
batches comes: chains of ten Pass states that wait in their middle, and are then woken in the order of their starts.
Both ways read the same records in turn, CPU of the process; what must hold is the ratio.
"""

from __future__ import annotations

import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from benchmarks.hot_path import INPUT
from processor.adapters.clock import ManualClock, OsEntropy
from processor.adapters.memory import MemoryLog
from processor.apps.audit.held import IN_USE
from processor.apps.audit.verification import Verification
from processor.engine.definitions import deployment
from processor.engine.encoding import decode_events, encode_command
from processor.engine.ports import Log, Message
from processor.engine.processor import Processor
from processor.engine.topics_setup import create_topics
from processor.model.commands import AnyCommand, FireTimer, StartExecution
from processor.model.events import WaitStarted
from processor.model.ids import Millis
from processor.model.json import Json

ROUNDS = 5
FEW, MANY = IN_USE // 2, IN_USE * 4
"""Executions that are open at once: all held folded, and most of them encoded meanwhile."""

MOST_TIMES_DECODING = 10.0

REST: Json = {"Type": "Wait", "Seconds": 60, "Next": "Step6"}
CHAIN: Json = {
    "StartAt": "Step1",
    "States": {
        **{
            f"Step{n}": {"Type": "Pass", **({"Next": f"Step{n + 1}"} if n < 10 else {"End": True})}
            for n in range(1, 11)
        },
        "Step5": REST,
    },
}


def main() -> int:
    logs = {count: written(count) for count in (FEW, MANY)}
    if "--profile" in sys.argv:
        with cProfile.Profile() as profile:
            verify(logs[MANY])
        pstats.Stats(profile).sort_stats("cumulative").print_stats(30)
        return 0
    print(f"Chains of 10 states that wait once; medians of {ROUNDS} rounds, CPU; Python {sys.version.split()[0]}\n")
    print("| open at once | events | read and decoded, events/s | verified, events/s | ratio |\n|---|---|---|---|---|")
    worst = 0.0
    for count, log in logs.items():
        events = read(log)
        reading, verifying = [], []
        for _ in range(ROUNDS):
            reading.append(cpu(lambda log=log: read(log)))  # type: ignore[misc]  # of this turn
            verifying.append(cpu(lambda log=log: verify(log)))  # type: ignore[misc]
        ratio = statistics.median(v / r for v, r in zip(verifying, reading, strict=True))
        worst = max(worst, ratio)
        per_second = [events / statistics.median(some) for some in (reading, verifying)]
        print(f"| {count:,} | {events:,} | {per_second[0]:,.0f} | {per_second[1]:,.0f} | {ratio:.1f} |")
    print(f"\nVerifying takes {worst:.1f} times reading and decoding, at most {MOST_TIMES_DECODING:.0f} must hold")
    return 0 if worst <= MOST_TIMES_DECODING else 1


def written(count: int) -> Log:
    """Return a log of one partition with so many executions, started one after the other, then woken."""
    clock = ManualClock()
    log = MemoryLog(clock=clock)
    create_topics(log, partitions=1)
    outbox, reader = log.outbox(), log.reader()
    _, message = deployment(log.names, state_machine="chain", definition=CHAIN, type="STANDARD", now=Millis(0))
    outbox.send([message])
    processor = Processor(log=log, clock=clock, entropy=OsEntropy())
    ids = [f"chain:{number:08}" for number in range(count)]

    def settle(commands: list[AnyCommand]) -> None:
        outbox.send([
            Message(topic=log.names.commands, key=c.execution_id.encode(), value=encode_command(c)) for c in commands
        ])  # fmt: skip
        wanted = processor.counts["started"] + processor.counts["applied"] + len(commands)
        while processor.counts["started"] + processor.counts["applied"] < wanted:
            processor.step(timeout_seconds=0)

    settle([StartExecution(execution_id=id, command_id=f"start-{id}", issuer="bench", input=INPUT) for id in ids])
    waits = [
        event
        for record in reader.read(log.names.events, 0)
        for event in decode_events(record.value or b"")
        if isinstance(event, WaitStarted)
    ]
    clock.advance(timedelta(seconds=60))
    settle([FireTimer.of(event) for event in waits])
    return log


def read(log: Log) -> int:
    """Read and decode everything; return how many events there are."""
    return sum(len(decode_events(record.value or b"")) for record in log.reader().read(log.names.events, 0))


def verify(log: Log) -> None:
    verification = Verification(log.reader(), log.names)
    assert list(verification.faults()) == []


def cpu(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
