"""docs/validation.md has every code that `asl validate` prints, with the severity it has there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from processor.errors import Code
from tests.apps.test_cli import asl, folder, lines

__all__ = ["folder"]  # the fixture: an empty folder with nothing set

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = (REPOSITORY / "docs/validation.md").read_text()
TABLE = dict(re.findall(r"^\| `(\w+)` \| (\w+) \| \S", DOCUMENT, re.MULTILINE))
PASS = {"Type": "Pass", "End": True}
DISTRIBUTED = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}


def machine(**states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def distributed(label: str, inner: str, **fields: Any) -> dict[str, Any]:
    return {"Type": "Map", "Label": label, "ItemProcessor": DISTRIBUTED | machine(**{inner: PASS})} | fields


def jsonata(expression: str) -> dict[str, Any]:
    return machine(A=PASS | {"QueryLanguage": "JSONata", "Output": f"{{% {expression} %}}"})


PARQUET = {
    "Resource": "arn:aws:states:::s3:getObject",
    "ReaderConfig": {"InputType": "PARQUET"},
    "Parameters": {"Bucket": "b", "Key": "k"},
}
INNER = machine(A=PASS | {"Assign": {"x": 1}})
EXAMPLES: dict[str, Any] = {
    "DUPLICATE_LABEL_NAME": machine(A=distributed("l", "X", Next="B"), B=distributed("l", "Y", End=True)),
    "DUPLICATE_STATE_NAME": machine(A={"Type": "Parallel", "Branches": [machine(A=PASS)], "End": True}),
    "DUPLICATE_VARIABLE_NAME": machine(B={"Type": "Parallel", "Assign": {"x": 1}, "Branches": [INNER], "End": True}),
    "INLINE_MAP": machine(A={"Type": "Map", "Label": "l", "ItemProcessor": machine(B=PASS), "End": True}),
    "INVALID_JSONATA_EXPRESSION": jsonata("1 +"),
    "INVALID_JSON_DESCRIPTION": b"{",
    "INVALID_LABEL_NAME": machine(A=distributed("a b", "X", End=True)),
    "INVALID_STATE_NAME": machine(**{"x" * 81: PASS}),
    "INVALID_VARIABLE_NAME": machine(A=PASS | {"Assign": {"1": 1}}),
    "MISSING_END_STATE": machine(A={"Type": "Pass", "Next": "A"}),
    "MISSING_TRANSITION_TARGET": machine(A=PASS, B=PASS),
    "NO_DOLLAR": machine(A=PASS | {"Parameters": {"a": "$.a"}}),
    "NO_PATH": machine(A={"Type": "Fail", "Error": "$.a"}),
    "PASS_RESULT_IS_STATIC": machine(A=PASS | {"Result": "$.a"}),
    "RESERVED_VARIABLE_NAME": machine(A=PASS | {"Assign": {"states": 1}}),
    "SCHEMA_VALIDATION_FAILED": machine(A={"Type": "Pas", "End": True}),
    "TOO_DEEPLY_NESTED": b'{"Comment": ' + b"[" * 200 + b"]" * 200 + b"}",
    "UNREADABLE": b"\xff",
    "UNSUPPORTED_INPUT_TYPE": machine(A=distributed("l", "X", ItemReader=PARQUET, End=True)),
    "UNSUPPORTED_JSONATA_EXPRESSION": jsonata("$states.result"),
}


def test_the_table_has_every_code_there_is_but_those_that_are_told_elsewhere() -> None:
    told_elsewhere = {"INVALID_MOCKS", "REVISION"}
    codes = {code for part in get_args(Code) for code in get_args(part)}
    assert list(TABLE) == sorted(codes - told_elsewhere)
    assert all(f"`{code}`" in DOCUMENT for code in told_elsewhere)


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_code_has_the_severity_that_the_table_says(folder: Path, code: str) -> None:
    example = EXAMPLES[code]
    (folder / "example.json").write_bytes(example if isinstance(example, bytes) else json.dumps(example).encode())
    result = asl("validate", "example.json", "--json")
    told = {(each["code"], each["severity"]) for each in lines(result.stdout)[0]["diagnostics"]}
    assert (told, result.exit_code) == ({(code, TABLE[code])}, 2 if TABLE[code] == "ERROR" else 0)


def test_every_code_of_the_table_has_an_example_here() -> None:
    assert list(EXAMPLES) == list(TABLE)


def test_what_this_release_does_not_read_is_said_where_it_is_deployed_too(folder: Path) -> None:
    (folder / "rows.json").write_text(json.dumps(EXAMPLES["UNSUPPORTED_INPUT_TYPE"]))
    place = "/States/A/ItemReader/ReaderConfig/InputType"
    words = (
        "PARQUET is not read by this release: with '--s3' the Map fails with States.ItemReaderFailed. "
        "A worker of your own may read it."
    )
    validated = asl("validate", "rows.json", "--json")
    [diagnostic] = lines(validated.stdout)[0]["diagnostics"]
    assert (diagnostic["pointer"], diagnostic["message"], diagnostic["line"]) == (place, words, 1)
    deployed = asl("deploy", "rows.json", "--log", "sqlite:log.db")
    assert (deployed.exit_code, deployed.stderr) == (0, f"asl: warning: {place}: {words}\n")


def test_a_name_of_an_action_that_there_is_not_is_not_told_but_a_pattern_that_is_not(folder: Path) -> None:
    """As README says of what is not checked."""
    for action, code in (("sqs:sendMesage", 0), ("sqs:sendMessage.sync", 2)):
        work = {"Type": "Task", "Resource": f"arn:aws:states:::{action}", "Parameters": {}, "End": True}
        (folder / "one.json").write_text(json.dumps(machine(A=work)))
        assert asl("validate", "one.json").exit_code == code
