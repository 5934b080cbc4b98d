"""What `python -m tests.chaos --ledger` tells: what all runs come to, and whether that is as much as is wanted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chaos.__main__ import WANTED, told


def test_where_no_run_was_noted_that_is_said_and_it_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = told(tmp_path / "ledger.jsonl")

    shown = capsys.readouterr()
    said = "no run is noted yet: there is no ledger.jsonl (`make chaos` adds to it)\n"
    assert (code, shown.out, shown.err) == (1, "", said)


def test_runs_that_come_to_what_is_wanted_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = tmp_path / "ledger.jsonl"
    kinds = dict.fromkeys((kind for kind in WANTED if kind), 25) | {"not: EndTxn": 7}
    ledger.write_text((json.dumps({"kinds": kinds, "violations": []}) + "\n") * 40)

    code = told(ledger)

    lines = [f"{1_000:6}  {kind}" for kind in sorted(kinds) if not kind.startswith("not: ")]
    total = f"{1_000 * len(lines):6}  in 40 runs; 0 violations; fewer than wanted: none"
    assert (code, capsys.readouterr().out.splitlines()) == (0, [*lines, total])


def test_too_few_faults_fail_and_so_does_a_violation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few, wrong = tmp_path / "few.jsonl", tmp_path / "wrong.jsonl"
    enough = dict.fromkeys((kind for kind in WANTED if kind), 1_000)
    few.write_text(json.dumps({"kinds": enough | {"two formats": 4}, "violations": []}) + "\n")
    wrong.write_text(json.dumps({"kinds": enough, "violations": ["a command was lost"]}) + "\n")

    assert (told(few), told(wrong)) == (1, 1)

    ends = [line for line in capsys.readouterr().out.splitlines() if "runs" in line]
    total = 1_000 * (len(enough) - 1)
    assert ends == [
        f"{total + 4:6}  in 1 runs; 0 violations; fewer than wanted: {{'two formats': 5}}",
        f"{total + 1_000:6}  in 1 runs; 1 violations; fewer than wanted: none",
    ]
