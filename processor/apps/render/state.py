"""The folded state of an execution, whole, as JSON."""

from __future__ import annotations

from typing import Final, cast, get_args

from immutables import Map
from msgspec import Struct

from processor.model import execution as states
from processor.model.execution import Execution
from processor.model.ids import render_scope
from processor.model.json import Json
from processor.model.runnable import Runnable

TOP_NAME: Final = "top"
_UNIONS: Final = frozenset((*get_args(states.Phase), *get_args(states.Children)))


def state_json(execution: Execution) -> dict[str, Json]:
    """Return every field, so that two states are equal where this is; of the definition the revision. Scopes go by
    their dotted indexes, the outermost as `top`; a phase has its name in `is`. Payloads are shared, not copied."""
    told: dict[str, Json] = {"execution_id": execution.execution_id, "revision": execution.workflow.revision}
    for name in execution.__struct_fields__:
        if name != "workflow":
            told[name] = _json(getattr(execution, name))
    return told


def scope_name(scope: tuple[int, ...]) -> str:
    return render_scope(scope) or TOP_NAME


def _json(value: object) -> Json:
    match value:
        case Struct():
            fields = {name: _json(getattr(value, name)) for name in value.__struct_fields__}
            return {"is": type(value).__name__, **fields} if type(value) in _UNIONS else fields
        case Map():
            return {_name(key): _json(value[key]) for key in sorted(value)}
        case Runnable():
            return [scope_name(scope) for scope in value]
        case bytes():
            return value.hex()
        case tuple():
            return [_json(element) for element in value]
        case _:
            return cast("Json", value)


def _name(key: object) -> str:
    return scope_name(key) if isinstance(key, tuple) else str(key)
