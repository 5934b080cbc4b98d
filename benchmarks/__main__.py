"""Measures the language (benchmarks.language), then a real Kafka's worth of chains: python -m benchmarks (make bench)

With --only language or --only kafka, one of them. The others: python -m benchmarks.hot_path, python -m
benchmarks.encoding, python -m benchmarks.state. What was seen: docs/performance.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import sys
from importlib.metadata import version

from benchmarks import language
from benchmarks.chain import COPY_BYTES, COPY_RECORDS, PARTITIONS, Throughput, bench, spread
from tests.broker import find_kafka

MOST_CPU_RATIO = 8.0
MOST_IDLE_MS = 40.0
LEAST_PER_SECOND = 700.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the language and the processor.")
    parser.add_argument("--only", choices=["language", "kafka"], help="the one without a Kafka, or the other")
    parser.add_argument("--rounds", type=int, default=5, help="of Kafka")
    parser.add_argument("--executions", type=int, default=5_000, help="started at once, in each round")
    parser.add_argument("--idle", type=int, default=200, help="executions one after the other, for the latency")
    wanted = parser.parse_args()
    logging.disable(logging.WARNING)
    holds = True
    if wanted.only != "kafka":
        holds = language.report()
    if wanted.only != "language":
        holds = chains_through_kafka(wanted.rounds, wanted.executions, wanted.idle) and holds
    return 0 if holds else 1


def chains_through_kafka(rounds: int, executions: int, idle_executions: int) -> bool:
    """Print the figures and whether the goal holds; return that."""
    chains: list[Throughput] = []
    copies: list[Throughput] = []
    with find_kafka() as kafka, bench(kafka.bootstrap_servers) as running:
        # The first round warms up both: schemas, definitions, the broker's own code.
        for number in range(rounds + 1):
            chain, copy = running.chains(executions), running.copies(executions)
            if number:
                chains.append(chain)
                copies.append(copy)
        idle = sorted(running.latency() * 1_000 for _ in range(idle_executions))
    report(chains, copies, idle, executions=executions, origin=kafka.origin)
    # The copy loop's quietest round: on a busy machine its many small waits cost it more than they cost the processor.
    ratio = statistics.median(c.cpu_us for c in chains) / min(c.cpu_us for c in copies)
    print(
        f"\nCPU ratio {ratio:.2f} (median against the copy loop's best round), at most {MOST_CPU_RATIO:.0f} must hold"
    )
    return ratio <= MOST_CPU_RATIO


def report(
    chains: list[Throughput], copies: list[Throughput], idle: list[float], *, executions: int, origin: str
) -> None:
    p50, p99 = idle[len(idle) // 2], idle[len(idle) * 99 // 100]
    print(
        f"{len(chains)} rounds of {executions} executions, {PARTITIONS} partitions, one processor;"
        f" {os.cpu_count()} cores, Python {platform.python_version()}, confluent-kafka {version('confluent-kafka')},"
        f" Kafka: {origin}"
    )
    print("medians, with the least and the greatest round\n")
    print(f"| | chain of 10 Pass | copy loop, 1 → {COPY_RECORDS} × {COPY_BYTES} B |")
    print("|---|---|---|")
    rows = {
        "per second, first to last terminal event": "per_second",
        "per second, from the first command sent": "from_sent",
        "CPU of the process, µs each": "cpu_us",
    }
    for title, field in rows.items():
        cells = (spread([getattr(one, field) for one in some]) for some in (chains, copies))
        print(f"| {title} | {' | '.join(cells)} |")
    print(f"| start to finish when idle, ms | p50 {p50:.1f}, p99 {p99:.1f} ({len(idle)} executions) | |")
    print(f"\ngoals: at least {LEAST_PER_SECOND:.0f} a second, at most {MOST_IDLE_MS:.0f} ms at p50")


if __name__ == "__main__":
    sys.exit(main())
