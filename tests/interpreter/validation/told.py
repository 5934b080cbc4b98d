"""What parse says of a definition, as the tests of its rules compare it."""

from __future__ import annotations

from typing import Any

from processor.errors import Diagnostic
from processor.interpreter.validation.answers import diagnostics_of
from processor.model.events import MachineType

SCHEMA = "SCHEMA_VALIDATION_FAILED"
DONE: dict[str, Any] = {"Type": "Succeed"}


def machine(language: str | None = None, **states: dict[str, Any]) -> dict[str, Any]:
    """Return a machine that starts at the first of the states."""
    top = {} if language is None else {"QueryLanguage": language}
    return {"StartAt": next(iter(states)), "States": states, **top}


def told(definition: Any, *, type: MachineType = "STANDARD") -> list[tuple[str, str]]:
    """Return (pointer, message) of every fault of the schema; other faults with their code before the message."""
    return [
        (each.pointer, each.message if each.code == SCHEMA else f"{each.code}: {each.message}")
        for each in diagnostics_of(definition, type=type)
        if each.severity == "ERROR"
    ]


def warned(definition: Any) -> list[tuple[str, str, str]]:
    return [
        (each.pointer, each.code, each.message) for each in diagnostics_of(definition) if each.severity == "WARNING"
    ]


def state_told(state: dict[str, Any], language: str | None = None) -> list[tuple[str, str]]:
    """Return what is told of the state S, which ends its machine or leads to N; pointers are those within S."""
    leads = {} if {"Next", "End"} & state.keys() or state["Type"] in ("Choice", "Succeed", "Fail") else {"End": True}
    others = {"N": DONE} if "'N'" in repr(state) else {}
    found = told(machine(language, S={**state, **leads}, **others))
    return [(pointer.removeprefix("/States/S"), message) for pointer, message in found]


__all__ = ["DONE", "SCHEMA", "Diagnostic", "machine", "state_told", "told", "warned"]
