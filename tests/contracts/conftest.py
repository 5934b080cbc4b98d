"""The fixture `harness`: a fresh log with its topics, once for each adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.harness import Harness, KafkaHarness, MemoryHarness, SqliteHarness, make_topics


@pytest.fixture(params=["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def bare_harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """A log in which there are no topics yet."""
    harness: Harness
    match request.param:
        case "memory":
            harness = MemoryHarness()
        case "sqlite":
            harness = SqliteHarness(tmp_path / "log.db")
        case _:
            harness = KafkaHarness(request.getfixturevalue("kafka").bootstrap_servers)
    yield harness
    harness.close()


@pytest.fixture
def harness(bare_harness: Harness) -> Harness:
    make_topics(bare_harness.log)
    return bare_harness
