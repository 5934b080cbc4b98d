"""The scopes of an execution that go on by themselves, lowest first.

What goes on is the lowest, so nearly every change is at the front: a linked list, whose rest is shared by what was
before and after, makes those cheap however many branches wait for their turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from processor.model.ids import ScopeKey

_Links: TypeAlias = "tuple[ScopeKey, _Links] | None"


class Runnable:
    """An ordered set, never changed in place. Equal where the keys are: how they came in leaves no trace."""

    __slots__ = ("_links",)

    def __init__(self, keys: Iterable[ScopeKey] = ()) -> None:
        links: _Links = None
        for key in sorted(keys, reverse=True):
            links = (key, links)
        self._links = links

    @property
    def first(self) -> ScopeKey | None:
        return None if self._links is None else self._links[0]

    def __bool__(self) -> bool:
        return self._links is not None

    def __iter__(self) -> Iterator[ScopeKey]:
        links = self._links
        while links is not None:
            key, links = links
            yield key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Runnable) and (self is other or tuple(self) == tuple(other))

    __hash__ = None  # type: ignore[assignment]  # a value to compare, never a key

    def __repr__(self) -> str:
        return f"Runnable({list(self)})"

    def added(self, key: ScopeKey) -> Runnable:
        lower, links = self._split(key)
        if links is not None and links[0] == key:
            return self
        return _joined(lower, (key, links))

    def removed(self, key: ScopeKey) -> Runnable:
        lower, links = self._split(key)
        if links is None or links[0] != key:
            return self
        return _joined(lower, links[1])

    def _split(self, key: ScopeKey) -> tuple[list[ScopeKey], _Links]:
        """Return the keys below `key`, and the links from there on."""
        lower: list[ScopeKey] = []
        links = self._links
        while links is not None and links[0] < key:
            lower.append(links[0])
            links = links[1]
        return lower, links


def _joined(lower: list[ScopeKey], links: _Links) -> Runnable:
    for key in reversed(lower):
        links = (key, links)
    made = Runnable()
    made._links = links
    return made


NONE_RUNNABLE = Runnable()
