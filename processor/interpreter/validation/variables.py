"""Names of variables, and that no inner scope assigns what an outer one does.

Source: AWS's documentation, "Passing data between states with variables": names are Unicode identifiers (UAX #31) of
at most 80 characters; "a variable assigned in an inner scope cannot have the same name as one assigned in an outer
scope". Codes and words of the first two faults were measured by cdk-preflight (pf-sfn-asl-jsonpath-syntax); the
others' are by analogy.
"""

from __future__ import annotations

from collections.abc import Iterator

from processor.errors import AslCode, Diagnostic
from processor.interpreter.templates import pointer_to
from processor.interpreter.validation.walk import Object, State, objects_in, states_in

MAX_LENGTH = 80  # characters
RESERVED = "states"


def check_variables(definition: Object) -> Iterator[Diagnostic]:
    """Yield every variable that cannot be assigned where it is."""
    assigned: dict[str, set[str]] = {}  # by the pointer of the scope
    found: list[tuple[State, str, str]] = []
    for state in states_in(definition):
        for name, pointer in _assignments(state):
            assigned.setdefault(state.scope.pointer, set()).add(name)
            found.append((state, name, pointer))
    for state, name, pointer in found:
        if (fault := _fault_of(name)) is not None:
            code, message = fault
            yield Diagnostic(pointer=pointer, code=code, message=message)
            continue
        scope = state.scope.outer
        while scope is not None:
            if name in assigned.get(scope.pointer, ()):
                message = f"Variable '${name}' is already assigned in an outer scope."
                yield Diagnostic(pointer=pointer, code="DUPLICATE_VARIABLE_NAME", message=message)
                break
            scope = scope.outer


def _assignments(state: State) -> Iterator[tuple[str, str]]:
    """Yield the name of each variable that a state assigns, with the place of the field."""
    holders = [(state.fields, state.pointer)]
    for field in ("Choices", "Catch"):
        holders += objects_in(state.fields, field, state.pointer)
    for holder, pointer in holders:
        assign = holder.get("Assign")
        for name in assign if isinstance(assign, dict) else ():
            bare = name.removesuffix(".$") if state.language == "JSONPath" else name
            yield bare, pointer_to(pointer, "Assign", name)


def _fault_of(name: str) -> tuple[AslCode, str] | None:
    """Return the code and the words of what is wrong with a name."""
    if name == RESERVED:
        return "RESERVED_VARIABLE_NAME", f"Cannot assign to reserved variable '${name}'."
    invalid = f"Invalid variable name '{name}'"
    if len(name) > MAX_LENGTH:
        return "INVALID_VARIABLE_NAME", f"{invalid}: the variable name exceeds the {MAX_LENGTH}-character limit."
    # Python's identifiers are UAX #31's, with the underscore as a first character besides.
    if not name.isidentifier() or name.startswith("_"):
        return "INVALID_VARIABLE_NAME", f"{invalid}: the variable name contains invalid characters."
    return None
