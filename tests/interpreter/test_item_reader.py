"""What is in S3 → items. Recorded: outputs of test_map_item_reader_*; else AWS Developer Guide, "ItemReader (Map)"."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from processor.interpreter import item_reader
from processor.interpreter.item_reader import ItemReaderFailed, Items, Listed, decode_items, pages, read_items
from processor.model.json import Json, json_bytes

MODIFIED = datetime(2022, 11, 17, 15, 44, 41, tzinfo=UTC)


class Bucket:
    """Objects by key; the bucket's name is `b`. A key may be `<key>#<version>`."""

    def __init__(self, objects: Mapping[str, bytes | str]) -> None:
        self.objects = {k: v.encode() if isinstance(v, str) else v for k, v in objects.items()}

    def get(self, bucket: str, key: str, *, version: str | None) -> bytes | None:
        return self.objects.get(key if version is None else f"{key}#{version}") if bucket == "b" else None

    def list(self, bucket: str, prefix: str) -> list[Listed]:
        return [
            Listed(key=key, size=len(body), etag="e" + key, modified=MODIFIED)
            for key, body in sorted(self.objects.items())
            if key.startswith(prefix)
        ]


def read(objects: Mapping[str, bytes | str], action: str = "getObject", *, key: str = "k", **config: Any) -> Items:
    parameters: dict[str, Json] = {"Bucket": "b", "Key": key} if action == "getObject" else {"Bucket": "b"}
    return read_items(action, {"Parameters": parameters, "ReaderConfig": config}, Bucket(objects))


def csv(text: str, **config: Any) -> Items:
    return decode_items(text.encode(), {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", **config})


def failure(objects: Mapping[str, bytes | str], action: str = "getObject", **config: Any) -> str:
    with pytest.raises(ItemReaderFailed) as failed:
        read(objects, action, **config)
    assert failed.value.error == "States.ItemReaderFailed"
    return failed.value.cause


# ---- JSON


def test_a_json_file_holds_an_array_or_an_object() -> None:
    assert read({"k": "[1, [2], null]"}, InputType="JSON") == [1, [2], None]
    assert read({"k": '{"a": 1, "b": [2]}'}, InputType="JSON") == {"a": 1, "b": [2]}


@pytest.mark.parametrize(
    ("pointer", "items"),
    [
        ("", {"a/b": {"~": [[1], 2]}, "n": 5}),
        ("/a~1b", {"~": [[1], 2]}),
        ("/a~1b/~0", [[1], 2]),
        ("/a~1b/~0/0", [1]),
    ],
)
def test_an_items_pointer_selects_a_part_of_it(pointer: str, items: Items) -> None:
    """RFC 6901."""
    text = '{"a/b": {"~": [[1], 2]}, "n": 5}'
    assert read({"k": text}, InputType="JSON", ItemsPointer=pointer) == items


def test_what_is_no_collection_cannot_be_mapped_over() -> None:
    text = '{"n": 5, "l": [1]}'
    assert failure({"k": "5"}, InputType="JSON") == "Attempting to map over non-iterable node."
    assert failure({"k": text}, InputType="JSON", ItemsPointer="/n") == "Attempting to map over non-iterable node."
    for pointer in ("/no", "/n/0", "/l/1", "/l/x"):
        cause = failure({"k": text}, InputType="JSON", ItemsPointer=pointer)
        assert cause == f"The ItemsPointer {pointer} names nothing in the JSON file"


def test_a_json_lines_file_holds_an_item_a_line() -> None:
    assert read({"k": '{"a": 1}\n\n  [2]\r\n"x"'}, InputType="JSONL") == [{"a": 1}, [2], "x"]
    assert failure({"k": '{"a": 1}\n{"a":'}, InputType="JSONL").startswith("The file is not valid JSON: ")


# ---- CSV


def test_a_row_is_an_object_of_strings() -> None:
    """Recorded: test_map_item_reader_csv_headers_first_row_typed_headers."""
    text = "0,True,{}\nValue4,Value5,Value6\n,,,\ntrue,1,'HelloWorld'\nNull,None,\n   \n"
    assert csv(text) == [
        {"0": "Value4", "True": "Value5", "{}": "Value6"},
        {"0": "", "True": "", "{}": ""},
        {"0": "true", "True": "1", "{}": "'HelloWorld'"},
        {"0": "Null", "True": "None", "{}": ""},
        {"0": "   ", "True": "", "{}": ""},
    ]


def test_fields_beyond_the_header_are_skipped() -> None:
    """Recorded: test_map_item_reader_csv_first_row_extra_fields."""
    assert csv("H1,\nValue4,Value5,Value6\n") == [{"H1": "Value4", "": "Value5"}]


def test_headers_may_be_given() -> None:
    given = {"CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a", "b"]}
    assert csv("1,2\n3\n", **given) == [{"a": "1", "b": "2"}, {"a": "3", "b": ""}]


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ('"x,y",2', ["x,y", "2"]),
        ('"two\nlines",2', ["two\nlines", "2"]),
        ('"say ""hi""",2', ['say "hi"', "2"]),
        (r"C:\\Program Files\\MyApp.exe,6534512", [r"C:\Program Files\MyApp.exe", "6534512"]),
        (r"a\,b,2", ["a,b", "2"]),
        (r"a\"b,2", ['a"b', "2"]),
        (r"a\xb,2", ["axb", "2"]),
        ("ü,2", ["ü", "2"]),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_quotes_and_backslashes_escape(row: str, fields: list[str], newline: str) -> None:
    assert csv(newline.join(["a,b", row, ""])) == [dict(zip("ab", fields, strict=True))]


@pytest.mark.parametrize(
    ("name", "sign"), [("COMMA", ","), ("PIPE", "|"), ("SEMICOLON", ";"), ("SPACE", " "), ("TAB", "\t")]
)
def test_fields_are_told_apart_by_the_delimiter(name: str, sign: str) -> None:
    assert csv(f"a{sign}b\n1{sign}2\n", CSVDelimiter=name) == [{"a": "1", "b": "2"}]


def test_a_file_that_cannot_be_parsed_says_where() -> None:
    cause = failure({"k": "a,b\n" + "x" * 200_000}, InputType="CSV")
    assert cause == "The CSV file cannot be parsed, line 2: field larger than field limit (131072)"
    assert failure({"k": b"a\n\xff"}, InputType="CSV") == "The file is not UTF-8 text: byte 2"
    assert read({"k": b"\xef\xbb\xbfa\n1"}, InputType="CSV") == [{"a": "1"}]


# ---- objects


def test_a_listing_gives_what_is_known_of_each_object() -> None:
    assert read({"p/1": "one", "p/2": "", "q": ""}, "listObjectsV2", key="") == [
        {"Etag": f'"e{key}"', "LastModified": 1668699881, "Key": key, "Size": size, "StorageClass": "STANDARD"}
        for key, size in (("p/1", 3), ("p/2", 0), ("q", 0))
    ]
    bucket = Bucket({"p/1": "", "p/2": ""})
    arguments: Json = {"Parameters": {"Bucket": "b", "Prefix": "p/2"}}
    assert read_items("listObjectsV2", arguments, bucket) == read({"p/2": ""}, "listObjectsV2")


def test_a_listing_may_be_loaded_and_flattened() -> None:
    objects = {"1": "[1, 2]", "2": '{"a": 3}'}
    config = {"Transformation": "LOAD_AND_FLATTEN", "InputType": "JSON"}
    assert read(objects, "listObjectsV2", **config) == [1, 2, {"Key": "a", "Value": 3}]


def test_an_inventory_lists_objects() -> None:
    """The sample of the Developer Guide."""
    manifest = {
        "destinationBucket": "arn:aws:s3:::b",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size, LastModifiedDate",
        "files": [{"key": "data/1.csv.gz", "size": 7300}],
    }
    rows = '"source","csvDataset/titles.csv","3399671","2022-11-16T00:29:32.000Z"\n'
    objects: dict[str, bytes | str] = {"k": json.dumps(manifest), "data/1.csv.gz": gzip.compress(rows.encode())}
    item = {"Bucket": "source", "Key": "csvDataset/titles.csv", "Size": "3399671"}
    for config in ({"InputType": "MANIFEST"}, {"ManifestType": "S3_INVENTORY"}):
        assert read(objects, **config) == [item | {"LastModifiedDate": "2022-11-16T00:29:32.000Z"}]
    other: dict[str, bytes | str] = {"k": json.dumps({**manifest, "fileFormat": "ORC"})}
    assert failure(other, InputType="MANIFEST") == "The manifest is not of an S3 inventory in CSV format"


def test_athenas_manifest_lists_objects_that_hold_items() -> None:
    objects: dict[str, bytes | str] = {
        "k": "s3://b/data/1\ns3://b/data/2.gz\n",
        "data/1": "1\n2\n",
        "data/2.gz": gzip.compress(b"3"),
    }
    assert read(objects, InputType="JSONL", ManifestType="ATHENA_DATA") == [1, 2, 3]
    for line in ("b/data/1", "s3://b"):
        cause = failure({"k": line}, InputType="JSONL", ManifestType="ATHENA_DATA")
        assert cause == f"The manifest names no object: {line}"


def test_a_version_is_asked_for_by_its_id() -> None:
    arguments: Json = {
        "Parameters": {"Bucket": "b", "Key": "k", "VersionId": "v1"},
        "ReaderConfig": {"InputType": "JSON"},
    }
    assert read_items("getObject", arguments, Bucket({"k": "[2]", "k#v1": "[1]"})) == [1]


def test_what_is_not_there_is_named() -> None:
    assert failure({}, InputType="JSON") == "The specified key does not exist: S3://b/k"
    with pytest.raises(ItemReaderFailed, match=r"The parameter Key must be a string, got null"):
        read_items("getObject", {"Parameters": {"Bucket": "b"}, "ReaderConfig": {"InputType": "JSON"}}, Bucket({}))
    assert failure({"k": ""}, InputType="PARQUET") == (
        "The InputType PARQUET is not supported by this release; JSON, JSONL, CSV and MANIFEST are"
    )


def test_compressed_objects_are_told_by_their_key(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(b"[1,") + gzip.compress(b"2]")
    for key in ("k.json.gz", "k.gzip"):
        assert read({key: packed}, key=key, InputType="JSON") == [1, 2]
    assert failure({"k.gz": b"no"}, key="k.gz", InputType="JSON").startswith("The file is not in GZIP format: ")
    assert failure({"k.gz": packed[:-3]}, key="k.gz", InputType="JSON") == "The file is not complete in GZIP format"
    assert failure({"k.zst": b""}, key="k.zst", InputType="JSON") == (
        "ZSTD compression is not supported by this release; GZIP is"
    )
    monkeypatch.setattr(item_reader, "MAX_OBJECT_BYTES", 1000)
    bomb = gzip.compress(b"[" + b" " * 1_000_000 + b"]")
    assert failure({"k.gz": bomb}, key="k.gz", InputType="JSON") == "The file is larger than 1000 bytes"


@pytest.mark.parametrize(("limit", "items"), [(None, [1, 2, 3]), (0, [1, 2, 3]), (2, [1, 2]), (9, [1, 2, 3])])
def test_no_more_than_max_items_are_read(limit: int | None, items: Items) -> None:
    assert read({"k": "[1, 2, 3]"}, InputType="JSON", MaxItems=limit) == items
    if limit == 2:
        assert read({"k": '{"a": 1, "b": 2, "c": 3}'}, InputType="JSON", MaxItems=limit) == {"a": 1, "b": 2}


# ---- pages


def test_items_go_in_pages_of_a_bounded_size() -> None:
    items: list[Json] = ["x" * 50_000] * 5
    assert list(pages(items)) == [
        {"Page": 0, "Items": items[:2]},
        {"Page": 1, "Items": items[2:4]},
        {"Page": 2, "Items": items[4:]},
    ]
    members: dict[str, Json] = {str(n): "x" * 50_000 for n in range(3)}
    assert list(pages(members)) == [
        {"Page": 0, "Items": {"0": members["0"], "1": members["1"]}},
        {"Page": 1, "Items": {"2": members["2"]}},
    ]
    assert list(pages([])) == [{"Page": 0, "Items": []}]
    assert list(pages({})) == [{"Page": 0, "Items": {}}]
    large: list[Json] = ["x" * 200_000, 1]
    assert [page["Items"] for page in pages(large)] == [large[:1], large[1:]]
    assert all(len(json_bytes(page)) < 262_144 for page in pages(large))
