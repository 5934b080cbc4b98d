"""What `asl topics check` finds on a cluster of several brokers; what one broker can show is in tests/contracts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import pytest

from processor.adapters.kafka.clients import Admin, TopicState
from processor.adapters.kafka.topics import check_topics
from processor.engine.topics import TopicSpec

SPEC = TopicSpec(name="asl.closed", partitions=4, config={"cleanup.policy": "compact"})


class ThreeBrokers:
    """A cluster with one topic, which has so many replicas."""

    def __init__(self, *, replicas: int, in_sync: int) -> None:
        self._state = TopicState(partitions=4, replication=replicas)
        self._config = {"cleanup.policy": "compact", "min.insync.replicas": str(in_sync)}

    def brokers(self) -> int:
        return 3

    def topics(self, names: Iterable[str]) -> Mapping[str, TopicState]:
        return {SPEC.name: self._state}

    def configs(self, names: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        return {SPEC.name: self._config}


@pytest.mark.parametrize(
    ("replicas", "in_sync", "asked", "told"),
    [
        (3, 2, None, []),
        (4, 2, None, []),
        (2, 1, 2, []),
        (1, 1, None, ["replication.factor is 1, should be 3", "min.insync.replicas is 1, should be 2"]),
        (3, 1, None, ["min.insync.replicas is 1, should be 2"]),
        (3, 3, None, ["min.insync.replicas is 3, should be 2"]),
        (3, 2, 2, ["replication.factor is 3, should be 2", "min.insync.replicas is 2, should be 1"]),
    ],
)
def test_replicas_and_how_many_must_be_in_sync_are_checked(
    replicas: int, in_sync: int, asked: int | None, told: list[str]
) -> None:
    admin = cast(Admin, ThreeBrokers(replicas=replicas, in_sync=in_sync))
    found = [str(difference) for difference in check_topics(admin, [SPEC], replication=asked)]
    assert found == [f"asl.closed: {line}" for line in told]
