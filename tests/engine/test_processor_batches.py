"""How many commands go into one transaction."""

from __future__ import annotations

from processor.engine.processor import LEAST_BATCH
from tests.engine.world import PASS, World


def test_a_full_batch_that_was_applied_in_time_is_followed_by_a_larger_one() -> None:
    world = World(partitions=1)
    world.deploy("pass", PASS)
    world.settle()
    for number in range(7 * LEAST_BATCH):
        world.start(f"pass:{number}")
    before = world.processor.counts["transactions"]
    world.settle()

    assert world.processor.counts["transactions"] - before == 3  # of 100, 200, 400
