"""Where a generated state stands: what may be written there follows from it. The states' fields are drawn in
`jsonpath_states.py` and `jsonata_states.py`, the scopes around them in `workflows.py`.

Variables are named by how deep their scope lies: x at the top, y within a container, z within two. So no scope assigns
what one around it does, siblings use the same names, and every name is out of sight somewhere. Of each letter, 1 holds
small values, which states show one by one, and 2 whole inputs and results, which take the place of another payload:
values that held each other would grow without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

from hypothesis import strategies as st

from processor.model.json import Json

Object = dict[str, Json]
Mood = Literal["any", "stormy", "contained", "calm"]
Language = Literal["JSONPath", "JSONata"]
Made = Literal["nothing", "result", "errorOutput"]
"""What a state, or the Catch of one, has to read besides its input."""

T = TypeVar("T")

LETTERS = "xyz"
VARIABLES = [f"{letter}{size}" for letter in LETTERS for size in (1, 2)]
ERRORS = ("E1", "E2")


@dataclass
class Machine:
    """What all scopes of one definition share."""

    language: Language
    mood: Mood
    names: int = 0

    def new_name(self, kind: str) -> str:
        """Return a name that no other state has."""
        self.names += 1
        return f"{kind}{self.names}"


@dataclass
class Scope:
    """One scope being drawn. `outer`: the variables of the scopes around it that are surely there. `arriving`: its own
    that are surely there in a state, whichever way leads to it."""

    level: int
    depth: int  # of containers that may stand in it
    outer: frozenset[str] = frozenset()
    arriving: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Place:
    """A state being drawn. `rest`: the states after it, to which it may lead."""

    draw: st.DrawFn
    machine: Machine
    scope: Scope
    name: str
    rest: list[str]
    language: Language

    @property
    def kind(self) -> str:
        return self.name.rstrip("0123456789")

    @property
    def made(self) -> Made:
        return "result" if self.kind in ("Task", "Parallel", "Map") else "nothing"

    @property
    def mood(self) -> Mood:
        return self.machine.mood

    @property
    def may_fail(self) -> bool:
        """Whether anything may fail, and show when it happened."""
        return self.mood in ("any", "stormy")

    @property
    def known(self) -> list[str]:
        """The variables that are surely there."""
        return sorted(self.scope.outer | self.scope.arriving[self.name])

    @property
    def small(self) -> list[str]:
        return [name for name in self.known if name.endswith("1")]

    @property
    def whole(self) -> list[str]:
        return [name for name in self.known if name.endswith("2")]

    def own(self, size: Literal[1, 2]) -> str:
        """Return the name of the scope's variable for small or for whole values."""
        return f"{LETTERS[self.scope.level]}{size}"

    def lead(self, to: str, assigned: Sequence[str]) -> None:
        """Note a way to a state of `rest`, and what is assigned on it."""
        there = self.scope.arriving[self.name] | frozenset(assigned)
        self.scope.arriving[to] = there & self.scope.arriving.get(to, there)

    def within(self, *, distributed: bool = False) -> Scope:
        """Return a new scope in this state. The children of a distributed Map see no variable from outside."""
        outer = frozenset() if distributed else frozenset(self.known)
        return Scope(level=self.scope.level + 1, depth=self.scope.depth - 1, outer=outer)

    def one_of(self, values: Sequence[T]) -> T:
        return self.draw(st.sampled_from(values))

    def sometimes(self) -> bool:
        return self.draw(st.integers(0, 3)) == 0

    def often(self) -> bool:
        return not self.sometimes()

    def tells(self) -> bool:
        """Whether the state tells the variables: in inner scopes those from outside, wherever there are any."""
        return bool(self.scope.outer) or self.draw(st.booleans())

    def if_it_may_fail(self, *values: T) -> list[T]:
        """Return the values now and then, where the mood allows that the state fails of them."""
        return list(values) if self.may_fail and self.sometimes() else []

    def maybe(self, fields: Object, field: str, values: Sequence[Json]) -> None:
        if values and self.sometimes():
            fields[field] = self.one_of(values)


class Fields(Protocol):
    """A query language: the module that draws the fields that are its own. `OBJECTS`: the field of a distributed Map's
    items, and values that only it takes."""

    OBJECTS: tuple[str, list[Json]]
    READER: Object
    WRITER: Object

    def add_data_flow(self, place: Place, state: Object) -> None: ...
    def assigned(self, place: Place, fields: Object, made: Made) -> list[str]:
        """Draw an Assign; return the names that it assigns."""

    def add_to_catcher(self, place: Place, catcher: Object) -> None: ...
    def add_to_rule(self, place: Place, rule: Object) -> None: ...
    def add_to_pass(self, place: Place, state: Object) -> None: ...
    def add_to_task(self, place: Place, state: Object) -> None: ...
    def add_to_wait(self, place: Place, state: Object) -> None: ...
    def add_to_fail(self, place: Place, state: Object) -> None: ...
    def add_to_map(self, place: Place, state: Object) -> None: ...
