"""Compiled paths against jsonpath-ng, the oracle, over the grammar that both share."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpath_ng.ext.parser import parse as oracle_parse

from processor.interpreter.paths import (
    MISSING,
    Missing,
    PathFault,
    compile_path,
    compile_reference_path,
)
from processor.model.definition import StateFailure
from processor.model.json import Json
from tests.interpreter.surroundings import NOWHERE

NAMES = st.sampled_from(["a", "b", "c", "items"])
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "a"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner), max_leaves=20)
INDEXES = st.integers(-5, 5)
DEFINITE = st.one_of(
    NAMES.map(lambda name: f".{name}"), NAMES.map(lambda name: f"['{name}']"), INDEXES.map(lambda i: f"[{i}]")
)


def canonical(values: list[Json]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True) for value in values)


def oracle(path: str, value: Json) -> list[Json]:
    return [match.value for match in oracle_parse(path).find(value)]


@given(st.lists(DEFINITE, max_size=4).map("".join), VALUES)
def test_a_definite_path_gives_what_a_plain_reading_gives(steps: str, value: Json) -> None:
    path = f"${steps}"

    found = compile_path(path, field="Variable").find(value, NOWHERE)

    try:
        expected = by_hand(path, value)
    except (KeyError, IndexError, TypeError):
        assert found is MISSING
    else:
        assert found == expected


def by_hand(path: str, value: Json) -> Json:
    """The plainest reading of a definite path."""
    steps = path[1:].replace("['", ".").replace("']", "").replace("[", ".#").replace("]", "").split(".")[1:]
    for step in steps:
        if isinstance(value, str):
            raise TypeError("a string has no members")
        value = value[int(step[1:])] if step.startswith("#") else value[step]  # type: ignore[index,call-overload]
    return value


# jsonpath-ng takes `[*]`, `[0]` and `[1:]` of what is no array for the thing itself, so there each is asked of arrays.
OBJECTS = st.recursive(
    st.dictionaries(st.just("x"), SCALARS),
    lambda inner: st.dictionaries(NAMES, st.lists(inner, max_size=4)),
    max_leaves=20,
)
ENDS = st.none() | st.integers(0, 4)
PICKS = st.one_of(
    st.just("[*]"),
    st.integers(0, 4).map(lambda index: f"[{index}]"),
    st.tuples(ENDS, ENDS).map(lambda ends: "[{}:{}]".format(*("" if end is None else end for end in ends))),
)
LAYERS = st.lists(st.tuples(st.sampled_from([".", ".."]), NAMES, PICKS).map("".join), min_size=1, max_size=3)


@given(LAYERS.map("".join), st.sampled_from(["", ".x", "..x", ".*"]), OBJECTS)
def test_an_indefinite_path_gives_what_the_oracle_finds(layers: str, leaf: str, value: Json) -> None:
    path = f"${layers}{leaf}"

    compiled = compile_path(path, field="Variable")
    found = compiled.find(value, NOWHERE)

    expected = canonical(oracle(path, value))
    if compiled.definite:
        assert ([] if isinstance(found, Missing) else canonical([found])) == expected
    else:
        assert isinstance(found, list)
        assert canonical(found) == expected


ROWS = st.lists(st.fixed_dictionaries({}, optional={"a": st.integers(-3, 3), "b": st.integers(-3, 3)}), max_size=6)


@given(ROWS, st.sampled_from(["<", "<=", ">", ">=", "=="]), st.integers(-3, 3), st.sampled_from(["a", "b"]))
def test_a_filter_keeps_what_the_oracle_keeps(rows: list[Json], operator: str, limit: int, name: str) -> None:
    path = f"$[?(@.{name} {operator} {limit})]"

    found = compile_path(path, field="Variable").evaluate(rows, NOWHERE)

    assert found == oracle(path, rows)


@given(st.integers(0, 8) | st.none(), st.integers(0, 8) | st.none(), st.lists(st.integers(), max_size=8))
def test_a_slice_is_the_oracles_slice(start: int | None, stop: int | None, values: list[Json]) -> None:
    path = f"$.v[{'' if start is None else start}:{'' if stop is None else stop}]"

    found = compile_path(path, field="Variable").evaluate({"v": values}, NOWHERE)

    assert found == oracle(path, {"v": values})


@given(st.lists(NAMES, min_size=1, max_size=4), VALUES, VALUES)
def test_what_was_put_somewhere_is_found_there_and_all_else_is_as_before(
    names: list[str], into: Json, value: Json
) -> None:
    path = "$" + "".join(f".{name}" for name in names)
    before = json.dumps(into)
    try:
        made = compile_reference_path(path).insert(into, value)
    except StateFailure:
        return
    finally:
        assert json.dumps(into) == before

    assert compile_path(path, field="Variable").find(made, NOWHERE) == value
    assert isinstance(into, dict)
    assert isinstance(made, dict)
    assert {name: member for name, member in made.items() if name != names[0]} == {
        name: member for name, member in into.items() if name != names[0]
    }


@settings(max_examples=500)
@given(
    st.text("$.[]()*?@'\"ab01-:,=!<>&| \\u", max_size=40).map(lambda text: f"${text}"),
    VALUES,
)
def test_any_text_is_a_path_or_a_fault_and_any_path_gives_json_or_fails(text: str, value: Json) -> None:
    try:
        path = compile_path(text, field="x.$")
    except PathFault:
        return
    try:
        json.dumps(path.evaluate(value, NOWHERE))
    except StateFailure:
        assert path.definite or value is None
