"""`make conformance` fails where fewer recorded cases are right than must be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import __main__ as conformance
from tests.conformance.__main__ import shortfalls
from tests.conformance.runner import conformance_dir

RIGHT = {
    "execution": {"cases": 200, "end": 200, "cause": 198, "history_cases": 100, "history": 98},
    "test_state": {"cases": 50, "passed": 49},
    "validate_definition": {"cases": 7, "passed": 7, "text": 0},
    "create_error": {"cases": 8, "passed": 8, "text": 0},
}


def with_one_less(kind: str, level: str) -> dict[str, dict[str, int]]:
    return {**RIGHT, kind: {**RIGHT[kind], level: RIGHT[kind][level] - 1}}


def test_what_is_just_enough_passes() -> None:
    assert shortfalls(RIGHT) == []


@pytest.mark.parametrize(
    ("kind", "level", "told"),
    [
        ("execution", "end", "execution: 199 of 200 are right at the level end, at least 100 % must be"),
        ("execution", "cause", "execution: 197 of 200 are right at the level cause, at least 99 % must be"),
        ("execution", "history", "execution: 97 of 100 are right at the level history, at least 98 % must be"),
        ("test_state", "passed", "test_state: 48 of 50 are right at the level passed, at least 98 % must be"),
        (
            "validate_definition",
            "passed",
            "validate_definition: 6 of 7 are right at the level passed, at least 100 % must be",
        ),
        ("create_error", "passed", "create_error: 7 of 8 are right at the level passed, at least 100 % must be"),
    ],
)
def test_one_case_less_at_any_level_is_too_few(kind: str, level: str, told: str) -> None:
    assert shortfalls(with_one_less(kind, level)) == [told]


def test_a_kind_of_which_there_are_no_cases_is_not_right() -> None:
    without = {kind: counts for kind, counts in RIGHT.items() if kind != "create_error"}
    assert shortfalls(without) == ["create_error: 0 of 0 are right at the level passed, at least 100 % must be"]


@pytest.mark.parametrize(("judged", "code"), [(RIGHT, 0), (with_one_less("execution", "end"), 1)])
def test_the_exit_code_says_so_and_the_last_line_is_json(
    judged: dict[str, dict[str, int]],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers: dict[str, Any] = {
        "judge_all": (judged, {"a": ["b"]}),
        "load_cases": [{}] * 300,
        "required_dir": tmp_path,
    }
    for name, given in answers.items():
        monkeypatch.setattr(conformance, name, lambda *_, given=given: given)
    monkeypatch.setattr("sys.argv", ["conformance"])

    with pytest.raises(SystemExit) as ended:
        conformance.main()

    *_, last = capsys.readouterr().out.splitlines()
    told = {"cases": 300, "passed": 264, "failed": 1, "unsupported": 35, "by_kind": judged}
    assert (int(ended.value.code or 0), json.loads(last)) == (code, told)


@pytest.mark.parametrize("holds", [(), ("cases/one.json",), ("cases/one.txt", "compare.py")])
def test_a_folder_that_holds_no_cases_is_told(
    holds: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = tmp_path / "cases"
    for name in holds:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setenv("CONFORMANCE_DIR", str(cases))

    with pytest.raises(SystemExit) as ended:
        conformance.main()

    rule = "must name a folder of recorded cases, *.json, with compare.py beside it"
    told = f"CONFORMANCE_DIR: {rule}, got '{cases}', for example ../shared/conformance/aws\n"
    assert (ended.value.code, *capsys.readouterr()) == (2, "", told)


@pytest.mark.skipif(conformance_dir() is None, reason="no conformance cases: set CONFORMANCE_DIR")
def test_what_was_recorded_passes() -> None:
    folder = conformance_dir()
    assert folder is not None
    kinds, _ = conformance.judge_all(folder)
    assert shortfalls(kinds) == []
