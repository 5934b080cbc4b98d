"""All rules over a whole definition as written, joined with what shapes, transitions and compilation have found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from processor.errors import Diagnostic
from processor.interpreter.jsonata import Expressions
from processor.interpreter.validation.constants import check_constants
from processor.interpreter.validation.expressions import check_expressions
from processor.interpreter.validation.maps import check_maps, check_ranges
from processor.interpreter.validation.paths import check_paths
from processor.interpreter.validation.query_language import check_query_languages
from processor.interpreter.validation.tasks import check_tasks
from processor.interpreter.validation.variables import check_variables
from processor.interpreter.validation.walk import Object
from processor.model.events import MachineType

_OTHER_LANGUAGE = re.compile(r"field '([^']*)' is only supported for the")
_UNSUPPORTED = re.compile(r"Field '([^']*)' is not supported")


def all_faults(
    definition: Object, *, machine_type: MachineType, found: Iterable[Diagnostic], known: Expressions
) -> tuple[Diagnostic, ...]:
    """Return what was `found` before and what the rules of this package find, each fault once.

    A field of the other query language is not told as one that nobody knows; a path, an expression or a constant that
    is none is told in AWS's words alone. `known`: the definition's expressions.
    """
    values = {fault.pointer: fault for fault in _check_values(definition, known)}
    others = tuple(_check(definition, machine_type))
    foreign = {(fault.pointer, match[1]): fault for fault in others if (match := _OTHER_LANGUAGE.search(fault.message))}

    def better(fault: Diagnostic) -> Diagnostic:
        unknown = _UNSUPPORTED.fullmatch(fault.message)
        told = foreign.get((fault.pointer, unknown[1])) if unknown is not None else values.get(fault.pointer)
        return fault if told is None else told

    return tuple(dict.fromkeys((*map(better, found), *values.values(), *others)))


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
