"""The text of a definition, or the value that it stands for → an object that nobody else holds."""

from __future__ import annotations

from typing import Final

from processor.errors import SCHEMA, AslCode, DecodingFailed, Diagnostic, InvalidCommand, InvalidDefinition
from processor.interpreter.validation.json_text import MAX_DEPTH, JsonFault, is_deeper, read_json
from processor.model.json import Json, private_json

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
        raise refused(SCHEMA, NO_OBJECT, found=str(fault.value)[:200]) from None
    if not isinstance(value, dict):
        raise refused(SCHEMA, NO_OBJECT)
    if is_deeper(value, MAX_DEPTH):
        raise refused("TOO_DEEPLY_NESTED", f"Definition is nested more than {MAX_DEPTH} levels deep")
    return value


def _read(definition: Json | bytes) -> Json:
    if not isinstance(definition, str | bytes):
        return private_json(definition, what="the definition")
    if len(definition) > MAX_LENGTH:
        raise refused(SCHEMA, f"Definition is longer than {MAX_LENGTH} characters")
    try:
        text = definition if isinstance(definition, str) else definition.decode()
    except UnicodeDecodeError as fault:
        raise DecodingFailed(what="the definition", reason=f"no UTF-8 at byte {fault.start}") from None
    if not text.strip():
        raise refused(SCHEMA, NO_OBJECT)
    return read_json(text)


def json_diagnostic(fault: JsonFault) -> Diagnostic:
    place = fault.place
    return Diagnostic(
        pointer="",
        code=INVALID_JSON,
        message=fault.message,
        location=fault.location,
        line=place.line,
        column=place.column,
    )


def refused(code: AslCode, message: str, *, found: str | None = None) -> InvalidDefinition:
    return InvalidDefinition((Diagnostic(pointer="", code=code, message=message, found=found),))
