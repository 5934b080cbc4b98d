"""YAML as JSON has it: `Next: Yes` is a text, and so is 2026-01-01; a key given twice, a tag, and aliases without end
are faults. Read into nodes, never into objects: nothing of a file is ever constructed.

Scalars follow YAML 1.2's JSON schema, where they are plain; the places of all parts are kept for people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Final

from processor.interpreter.templates import pointer_to
from processor.interpreter.validation.json_text import MAX_DEPTH, Place
from processor.interpreter.validation.reading import MAX_LENGTH
from processor.model.json import Json

if TYPE_CHECKING:
    from yaml.nodes import Node, ScalarNode

MAX_PARTS: Final = 100_000  # of the value that a file stands for: aliases may repeat what is written once

_TOO_DEEP: Final = f"it is nested more than {MAX_DEPTH} levels deep, or without end"
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,400}")
_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NULL: Final = ("", "~", "null", "Null", "NULL")
_TAG: Final = "tag:yaml.org,2002:"
_UNTAGGED: Final = frozenset(_TAG + name for name in ("str", "map", "seq"))
_TAGGED: Final = re.compile(r"(?:&\S+\s+)?!")


class YamlFault(ValueError):
    """A text that is no YAML, or none that stands for a JSON value."""

    def __init__(self, reason: str, *, place: Place) -> None:
        super().__init__(reason)
        self.reason, self.place = reason, place


class DuplicateField(YamlFault):
    """A mapping that gives a key twice, which JSON's reader refuses in the same words."""

    def __init__(self, name: str, *, place: Place) -> None:
        super().__init__(f"Duplicate field '{name}'", place=place)


def parse_yaml(text: str) -> tuple[Json, Mapping[str, Place]]:
    """Return the value, and where each part of it stands, by JSON pointer. Raises YamlFault."""
    import yaml

    if len(text) > MAX_LENGTH:
        raise YamlFault(f"it is longer than {MAX_LENGTH} characters", place=Place(1, 1))
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
        told = ": ".join(part for part in (fault.context, fault.problem) if part)
        raise YamlFault(" ".join(told.split()), place=place) from None
    except yaml.YAMLError as fault:  # characters that YAML does not have
        raise YamlFault(" ".join(str(fault).split()), place=Place(1, 1)) from None
    except RecursionError:
        raise YamlFault(_TOO_DEEP, place=Place(1, 1)) from None
    reader = _Reader(text)
    return (None if root is None else reader.value(root, "", depth=0)), reader.places


@dataclass(slots=True)
class _Reader:
    text: str
    places: dict[str, Place] = field(default_factory=dict)
    parts: int = 0

    def value(self, node: Node, pointer: str, *, depth: int) -> Json:
        import yaml

        self.parts += 1
        if self.parts > MAX_PARTS:
            raise _fault(node, f"it stands for more than {MAX_PARTS} values")
        if depth > MAX_DEPTH:
            raise _fault(node, _TOO_DEEP)
        self.places.setdefault(pointer, _place(node))
        if node.tag not in _UNTAGGED or _TAGGED.match(self.text, node.start_mark.index):
            raise _fault(node, "JSON has no tags")
        match node:
            case yaml.ScalarNode():
                return _scalar(node)
            case yaml.SequenceNode():
                return [
                    self.value(each, pointer_to(pointer, index), depth=depth + 1)
                    for index, each in enumerate(node.value)
                ]
            case _:
                return self.mapping(node, pointer, depth=depth)

    def mapping(self, node: Node, pointer: str, *, depth: int) -> Json:
        import yaml

        made: dict[str, Json] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or not isinstance(name := _scalar(key), str):
                raise _fault(key, "a key must be a text, in quotes where it looks like something else")
            if name in made:
                raise DuplicateField(name, place=_place(key))
            at = pointer_to(pointer, name)
            self.places[at] = _place(key)
            made[name] = self.value(value, at, depth=depth + 1)
        return made


def _scalar(node: ScalarNode) -> Json:
    text = str(node.value)
    if node.style is not None:
        return text
    if text in _NULL:
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**64:
        return int(text)
    if not _NUMBER.fullmatch(text):
        return text
    if not isfinite(number := float(text)):
        raise _fault(node, "the number is out of range")
    return number


def _place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _fault(node: Node, reason: str) -> YamlFault:
    return YamlFault(reason, place=_place(node))
