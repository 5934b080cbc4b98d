"""The schemas this release ships, found by the name of their record or by the fingerprint on the wire.

`schemas/<name>.avsc` are written; `schemas/old/<fingerprint>.avsc` are those that earlier releases wrote, kept for
ever. Fingerprints are spelled as the eight bytes stand on the wire, in hex. `schemas/formats.json` numbers the write
formats: which schema each record is written with (docs/decisions/0037).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeAlias, cast

from fastavro.schema import fingerprint, to_parsing_canonical_form
from msgspec import Struct

from processor.engine.encoding.wire import MARKER

SchemaTree: TypeAlias = "str | list[SchemaTree] | dict[str, SchemaTree]"
"""An Avro schema as its JSON stands; defaults apart, which nobody here reads."""

Record: TypeAlias = "dict[str, SchemaTree]"


class Schema(Struct, frozen=True, kw_only=True):
    name: str
    fingerprint: str
    tree: Record

    @property
    def header(self) -> bytes:
        """What every value written with it begins with."""
        return MARKER + bytes.fromhex(self.fingerprint)


class SchemaLibrary(Struct, frozen=True, kw_only=True):
    """`formats`: by the number of a write format the schema of each record; the greatest is `current`.
    `default_format`: that of who is told none, which the release before reads."""

    current: Mapping[str, Schema]
    by_fingerprint: Mapping[str, Schema]
    formats: Mapping[int, Mapping[str, Schema]]
    default_format: int


FIRST_FORMAT = 1


def load_schemas(folder: Traversable) -> SchemaLibrary:
    """Return the schemas of `folder` and of `folder/old`. Raises ValueError where an old one is misnamed, or the
    formats do not end with the current schemas. Without formats.json there is one format."""
    current = [_load(file) for file in _schema_files(folder)]
    old_folder = folder / "old"
    old = []
    for file in _schema_files(old_folder) if old_folder.is_dir() else []:
        schema = _load(file)
        if file.name != f"{schema.fingerprint}.avsc":
            raise ValueError(f"{file.name} must be named {schema.fingerprint}.avsc")
        old.append(schema)
    by_name = {schema.name: schema for schema in current}
    by_fingerprint = {schema.fingerprint: schema for schema in [*old, *current]}
    formats, default = _formats(folder / "formats.json", by_fingerprint) or ({FIRST_FORMAT: by_name}, FIRST_FORMAT)
    if default not in formats or formats[max(formats)] != by_name:
        raise ValueError("formats.json: the greatest format must be the current schemas, and the default one of them")
    return SchemaLibrary(current=by_name, by_fingerprint=by_fingerprint, formats=formats, default_format=default)


def _formats(
    file: Traversable, by_fingerprint: Mapping[str, Schema]
) -> tuple[Mapping[int, Mapping[str, Schema]], int] | None:
    if not file.is_file():
        return None
    told = json.loads(file.read_text(encoding="utf-8"))
    formats = {
        int(number): {name: by_fingerprint[fingerprint] for name, fingerprint in schemas.items()}
        for number, schemas in told["formats"].items()
    }
    return formats, int(told["default"])


@cache
def shipped_schemas() -> SchemaLibrary:
    """The wheel carries them as processor/schemas; in a checkout they stand at the top, for other languages."""
    packaged = resources.files("processor") / "schemas"
    return load_schemas(packaged if packaged.is_dir() else Path(__file__).parents[3] / "schemas")


def _schema_files(folder: Traversable) -> list[Traversable]:
    return sorted((file for file in folder.iterdir() if file.name.endswith(".avsc")), key=lambda file: file.name)


def _load(file: Traversable) -> Schema:
    tree = cast(Record, json.loads(file.read_text(encoding="utf-8")))
    crc = fingerprint(to_parsing_canonical_form(tree), "CRC-64-AVRO")
    return Schema(name=cast(str, tree["name"]), fingerprint=crc, tree=tree)
