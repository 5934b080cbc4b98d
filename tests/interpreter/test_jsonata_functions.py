"""AWS's functions in JSONata. What odd arguments give, users have measured on AWS."""

from __future__ import annotations

import re

import pytest

from processor.interpreter.jsonata import UNDEFINED, EvaluationFailed, Undefined
from processor.model.json import Json
from tests.interpreter.test_jsonata import evaluated


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$partition([1,2,3,4,5], 2)", [[1, 2], [3, 4], [5]]),
        ("$partition([0], 5)", [[0]]),
        ("$partition([1,2,3])", [[1, 2, 3]]),
        ("$partition([1,2,3,4,5], 2.9)", [[1, 2], [3, 4], [5]]),
        ("$partition([], 2)", UNDEFINED),
        ("$partition([1,2], 0)", UNDEFINED),
        ("$partition([1,2], -0.5)", UNDEFINED),
        ("$partition($gone, 2)", UNDEFINED),
        ("$range(0, 9, 3)", [0, 3, 6, 9]),
        ("$range(0, 10, 3)", [0, 3, 6, 9]),
        ("$range(1, 9, 9)", 1),
        ("$range(10, 0, -5)", [10, 5, 0]),
        ("$range(-1.7, 2, 1)", [-1, 0, 1, 2]),
        ("$range(5, 1, -1.5)", [5, 4, 3, 2, 1]),
        ("$range(5, 1, 1)", UNDEFINED),
        ("$range(1, 5, 0)", UNDEFINED),
        ("$range(1, 5)", UNDEFINED),
        ("$range($gone, 5, 1)", UNDEFINED),
        ("$count($range(-9e18, 9e18, 9e18))", 3),
        ("$hash('Hello', 'MD5')", "8b1a9953c4611296a827abf8c47804d7"),
        ("$hash('input', 'SHA-1')", "140f86aae51ab9e1cda9b4254fe98a74eb54c1a1"),
        ("$length($hash('ñ', 'SHA-256'))", 64),
        ("$length($hash('ñ', 'SHA-384'))", 96),
        ("$length($hash('ñ', 'SHA-512'))", 128),
        ("$hash('Hello')", UNDEFINED),
        ("$hash($gone, 'MD5')", UNDEFINED),
        ("$parse('{\"a\": [1, null]}')", {"a": [1, None]}),
        ("$parse('-0')", 0),
        ("$parse('null')", None),
        ("$exists($parse('null'))", True),
        ("$parse('[1]')", [1]),
        ("$parse('{\"a\": 1}').a", 1),
        ("$map(['1', '2'], $parse)", [1, 2]),
        ("$parse()", UNDEFINED),
        ("$random(42)", 0.7275636800328681),
        ("$random(0)", 0.730967787376657),
        ("$random(7)", 0.7306990420600421),
        ("$random(0.9) = $random(0)", True),
    ],
)
def test_a_function_gives_what_aws_gives(text: str, expected: Json | Undefined) -> None:
    assert evaluated(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$partition([1], -2)", "D3137: Second argument must be zero or greater"),
        ("$partition(null, 2)", 'T0412: Argument 1 of function "partition" must be an array of "arrays"'),
        ("$range(1)", 'T0410: Argument 2 of function "range" does not match function signature'),
        ("$range(1, 5, 1, 'x')", 'T0410: Argument 4 of function "range" does not match function signature'),
        ("$hash(42, 'MD5')", 'T0410: Argument 1 of function "hash" does not match function signature'),
        ("$parse(null)", 'T0410: Argument 1 of function "parse" does not match function signature'),
        ("$parse('not JSON')", "D3137: Invalid JSON"),
        ("$parse('')", "D3137: Invalid JSON"),
        ("$parse('\"\\\\ud800\"')", "D3137: Invalid JSON"),
        ("$random('x')", 'T0410: Argument 1 of function "random" does not match function signature'),
        ("$random(true)", 'T0410: Argument 1 of function "random" does not match function signature'),
        ("$random(1, 2)", 'T0410: Argument 2 of function "random" does not match function signature'),
        ("$uuid(1)", 'T0410: Argument 1 of function "uuid" does not match function signature'),
    ],
)
def test_a_function_refuses_what_aws_refuses(text: str, message: str) -> None:
    with pytest.raises(EvaluationFailed) as failed:
        evaluated(text)
    assert failed.value.cause.endswith(f"threw an error during evaluation. {message}")


def test_a_hash_names_its_algorithms() -> None:
    with pytest.raises(EvaluationFailed, match=r"D3137: Invalid Hashing Algorithm: md5\."):
        evaluated("$hash('Hello', 'md5')")


def test_a_uuid_is_of_version_4() -> None:
    drawn = evaluated("$uuid()")
    assert isinstance(drawn, str)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", drawn)


def test_a_random_number_lies_below_one() -> None:
    drawn = evaluated("$random($gone)")
    assert isinstance(drawn, float) and 0 <= drawn < 1
