"""Two releases that do not exist: what this one would be to the next, with one more write format.

`former` writes and reads format 1; `following` reads 1 and 2, writes 1 by default and 2 when told. Format 2 is what
this release writes, 1 the same without some fields, an event and a symbol. So what is tested with them are the gate and
the codec as they are shipped, over schemas that are not.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from fastavro.schema import fingerprint, to_parsing_canonical_form

from processor.engine.encoding import shipped_codec, shipped_schemas
from processor.engine.encoding.codec import Codec
from processor.engine.encoding.schemas import Schema, SchemaLibrary

ROOT: Final = "EventBatch"
FORMER_FORMAT, NEXT_FORMAT = 1, 2
UNKNOWN_FIELDS: Final = frozenset((("ExecutionStarted", "trace"), ("EvaluationFailed", "location")))
UNKNOWN_EVENT: Final = "MapRunRedriven"
UNKNOWN_SYMBOL: Final = ("TaskKind", "RESULT_WRITER")
"""Both are the last of their kind, as what a release adds is."""


@cache
def older() -> Schema:
    """Return the batch of events as `former` writes it."""
    tree: Any = copy.deepcopy(shipped_schemas().current[ROOT].tree)
    for record in _named(tree):
        if record["type"] == "record":
            record["fields"] = [f for f in record["fields"] if (record["name"], f["name"]) not in UNKNOWN_FIELDS]
        if record["name"] == UNKNOWN_SYMBOL[0]:
            record["symbols"].remove(UNKNOWN_SYMBOL[1])
        for field in record.get("fields", []):
            if isinstance(field["type"], list):
                field["type"] = [one for one in field["type"] if _name(one) != UNKNOWN_EVENT]
    crc = fingerprint(to_parsing_canonical_form(tree), "CRC-64-AVRO")
    return Schema(name=ROOT, fingerprint=crc, tree=tree)


def _name(tree: Any) -> Any:
    return tree.get("name") if isinstance(tree, dict) else None


def _named(tree: Any) -> list[dict[str, Any]]:
    match tree:
        case list():
            return [found for branch in tree for found in _named(branch)]
        case {"type": "record", "fields": fields}:
            return [tree, *(found for field in fields for found in _named(field["type"]))]
        case {"type": "enum"}:
            return [tree]
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            return _named(inner)
        case _:
            return []


@cache
def former() -> SchemaLibrary:
    old, shipped = older(), shipped_schemas()
    schemas = {**shipped.current, ROOT: old}
    by_fingerprint = {schema.fingerprint: schema for schema in schemas.values()}
    return SchemaLibrary(
        current=schemas, by_fingerprint=by_fingerprint, formats={FORMER_FORMAT: schemas}, default_format=FORMER_FORMAT
    )


@cache
def following() -> SchemaLibrary:
    shipped, old = shipped_schemas(), older()
    return SchemaLibrary(
        current=shipped.current,
        by_fingerprint={**shipped.by_fingerprint, old.fingerprint: old},
        formats={FORMER_FORMAT: {**shipped.current, ROOT: old}, NEXT_FORMAT: shipped.current},
        default_format=FORMER_FORMAT,
    )


def release(library: SchemaLibrary, *, write_format: int | None = None) -> Codec:
    """Return what a process of that release encodes with; raises InvalidSettings for a format it does not write."""
    codec = Codec(library)
    codec.choose(write_format)
    return codec


@contextmanager
def running(codec: Codec) -> Iterator[None]:
    """Let everything within be of that release: this process's codec is made to be its one."""
    own = shipped_codec()
    before = own.__dict__
    own.__dict__ = codec.__dict__
    try:
        yield
    finally:
        own.__dict__ = before
