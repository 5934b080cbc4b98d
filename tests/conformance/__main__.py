"""All shared cases, by kind and level: `make conformance`, or `python -m tests.conformance [FILE]`.

Prints each failing case with what differs (FILE: as JSON), then, last, one line of JSON. Cases of the API, which is not
there yet, count as unsupported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.conformance.definitions import judge_definitions
from tests.conformance.runner import Report, conformance_dir, load_cases, recovered, run_executions, straight
from tests.conformance.test_states import run_test_states


def main() -> None:
    folder = conformance_dir()
    if folder is None:
        sys.exit("no conformance cases: set CONFORMANCE_DIR, for example ../shared/conformance/aws")
    kinds, failures = judge_all(folder)
    for id, differences in failures.items():
        print(id, *differences, sep="\n    ")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(failures, indent=1))
    cases = sum(1 for _ in load_cases(folder))
    judged = sum(kind["cases"] for kind in kinds.values())
    told = {"cases": cases, "passed": judged - len(failures), "failed": len(failures), "unsupported": cases - judged}
    print(json.dumps({**told, "by_kind": kinds}))


def judge_all(folder: Path) -> tuple[dict[str, dict[str, int]], dict[str, list[str]]]:
    """Return the counts of each kind, and what differs in every case that is not wholly right.

    An execution counts for a level if it is right there both straight and recovered from bytes after every command.
    """
    runs = [run_executions(folder, between) for between in (straight, recovered)]
    kinds: dict[str, dict[str, Any]] = {"execution": _levels(runs)}
    failures: dict[str, list[str]] = {id: found for run in runs for id, found in run.failures.items()}
    states = run_test_states(folder)
    kinds["test_state"] = states.by_kind()
    failures |= states.failures
    for kind, tally in judge_definitions(folder).items():
        kinds[kind] = {"cases": tally.cases, "passed": tally.passed, "text": tally.text}
        failures |= tally.failures
    return kinds, failures


def _levels(runs: list[Report]) -> dict[str, int]:
    names = ("cases", "end", "cause", "history_cases", "history")
    return {name: min(getattr(run, name) for run in runs) for name in names}


if __name__ == "__main__":
    main()
