"""`python -m tests.simulation`: many seeds over all cores, one seed told in full, or which seed sees which mutant."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterable
from multiprocessing import get_context

from tests.simulation.mutants import MUTANTS, Mutant, broken_by
from tests.simulation.world import Ended, expected, simulate

SEEDS = 10_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one only, told in full")
    parser.add_argument("--mutants", nargs="*", metavar="NAME", help="find the first seed that sees each")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if arguments.seed is not None:
        return _tell(simulate(arguments.seed, trace=True))
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.mutants is not None:
        named = [m for m in MUTANTS if not arguments.mutants or m.__name__ in arguments.mutants]
        return _search(named, seeds)
    return _run(seeds)


def _tell(ended: Ended) -> int:
    print(*ended.log, sep="\n")
    return _judge([ended])


def _judge(all_ended: Iterable[Ended]) -> int:
    """Print those in which something does not hold, and return how many."""
    bad = 0
    for ended in all_ended:
        if ended.violations or ended.nuisances:
            bad += 1
            print(f"seed {ended.seed}:", *ended.violations, *ended.nuisances, sep="\n  ", flush=True)
    return bad


def _run(seeds: range) -> int:
    began = time.monotonic()
    with get_context("spawn").Pool(os.cpu_count(), initializer=logging.disable, initargs=(logging.CRITICAL,)) as pool:
        bad = _judge(pool.imap_unordered(simulate, seeds, chunksize=50))
    print(f"{len(seeds)} seeds, {bad} in which something does not hold, {time.monotonic() - began:.0f} s")
    return min(bad, 1)


def _search(mutants: Iterable[Mutant], seeds: range) -> int:
    survivors = 0
    expected()  # undisturbed, and by no mutant
    for mutant in mutants:
        with broken_by(mutant):
            seed = next((s for s in seeds if (ended := simulate(s)).violations or ended.nuisances), None)
        survivors += seed is None
        print(f"    mutants.{mutant.__name__}: {seed},", flush=True)
    return min(survivors, 1)


if __name__ == "__main__":
    sys.exit(main())
