"""Single-object encoding of the shipped schemas: which record a value holds, and its generated writer and reader."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeAlias, TypeVar, cast

from msgspec import Struct

from processor.engine.encoding.generator import compile_codec
from processor.engine.encoding.schemas import Schema, SchemaLibrary, shipped_schemas
from processor.engine.encoding.wire import HEADER_LENGTH, MARKER, Lacking, Malformed
from processor.errors import DecodingFailed, InvalidSettings, NotInWriteFormat, UnknownSchema
from processor.model import commands, events, records

Read: TypeAlias = Callable[[bytes, int], tuple[object, int]]
Skim: TypeAlias = Callable[[bytes, int], tuple[object, ...]]
Write: TypeAlias = Callable[[object], bytes]
T = TypeVar("T")

STRUCTS: Mapping[str, type[Struct]] = {
    struct_type.__name__: struct_type
    for module in (commands, events, records)
    for struct_type in vars(module).values()
    if isinstance(struct_type, type) and issubclass(struct_type, Struct)
}


class Codec:
    """Writes with the schemas of the chosen format, reads with every one in `library`. Functions are compiled when
    first used. Writing raises NotInWriteFormat."""

    def __init__(self, library: SchemaLibrary) -> None:
        self._library = library
        self._format = library.default_format
        self._written = library.formats[self._format]
        self._readers: dict[bytes, tuple[str, Read]] = {}
        self._skimmers: dict[bytes, Skim] = {}
        self._compiled: dict[str, Mapping[str, Callable[..., object]]] = {}

    @property
    def formats(self) -> tuple[int, ...]:
        return tuple(sorted(self._library.formats))

    @property
    def write_format(self) -> int:
        return self._format

    def choose(self, number: int | None) -> None:
        """Write in this format from now on; None: in the default. Raises InvalidSettings."""
        chosen = self._library.default_format if number is None else number
        if chosen not in self._library.formats:
            known = ", ".join(map(str, self.formats))
            rule = f"must be a format that this release writes ({known}), got {chosen}"
            raise InvalidSettings(setting="write_format", rule=rule, example=f"ASL_WRITE_FORMAT={self.formats[-1]}")
        self._format, self._written = chosen, self._library.formats[chosen]

    def schema(self, root: str) -> Schema:
        """Return what a record is written with."""
        return self._written[root]

    def lacks(self, fault: Lacking | KeyError) -> NotInWriteFormat:
        """Return what to raise where a writer has raised: a type or a symbol that its schema has not is a KeyError."""
        missing = fault.args[0]
        what = missing.__name__ if isinstance(missing, type) else str(missing)
        return NotInWriteFormat(what=what, format=self._format)

    def header(self, root: str) -> bytes:
        return self._written[root].header

    def writer(self, root: str, record: str) -> Write:
        """Return the writer of `record`, which stands somewhere in the schema of `root`; it adds no header."""
        return cast(Write, self._functions(self._written[root])[f"write_{record}"])

    def branch_writers(self, root: str, envelope: str) -> Mapping[type, Write]:
        """Return the writers of an envelope's records by class; each writes the fields around it too."""
        return cast("Mapping[type, Write]", self._functions(self._written[root])[f"{envelope}_writers"])

    def encode(self, value: Struct) -> bytes:
        name = type(value).__name__
        try:
            return self.header(name) + self.writer(name, name)(value)
        except (Lacking, KeyError) as fault:
            raise self.lacks(fault) from fault

    def decode(self, value: bytes, *, roots: tuple[str, ...]) -> object:
        """Return what a value holds that was written with any shipped version of one of `roots`.

        Raises DecodingFailed, UnknownSchema; nothing else, whatever the bytes.
        """
        what = roots[0]
        decoded, end = _guarded(self._read, value, what, roots)
        if end != len(value):
            fault_text = "ends too early" if end > len(value) else f"{len(value) - end} bytes too many"
            raise DecodingFailed(what=what, reason=fault_text)
        return decoded

    def skim(self, value: bytes, *, root: str) -> tuple[object, ...]:
        """Return what stands before the items of an envelope, and how many its first block has; the items may be
        anything. Raises as `decode`."""
        return _guarded(self._skim, value, root, (root,))

    def _read(self, value: bytes, what: str, roots: tuple[str, ...]) -> tuple[object, int]:
        root, read = self._readers.get(value[:HEADER_LENGTH]) or self._find(value, what)
        if root not in roots:
            raise Malformed(f"holds a {root}")
        return read(value, HEADER_LENGTH)

    def _skim(self, value: bytes, what: str, roots: tuple[str, ...]) -> tuple[object, ...]:
        skim = self._skimmers.get(value[:HEADER_LENGTH])
        if skim is None:
            root, _ = self._find(value, what)
            if root not in roots:
                raise Malformed(f"holds a {root}")
            schema = self._library.by_fingerprint[value[2:HEADER_LENGTH].hex()]
            skim = self._skimmers[schema.header] = cast(Skim, self._functions(schema)[f"skim_{root}"])
        return skim(value, HEADER_LENGTH)

    def _find(self, value: bytes, what: str) -> tuple[str, Read]:
        if value[:2] != MARKER or len(value) < HEADER_LENGTH:
            raise Malformed("does not begin with the header of Avro's single-object encoding")
        fingerprint = value[2:HEADER_LENGTH].hex()
        schema = self._library.by_fingerprint.get(fingerprint)
        if schema is None:
            raise UnknownSchema(what=what, fingerprint=fingerprint)
        found = schema.name, cast(Read, self._functions(schema)[f"read_{schema.name}"])
        self._readers[schema.header] = found
        return found

    def _functions(self, schema: Schema) -> Mapping[str, Callable[..., object]]:
        functions = self._compiled.get(schema.fingerprint)
        if functions is None:
            functions = self._compiled[schema.fingerprint] = compile_codec(schema.tree, STRUCTS)
        return functions


def _guarded(read: Callable[[bytes, str, tuple[str, ...]], T], value: bytes, what: str, roots: tuple[str, ...]) -> T:
    try:
        return read(value, what, roots)
    except Malformed as fault:
        raise DecodingFailed(what=what, reason=str(fault)) from None
    except (IndexError, struct.error):
        raise DecodingFailed(what=what, reason="ends too early") from None
    except KeyError as fault:
        raise DecodingFailed(what=what, reason=f"no symbol has the number {fault}") from None
    except UnicodeDecodeError as fault:
        raise DecodingFailed(what=what, reason=f"a string is not UTF-8: {fault.reason}") from None


@cache
def shipped_codec() -> Codec:
    """What all of this process writes and reads with."""
    return Codec(shipped_schemas())


def choose_write_format(number: int | None) -> None:
    """Let this process write everything in the format of that number; None: the release's default, which the release
    before reads. To be called before anything is written (docs/decisions/0037). Raises InvalidSettings."""
    shipped_codec().choose(number)
