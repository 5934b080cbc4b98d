"""All rules over a whole definition as written, joined with what shapes, transitions and compilation have found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from processor.errors import Diagnostic
from processor.interpreter.jsonata import Expressions
from processor.interpreter.templates import compile_expression, pointer_to
from processor.interpreter.validation.constants import check_constants
from processor.interpreter.validation.expressions import check_expressions
from processor.interpreter.validation.maps import check_maps, check_ranges
from processor.interpreter.validation.paths import check_paths, fault_of
from processor.interpreter.validation.query_language import check_query_languages
from processor.interpreter.validation.shapes import shown
from processor.interpreter.validation.tasks import check_tasks
from processor.interpreter.validation.variables import check_variables
from processor.interpreter.validation.walk import Object
from processor.model.events import MachineType
from processor.model.json import Json

_OTHER_LANGUAGE = re.compile(r"field '([^']*)' is only supported for the")
_TEMPLATED = re.compile(r"The value for the field '(.*\.\$)' must be a valid JSONPath or .*", re.DOTALL)
_UNSUPPORTED = re.compile(r"Field '([^']*)' is not supported")


def all_faults(
    definition: Object, *, machine_type: MachineType, found: Iterable[Diagnostic], known: Expressions
) -> tuple[Diagnostic, ...]:
    """Return what was `found` before and what the rules of this package find, each fault once.

    A field of the other query language is not told as one that nobody knows; a path, an expression or a constant that
    is none is told in AWS's words alone. Of a template's field, which AWS places at its object, it is told where it
    stands and what is wrong with it. `known`: the definition's expressions.
    """
    values = {fault.pointer: fault for fault in _check_values(definition, known)}
    others = tuple(_check(definition, machine_type))
    foreign = {(fault.pointer, match[1]): fault for fault in others if (match := _OTHER_LANGUAGE.search(fault.message))}

    def better(fault: Diagnostic) -> Diagnostic:
        unknown = _UNSUPPORTED.fullmatch(fault.message)
        told = foreign.get((fault.pointer, unknown[1])) if unknown is not None else values.get(fault.pointer)
        return _explained(fault, definition) if told is None else told

    return tuple(dict.fromkeys((*map(better, found), *values.values(), *others)))


def _explained(fault: Diagnostic, definition: Object) -> Diagnostic:
    match = _TEMPLATED.fullmatch(fault.message)
    if match is None:
        return fault
    field = pointer_to(fault.pointer, match[1])
    value = _value_at(definition, field)
    why: object = "it is no string"
    if isinstance(value, str):
        why = fault_of(partial(compile_expression, value, field=match[1], pointer=fault.pointer))
    return replace(fault, field=field, found=f"{shown(value)} ({why})")


def _value_at(definition: Object, pointer: str) -> Json:
    value: Json = definition
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(name)]
        else:
            assert isinstance(value, dict)
            value = value[name]
    return value


def _check(definition: Object, machine_type: MachineType) -> Iterator[Diagnostic]:
    yield from check_query_languages(definition)
    yield from check_tasks(definition)
    yield from check_maps(definition, machine_type)
    yield from check_variables(definition)


def _check_values(definition: Object, known: Expressions) -> Iterator[Diagnostic]:
    """Yield the faults of single values, each at its own place."""
    yield from check_constants(definition)
    yield from check_ranges(definition)
    yield from check_paths(definition)
    yield from check_expressions(definition, known)
