"""Java's texts, hashes and numbers, against what a Java 17 printed for the same values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.interpreter.intrinsics_java import (
    compare_texts,
    double_text,
    hash_code,
    merged,
    printed,
    rounded,
    seeded_below,
    seeded_fraction,
    set_order,
)
from processor.model.json import Json


@pytest.mark.parametrize(
    ("number", "text", "code"),
    [
        (0.0, "0.0", 0),
        (-0.0, "-0.0", -2147483648),
        (1.0, "1.0", 1072693248),
        (1.1, "1.1", -1503133693),
        (100.0, "100.0", 1079574528),
        (1234567.5, "1234567.5", -1053632889),
        (9999999.0, "9999999.0", -1587342641),
        (1e7, "1.0E7", 1097011920),
        (12345678.5, "1.23456785E7", -1855484887),
        (0.001, "0.001", -308163663),
        (0.00123, "0.00123", 1323212841),
        (0.0001, "1.0E-4", -737774129),
        (1e21, "1.0E21", -1834355276),
        (1.5e300, "1.5E300", 406958872),
        (-2.5, "-2.5", -1073479680),
        (-1e-5, "-1.0E-5", 906465348),
        (0.5, "0.5", 1071644672),
        (2.2250738585072014e-308, "2.2250738585072014E-308", 1048576),
    ],
)
def test_a_double_prints_and_hashes(number: float, text: str, code: int) -> None:
    assert (double_text(number), hash_code(number)) == (text, code)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_printed_double_reads_back_as_itself(number: float) -> None:
    assert float(double_text(number)) == number


MIXED: Json = {"a": 1, "b": [1, None, True, "x", 2.5], "c": 5000000000}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, 0),
        (True, 1231),
        (False, 1237),
        (-5, -5),
        (5000000000, 705032705),
        (-5000000000, 705032702),
        (9007199254740991, -2097152),
        (2147483648, -2147483648),
        ("añ🚀中", 151745018),
        ("FunctionInput", -1462842702),
        ([], 1),
        (MIXED, 1809776279),
    ],
)
def test_a_value_hashes(value: Json, code: int) -> None:
    assert hash_code(value) == code


def test_a_set_is_walked_bucket_by_bucket() -> None:
    values: list[Json] = [None, None, True, True, False, False, 1, 1, 1.1, 0, 0, "HelloWorld", "HelloWorld"]
    values += [[], [], [None], MIXED, 1.0, 3000000000, "1"]
    assert printed(set_order(values), limit=1_000) == (
        "[null, 0, 1, [], {a=1, b=[1, null, true, x, 2.5], c=5000000000}, 1.1, true, HelloWorld, 1.0, 3000000000, 1, "
        "false, [null]]"
    )


def test_a_larger_set_has_more_buckets() -> None:
    values: list[Json] = [f"k{number * 37 % 30}" for number in range(30)]
    values += [number * 100003 for number in range(10)]
    assert printed(set_order(values), limit=1_000) == (
        "[0, 200006, k11, 400012, k10, k13, k12, k15, k14, k17, k16, k19, k18, 800024, 600018, 100003, k0, k1, k2, k3, "
        "k20, 500015, k4, k5, k22, k21, k6, k7, k24, k8, k23, 300009, k26, k9, k25, k28, k27, k29, 900027, 700021]"
    )


@pytest.mark.parametrize(
    ("first", "second", "order"),
    [
        ("a b d", "a c d", "a b c d"),  # this one and the next three are recorded
        ("constant_in_literal", "constant_input_field", "constant_input_field constant_in_literal"),
        ("nested keep", "nested", "nested keep"),
        ("left", "right", "left right"),
        ("", "right left", "left right"),
        ("left", "", "left"),
        ("", "", ""),
        ("k1", "k2 k3 k4 k5 k6 k7", "k1 k2 k3 k4 k5 k6 k7"),
        ("k10 k11 k12", "k9 k8 k10", "k11 k10 k12 k8 k9"),
    ],
)
def test_a_map_made_of_two_is_walked_bucket_by_bucket(first: str, second: str, order: str) -> None:
    made = merged(dict.fromkeys(first.split(), 1), dict.fromkeys(second.split(), 2))
    assert list(made) == order.split()
    assert made == {**dict.fromkeys(first.split(), 1), **dict.fromkeys(second.split(), 2)}


@pytest.mark.parametrize(
    ("bound", "seed", "drawn"),
    [
        (99, 42, 62),
        (999, 1, 105),
        (9, -10, 0),
        (16, 42, 11),
        (2147483647, 7, 1569164236),
        (1073741825, 3, 152454210),  # the first draw falls into the incomplete stretch
        (1, 5, 0),
    ],
)
def test_a_seed_draws(bound: int, seed: int, drawn: int) -> None:
    assert seeded_below(bound, seed=seed) == drawn


@pytest.mark.parametrize(("seed", "drawn"), [(42, 0.7275636800328681), (0, 0.730967787376657)])
def test_a_seed_draws_a_fraction(seed: int, drawn: float) -> None:
    assert seeded_fraction(seed) == drawn


@pytest.mark.parametrize(
    ("number", "whole"),
    [(-0.5, 0), (-1.5, -1), (-1.51, -2), (0.49999999999999994, 0), (2.5, 3), (-2.5, -2), (1.49, 1), (7, 7)],
)
def test_halves_are_rounded_upwards(number: int | float, whole: int) -> None:
    assert rounded(number) == whole


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        ("\u4e00a", "\u4e00b", -1),
        ("\u4e00b", "\u4e00a", 1),
        ("\u4e00", "\u4e00\u4e01", -1),
        ("\u4e00" * 9, "\u4e00" * 9, 0),
        ("\u4e00\U00010000", "\u4e00\ue000", -1),
        ("\u4e00\U00010000", "\u4e00\ud7ff", 1),
        ("\U00010000\U00010001", "\U00010000\U00010002", -1),
        ("a", "\U00010000", -1),
    ],
)
def test_texts_compare_by_their_units_of_16_bits(one: str, other: str, order: int) -> None:
    assert (compare_texts(one, other), compare_texts(other, one)) == (order, -order)


@given(st.text(), st.text(), st.text())
def test_texts_compare_as_their_units_do_wherever_they_begin_to_differ(same: str, one: str, other: str) -> None:
    first, second = ((same + text).encode("utf-16-be") for text in (one, other))
    assert compare_texts(same + one, same + other) == (first > second) - (first < second)
