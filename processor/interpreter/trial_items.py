"""What a distributed Map's ItemReader would make of the data that lies in its source.

Sources: AWS Developer Guide, "ItemReader (Map)": InputType, the CSV fields, ItemsPointer, MaxItems. The texts are this
project's own: nothing about such data is recorded but that a JSON array gives its elements.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping

from processor.errors import DecodingFailed
from processor.interpreter.trial_request import refuse
from processor.model.json import Json, parse_json

_DELIMITERS: Mapping[str, str] = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}


def has_pointer(reader: Mapping[str, Json]) -> bool:
    return "ItemsPointer" in _config(reader)


def read_items(data: str, reader: Mapping[str, Json]) -> list[Json]:
    """Return the items. Raises RequestRefused where the data is not what the reader's configuration says it is."""
    config = _config(reader)
    kind = config.get("InputType", "JSON")
    match kind:
        case "JSON":
            items = _of_json(data, config.get("ItemsPointer"))
        case "JSONL":
            items = [_parsed(line) for line in data.splitlines() if line.strip()]
        case "CSV":
            items = _of_csv(data, config)
        case _:
            refuse(f"mapItemReaderData of InputType {kind} cannot be read here; JSON, JSONL and CSV can")
    most = config.get("MaxItems")
    return items[:most] if isinstance(most, int) and most > 0 else items


def _config(reader: Mapping[str, Json]) -> Mapping[str, Json]:
    config = reader.get("ReaderConfig")
    return config if isinstance(config, dict) else {}


def _parsed(text: str) -> Json:
    try:
        return parse_json(text, what="mapItemReaderData")
    except DecodingFailed as fault:
        refuse(f"mapItemReaderData must be valid JSON: {fault.reason}")


def _of_json(data: str, pointer: Json) -> list[Json]:
    """An array's elements; of an object, its members as Key and Value. ItemsPointer is a JSON pointer (RFC 6901)."""
    found = _parsed(data)
    for token in pointer.split("/")[1:] if isinstance(pointer, str) else ():
        name = token.replace("~1", "/").replace("~0", "~")
        match found:
            case dict() if name in found:
                found = found[name]
            case list() if name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            case _:
                refuse(f"ItemsPointer '{pointer}' leads to nothing in mapItemReaderData")
    match found:
        case list():
            return found
        case dict():
            return [{"Key": key, "Value": value} for key, value in found.items()]
        case _:
            refuse("mapItemReaderData must be an array or an object")


def _of_csv(data: str, config: Mapping[str, Json]) -> list[Json]:
    delimiter = _DELIMITERS.get(str(config.get("CSVDelimiter", "COMMA")), ",")
    rows = [row for row in csv.reader(data.splitlines(keepends=True), delimiter=delimiter) if row]
    given = config.get("CSVHeaders")
    if config.get("CSVHeaderLocation") == "GIVEN" and isinstance(given, list):
        headers = [str(header) for header in given]
    elif rows:
        headers = rows.pop(0)
    else:
        return []
    # A short row leaves the rest empty, a long one is cut (Developer Guide, "CSV file").
    return [dict(zip(headers, [*row, *[""] * len(headers)], strict=False)) for row in rows]
