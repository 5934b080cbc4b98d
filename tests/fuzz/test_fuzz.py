"""The short form of fuzzing: every seed, some thousand mutations of a fixed chance, and every input that once crashed.

The long form is `make fuzz ARGS="--seconds 600"`.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.fuzz.mutate import MAX_BYTES, mutate
from tests.fuzz.targets import TARGETS

RUNS = {"parse": 1_000, "paths": 4_000, "templates": 4_000, "rules": 4_000, "jsonata": 1_500, "executions": 1_500}
PRODUCTIVE = {
    "parse": {"accepted", "refused"},
    "paths": {"found", "failed", "refused", "put"},
    "templates": {"made", "failed", "refused"},
    "rules": {"made", "failed", "refused"},
    "jsonata": {"made", "failed", "refused", "undefined"},
    "executions": {"succeeded", "failed", "refused", "running"},
}
"""What inputs must have come to, or the target is no longer reached."""


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_crashes_what_reads_it(name: str) -> None:
    target, chance = TARGETS[name], Random(20_261_125)
    seeds = list(target.seeds())
    outcomes = Counter(target.check(seed) for seed in seeds)
    for _ in range(RUNS[name]):
        outcomes[target.check(mutate(chance.choice(seeds), chance))] += 1

    assert outcomes.total() == len(seeds) + RUNS[name]
    assert set(outcomes) >= PRODUCTIVE[name]
    assert outcomes["refused"] < 0.9 * outcomes.total()


@pytest.mark.parametrize(
    ("name", "kept"), [(name, path.name) for name, target in TARGETS.items() for path in target.crashes()]
)
def test_an_input_that_once_crashed_does_so_no_more(name: str, kept: str) -> None:
    target = TARGETS[name]

    target.check(next(path for path in target.crashes() if path.name == kept).read_bytes())


def test_mutations_are_the_same_for_the_same_chance() -> None:
    seeds = [seed for target in TARGETS.values() for seed in list(target.seeds())[:20]]

    one = [mutate(seed, Random(number)) for number, seed in enumerate(seeds)]
    other = [mutate(seed, Random(number)) for number, seed in enumerate(seeds)]

    assert one == other
    assert one != seeds
    assert max(map(len, one)) <= MAX_BYTES
