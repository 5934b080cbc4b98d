"""Fuzz the targets: `python -m tests.fuzz [TARGET …] [--seconds 600] [--seed 0] [--blind]`, or `make fuzz ARGS=…`.

Guided by coverage where atheris is installed (`uv sync --group fuzz`), else by chance alone. Each target runs in a
process of its own for so many seconds; at the end stands one line of JSON for each: runs, runs a second, crashes. A
crash is written to tests/fuzz/crashes, where the tests replay it for ever; exit code 1.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz.mutate import MAX_BYTES, mutate

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

CRASHES = Path(__file__).parent / "crashes"
_KEPT = 2_000  # inputs from which the blind fuzzer goes on


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all of them, if none is named")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--blind", action="store_true", help="by chance alone, even where atheris is installed")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    guided = not chosen.blind and find_spec("atheris") is not None
    targets = _targets(guided=guided and chosen.within)
    unknown = set(chosen.targets) - set(targets)
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(targets)}")
    names = chosen.targets or list(targets)
    if chosen.within:
        return (_guided if guided else _blind)(targets[names[0]], seconds=chosen.seconds, seed=chosen.seed)
    options = ["--within", "--seconds", str(chosen.seconds), "--seed", str(chosen.seed), *(["--blind"] * chosen.blind)]
    codes = [
        subprocess.run([sys.executable, "-m", "tests.fuzz", name, *options], check=False).returncode for name in names
    ]
    return max(codes)


class _Tally:
    """What came of the inputs of one run."""

    def __init__(self, target: Target, engine: str) -> None:
        self.target, self.engine, self.began = target, engine, time.monotonic()
        self.outcomes: Counter[str] = Counter()
        self.crashed: dict[str, str] = {}
        self.slowest = 0.0

    def run(self, data: bytes) -> str:
        """Run one input; a crash is noted, once for each place it comes from, and its input kept."""
        before = time.process_time()
        try:
            outcome = self.target.check(data)
        except Exception as crash:  # whatever it is, is the finding
            outcome = "crashed"
            place = traceback.extract_tb(crash.__traceback__)[-1]
            kind = f"{type(crash).__name__} at {place.filename.rpartition('/')[2]}:{place.lineno}"
            if kind not in self.crashed:
                kept = CRASHES / f"{self.target.name}-{sha256(data).hexdigest()[:12]}"
                kept.write_bytes(data)
                self.crashed[kind] = str(kept)
                traceback.print_exception(crash, limit=-6)
        self.slowest = max(self.slowest, time.process_time() - before)
        self.outcomes[outcome] += 1
        return outcome

    def report(self) -> int:
        seconds = time.monotonic() - self.began
        runs = self.outcomes.total()
        line = {
            "target": self.target.name, "engine": self.engine, "seconds": round(seconds), "runs": runs,
            "runs_per_second": round(runs / seconds), "slowest_seconds": round(self.slowest, 2),
            "outcomes": dict(self.outcomes.most_common()), "crashes": self.crashed,
        }  # fmt: skip
        print(json.dumps(line), flush=True)
        return 1 if self.crashed else 0


def _blind(target: Target, *, seconds: float, seed: int) -> int:
    """Mutate what has given each outcome so far, for so long."""
    chance, tally = Random(seed), _Tally(target, "mutation")
    pool = list(target.seeds())
    for data in pool:
        tally.run(data)
    while time.monotonic() - tally.began < seconds:
        data = mutate(chance.choice(pool), chance)
        if tally.run(data) != "refused" and len(data) < MAX_BYTES:
            pool.append(data)
            if len(pool) > _KEPT:
                pool.pop(chance.randrange(len(pool)))
    return tally.report()


def _guided(target: Target, *, seconds: float, seed: int) -> int:
    """libFuzzer, through atheris; half of the mutations are ours, which know JSON. It never returns."""
    import atheris

    tally, chance = _Tally(target, "atheris"), Random(seed)

    def run(data: bytes) -> None:
        tally.run(data)
        if time.monotonic() - tally.began > seconds:
            os._exit(tally.report())  # libFuzzer would end the process without a word

    def another(data: bytes, size: int, draw: int) -> bytes:
        chance.seed(draw)
        return mutate(data, chance)[:size] if chance.random() < 0.5 else bytes(atheris.Mutate(data, size))

    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(target.seeds()):
            (Path(corpus) / str(number)).write_bytes(data)
        # libFuzzer's limit is one of the wall clock, which jumps where a machine was held; CPU time is in the tally.
        arguments = [sys.argv[0], corpus, f"-seed={seed + 1}", f"-max_len={MAX_BYTES}", "-timeout=300",
                     "-rss_limit_mb=1024", "-verbosity=0"]  # fmt: skip
        atheris.Setup(arguments, run, custom_mutator=another)
        atheris.Fuzz()
    raise AssertionError("libFuzzer does not return")


def _targets(*, guided: bool) -> dict[str, Target]:
    """Return the targets; instrumented, if their coverage is to guide: that has to happen as they are imported."""
    if guided:
        import atheris

        with atheris.instrument_imports(include=["processor"], enable_loader_override=False):
            return importlib.import_module("tests.fuzz.targets").TARGETS  # type: ignore[no-any-return]
    return importlib.import_module("tests.fuzz.targets").TARGETS  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main())
