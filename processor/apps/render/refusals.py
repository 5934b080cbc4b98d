"""Commands that came to nothing: rejections, and dead letters with the headers that say why."""

from __future__ import annotations

from processor.apps.render.values import render_short, struct_json
from processor.engine.ports import Record
from processor.model.json import Json
from processor.model.records import Rejection


def rejection_json(rejection: Rejection) -> dict[str, Json]:
    return {"rejected": True, **struct_json(rejection)}


def render_rejection(rejection: Rejection) -> str:
    return f"{rejection.type} rejected, {rejection.reason}: {rejection.detail}"


def dead_letter_json(record: Record) -> dict[str, Json]:
    """Return {"dead_letter": true, "key": as text, its headers without `asl-` before them, "value": as text}."""
    told: dict[str, Json] = {name.removeprefix("asl-"): _text(value) for name, value in record.headers}
    return {"dead_letter": True, "key": _text(record.key), **told, "value": _text(record.value)}


def render_dead_letter(record: Record) -> str:
    told = dead_letter_json(record)
    return f"dead letter: {told.get('reason')}; value {render_short(told['value'])}"


def _text(value: bytes | None) -> Json:
    return None if value is None else value.decode("utf-8", "replace")
