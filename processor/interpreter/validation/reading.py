"""The text of a definition, or the value that it stands for → an object that nobody else holds."""

from __future__ import annotations

from typing import Final

from processor.errors import SCHEMA, AslCode, DecodingFailed, Diagnostic, InvalidCommand, InvalidDefinition
from processor.interpreter.validation.json_text import (
    MAX_DEPTH,
    TOO_DEEPLY_NESTED,
    JsonFault,
    is_deeper,
    measure_places,
    read_json,
)
from processor.model.json import Json, json_bytes, private_json

MAX_REGULAR_EXPRESSIONS: Final = 500
"""Ours: the worst of them takes a millisecond to be compiled."""
MAX_PLACES: Final = 32_000_000
"""Ours: expressions and faults are told by the pointers to them. A definition of a megabyte has some three million."""
MAX_LENGTH = 1_048_576  # characters of a definition; AWS's API reference, CreateStateMachine

INVALID_JSON: Final = "INVALID_JSON_DESCRIPTION"
NO_OBJECT = "Definition must be a valid JSON object"


def read_definition(definition: Json | bytes) -> dict[str, Json]:
    """Return a copy of the definition. Raises InvalidDefinition, with one diagnostic, for what is no JSON object."""
    try:
        value = _read(definition)
    except JsonFault as fault:
        raise InvalidDefinition((json_diagnostic(fault),)) from None
    except DecodingFailed as fault:
        raise refused(INVALID_JSON, fault.reason) from None
    except InvalidCommand as fault:
        message = f"Value {fault.rule}" if fault.pointer else NO_OBJECT
        raise refused(SCHEMA, message, pointer=fault.pointer, found=repr(fault.value)[:200]) from None
    written = json_bytes(value)
    if len(written) > MAX_LENGTH and not isinstance(definition, str | bytes):
        check_length(written.decode())
    if not isinstance(value, dict):
        raise refused(SCHEMA, NO_OBJECT)
    if (expressions := written.count(b"=~")) > MAX_REGULAR_EXPRESSIONS:
        rule = f"Paths in the definition may have {MAX_REGULAR_EXPRESSIONS} regular expressions together"
        raise refused(SCHEMA, rule, found=f"{expressions} times =~")
    if (characters := measure_places(value)) > MAX_PLACES:
        rule = (
            f"Names in the definition are too long: the JSON pointers of its parts may have {MAX_PLACES:,} characters"
        )
        raise refused("TOO_DEEPLY_NESTED", f"{rule} together", found=f"{characters:,} characters")
    return value


def _read(definition: Json | bytes) -> Json:
    if not isinstance(definition, str | bytes):
        if is_deeper(definition, MAX_DEPTH):
            raise refused("TOO_DEEPLY_NESTED", TOO_DEEPLY_NESTED)
        return private_json(definition, what="the definition")
    try:
        text = definition if isinstance(definition, str) else definition.decode()
    except UnicodeDecodeError as fault:
        raise DecodingFailed(what="the definition", reason=f"no UTF-8 at byte {fault.start}") from None
    check_length(text)
    if not text.strip():
        raise refused(SCHEMA, NO_OBJECT)
    return read_json(text)


def check_length(text: str) -> None:
    """Raise InvalidDefinition where a definition's text is longer than AWS's API takes one. The words are those in
    which AWS's APIs refuse any text for its length (recorded for 'nextToken' and 'name'); it quotes the text, too."""
    if len(text) > MAX_LENGTH:
        rule = f"failed to satisfy constraint: Member must have length less than or equal to {MAX_LENGTH}"
        raise refused(SCHEMA, f"Value at 'definition' {rule}", found=f"{len(text)} characters")


def json_diagnostic(fault: JsonFault) -> Diagnostic:
    place = fault.place
    return Diagnostic(
        pointer="",
        code=fault.code,
        message=fault.message,
        location=fault.location,
        line=place.line,
        column=place.column,
    )


def refused(code: AslCode, message: str, *, pointer: str = "", found: str | None = None) -> InvalidDefinition:
    return InvalidDefinition((Diagnostic(pointer=pointer, code=code, message=message, found=found),))
