"""How many commands go into one transaction."""

from __future__ import annotations

import pytest

from processor.engine.ports import Committed, Transaction
from processor.engine.processor import LEAST_BATCH
from tests.engine.world import PASS, World


def test_brokers_that_are_slow_to_commit_get_no_more_transactions_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(partitions=1)
    world.deploy("pass", PASS)
    world.settle()
    inbox = world.processor._inbox
    commit = inbox.commit

    def slowly(transaction: Transaction) -> Committed | None:
        world.advance(0.65)
        return commit(transaction)

    monkeypatch.setattr(inbox, "commit", slowly)
    for number in range(10 * LEAST_BATCH):
        world.start(f"pass:{number}")
    before = world.processor.counts["transactions"]
    world.settle()

    assert world.processor.counts["transactions"] - before == 10
    assert world.counts()["started"] == 10 * LEAST_BATCH


def test_a_full_batch_that_was_committed_in_time_is_followed_by_a_larger_one() -> None:
    world = World(partitions=1)
    world.deploy("pass", PASS)
    world.settle()
    for number in range(7 * LEAST_BATCH):
        world.start(f"pass:{number}")
    before = world.processor.counts["transactions"]
    world.settle()

    assert world.processor.counts["transactions"] - before == 3  # of 100, 200, 400
