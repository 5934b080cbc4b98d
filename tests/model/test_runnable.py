"""The ordered set of runnable scopes: what it holds, that it is equal where it holds the same, and what it costs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processor.model.runnable import Runnable

KEYS = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@given(first=st.lists(KEYS, unique=True), changes=st.lists(st.tuples(st.booleans(), KEYS)))
def test_it_holds_what_was_added_and_not_removed_in_order(
    first: list[tuple[int, ...]], changes: list[tuple[bool, tuple[int, ...]]]
) -> None:
    runnable, held = Runnable(first), set(first)
    for add, key in changes:
        before, was = runnable, tuple(runnable)
        runnable = runnable.added(key) if add else runnable.removed(key)
        held = held | {key} if add else held - {key}
        assert tuple(before) == was
        assert tuple(runnable) == tuple(sorted(held))
        assert runnable == Runnable(held)
        assert (runnable.first, bool(runnable)) == (min(held, default=None), bool(held))


def test_it_differs_where_a_key_does() -> None:
    assert Runnable([(0,), (1,)]) != Runnable([(0,)])
    assert Runnable([(0,)]) != ((0,),)
    assert repr(Runnable([(1,), ()])) == "Runnable([(), (1,)])"


class Compared(tuple[int, ...]):
    """A key that counts how often it is asked."""

    asked = 0

    def __lt__(self, other: tuple[int, ...]) -> bool:
        Compared.asked += 1
        return super().__lt__(other)

    def __eq__(self, other: object) -> bool:
        Compared.asked += 1
        return super().__eq__(other)

    __hash__ = tuple.__hash__


def test_a_change_at_the_front_costs_the_same_however_many_wait() -> None:
    """Thousands of branches that start one after another would else take seconds for one command."""
    counts = []
    for many in (2, 8_000):
        runnable = Runnable(Compared((index,)) for index in range(many))
        Compared.asked = 0
        first = Compared((0,))
        inner = Compared((0, 0))
        runnable.added(first).removed(first).added(inner).removed(inner).added(first)
        counts.append(Compared.asked)
    assert counts[0] == counts[1]


def test_a_long_one_is_compared_and_dropped_without_recursion() -> None:
    keys = [(index,) for index in range(100_000)]
    assert Runnable(keys) == Runnable(keys)


def test_a_map_that_fills_its_slots_adds_at_the_end_at_the_same_cost() -> None:
    """Each of a thousand children that start would else be compared with all before it."""
    counts = []
    for many in (2, 8_000):
        runnable = Runnable([Compared(())])
        for index in range(many):
            runnable = runnable.added(Compared((index,)))
        Compared.asked = 0
        runnable.added(Compared((many,)))
        counts.append(Compared.asked)
        assert tuple(runnable.removed(()).removed((0,))) == tuple((index,) for index in range(1, many))
    assert counts[0] == counts[1]


def test_keys_within_the_end_are_found_there() -> None:
    runnable = Runnable([()]).added((1,)).added((3,)).added((5,))
    assert tuple(runnable.added((2,))) == ((), (1,), (2,), (3,), (5,))
    assert runnable.added((3,)) is runnable
    assert tuple(runnable.removed((3,))) == ((), (1,), (5,))
    assert runnable.removed((4,)) is runnable
    assert tuple(Runnable([(1,), (2,)]).removed((2,)).added((3,))) == ((1,), (3,))
    assert tuple(runnable.removed((5,)).added((4,))) == ((), (1,), (3,), (4,))
