"""The short form of tests/chaos/hostile.py: a thousand hostile commands among a hundred good ones. It times nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.broker import Broker
from tests.chaos.hostile import attack
from tests.chaos.hostile_kinds import KINDS


def test_hostile_commands_are_each_found_once_and_the_good_ones_end_right(
    kafka: Broker, tmp_path: Path, topic_prefix: str
) -> None:
    report = attack(
        kafka.bootstrap_servers,
        tmp_path,
        prefix=topic_prefix,
        partitions=6,
        good=100,
        hostile=1_000,
        rate=20.0,
        seed=20_261_130,
    )

    assert report.faults == ()
    assert report.kinds.keys() == KINDS.keys()
    fates: Counter[str] = sum(report.kinds.values(), Counter())
    assert fates.total() == 1_000
    assert report.outcomes["misrouted"] > 0
