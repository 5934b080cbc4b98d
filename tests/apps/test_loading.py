"""What the command line names is read, or refused with what would have been accepted."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from processor.apps.loading import load_definition, load_json, load_worker, machine_name, read_source
from processor.errors import Diagnostic, InvalidDefinition, InvalidSettings

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
    ("text", "message", "at"),
    [
        ("StartAt: [", "while parsing a flow node: expected the node content, but found '<stream end>'", (1, 11)),
        ("a: 1\n1: x", "a key must be a text, in quotes where it looks like something else", (2, 1)),
        ("? [a]\n: b", "a key must be a text, in quotes where it looks like something else", (1, 3)),
        ("!!python/object:os.system {}", "JSON has no tags", (1, 1)),
        ("a: !Ref b", "JSON has no tags", (1, 4)),
        ("a: &x !!str 5", "JSON has no tags", (1, 4)),
        ("a: 1e999", "the number is out of range", (1, 4)),
        ("a: &a [*a]", "it is nested more than 128 levels deep, or without end", (1, 4)),
        ("[" * 5_000, "it is nested more than 128 levels deep, or without end", (1, 1)),
        ("a: \x00", "unacceptable character #x0000", (1, 1)),
        ("a: " + "x" * 1_048_576, "it is longer than 1048576 characters", (1, 1)),
    ],
    ids=range(11),
)
def test_yaml_that_stands_for_no_json_is_one_fault_with_its_place(
    tmp_path: Path, text: str, message: str, at: tuple[int, int]
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InvalidDefinition) as refused:
        load_definition(tmp_path / "a.yaml")
    [diagnostic] = refused.value.diagnostics
    assert (diagnostic.code, diagnostic.line, diagnostic.column) == ("UNREADABLE", *at)
    assert diagnostic.message.startswith(f"YAML does not decode: {message}")


def test_a_field_that_is_given_twice_has_the_same_code_in_yaml_as_in_json(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\nb:\n  c: 1\n  c: 2")
    (tmp_path / "a.json").write_text('{"a": 1,\n"b": {"c": 1,\n"c": 2}}')
    codes = []
    for name in ("a.yaml", "a.json"):
        with pytest.raises(InvalidDefinition) as refused:
            load_definition(tmp_path / name)
        codes += [(diagnostic.code, diagnostic.line) for diagnostic in refused.value.diagnostics]
    assert codes == [("INVALID_JSON_DESCRIPTION", 4), ("INVALID_JSON_DESCRIPTION", 3)]


def test_a_yaml_field_that_is_given_twice_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\nb:\n  c: 1\n  c: 2")
    with pytest.raises(InvalidDefinition) as refused:
        load_definition(tmp_path / "a.yaml")
    assert refused.value.diagnostics == (
        Diagnostic(
            pointer="",
            code="INVALID_JSON_DESCRIPTION",
            message="YAML does not decode: Duplicate field 'c'",
            line=4,
            column=3,
        ),
    )


def test_aliases_that_repeat_each_other_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (tmp_path / "a.yaml").write_text("\n".join(lines))
    with pytest.raises(InvalidDefinition, match="it stands for more than 100000 values"):
        load_definition(tmp_path / "a.yaml")


def test_numbers_and_texts_of_yaml_are_those_of_its_json_schema(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("[1, -1, 1.5, 1e2, '1', 0x10, 1_000, 1:30, .inf, ~, yes, 18446744073709551616]")
    assert load_definition(tmp_path / "a.yml") == [
        1, -1, 1.5, 100.0, "1", "0x10", "1_000", "1:30", ".inf", None, "yes", 18446744073709551616.0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ('{"StartAt": }', "Unexpected character ('}' (code 125)): expected a value", (1, 14)),
        ('{"a": 1,\n "a": 2}', "Duplicate field 'a'", (2, 5)),
        ('{"a":\n "\\ud800"}', "no low surrogate in string", (2, 3)),
        ('{"a":\n' + "[" * 130 + "]" * 130 + "}", "Definition is nested more than 128 levels deep", (2, 128)),
        (
            '{"a":\n"' + "é" * 1_048_576 + '"}',
            "Value at 'definition' failed to satisfy constraint: Member must have length less than or equal to 1048576",
            (None, None),
        ),
        (b'{"a": "\xff"}', "a.json cannot be read: no UTF-8 at byte 7", (None, None)),
    ],
    ids=["broken", "twice", "half a pair", "deep", "long", "bytes"],
)
def test_json_that_is_none_is_one_fault_with_its_place(
    tmp_path: Path, text: str | bytes, message: str, at: tuple[int | None, int | None]
) -> None:
    (tmp_path / "a.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidDefinition) as refused:
        load_definition(tmp_path / "a.json")
    [diagnostic] = refused.value.diagnostics
    assert message in diagnostic.message
    assert (diagnostic.line, diagnostic.column) == at


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"StartAt": "A",\n "States": {\n  "A": {"Type": "Pass"}}}'),
        ("a.yaml", "StartAt: A\nStates:\n  A: {Type: Pass}"),
    ],
)
def test_a_diagnostic_is_placed_in_the_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    source = read_source(tmp_path / name)
    diagnostic = Diagnostic(pointer="/States/A", code="NO_PATH", message="m")
    assert source.located([diagnostic, replace(diagnostic, pointer="/nowhere")]) == (
        replace(diagnostic, line=3, column=3),
        replace(diagnostic, pointer="/nowhere"),
    )


def test_what_is_no_definition_may_be_longer_than_one(tmp_path: Path) -> None:
    (tmp_path / "mocks.json").write_text('{"a":"' + "é" * 1_048_576 + '"}')
    assert read_source(tmp_path / "mocks.json", any_length=True).value == {"a": "é" * 1_048_576}


@pytest.mark.parametrize("text", ["", " \n"])
def test_standard_input_without_content_is_refused_as_a_file_without_content_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    told = []
    for path in (Path("-"), tmp_path / "a.json"):
        with pytest.raises(InvalidDefinition) as refused:
            load_definition(path, stdin=io.StringIO(text))
        told.append(refused.value.diagnostics)
    assert told[0] == told[1]
    assert told[0][0].message.startswith("No content to map due to end-of-input")


@pytest.mark.parametrize("text", ['{"StartAt": "A"}', "StartAt: A"])
def test_standard_input_is_json_or_yaml(text: str) -> None:
    assert load_definition(Path("-"), stdin=io.StringIO(text)) == {"StartAt": "A"}


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
