"""JSON texts: read as orjson reads them; what is wrong with one is told as Jackson tells it, and where."""

from __future__ import annotations

import json
from math import isfinite

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processor.interpreter.validation.json_text import JsonFault, Place, TooDeep, places_in, read_json
from processor.model.json import Json

VALID = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
NUMERIC = "enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"


def fault_of(text: str) -> JsonFault:
    with pytest.raises(JsonFault) as raised:
        read_json(text)
    return raised.value


def test_a_text_is_quoted_with_its_fault_and_the_place() -> None:
    # recorded: test_validate_state_machine_definition_not_a_definition[NOT_A_DEF]
    fault = fault_of("not a definition")

    source = '[Source: (String)"not a definition"; line: 1, column: 4]'
    assert fault.message == f"Unrecognized token 'not': was expecting {VALID}\n at {source}"
    assert (fault.location, fault.place) == (source, Place(1, 4))


@pytest.mark.parametrize(
    ("text", "reason", "column"),
    [
        ("{", ': expected close marker for Object (start marker at [Source: (String)"{"; line: 1, column: 1])', 2),
        ("[1", ': expected close marker for Array (start marker at [Source: (String)"[1"; line: 1, column: 1])', 3),
        ('{"a"', " within/between Object entries", 5),
        ('{"a":', " within/between Object entries", 6),
        ('{"a":1,', " within/between Object entries", 8),
        ('{"a', " in field name", 4),
        ('"a', ": was expecting closing quote for a string value", 3),
        ('"\\', " in character escape sequence", 3),
        ('"\\u00', " in character escape sequence", 6),
        ("-", " in numeric value", 2),
        ("1.", " in numeric value", 3),
    ],
)
def test_a_text_that_ends_too_early(text: str, reason: str, column: int) -> None:
    fault = fault_of(text)

    assert (str(fault), fault.place) == (f"Unexpected end-of-input{reason}", Place(1, column))


@pytest.mark.parametrize(
    ("text", "reason", "column"),
    [
        ("{a:1}", "('a' (code 97)): was expecting double-quote to start field name", 3),
        ('{"a":1,}', "('}' (code 125)): was expecting double-quote to start field name", 9),
        ('{"a" 1}', "('1' (code 49)): was expecting a colon to separate field name and value", 7),
        ('{"a":1 "b":2}', "('\"' (code 34)): was expecting comma to separate Object entries", 9),
        ("[1 2]", "('2' (code 50)): was expecting comma to separate Array entries", 5),
        ('{"a":}', "('}' (code 125)): expected a value", 7),
        ("[1,]", f"(']' (code 93)): expected a valid value {VALID}", 5),
        ("\u2603", f"('\u2603' (code 9731 / 0x2603)): expected a valid value {VALID}", 2),
        ('"\\u00g0"', "('g' (code 103)): expected a hex-digit for character escape sequence", 7),
        ("-x", "('x' (code 120)) in numeric value: expected digit (0-9) to follow minus sign, for valid numeric value",
         3),
        ("[1.]", "(']' (code 93)) in numeric value: Decimal point not followed by a digit", 5),
        ("[1e]", "(']' (code 93)) in numeric value: Exponent indicator not followed by a digit", 5),
        ("[1e+x", "('x' (code 120)) in numeric value: Exponent indicator not followed by a digit", 6),
        ("12x", "('x' (code 120)): Expected space separating root-level values", 4),
        ("1 ,", "(',' (code 44)): expected a valid value", 0),
    ],
)  # fmt: skip
def test_a_character_that_is_not_expected(text: str, reason: str, column: int) -> None:
    fault = fault_of(text)

    if column:
        assert (str(fault), fault.place) == (f"Unexpected character {reason}", Place(1, column))
    else:
        assert str(fault) == "Trailing token found after value: not allowed"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tru", f"Unrecognized token 'tru': was expecting {VALID}"),
        ("nulla", f"Unrecognized token 'nulla': was expecting {VALID}"),
        ("fine", f"Unrecognized token 'fine': was expecting {VALID}"),
        ("true" + "x" * 300, f"Unrecognized token 'true{'x' * 252}...': was expecting {VALID}"),
        ("NaN", f"Non-standard token 'NaN': {NUMERIC}"),
        ("-01", "Invalid numeric value: Leading zeroes not allowed"),
        ('"\\x"', "Unrecognized character escape 'x' (code 120)"),
        ('"\t"', "Illegal unquoted character ((CTRL-CHAR, code 9)): has to be escaped using backslash to be included "
                 "in string value"),
        ('{"\x7f\n"}', "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be "
                       "included in name"),
        ("\x01", "Illegal character ((CTRL-CHAR, code 1)): only regular white space (\\r, \\n, \\t) is allowed between "
                 "tokens"),
        ("\x85", f"Unexpected character ((CTRL-CHAR, code 133)): expected a valid value {VALID}"),
        ("[}", "Unexpected close marker '}': expected ']' (for Array starting at "
               '[Source: (String)"[}"; line: 1, column: 1])'),
        ("{]", "Unexpected close marker ']': expected '}' (for Object starting at "
               '[Source: (String)"{]"; line: 1, column: 1])'),
        ("{} x", "Trailing token found after value: not allowed"),
        (" ", "No content to map due to end-of-input"),
        ('{"a":1,"a":2}', "Duplicate field 'a'"),
    ],
)  # fmt: skip
def test_what_else_is_wrong(text: str, reason: str) -> None:
    assert str(fault_of(text)) == reason


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        ('"\\ud800"', "no low surrogate in string", Place(1, 2)),
        ('{"a": "é",\n "\U0001f600b": [1e999]}', "number is infinity when parsed as double", Place(2, 10)),
    ],
)
def test_what_jackson_would_take_and_is_no_text_is_refused_with_orjsons_reason(
    text: str, reason: str, place: Place
) -> None:
    fault = fault_of(text)

    source = f'[Source: (String)"{text}"; line: {place.line}, column: {place.column}]'
    assert (fault.message, fault.location, fault.place) == (f"{reason}\n at {source}", source, place)


@pytest.mark.parametrize("depth", [129, 300, 2_000, 100_000])
def test_a_text_that_is_nested_too_deeply_is_told_as_such_where_it_is(depth: int) -> None:
    fault = fault_of('{"a":\n' + "[" * (depth - 1) + "1" + "]" * (depth - 1) + "}")

    assert isinstance(fault, TooDeep)
    assert (fault.message, fault.location, fault.place) == (
        "Definition is nested more than 128 levels deep",
        None,
        Place(2, 128),
    )


def test_a_text_that_is_nested_as_deeply_as_allowed_is_read() -> None:
    value: Json = 1
    for _ in range(128):
        value = {"a": value}
    assert read_json('{"a":' * 128 + "1" + "}" * 128) == value


def test_a_field_that_is_given_twice_is_found_at_any_depth_and_line() -> None:
    fault = fault_of('{"a":\r\n {"b": [1, {"c": 1, "d": {"c": 2},\n\n  "c": 2}]}}')

    assert (str(fault), fault.place) == ("Duplicate field 'c'", Place(4, 6))
    assert read_json('[{"a": 1}, {"a": 1, "b": {"a": 12345678901234567890123, "c": 1.5}}]') == [
        {"a": 1},
        {"a": 1, "b": {"a": 12345678901234567890123.0, "c": 1.5}},
    ]


def test_a_long_text_is_quoted_by_its_beginning() -> None:
    text = "x" * 10 + " " * 600

    assert f'[Source: (String)"{text[:500]}"[truncated 110 chars]; line: 1, column: 11]' in fault_of(text).message


def test_half_a_pair_is_not_quoted() -> None:
    assert fault_of("\ud800").location == '[Source: (String)"?"; line: 1, column: 2]'


def test_places_count_characters_as_java_does() -> None:
    wanted = ["", "/a", "/a/0", "/a/1", "/a/2", "/a/2/b~1c", "/a/3", "/b"]
    assert places_in('{"a": [1,\n "\U0001f600", {"b/c": 2}]}', wanted) == {
        "": Place(1, 1),
        "/a": Place(1, 2),
        "/a/0": Place(1, 8),
        "/a/1": Place(2, 2),
        "/a/2": Place(2, 8),
        "/a/2/b~1c": Place(2, 9),
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(JSON, st.sampled_from([None, 1]))
def test_every_json_text_has_a_place_for_each_part(value: Json, indent: int | None) -> None:
    def pointers(part: Json, at: str) -> set[str]:
        inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        names = [(str(key).replace("~", "~0").replace("/", "~1"), each) for key, each in inner]
        return {at}.union(*(pointers(each, f"{at}/{name}") for name, each in names))

    text = json.dumps(value, indent=indent)

    assert places_in(text, pointers(value, "")).keys() == pointers(value, "")
    assert places_in(text, ()) == {}
    assert read_json(text) == json.loads(text)


@given(st.text(alphabet='{}[]",:\\ \n-+.eE0123truefalsnlNIyx\u00e9\t/'))
@example('{"a":[1,2,{"b":null}]}')
@example("[[1]")
def test_a_text_is_refused_if_pythons_reader_refuses_it(text: str) -> None:
    def unique(members: list[tuple[str, object]]) -> dict[str, object]:
        made = dict(members)
        if len(made) < len(members):
            raise ValueError("twice")
        return made

    def finite(number: str) -> int | float:
        value = float(number) if "." in number or "e" in number.lower() else int(number)
        if not -(2**63) <= value < 2**64:
            value = float(value)
        if not isfinite(value):
            raise ValueError(number)
        return value

    try:
        expected = json.loads(
            text, object_pairs_hook=unique, parse_constant=finite, parse_int=finite, parse_float=finite
        )
    except ValueError:
        with pytest.raises(JsonFault):
            read_json(text)
    else:
        assert read_json(text) == expected
        assert "" in places_in(text, [""])


def test_places_are_found_in_a_time_that_grows_with_the_text_alone() -> None:
    """A line is not read again for each of its places: with that, these would take minutes."""
    text = "[" + ",".join(['"\U0001f600"'] * 20_000) + "]"

    places = places_in(text, ["/0", "/1", "/19999"])

    assert [places[f"/{index}"] for index in (0, 1, 19_999)] == [Place(1, 2), Place(1, 7), Place(1, 2 + 5 * 19_999)]
