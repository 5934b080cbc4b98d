"""What is made of the results of mutation testing; the results themselves take an hour (see __main__.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation import report
from tests.mutation.report import Mutant, faults_of, reasons, table


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An equivalent.toml of one entry."""
    path = tmp_path / "equivalent.toml"
    path.write_text('[["retry.matches"]]\nremoved = "a  =  1"\nadded = "a = 2"\nreason = "not read"\n')
    monkeypatch.setattr(report, "EQUIVALENT", path)
    return path


CHANGE = ("retry.matches", "a = 1", "a = 2")
NAME = "processor.interpreter.retry.x_matches__mutmut_1"


def test_every_mutant_that_is_listed_as_equivalent_is_given_a_reason() -> None:
    assert all(reasons().values())


def test_entries_are_read_whatever_their_spaces(listed: Path) -> None:
    assert reasons() == {CHANGE: "not read"}


@pytest.mark.parametrize("more", ['reason = " "', 'reason = "twice"'])
def test_an_entry_without_a_reason_or_given_twice_is_refused(listed: Path, more: str) -> None:
    entry = listed.read_text().replace('reason = "not read"', more)
    listed.write_text(entry if more == 'reason = " "' else listed.read_text() + entry)
    with pytest.raises(ValueError, match="without a reason, or twice"):
        reasons()


def test_what_is_listed_must_be_a_mutant_that_survived(listed: Path) -> None:
    killed = Mutant(name=NAME, status="killed", change=CHANGE)
    equivalent = Mutant(name=NAME, status="equivalent", change=CHANGE)
    where = "equivalent.toml: retry.matches | a = 1 | a = 2"
    assert [faults_of(found) for found in ([], [killed], [equivalent])] == [
        [f"{where}: is no mutant"],
        [f"{where}: was listed as equivalent, and is killed"],
        [],
    ]


def test_the_table_has_both_ratios() -> None:
    statuses: list[report.Status] = ["killed", "killed", "timeout", "survived", "equivalent"]
    found = [Mutant(name=NAME, status=status) for status in statuses]
    found.append(Mutant(name="processor.interpreter.states.task.x_run_task__mutmut_1", status="not run"))
    assert [row.split() for row in table(found).splitlines()[1:]] == [
        ["retry", "5", "2", "1", "1", "1", "0", "60.0%", "75.0%"],
        ["states.task", "1", "0", "0", "0", "0", "1", "0.0%", "0.0%"],
        ["all", "6", "2", "1", "1", "1", "1", "50.0%", "60.0%"],
    ]
