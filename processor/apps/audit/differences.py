"""Where two JSON values differ: a JSON pointer (RFC 6901), what stood there, what stands there now.

Told apart as JSON tells them: 1 is not 1.0 and not true. Why no library: docs/decisions/0028.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET, Struct, UnsetType

from processor.model.json import Json, escaped


class Difference(Struct, frozen=True, kw_only=True):
    """`old` or `new` UNSET: there was, or is, nothing in that place."""

    path: str
    old: Json | UnsetType = UNSET
    new: Json | UnsetType = UNSET

    def as_json(self) -> dict[str, Json]:
        """Return path, old and new; what is UNSET is left out."""
        told: dict[str, Json] = {"path": self.path}
        if not isinstance(self.old, UnsetType):
            told["old"] = self.old
        if not isinstance(self.new, UnsetType):
            told["new"] = self.new
        return told


def differences(old: Json, new: Json, *, path: str = "") -> Iterator[Difference]:
    """Yield the innermost differences: members in the order of `old`, then those that are new; elements by index."""
    if old is new:  # payloads are shared between the states of an execution
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in (*old, *(name for name in new if name not in old)):
            yield from _within(old.get(name, UNSET), new.get(name, UNSET), f"{path}/{escaped(name)}")
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else UNSET
            yield from _within(before, new[index] if index < len(new) else UNSET, f"{path}/{index}")
    elif type(old) is not type(new) or old != new:
        yield Difference(path=path, old=old, new=new)


def _within(old: Json | UnsetType, new: Json | UnsetType, path: str) -> Iterator[Difference]:
    if isinstance(old, UnsetType) or isinstance(new, UnsetType):
        yield Difference(path=path, old=old, new=new)
    else:
        yield from differences(old, new, path=path)
