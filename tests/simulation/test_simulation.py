"""Engine and Kafka adapter over a simulated broker: whatever goes wrong, nothing is lost and nothing doubled."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from processor.engine.coverage import Coverage
from processor.engine.partitions import Partition
from processor.engine.processor import Processor
from tests.simulation import mutants
from tests.simulation.mutants import MUTANTS, Mutant, broken_by
from tests.simulation.world import failing, simulate

SEEDS = 600
"""Of each test run; `make simulation` has more."""
CHUNK = 100

SEEN_BY: dict[Mutant, int] = {
    mutants.metadata_now: 322,
    mutants.no_member_check: 16,
    mutants.side_topics_to_their_stable_end: 433,
    mutants.counter_unique_per_slot_only: 959,
    mutants.fence_whoever_is_named: 55,
    mutants.new_producer_without_asking: 3,
    mutants.restore_not_tagged: 21,
    mutants.revoked_inside_a_transaction: 167,
    mutants.restore_to_the_stable_end: 57,
    mutants.unstable_offset: 115,
    mutants.offsets_after_the_transaction: 18,
    mutants.old_epochs_accepted: 125,
    mutants.continuation_without_offsets: 83,
    mutants.fold_before_commit: 1,
    mutants.watermark_before_offset: 149,
    mutants.design_as_written: 3,
    mutants.producer_reused_after_abort: 12,
    mutants.token_check_off: 3,
    mutants.checkpoint_ahead_of_snapshots: 2,
    mutants.read_uncommitted_restore: 19,
    mutants.offset_of_the_last_event: 1_474,
    mutants.what_events_name_again: 49,
}
"""A seed in which something does not hold, mostly the first; `python -m tests.simulation --mutants` finds them anew."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_nothing_is_lost_or_doubled_whatever_goes_wrong(first: int) -> None:
    assert failing([simulate(seed) for seed in range(first, first + CHUNK)]) == []


def test_rounds_are_of_one_transaction_or_several_and_too_many_commands_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: Counter[int] = Counter()
    begun: Counter[Coverage] = Counter()
    full: set[bool] = set()
    checkpointed, is_full = Coverage.checkpointed, Partition.full.fget  # type: ignore[attr-defined]

    def counted(self: Coverage, position: int, **more: Any) -> None:
        begun[self] += 1
        checkpointed(self, position, **more)
        if not self.under_way:
            rounds[begun.pop(self)] += 1

    def noted(self: Partition) -> bool:
        found: bool = is_full(self)
        full.add(found)
        return found

    monkeypatch.setattr(Coverage, "checkpointed", counted)
    monkeypatch.setattr(Partition, "full", property(noted))
    for seed in range(40):
        simulate(seed)

    assert (rounds.keys() >= {1, 2, 3, 4}, full) == (True, {True, False})


def test_nothing_is_lost_or_doubled_wherever_a_process_dies() -> None:
    """Between any two calls of its clients, from the first to beyond the last of the work."""
    calls = simulate(0, faults=0).calls

    assert calls > 100
    assert failing([simulate(0, faults=0, crashes={"0.1": call}) for call in range(1, calls)]) == []


AGAIN = [{"0.1": 100, "0.2": call} for call in range(1, 160)]
"""A process that dies, and the one after it, which foretells its death: with seed 0 commands wait for `closed` then."""


def test_nothing_is_lost_or_doubled_wherever_the_process_after_one_that_died_dies() -> None:
    assert failing([simulate(0, faults=0, crashes=crashes) for crashes in AGAIN]) == []


def test_without_the_offset_of_before_what_is_foretold_would_lose_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where those that were staged are not committed yet, and others wait behind them."""
    foretell = Processor._foretell

    def take_back_late(self: Processor, suspect: Mapping[Partition, int], *, trying: bool) -> bool:
        now = {p: p.position(applied=p.applied, woken=0) for p in suspect}
        return foretell(self, suspect if trying else now, trying=trying)

    monkeypatch.setattr(Processor, "_foretell", take_back_late)

    assert failing([simulate(0, faults=0, crashes=crashes) for crashes in AGAIN]) != []


def test_every_mutant_has_its_seed() -> None:
    assert set(SEEN_BY) == set(MUTANTS)


@pytest.mark.parametrize(("mutant", "seed"), SEEN_BY.items(), ids=lambda value: getattr(value, "__name__", value))
def test_without_one_rule_something_does_not_hold(mutant: Mutant, seed: int) -> None:
    with broken_by(mutant):
        broken = simulate(seed)

    assert (len(failing([broken])), failing([simulate(seed)])) == (1, [])


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_gives_the_same_run_in_any_process(hash_seed: str) -> None:
    seeds = [3, 4, 428]
    script = (
        "import logging; logging.disable(logging.CRITICAL)\n"
        "from tests.simulation.world import simulate\n"
        f"print([simulate(seed).digest for seed in {seeds}])"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
    )

    assert other.stdout.strip() == str([simulate(seed).digest for seed in seeds])
