"""What an ItemReader's executor reads → items: the objects' bytes decoded as ReaderConfig says. Pure: whoever reads the
objects hands them in.

    items = read_items(task.resource, task.arguments, objects)      an array, or an object whose members are the items
    *first, last = pages(items)                                     SubmitTask each as output, then CompleteTask

Formats: those of AWS's Developer Guide, "ItemReader (Map)", but for the InputType PARQUET and objects compressed with
ZSTD, which would take a library each: a definition may name them, for another executor may read them; here they fail
with States.ItemReaderFailed, saying so. Texts of causes that no recording shows are this project's.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias, TypeVar

from msgspec import Struct

from processor.errors import DecodingFailed
from processor.model.json import Json, json_bytes, parse_json

Items: TypeAlias = "list[Json] | dict[str, Json]"

MAX_OBJECT_BYTES = 64 * 1024 * 1024
"""Of one object, decompressed. AWS reads 10 GB; here the items are part of one execution's state."""

PAGE_BYTES = 128 * 1024
"""Of a page's text, unless a single item takes more: half of what one command may carry."""

_DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}


class ItemReaderFailed(Exception):
    """The items cannot be read; `cause` is what FailTask says, its error is States.ItemReaderFailed."""

    error = "States.ItemReaderFailed"

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Listed(Struct, frozen=True, kw_only=True):
    """An object as a listing has it. `etag` without its quotes."""

    key: str
    size: int
    etag: str
    modified: datetime
    storage_class: str = "STANDARD"


class Objects(Protocol):
    """Where objects are: S3, or what stands for it."""

    def get(self, bucket: str, key: str, *, version: str | None) -> bytes | None:
        """Return the object's bytes, None where there is none."""

    def list(self, bucket: str, prefix: str) -> Iterable[Listed]:
        """Return the objects whose key begins with `prefix`, by key."""


def source_of(action: str, arguments: Json) -> str:
    """Return Map.Item.Source of the items: `S3://bucket/key`, of a listing `S3://bucket`.

    Source: AWS Developer Guide, "Context object". There the items of many objects have each its own; here the
    bucket's.
    """
    parameters = _object(arguments, "Parameters")
    bucket, key = parameters.get("Bucket"), parameters.get("Key")
    return f"S3://{bucket}" if action == "listObjectsV2" else f"S3://{bucket}/{key}"


def read_items(action: str, arguments: Json, objects: Objects) -> Items:
    """Return the items that `arguments` of a TaskScheduled name: `action` is getObject or listObjectsV2.

    Raises ItemReaderFailed.
    """
    config = _object(arguments, "ReaderConfig")
    reading = _Reading(_object(arguments, "Parameters"), config, objects)
    if action == "listObjectsV2":
        items = reading.listed()
    elif config.get("InputType") == "MANIFEST" or "ManifestType" in config:
        items = reading.manifest()
    else:
        items = decode_items(reading.main(), config)
    return limited(items, config)


def pages(items: Items) -> Iterator[dict[str, Json]]:
    """Yield the items in pages that fit into a command, at least one: {"Page": 0, "Items": …} and so on.

    They are numbered because whoever brings them may be run twice: a page that is there is not taken again.
    """
    for number, page in enumerate(_pages(items)):
        yield {"Page": number, "Items": page}


def _pages(items: Items) -> Iterator[Items]:
    if isinstance(items, dict):
        for keys in _chunks(list(items), lambda key: len(json_bytes({key: items[key]}))):
            yield {key: items[key] for key in keys}
    else:
        yield from _chunks(items, lambda item: len(json_bytes(item)) + 1)


_T = TypeVar("_T")


def _chunks(values: Sequence[_T], size_of: Callable[[_T], int]) -> Iterator[list[_T]]:
    chunk: list[_T] = []
    size = 0
    for value in values:
        more = size_of(value)
        if chunk and size + more > PAGE_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(value)
        size += more
    yield chunk


def limited(items: Items, config: Mapping[str, Json]) -> Items:
    """Return no more of the items than MaxItems says; 0, as nothing, is all of them."""
    limit = config.get("MaxItems")
    if not isinstance(limit, int) or limit < 1:
        return items
    if isinstance(items, dict):
        return dict(list(items.items())[:limit])
    return items[:limit]


# ---- which objects


class _Reading:
    """The objects that one ItemReader names."""

    def __init__(self, parameters: Mapping[str, Json], config: Mapping[str, Json], objects: Objects) -> None:
        self.parameters, self.config, self.objects = parameters, config, objects
        self.bucket = self.text("Bucket")

    def text(self, name: str) -> str:
        value = self.parameters.get(name)
        if not isinstance(value, str) or not value:
            raise ItemReaderFailed(f"The parameter {name} must be a string, got {json_bytes(value).decode()[:200]}")
        return value

    def main(self) -> bytes:
        version = self.parameters.get("VersionId")
        return self.content(self.bucket, self.text("Key"), version=version if isinstance(version, str) else None)

    def content(self, bucket: str, key: str, *, version: str | None = None) -> bytes:
        found = self.objects.get(bucket, key, version=version)
        if found is None:
            raise ItemReaderFailed(f"The specified key does not exist: S3://{bucket}/{key}")
        return _decompressed(key, found)

    def listed(self) -> Items:
        prefix = self.parameters.get("Prefix")
        listing = self.objects.list(self.bucket, prefix if isinstance(prefix, str) else "")
        if self.config.get("Transformation") == "LOAD_AND_FLATTEN":
            return self.flattened((self.bucket, listed.key) for listed in listing)
        return [
            {
                "Etag": f'"{listed.etag}"',
                "LastModified": int(listed.modified.timestamp()),
                "Key": listed.key,
                "Size": listed.size,
                "StorageClass": listed.storage_class,
            }
            for listed in listing
        ]

    def flattened(self, places: Iterable[tuple[str, str]]) -> Items:
        """The items of many objects, one after the other; an object's members as pairs, for keys need not differ."""
        items: list[Json] = []
        for bucket, key in places:
            read = decode_items(self.content(bucket, key), self.config)
            items += [{"Key": k, "Value": v} for k, v in read.items()] if isinstance(read, dict) else read
        return items

    def manifest(self) -> Items:
        """An S3 inventory's lists objects, which are the items; Athena's lists objects that hold them."""
        content = self.main()
        if self.config.get("ManifestType") == "ATHENA_DATA":
            return self.flattened(map(_place, _lines(_decoded(content))))
        manifest = _parsed(content)
        schema, files = _object(manifest, "").get("fileSchema"), _object(manifest, "").get("files")
        if (
            _object(manifest, "").get("fileFormat") != "CSV"
            or not isinstance(schema, str)
            or not isinstance(files, list)
        ):
            raise ItemReaderFailed("The manifest is not of an S3 inventory in CSV format")
        bucket = str(_object(manifest, "").get("destinationBucket") or self.bucket).rpartition(":")[2]
        items: list[Json] = []
        for file in files:
            text = _decoded(self.content(bucket, str(_object(file, "").get("key"))))
            items += _rows(text, [name.strip() for name in schema.split(",")], delimiter=",")
        return items


def _place(uri: str) -> tuple[str, str]:
    bucket, slash, key = uri.partition("://")[2].partition("/")
    if not uri.lower().startswith("s3://") or not slash:
        raise ItemReaderFailed(f"The manifest names no object: {uri[:200]}")
    return bucket, key


# ---- what is in an object


def decode_items(content: bytes, config: Mapping[str, Json]) -> Items:
    """Return the items of one object's bytes by ReaderConfig's InputType. Raises ItemReaderFailed."""
    match config.get("InputType"):
        case "JSON":
            pointer = config.get("ItemsPointer")
            return _json_items(_parsed(content), pointer if isinstance(pointer, str) else "")
        case "JSONL":
            return [_parsed(line) for line in _lines(_decoded(content))]
        case "CSV":
            return _csv_items(_decoded(content), config)
        case other:
            known = "JSON, JSONL, CSV and MANIFEST are"
            raise ItemReaderFailed(f"The InputType {other} is not supported by this release; {known}")


def _json_items(value: Json, pointer: str) -> Items:
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            raise ItemReaderFailed(f"The ItemsPointer {pointer} names nothing in the JSON file")
    if not isinstance(value, (list, dict)):
        raise ItemReaderFailed("Attempting to map over non-iterable node.")  # AWS's words, as emulators of it have them
    return value


def _csv_items(text: str, config: Mapping[str, Json]) -> list[Json]:
    delimiter = _DELIMITERS[str(config.get("CSVDelimiter") or "COMMA")]
    given = config.get("CSVHeaders")
    if config.get("CSVHeaderLocation") == "GIVEN" and isinstance(given, list):
        return _rows(text, [str(name) for name in given], delimiter=delimiter)
    return _rows(text, None, delimiter=delimiter)


def _rows(text: str, header: Sequence[str] | None, *, delimiter: str) -> list[Json]:
    """Return each row as an object of strings, named by `header` or by the first row.

    Quotes are repeated or escaped; a backslash before any other character goes. Missing fields are empty, further ones
    skipped.
    """
    lines = (f"{line}\n" for line in text.replace("\r\n", "\n").split("\n"))
    reader = csv.reader(lines, delimiter=delimiter, escapechar="\\")
    items: list[Json] = []
    try:
        for row in reader:
            if not row:
                continue
            if header is None:
                header = row
                continue
            fields = row + [""] * (len(header) - len(row))
            items.append(dict(zip(header, fields, strict=False)))
    except csv.Error as fault:
        raise ItemReaderFailed(f"The CSV file cannot be parsed, line {reader.line_num}: {fault}") from None
    return items


def _parsed(text: str | bytes) -> Json:
    try:
        return parse_json(text, what="the file")
    except DecodingFailed as fault:
        raise ItemReaderFailed(f"The file is not valid JSON: {fault.reason}") from None


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise ItemReaderFailed(f"The file is not UTF-8 text: byte {fault.start}") from None


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.split("\n") if line.strip())


def _decompressed(key: str, content: bytes) -> bytes:
    """Compression is told by the end of the key."""
    if key.endswith((".zst", ".zstd")):
        raise ItemReaderFailed("ZSTD compression is not supported by this release; GZIP is")
    if key.endswith((".gz", ".gzip")):
        content = _gunzipped(content)
    if len(content) > MAX_OBJECT_BYTES:
        raise ItemReaderFailed(f"The file is larger than {MAX_OBJECT_BYTES} bytes")
    return content


_GZIP = 31  # zlib's number for the format of gzip


def _gunzipped(content: bytes) -> bytes:
    """One member after the other, as gzip allows, and no more than may be read: a bomb goes no further."""
    parts: list[bytes] = []
    size = 0
    try:
        while content and size <= MAX_OBJECT_BYTES:
            member = zlib.decompressobj(_GZIP)
            parts.append(member.decompress(content, MAX_OBJECT_BYTES + 1 - size))
            size += len(parts[-1])
            if not member.eof and size <= MAX_OBJECT_BYTES:
                raise ItemReaderFailed("The file is not complete in GZIP format")
            content = member.unused_data
    except zlib.error as fault:
        raise ItemReaderFailed(f"The file is not in GZIP format: {fault}") from None
    return b"".join(parts)


def _object(value: Json, name: str) -> Mapping[str, Json]:
    """Return the member `name` of `value`, or `value` itself for "", {} where that is no object."""
    found = value.get(name) if name and isinstance(value, dict) else value
    return found if isinstance(found, dict) else {}
