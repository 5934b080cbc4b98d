"""JSON values: what is taken, what is refused, and that texts and values stand for each other."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor import InvalidCommand
from processor.errors import DecodingFailed
from processor.model.json import canonical_json, is_longer, json_bytes, parse_json, private_json, render_json

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_a_value_and_its_text_stand_for_each_other(value: Any) -> None:
    text = render_json(value)
    assert render_json(parse_json(text)) == text
    assert json_bytes(private_json(value, what="x")) == json_bytes(value)


@given(VALUES)
def test_no_value_counts_as_longer_than_its_text(value: Any) -> None:
    assert not is_longer(value, len(json_bytes(value)))


@pytest.mark.parametrize(
    ("value", "limit"), [("x" * 9, 9), ([1] * 9, 18), ([[]] * 9, 18), ({"k" * 9: 1}, 13), ({"a": [["x" * 9]]}, 20)]
)
def test_a_value_is_longer_where_what_it_holds_is(value: Any, limit: int) -> None:
    assert is_longer(value, limit)
    assert len(json_bytes(value)) > limit


@pytest.mark.parametrize("text", ["", "{", "NaN", "[1,]", "{'a': 1}", '"\\ud800"', "01", "nul"])
def test_what_is_no_json_text_is_refused(text: str) -> None:
    with pytest.raises(DecodingFailed, match="JSON text does not decode"):
        parse_json(text)


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (float("nan"), ""),
        ([0, float("-inf")], "/1"),
        ({1: 2}, ""),
        ({"a": {"~/": object()}}, "/a/~0~1"),
        (datetime.min, ""),
        ([datetime.min], "/0"),
        (b"x", ""),
        ({1, 2}, ""),
        ({"a": ["\ud800"]}, "/a/0"),
        ({"a": {"\ud800": 1}}, "/a"),
        ([10**30, 10**400], "/1"),
        ([10**30, float("inf")], "/1"),
    ],
)
def test_what_is_no_json_value_is_refused_with_its_place(value: object, pointer: str) -> None:
    with pytest.raises(InvalidCommand, match="must be JSON") as refused:
        private_json(value, what="input")
    fault = refused.value
    assert (fault.where, fault.pointer) == ("input", pointer)
    assert str(fault).startswith(f"input{pointer}: must be JSON, got ")
    str(fault).encode()


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**64 + 1025, 10**30, 10**308])
def test_an_integer_is_what_its_text_is_read_as(number: int) -> None:
    read = parse_json(str(number))
    assert repr(private_json(number, what="x")) == repr(read)
    assert repr(private_json(({"a": [number]}, None, True, 1.5, "x", 7), what="x")) == repr(
        [{"a": [read]}, None, True, 1.5, "x", 7]
    )


def test_an_integer_that_no_float_comes_near_to_is_refused_as_its_text_is() -> None:
    with pytest.raises(DecodingFailed):
        parse_json(str(10**400))
    with pytest.raises(InvalidCommand, match="got 'an integer that no float comes near to'"):
        private_json(10**400, what="x")


def test_values_are_as_deep_with_a_large_integer_as_without() -> None:
    for innermost, written in ((1, b"1"), (10**30, json_bytes(1e30))):
        value: object = innermost
        for _ in range(254):
            value = [value]
        assert json_bytes(private_json(value, what="x")) == b"[" * 254 + written + b"]" * 254
        with pytest.raises(InvalidCommand, match="x: must be JSON, got 'more than 254 levels'"):
            private_json([value], what="x")


def test_a_copy_is_nobody_elses() -> None:
    value = {"a": [1, (2, 3)]}
    copied = private_json(value, what="x")
    assert copied == {"a": [1, [2, 3]]}
    assert copied is not value


def test_canonical_texts_are_equal_for_equal_values() -> None:
    assert canonical_json({"b": 1, "a": {"d": 1, "c": "ü"}}) == '{"a":{"c":"ü","d":1},"b":1}'.encode()


def test_a_value_that_holds_itself_is_refused_and_does_not_go_on_for_ever() -> None:
    endless: list[object] = []
    endless.append(endless)

    with pytest.raises(InvalidCommand, match="must be JSON"):
        private_json(endless, what="input")
