"""The scopes of an execution that go on by themselves, lowest first.

What goes on is the lowest, so nearly every change is at the front: a linked list, whose rest is shared by what was
before and after, makes those cheap however many branches wait for their turn. A Map that fills its slots adds at the
end, one after the other, before the front goes on: so the end is a linked list too, the highest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from processor.model.ids import ScopeKey

_Links: TypeAlias = "tuple[ScopeKey, _Links] | None"


class Runnable:
    """An ordered set, never changed in place. Equal where the keys are: how they came in leaves no trace.

    All of `_front`, lowest first, is below all of `_back`, highest first; where there is a back there is a front.
    """

    __slots__ = ("_back", "_front", "_highest", "first")

    first: ScopeKey | None
    """The lowest; None where there is none."""

    def __init__(self, keys: Iterable[ScopeKey] = ()) -> None:
        ordered = sorted(keys)
        self._front = _linked(ordered, None)
        self._back: _Links = None
        self._highest: ScopeKey | None = ordered[-1] if ordered else None
        self.first = ordered[0] if ordered else None

    def __bool__(self) -> bool:
        return self._front is not None

    def __iter__(self) -> Iterator[ScopeKey]:
        yield from _keys(self._front)
        yield from reversed(list(_keys(self._back)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Runnable) and (self is other or tuple(self) == tuple(other))

    __hash__ = None  # type: ignore[assignment]  # a value to compare, never a key

    def __repr__(self) -> str:
        return f"Runnable({list(self)})"

    def added(self, key: ScopeKey) -> Runnable:
        if key == self.first:
            return self
        if self._highest is None or self._front is None:
            return _made(front=(key, None), back=None, highest=key)
        if key == self._highest:
            return self
        if key > self._highest:
            return _made(front=self._front, back=(key, self._back), highest=key)
        lower, links = _split(self._front, key)
        if links is None:  # within the back: rare, for what is added there grows
            return Runnable((*self, key)) if key not in _keys(self._back) else self
        if links[0] == key:
            return self
        return _made(front=_linked(lower, (key, links)), back=self._back, highest=self._highest)

    def removed(self, key: ScopeKey) -> Runnable:
        if self._highest is None or key > self._highest:
            return self
        lower, links = _split(self._front, key)
        if links is None:
            return Runnable(k for k in self if k != key) if key in _keys(self._back) else self
        if links[0] != key:
            return self
        front = _linked(lower, links[1])
        if front is None:
            return Runnable(_keys(self._back))
        highest = lower[-1] if key == self._highest else self._highest
        return _made(front=front, back=self._back, highest=highest)


def _made(*, front: _Links, back: _Links, highest: ScopeKey | None) -> Runnable:
    made = object.__new__(Runnable)  # __init__ would sort what is in order
    made._front, made._back, made._highest = front, back, highest
    made.first = None if front is None else front[0]
    return made


def _keys(links: _Links) -> Iterator[ScopeKey]:
    while links is not None:
        key, links = links
        yield key


def _split(links: _Links, key: ScopeKey) -> tuple[list[ScopeKey], _Links]:
    """Return the keys below `key`, and the links from there on."""
    lower: list[ScopeKey] = []
    while links is not None and links[0] < key:
        lower.append(links[0])
        links = links[1]
    return lower, links


def _linked(lower: Iterable[ScopeKey], links: _Links) -> _Links:
    """Put the keys before `links`."""
    for key in reversed(list(lower)):
        links = (key, links)
    return links


NONE_RUNNABLE = Runnable()
