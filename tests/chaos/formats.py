"""A second format of events, as another release would write it: without a field that this one has.

Every process of a chaos run reads both; which it writes is chosen when it starts.
"""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from functools import cache
from typing import Any
from unittest.mock import patch

from fastavro.schema import fingerprint, to_parsing_canonical_form

from processor.engine.encoding import codec
from processor.engine.encoding.schemas import Schema, SchemaLibrary, shipped_schemas

ROOT, EVENT, FIELD = "EventBatch", "ExecutionStarted", "trace"


@cache
def older() -> Schema:
    tree: Any = copy.deepcopy(shipped_schemas().current[ROOT].tree)
    (event,) = [found for found in _records(tree) if found["name"] == EVENT]
    event["fields"] = [field for field in event["fields"] if field["name"] != FIELD]
    crc = fingerprint(to_parsing_canonical_form(tree), "CRC-64-AVRO")
    return Schema(name=ROOT, fingerprint=crc, tree=tree)


def _records(tree: Any) -> list[dict[str, Any]]:
    match tree:
        case list():
            return [record for branch in tree for record in _records(branch)]
        case {"type": "record", "fields": fields}:
            return [tree, *(record for field in fields for record in _records(field["type"]))]
        case {"type": "array", "items": items}:
            return _records(items)
        case _:
            return []


def both_read(*, older_written: bool) -> AbstractContextManager[object]:
    """To be entered before anything is encoded or decoded."""
    shipped, old = shipped_schemas(), older()
    library = SchemaLibrary(
        current={**shipped.current, ROOT: old} if older_written else shipped.current,
        by_fingerprint={**shipped.by_fingerprint, old.fingerprint: old},
    )
    return patch.object(codec, "shipped_schemas", lambda: library)
