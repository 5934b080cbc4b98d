"""All shared cases, by kind and level: `make conformance`, or `python -m tests.conformance [FILE]`.

Prints each failing case with what differs (FILE: as JSON), then, last, one line of JSON. Cases of the API, which is not
there yet, count as unsupported. Exit code 1: fewer are right than `LEAST` demands; 2: there is nothing to judge; which
standard error tells.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conformance.definitions import judge_definitions
from tests.conformance.runner import Watch, load_cases, required_dir, run_executions, unwatched
from tests.conformance.test_states import run_test_states

Counts = Mapping[str, int]

LEAST: Mapping[str, Mapping[str, float]] = {
    "execution": {"end": 100, "cause": 99, "history": 98},
    "test_state": {"passed": 98},
    "validate_definition": {"passed": 100},
    "create_error": {"passed": 100},
}
"""Percent of a kind's cases that must be right at each level."""
_OF = {"history": "history_cases"}


def main() -> None:
    folder = required_dir()
    kinds, failures = judge_all(folder)
    for id, differences in failures.items():
        print(id, *differences, sep="\n    ")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(failures, indent=1))
    cases = sum(1 for _ in load_cases(folder))
    judged = sum(kind["cases"] for kind in kinds.values())
    told = {"cases": cases, "passed": judged - len(failures), "failed": len(failures), "unsupported": cases - judged}
    print(json.dumps({**told, "by_kind": kinds}))
    short = shortfalls(kinds)
    print(*short, sep="\n", end="\n" if short else "", file=sys.stderr)
    sys.exit(bool(short))


def judge_all(folder: Path, *, watch: Watch = unwatched) -> tuple[dict[str, Counts], dict[str, list[str]]]:
    """Return the counts of each kind, and what differs in every case that is not wholly right."""
    executions = run_executions(folder, watch=watch)
    states = run_test_states(folder, watch=watch)
    definitions = judge_definitions(folder, watch=watch)
    kinds: dict[str, Counts] = {"execution": executions.by_kind(), "test_state": states.by_kind()}
    failures = executions.failures | states.failures
    for kind, tally in definitions.items():
        kinds[kind] = {"cases": tally.cases, "passed": tally.passed, "text": tally.text}
        failures |= tally.failures
    return kinds, failures


def shortfalls(kinds: Mapping[str, Counts]) -> list[str]:
    """Return a sentence for each level at which fewer cases are right than must be; a kind without cases is right at
    none."""
    found = []
    for kind, levels in LEAST.items():
        counts = kinds.get(kind, {})
        for level, least in levels.items():
            right, cases = counts.get(level, 0), counts.get(_OF.get(level, "cases"), 0)
            if not cases or right * 100 < least * cases:
                found.append(f"{kind}: {right} of {cases} are right at the level {level}, at least {least} % must be")
    return found


if __name__ == "__main__":
    main()
