"""Times, JSON values and records, for people and for machines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import orjson
from msgspec import Struct

from processor.model.ids import Millis
from processor.model.json import Json, render_json


def render_time(time: Millis | None) -> str:
    """Return 2026-01-31T23:59:59.999Z; a dash for no time."""
    if time is None:
        return "-"
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time % 1000:03}Z"


def render_clock_time(time: Millis) -> str:
    """Return 23:59:59.999 in the local time zone: what one compares with a watch."""
    return datetime.fromtimestamp(time / 1000, UTC).astimezone().strftime("%H:%M:%S.") + f"{time % 1000:03}"


def render_short(value: Json, *, width: int = 60) -> str:
    """Return the JSON text of a value, cut to `width` characters."""
    text = render_json(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def counted(number: int, what: str, *, plural: str | None = None) -> str:
    """Return `1 item`, `2 items`, `2 retries`."""
    return f"{number} {what if number == 1 else plural or f'{what}s'}"


def indented_json(value: Json) -> str:
    """Return the JSON text of a value over several lines, as people read it."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def struct_json(value: Struct) -> dict[str, Json]:
    """Return a record's fields as JSON: bytes as hex digits, scopes as lists, payloads as they are."""
    return {name: _json(getattr(value, name)) for name in value.__struct_fields__}


def _json(value: object) -> Json:
    if value is None or isinstance(value, (str, int)):  # most are
        return value
    if isinstance(value, Struct):
        return struct_json(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_json(element) for element in value]
    return cast("Json", value)
