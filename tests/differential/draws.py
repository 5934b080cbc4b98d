"""Draws for the generator, the same from one seed in every version of Python."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """Made of `random()` alone: the library promises that its sequence stays, of `choice` and its like it does not."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._names = 0

    def below(self, limit: int) -> int:
        return int(self._random.random() * limit)

    def between(self, least: int, most: int) -> int:
        return least + self.below(most - least + 1)

    def one(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def chance(self, one_in: int) -> bool:
        return self.below(one_in) == 0

    def some(self, options: Sequence[T], *, least: int, most: int) -> list[T]:
        return [self.one(options) for _ in range(self.between(least, most))]

    def name(self, kind: str) -> str:
        """Return a state's name that this generator has not given yet."""
        self._names += 1
        return f"{kind}{self._names}"
