"""What the command line names is read, or refused with what would have been accepted."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from processor.apps.loading import load_definition, load_json, load_worker, machine_name
from processor.errors import InvalidDefinition, InvalidSettings

YAML = """
StartAt: Yes
Comment: 2026-01-01
States:
  Yes: {Type: Wait, Seconds: 10, Next: Ende}
  Ende: {Type: Pass, Result: [true, false, null, 1.5, on], End: true}
"""


def test_yaml_is_read_as_json_would_be(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(YAML)
    assert load_definition(tmp_path / "a.yaml") == {
        "StartAt": "Yes",
        "Comment": "2026-01-01",
        "States": {
            "Yes": {"Type": "Wait", "Seconds": 10, "Next": "Ende"},
            "Ende": {"Type": "Pass", "Result": [True, False, None, 1.5, "on"], "End": True},
        },
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"StartAt": }', "does not decode"),
        ("a.yaml", "StartAt: [", "YAML does not decode"),
        ("a.yaml", "1: x", "YAML: must be JSON"),
        ("a.yaml", "!!python/object:os.system {}", "YAML does not decode"),
    ],
)
def test_a_file_that_is_no_definition_is_one_fault(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidDefinition) as refused:
        load_definition(tmp_path / name)
    [diagnostic] = refused.value.diagnostics
    assert diagnostic.code == "UNREADABLE" and message in diagnostic.message


def test_a_file_that_is_absent_is_named() -> None:
    with pytest.raises(InvalidDefinition, match=r"absent\.json cannot be read: No such file or directory"):
        load_definition(Path("absent.json"))


@pytest.mark.parametrize(("file", "name"), [("order.asl.json", "order"), ("a/b/refund.yaml", "refund"), ("x", "x")])
def test_a_machine_is_called_as_its_file_up_to_the_first_dot(file: str, name: str) -> None:
    assert machine_name(Path(file)) == name


def test_json_comes_as_text_from_a_file_or_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"from": "file"}')
    given = ['{"from": "text"}', f"@{tmp_path}/input.json", "-"]
    assert [load_json(text, option="--input", stdin=io.StringIO('{"from": "stdin"}')) for text in given] == [
        {"from": "text"},
        {"from": "file"},
        {"from": "stdin"},
    ]


@pytest.mark.parametrize("text", ["{", "@absent.json", "NaN"])
def test_what_is_no_json_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^--input: .*, for example --input '.*', --input @input.json"):
        load_json(text, option="--input", stdin=io.StringIO())


WORKERS = """
from processor.apps.worker import Worker
first = Worker("first")
{second}
"""


def test_a_worker_is_found_in_a_file_or_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one_worker.py").write_text(WORKERS.format(second="again = first"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    places = ["one_worker.py", "one_worker", "one_worker:first", "one_worker.py:again"]
    assert [load_worker(place).name for place in places] == ["first"] * 4


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("two_workers.py", "two_workers.py has more than one Worker: two_workers.py:first, two_workers.py:second"),
        ("two_workers.py:third", "two_workers.py has no Worker called third"),
        ("no_worker.py", "no_worker.py has no Worker"),
        ("absent.py", "absent.py is no file"),
        ("absent_package.tasks", "there is no module absent_package"),
        ("", "'' names no module"),
    ],
)
def test_a_place_without_one_worker_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, message: str
) -> None:
    (tmp_path / "two_workers.py").write_text(WORKERS.format(second='second = Worker("second")'))
    (tmp_path / "no_worker.py").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSettings) as refused:
        load_worker(place)
    assert (refused.value.setting, refused.value.rule) == ("worker", message)


@pytest.mark.parametrize("place", ["broken_worker.py", "broken_worker"])
@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "\nimport absent_dependency",
            "ModuleNotFoundError: No module named 'absent_dependency' (broken_worker.py, line 2)",
        ),
        ("def f(:", "SyntaxError: invalid syntax (broken_worker.py, line 1)"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines (broken_worker.py, line 1)"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_named_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, text: str, error: str
) -> None:
    (tmp_path / "broken_worker.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_worker", raising=False)
    with pytest.raises(InvalidSettings) as refused:
        load_worker(place)
    assert (refused.value.setting, refused.value.rule) == ("worker", f"{place} cannot be loaded: {error}")
