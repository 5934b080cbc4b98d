"""What an ItemReader would make of the data that a trial is given."""

from __future__ import annotations

from typing import Any

import pytest

from processor.errors import RequestRefused
from processor.interpreter.item_reader import decode_items
from processor.interpreter.trial_items import has_pointer, read_items
from processor.model.json import Json


def read(data: str, **config: Json) -> list[Json]:
    return read_items(data, {"ReaderConfig": config})


def test_json_gives_the_elements_of_an_array_and_the_members_of_an_object() -> None:
    assert read("[1, 2, 3]", InputType="JSON") == [1, 2, 3]
    assert read_items("[1]", {}) == [1]
    assert read('{"a": 1, "b": [2]}') == [{"Key": "a", "Value": 1}, {"Key": "b", "Value": [2]}]


def test_a_pointer_leads_to_the_items_within() -> None:
    data = '{"a/b": [{"~": [7, 8]}]}'
    assert read(data, ItemsPointer="/a~1b/0/~0") == [7, 8]
    assert has_pointer({"ReaderConfig": {"ItemsPointer": "/a"}}) and not has_pointer({"ReaderConfig": 1})


def test_lines_of_json_are_items() -> None:
    assert read('{"a": 1}\n\n[2]\n', InputType="JSONL") == [{"a": 1}, [2]]


def test_rows_are_objects_by_the_headers_of_the_first_row() -> None:
    data = 'id,name\n1,"Ada, Countess"\n2\n3,x,more\n'
    assert read(data, InputType="CSV", CSVHeaderLocation="FIRST_ROW") == [
        {"id": "1", "name": "Ada, Countess"},
        {"id": "2", "name": ""},
        {"id": "3", "name": "x"},
    ]
    assert read("", InputType="CSV", CSVHeaderLocation="FIRST_ROW") == []


def test_headers_may_be_given_and_the_delimiter_too() -> None:
    config: dict[str, Any] = {"CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a", "b"], "CSVDelimiter": "PIPE"}
    assert read("1|2\n", InputType="CSV", **config) == [{"a": "1", "b": "2"}]


def test_a_backslash_escapes_in_csv_as_it_does_for_an_executor() -> None:
    data = 'a,b\n"x\\"y",1\n'
    config = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
    assert read(data, **config) == decode_items(data.encode(), config) == [{"a": 'x"y', "b": "1"}]


def test_no_more_items_are_read_than_max_items_says() -> None:
    assert read("[1, 2, 3]", MaxItems=2) == [1, 2]
    assert read("[1, 2, 3]", MaxItems=0) == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "config", "message"),
    [
        ("[1", {}, "The file is not valid JSON: unexpected end of data: line 1 column 3 (char 2)"),
        ("7", {}, "Attempting to map over non-iterable node."),
        ("[1]", {"ItemsPointer": "/x"}, "The ItemsPointer /x names nothing in the JSON file"),
        ("[1]", {"ItemsPointer": "/1"}, "The ItemsPointer /1 names nothing in the JSON file"),
        ('{"a": 1}', {"ItemsPointer": "/b"}, "The ItemsPointer /b names nothing in the JSON file"),
        ("1", {"InputType": "PARQUET"},
         "The InputType PARQUET is not supported by this release; JSON, JSONL, CSV and MANIFEST are"),
    ],
)  # fmt: skip
def test_data_that_is_not_what_it_is_said_to_be_is_refused(data: str, config: dict[str, Json], message: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        read(data, **config)
    assert refused.value.message == f"mapItemReaderData cannot be read: {message}"
