"""Mutation testing of the interpreter: does a test fail when the code is changed?

    make mutation                                        all of it: an hour or two on one core
    make mutation ARGS="processor.interpreter.retry.*"   mutants by name
    make mutation ARGS=--again                           survivors and what ran out of time once more
    make mutation ARGS=--report                          what the last run found, run nothing

mutmut makes the mutants and runs, for each, the tests that reach the changed function, quickest first; what it works
on is in pyproject.toml, [tool.mutmut]. It remembers results and runs again only the mutants of functions that have
changed; after a change to the tests, run the survivors --again. It measures time by the clock: where other things ran
on the machine, look at what ran out of time --again too. Removing the folder mutants/ makes it forget everything.

Survivors have been read. One that no test can kill, because it changes nothing that can be seen, is in equivalent.toml
with the reason. Two ratios are printed: of all mutants, and of those that are not equivalent; MINIMUM of all must be
killed. A mutant that runs out of time is killed, and listed. What is in equivalent.toml and was killed, or is no mutant
any more, is a fault too.

Exit status: 0 fine, 1 too few killed or equivalent.toml is wrong, 2 nothing was run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.mutation.report import Mutant, faults_of, mutants, rendered, table

MINIMUM = 0.85


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Mutation testing of the interpreter")
    parser.add_argument("names", nargs="*", help="mutants to run, with * (default: all that have no result yet)")
    parser.add_argument("--report", action="store_true", help="only tell what the last run found")
    parser.add_argument("--again", action="store_true", help="run survivors and what ran out of time once more")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    names = list(arguments.names)
    if arguments.again:
        names += [mutant.name for mutant in mutants() if mutant.status in ("survived", "timeout")]
    if not arguments.report:
        command = [str(Path(sys.executable).with_name("mutmut")), "run", f"--max-children={arguments.processes}"]
        run = subprocess.run([*command, *names], env={**os.environ, "ASL_PROPERTIES": "mutation"}, check=False)
        if run.returncode != 0:
            return 2
    found = mutants()
    if not found:
        print("There are no results: run it first.", file=sys.stderr)
        return 2
    return tell(found, whole=not arguments.names)


def tell(found: list[Mutant], *, whole: bool) -> int:
    """Print what was found. What must hold of the whole is only asked of a run that was one."""
    for mutant in found:
        if mutant.status in ("survived", "timeout"):
            print(rendered(mutant))
    print(table(found))
    faults = faults_of(found)
    counted = Counter(mutant.status for mutant in found)
    killed = (counted["killed"] + counted["timeout"]) / len(found)
    if whole and killed < MINIMUM:
        faults.append(f"{killed:.1%} of all mutants are killed, at least {MINIMUM:.0%} must be")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


sys.exit(main())
