"""Intrinsic calls as they stand in a payload template: what each of the 18 gives, what fails, in AWS's words.

Beside a case stands what it rests on: [R] a recording of AWS by LocalStack or tiny-asl-machine (public, Apache-2.0
and MIT), [G] AWS's developer guide, [J] Java, where a recording shows that AWS gives what Java does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processor.interpreter.intrinsics import compile_intrinsic, is_intrinsic
from processor.model.definition import Budget, StateFailure
from processor.model.ids import EPOCH
from processor.model.json import Json


class Drawn:
    """An Environment whose draws come of a seed; `asked` are the numbers it was asked for."""

    now = EPOCH
    budget = Budget()

    def __init__(
        self, context: Json = None, *, seed: bytes = b"seed", variables: Mapping[str, Json] | None = None
    ) -> None:
        self.context, self.seed, self.visited = context, seed, 0
        self.variables = variables or {}
        self.asked: list[int] = []

    def draw(self, number: int) -> bytes:
        self.asked.append(number)
        return blake2b(str(number).encode(), key=self.seed, digest_size=16).digest()


def result(text: str, value: Json = None, *, context: Json = None) -> Json:
    return compile_intrinsic(text, field="x.$")(value, Drawn(context))


def failure(text: str, value: Json = None, *, context: Json = None) -> tuple[str, str]:
    with pytest.raises(StateFailure) as caught:
        result(text, value, context=context)
    return caught.value.error, caught.value.cause


def invalid(text: str, value: Json = None) -> None:
    """AWS's usual sentence, the whole text in it."""
    name = text.partition("(")[0]
    cause = f"There was an error while evaluating the intrinsic function: {text}. Invalid arguments in {name}"
    assert failure(text, value) == ("States.Runtime", cause)


def test_a_text_that_begins_with_states_is_meant_as_a_call() -> None:
    assert (is_intrinsic("States.UUID()"), is_intrinsic("$.States")) == (True, False)


# ---- arguments


def test_arguments_are_literals_paths_context_paths_and_calls() -> None:
    text = "States.Array( 'a' , -1.5e1,true, false,null , $.x[0], $$.Execution.Name, States.Array(), $ )"  # [G]
    expected: Json = ["a", -15.0, True, False, None, 1, "run", [], {"x": [1]}]
    assert result(text, {"x": [1]}, context={"Execution": {"Name": "run"}}) == expected


def test_paths_keep_the_commas_and_parentheses_of_their_brackets() -> None:
    value: Json = {"a,b": 1, "list": [{"n": 1, "s": "x)"}, {"n": 2, "s": "y"}], "it's": 3}
    text = """States.Array($['a,b'], $.list[?(@.s == 'x)')].n, $["it's"], $.list[0,1])"""
    assert result(text, value) == [1, [1], 3, value["list"]]  # type: ignore[index, call-overload]  # as just written


def test_an_escaped_quote_in_a_path_does_not_end_its_name() -> None:
    assert result(r"States.Array($['it\'s, so'])", {"it's, so": 1}) == [1]


def test_a_literal_resolves_its_four_escapes() -> None:
    assert result(r"States.Array('it\'s \{\} \\n')") == [r"it's {} \n"]  # [G]


def test_a_path_that_finds_nothing_fails_naming_the_whole_text_the_path_and_the_input() -> None:
    text = "States.Format('{}',States.Format('{} {}', $.a, $.b.c))"  # [R]
    cause = (
        f"The function '{text}' had the following error: The JsonPath argument for the field '$.b.c' could not be "
        "found in the input '{\"a\":1}'"
    )
    assert failure(text, {"a": 1}) == ("States.Runtime", cause)


def test_a_context_path_that_finds_nothing_is_named_with_one_dollar_beside_the_input() -> None:
    _, cause = failure("States.Array($$.No.Such)", {"a": 1}, context={})  # [R]
    assert cause.endswith("The JsonPath argument for the field '$.No.Such' could not be found in the input '{\"a\":1}'")


def test_an_index_into_what_is_no_array_fails_in_the_words_of_aws_path_library() -> None:
    _, cause = failure("States.Array($.a.b[0].c)", {"a": {"b": {"k": [1, None]}}})  # [R]
    sentence = "Filter: [0] can only be applied to arrays. Current context is: {k=[1, null]}"
    assert cause == f"The function 'States.Array($.a.b[0].c)' had the following error: {sentence}"


@pytest.mark.parametrize(
    ("path", "value"),
    [("$.a[5]", {"a": [1]}), ("$.a[0]", {"a": None}), ("$.a.b[0]", {"a": 1}), ("$.a['b','c']", {"a": 1})],
)
def test_other_paths_that_find_nothing_fail_alike(path: str, value: Json) -> None:
    _, cause = failure(f"States.Array({path})", value)  # [R] for an index past the end
    assert f"The JsonPath argument for the field '{path}' could not be found" in cause


def test_an_indefinite_path_that_finds_nothing_is_an_empty_array() -> None:
    assert result("States.ArrayLength($.items[*].no)", {"items": [1, 2]}) == 0  # [R]
    assert result("States.ArrayLength($$..no)", context={"a": 1}) == 0


def test_an_argument_may_be_a_variable_or_lie_in_one() -> None:
    variables: dict[str, Json] = {"x": 1, "items": [{"n": 2}, {"n": 3}]}
    evaluate = compile_intrinsic("States.Array($x, $items[1].n, $items[*].n)", field="x.$")
    assert evaluate(None, Drawn(variables=variables)) == [1, 3, [2, 3]]


def test_a_variable_that_was_never_assigned_is_not_found() -> None:
    for text in ("States.Array($y)", "States.Array($y[*])"):
        with pytest.raises(StateFailure, match="could not be found in the input"):
            compile_intrinsic(text, field="x.$")({"a": 1}, Drawn())


# ---- how many arguments: AWS finds out when the call runs


@pytest.mark.parametrize(
    "text",
    [
        "States.ArrayContains($)",
        "States.ArrayLength()",
        "States.ArrayLength($, 1)",
        "States.ArrayRange(1, 2)",
        "States.Base64Encode('a', 'b')",
        "States.Format()",
        "States.Hash('hello')",
        "States.Hash('hello', 'MD5', 'extra')",
        "States.JsonMerge($, $)",
        "States.JsonToString()",
        "States.MathAdd(1)",
        "States.MathRandom(1)",
        "States.MathRandom(1, 2, 3, 4)",
        "States.StringSplit('a')",
        "States.StringToJson('1', '2')",
    ],
)
def test_a_wrong_number_of_arguments_fails_the_state(text: str) -> None:
    invalid(text, [1])  # [R]


def test_the_sentence_names_the_call_that_failed_within_the_whole_text() -> None:
    text = "States.Array(States.ArrayLength(States.JsonToString($)))"  # [R]
    _, cause = failure(text, [1])
    assert cause.endswith(f"intrinsic function: {text}. Invalid arguments in States.ArrayLength")


# ---- arrays

WORKING: list[tuple[str, Json, Json]] = [
    # States.ArrayPartition
    ("States.ArrayPartition($, 4)", [1, 2, 3, 4, 5, 6, 7, 8, 9], [[1, 2, 3, 4], [5, 6, 7, 8], [9]]),  # [G]
    ("States.ArrayPartition($, 2.6)", [1, 2, 3, 4, 5], [[1, 2], [3, 4], [5]]),  # [R]; the guide would round to 3
    ("States.ArrayPartition($, 10)", [1], [[1]]),
    ("States.ArrayPartition($, 3)", [], []),  # [R]
    # States.ArrayContains compares what values print as
    ("States.ArrayContains($, 5)", [1, 2, 3, 4, 5], True),  # [G]
    ("States.ArrayContains($, '2')", [1, 2], True),  # [R] the other way round
    ("States.ArrayContains($, true)", ["true"], True),  # [R]
    ("States.ArrayContains($, false)", [0, 1], False),  # [R]
    ("States.ArrayContains($, null)", [1, None], True),  # [R]
    ("States.ArrayContains($[0], $[1])", [[{"a": 1, "b": 2}], {"a": 1, "b": 2}], True),
    ("States.ArrayContains($[0], $[1])", [[{"a": 1, "b": 2}], {"b": 2, "a": 1}], False),  # [R]
    ("States.ArrayContains($, 1.0)", [1], False),  # [J]
    # States.ArrayRange
    ("States.ArrayRange(1, 9, 2)", None, [1, 3, 5, 7, 9]),  # [G]
    ("States.ArrayRange(5, 1, -2)", None, [5, 3, 1]),  # [R]
    ("States.ArrayRange(3, 3, -1)", None, [3]),  # [R]
    ("States.ArrayRange(5, 1, 1)", None, []),  # [R]
    ("States.ArrayRange(1, 5, -1)", None, []),  # [R]
    ("States.ArrayRange(1.6, 1.4, 1)", None, [1]),  # [R]
    ("States.ArrayRange(5.4, -0.6, -2.4)", None, [5, 3, 1]),  # [R]
    ("States.ArrayLength(States.ArrayRange(1, 1000, 1))", None, 1000),  # [R]
    ("States.ArrayLength(States.ArrayRange(1000, 1, -1))", None, 1000),  # [R]
    # States.ArrayGetItem
    ("States.ArrayGetItem($, 5)", [1, 2, 3, 4, 5, 6], 6),  # [G]
    ("States.ArrayGetItem($, 1.2)", [10, 20, 30], 20),  # [R]
    ("States.ArrayGetItem($, 999)", [], None),  # [R]
    # States.ArrayUnique answers in the order of a HashSet
    ("States.ArrayUnique($)", [1, 2, 3, 3, 3, 3, 4], [1, 2, 3, 4]),  # [G]
    ("States.ArrayUnique($)", [True, False, True], [False, True]),  # [R]
    ("States.ArrayUnique($)", [[1, 2], [1, 2], [2, 1]], [[2, 1], [1, 2]]),  # [R]
    ("States.ArrayUnique($)", [1, "1", 1, "01"], [1, "1", "01"]),  # [R]
    ("States.ArrayUnique($)", [{"a": 1, "b": 2}, {"b": 2, "a": 1}], [{"a": 1, "b": 2}]),  # [R]
    ("States.ArrayUnique($)", [None, 1, None], [None, 1]),  # [R]
    # States.Base64Encode and States.Base64Decode
    ("States.Base64Encode('Data to encode')", None, "RGF0YSB0byBlbmNvZGU="),  # [G]
    ("States.Base64Encode('🚀')", None, "8J+agA=="),  # [R]
    ("States.Base64Decode('8J-agA')", None, "🚀"),  # [J]
    ("States.Base64Decode(' Y!W\tJj\nZA== ')", None, "abcd"),  # [R] for characters passed over
    ("States.Base64Decode('ab==cd')", None, "i"),  # [R] accepted
    ("States.Base64Decode('abc')", None, "i�"),  # [R] accepted
    ("States.Base64Decode('YWJjx')", None, "abc"),  # [J] six bits are no byte
    # States.ArrayContains: an element that prints as more than what is sought is not printed to its end
    ("States.ArrayContains($, 'ab')", ["abc" * 1_000, "ab"], True),
    ("States.ArrayContains($, 'ab')", [["ab", "ab"]], False),
    # States.Hash
    ("States.Hash('input data', 'SHA-1')", None, "aaff4a450a104cd177d28d18d74485e8cae074b7"),  # [G]
    ("States.Hash('', 'MD5')", None, "d41d8cd98f00b204e9800998ecf8427e"),
    ("States.Hash(123, 'MD5')", None, "202cb962ac59075b964b07152d234b70"),  # [R] a number is hashed as it prints
    # States.JsonMerge
    (
        "States.JsonMerge($.json1, $.json2, false)",  # [G]
        {"json1": {"a": {"a1": 1, "a2": 2}, "b": 2}, "json2": {"a": {"a3": 1, "a4": 2}, "c": 3}},
        {"a": {"a3": 1, "a4": 2}, "b": 2, "c": 3},
    ),
    ("States.JsonMerge($, $, 'false')", {"a": 1}, {"a": 1}),  # [R] only true asks for more
    # States.StringToJson and States.JsonToString
    ("States.StringToJson($)", '{"foo": "bar"}', {"foo": "bar"}),  # [G]
    ("States.StringToJson($)", " \n", None),  # [R]
    ("States.JsonToString($)", {"foo": "bar", "n": [1, None]}, '{"foo":"bar","n":[1,null]}'),  # [G]
    ("States.JsonToString('x')", None, '"x"'),  # [R]
    ("States.JsonToString($)", [1.5, 1e-5, 1e21, -2.0], "[1.5,1.0E-5,1.0E21,-2.0]"),  # [J]
    ("States.JsonToString($)", ["1e5", '\\"2.50', 7], r'["1e5","\\\"2.50",7]'),
    # States.MathAdd
    ("States.MathAdd(111, -1)", None, 110),  # [G]
    ("States.MathAdd(1.49, 1.5)", None, 3),  # [R]
    ("States.MathAdd(-1.5, -1.51)", None, -3),  # [R]
    ("States.MathAdd(2147483646, 1)", None, 2147483647),  # [R]
    ("States.MathAdd(-2147483647, -1)", None, -2147483648),  # [R]
    # States.MathRandom with a seed is java.util.Random
    ("States.MathRandom(1, 100, 42)", None, 63),  # [R]
    ("States.MathRandom(1, 1000, 1)", None, 106),  # [R]
    ("States.MathRandom(1, 1000, 2)", None, 806),  # [R]
    ("States.MathRandom(1, 10, 0)", None, 7),  # [R]
    ("States.MathRandom(1, 10, -10)", None, 1),  # [R]
    ("States.MathRandom(-5, 5, 42)", None, -5),  # [R]
    ("States.MathRandom(2147483640, 2147483647, 1)", None, 2147483644),  # [R]
    # States.StringSplit
    ("States.StringSplit($, ',')", "1,2,3,4,5", ["1", "2", "3", "4", "5"]),  # [G]
    ("States.StringSplit($, '.+,=')", "This.is+a,test=string", ["This", "is", "a", "test", "string"]),  # [G]
    ("States.StringSplit($, 'ab')", "1a2b3ab4", ["1", "2", "3", "4"]),  # [R]
    ("States.StringSplit($, ',')", "", []),  # [R]
    ("States.StringSplit($, '')", "abc", ["abc"]),  # [J]
    ("States.StringSplit($, '')", "", []),  # [J]
    # States.Format
    ("States.Format('Hello, my name is {}.', $)", "Arnav", "Hello, my name is Arnav."),  # [G]
    ("States.Format($.t, $.n)", {"t": "Hello, {}!", "n": "Arnav"}, "Hello, Arnav!"),  # [G]
    ("States.Format('{}|{}|{}|{}', $[0], $[1], $[2], $[3])", [None, False, -1, 3.5], "null|false|-1|3.5"),  # [R]
    ("States.Format('{}', $)", {"Arg1": 1, "Arg2": [], "x": [{}, "y"]}, "{Arg1=1, Arg2=[], x=[{}, y]}"),  # [R]
    ("States.Format('{}', 1e7)", None, "1.0E7"),  # [J]
    (r"""States.Format('\{"key":"{}"\} it\'s \\', $)""", "v", """{"key":"v"} it's \\"""),  # [G]
    ("States.Format($[0], $[1])", [r"C:\new \{{}\}", 1], r"C:\new {1}"),
    ("States.Format('none')", None, "none"),  # [R]
]  # fmt: skip


@pytest.mark.parametrize(("text", "value", "expected"), WORKING)
def test_a_call_gives(text: str, value: Json, expected: Json) -> None:
    made = result(text, value)
    assert (made, type(made)) == (expected, type(expected))


FAILING: list[tuple[str, Json]] = [
    ("States.ArrayPartition('not-array', 2)", None),
    ("States.ArrayPartition($, 0.6)", [1]),  # [R]
    ("States.ArrayPartition($, -1)", [1]),
    ("States.ArrayPartition($, '2')", [1]),
    ("States.ArrayPartition($, true)", [1]),
    ("States.ArrayContains('a', 'a')", None),
    ("States.ArrayRange(1, 10, 0)", None),
    ("States.ArrayRange(1, 10, 0.49)", None),
    ("States.ArrayRange('a', 5, 1)", None),
    ("States.ArrayRange(1, 1001, 1)", None),
    ("States.ArrayRange(1001, 1, -1)", None),
    ("States.ArrayRange(0, 3000000000, 1000000000)", None),  # [J]
    ("States.ArrayGetItem($, 3)", [10, 20, 30]),
    ("States.ArrayGetItem($, -1)", [10, 20, 30]),
    ("States.ArrayGetItem($, '1')", [10, 20, 30]),
    ("States.ArrayLength('not-array')", None),
    ("States.ArrayUnique($)", {"a": 1}),
    ("States.Base64Encode(123)", None),
    ("States.Base64Encode($)", "a" * 10_001),
    ("States.Base64Decode($)", "A" * 10_001),
    ("States.Hash($, 'MD5')", "a" * 10_001),
    ("States.Hash(null, 'MD5')", None),
    ("States.Hash('data', 'sha-256')", None),
    ("States.Hash('data', 'SHA256')", None),
    ("States.Hash('data', 123)", None),
    ("States.JsonMerge($, null, false)", {}),
    ("States.JsonMerge(null, $, false)", {}),
    ("States.JsonMerge($, $, true)", {}),
    ("States.StringToJson(123)", None),
    ("States.MathAdd(2147483647, 1)", None),
    ("States.MathAdd(3000000000, 1)", None),
    ("States.MathAdd('1', 1)", None),
    ("States.MathAdd(false, 1)", None),
    ("States.MathAdd(null, 1)", None),
    ("States.MathRandom(1, 1)", None),
    ("States.MathRandom(10, 5)", None),
    ("States.MathRandom(1.4, 1.6)", None),  # [R]
    ("States.MathRandom(1, 10, 'seed')", None),
    ("States.MathRandom(1, 10, null)", None),
    ("States.MathRandom(-2147483648, 2147483647, 1)", None),  # [J]
    ("States.StringSplit(123, ',')", None),
    ("States.StringSplit('a', null)", None),
]  # all but the marked are recorded


@pytest.mark.parametrize(("text", "value"), FAILING)
def test_a_call_refuses_its_arguments(text: str, value: Json) -> None:
    invalid(text, value)


@pytest.mark.parametrize(
    ("text", "value", "sentence"),
    [
        ("States.Format('Hello {', 1)", None, "Invalid template in States.Format: matching '}' not found for '{'."),
        ("States.Format('Hello {{}}', 1)", None, "Invalid template in States.Format: matching '}' not found for '{'."),
        ("States.Format('}')", None, "Invalid template in States.Format: matching '{' not found for '}'."),
        ("States.Format($)", "{x}", "Invalid template in States.Format: matching '}' not found for '{'."),
        (
            "States.Format('{} {}', 1)",
            None,
            "Invalid arguments in States.Format: number of arguments do not match the occurrences of {}.",
        ),
        (
            "States.Format($, 1)",
            123,
            "Invalid arguments in States.Format: number of arguments do not match the occurrences of {}.",
        ),
    ],
)
def test_a_template_that_cannot_be_filled_fails_the_state(text: str, value: Json, sentence: str) -> None:
    cause = f"There was an error while evaluating the intrinsic function: {text}. {sentence}"  # [R]
    assert failure(text, value) == ("States.Runtime", cause)


SOURCE = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {}, column: {}]"
VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


@pytest.mark.parametrize(
    ("text", "sentence", "line", "column"),
    [
        ("{bad json}", "Unexpected character ('b' (code 98)): was expecting double-quote to start field name", 1, 2),
        ("undefined", f"Unrecognized token 'undefined': was expecting {VALUES}", 1, 10),
        (
            '{"a":1',
            f"Unexpected end-of-input: expected close marker for Object (start marker at {SOURCE.format(1, 1)})",
            1,
            7,
        ),  # those three are recorded
        (
            '{"]":\n[{},[1]',
            f"Unexpected end-of-input: expected close marker for Array (start marker at {SOURCE.format(2, 1)})",
            2,
            8,
        ),
        ('["a', "Unexpected end-of-input: was expecting closing quote for a string value", 1, 4),
        ("[)]", f"Unexpected character (')' (code 41)): expected a valid value {VALUES}", 1, 2),
        (
            '{"a" 1}',
            "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
            1,
            6,
        ),
        ("[1 2]", "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries", 1, 4),
        (
            '{"a":{"b":1 "c"',
            "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries",
            1,
            13,
        ),
        ("1 x", "Unexpected character ('x' (code 120)): Expected space separating root-level values", 1, 3),
        (
            '["\n"]',
            "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be included in "
            "string value",
            1,
            3,
        ),
        (r'["\x"]', "Unrecognized character escape 'x' (code 120)", 1, 4),
        ("[" * 100_000, "Document nesting depth (1001) exceeds the maximum allowed (1000)", 1, 1),
        ("NaN", "The number or the character is not one that JSON allows", 1, 1),
        (r'"\ud800"', "The number or the character is not one that JSON allows", 1, 1),
        ("]" + "1" * 5_000, f"Unexpected character (']' (code 93)): expected a valid value {VALUES}", 1, 1),
        (
            "[" + "1" * 5_000 + "]]",
            "Unexpected character (']' (code 93)): Expected space separating root-level values",
            1,
            5003,
        ),
        ("-", f"Unexpected character ('-' (code 45)): expected a valid value {VALUES}", 1, 1),
    ],
)  # fmt: skip
def test_a_text_that_is_no_json_is_explained(text: str, sentence: str, line: int, column: int) -> None:
    cause = (
        "There was an error while evaluating the intrinsic function: States.StringToJson($). Cannot convert String to "
        f"Json in States.StringToJson, caused by: {sentence}\n at {SOURCE.format(line, column)}"
    )
    assert failure("States.StringToJson($)", text) == ("States.Runtime", cause)


@given(st.text(alphabet='{}[]",:\\ utrNa1-.e\n\x00', max_size=40))
@example('{"a":1,}')
@example('{"a":')
@example('["')
def test_any_text_is_read_or_explained(text: str) -> None:
    try:
        result("States.StringToJson($)", text)
    except StateFailure as failed:
        assert " at [Source: REDACTED" in failed.cause


# ---- chance


def test_a_uuid_is_of_version_4_and_ignores_arguments() -> None:
    shape = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    made = [result("States.UUID()"), result("States.UUID( )"), result("States.UUID(1, 'x')")]  # [R]
    assert [bool(re.fullmatch(shape, str(uuid))) for uuid in made] == [True, True, True]


def test_what_is_drawn_depends_on_the_place_in_the_definition_and_on_nothing_else() -> None:
    text = "States.Array(States.UUID(), States.UUID(), States.MathRandom(1, 1000000))"
    first = compile_intrinsic(text, field="x.$", pointer="/States/A/Parameters")
    second = compile_intrinsic(text, field="x.$", pointer="/States/B/Parameters")
    other_field = compile_intrinsic(text, field="y.$", pointer="/States/A/Parameters")
    before, after = Drawn(), Drawn()

    other = second(None, before)
    one, again = first(None, before), first(None, after)

    assert one == again
    assert one != other
    assert len(set(before.asked)) == 6
    assert other_field(None, Drawn()) != one
    assert min(before.asked) > 0


def test_a_random_number_lies_from_start_up_to_but_not_including_end() -> None:
    evaluate = compile_intrinsic("States.MathRandom(-1.9, 2.9)", field="x.$")  # cut to -1 and 2
    drawn = {str(evaluate(None, Drawn(seed=str(number).encode()))) for number in range(100)}
    assert drawn == {"-1", "0", "1"}


# ---- hostile arguments


@pytest.mark.parametrize(
    "text",
    [
        "States.Format('" + "{}" * 4_000 + "'" + ", $.big" * 4_000 + ")",
        "States.Array(" + ", ".join(["$.big"] * 8_000) + ")",
        "States.Array(" + ", ".join(["$.many"] * 8_000) + ")",
        "States.Array(" + ", ".join(["$.wide"] * 8_000) + ")",
        "States.JsonToString(States.JsonToString(" * 5 + "$.quotes" + "))" * 5,
        "States.Array(" + ", ".join(["States.Format('{}', $.big)"] * 2_000) + ")",
        "States.Array(" + ", ".join(["$..no"] * 8_000) + ")",
        "States.Array(" + ", ".join(["States.ArrayContains($.many, 1)"] * 1_500) + ")",
    ],
)
def test_no_expression_makes_more_than_a_bounded_amount(text: str) -> None:
    value: Json = {
        "big": "x" * 250_000,
        "many": [0] * 100_000,
        "wide": {str(number): number for number in range(20_000)},
        "quotes": '"' * 100_000,
    }
    cause = f"The intrinsic function made more than a state may hold: {text[:200]}"
    assert failure(text, value) == ("States.DataLimitExceeded", cause)


def test_the_expressions_of_one_event_share_what_they_may_make() -> None:
    """Else a template of many calls takes many times as long for its one event."""
    text = "States.ArrayLength(States.StringSplit($.s, ','))"
    evaluate, here = compile_intrinsic(text, field="x.$"), Drawn()
    made = [evaluate({"s": "a," * 100_000}, here) for _ in range(5)]

    with pytest.raises(StateFailure) as caught:
        for _ in range(10):
            evaluate({"s": "a," * 100_000}, here)

    assert made == [100_000] * 5
    assert (caught.value.error, caught.value.cause) == (
        "States.DataLimitExceeded",
        f"The intrinsic function, with those before it, made more than a state may hold: {text}",
    )


LARGE: dict[str, tuple[str, Json]] = {
    "25,000 numbers made unique": ("States.ArrayLength(States.ArrayUnique($))", [i * 65_536 for i in range(25_000)]),
    "125,000 numbers in a template": ("States.Format('{}', $)", [1] * 125_000),
    "125,000 numbers as JSON": ("States.JsonToString($)", [1] * 125_000),
    "125,000 numbers searched": ("States.ArrayContains($, -1)", [1] * 125_000),
    "80,000 empty objects searched": ("States.ArrayContains($, 'x')", [{}] * 80_000),
    "125,000 numbers in parts of one": ("States.ArrayLength(States.ArrayPartition($, 1))", [1] * 125_000),
    "60,000 arrays searched": ("States.ArrayContains($, 'x')", [[1]] * 60_000),
    "65,000 arrays made unique": ("States.ArrayLength(States.ArrayUnique($))", [[1]] * 65_000),
    "28,000 members merged": ("States.JsonMerge($, $, false)", {f"{i:x}": 0 for i in range(28_000)}),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_call_reads_all_that_a_state_may_hold_and_an_event_has_few_of_them(name: str) -> None:
    """AWS carries these out; sixty of them in one template took seconds."""
    text, value = LARGE[name]
    evaluate, here = compile_intrinsic(text, field="x.$"), Drawn()

    assert evaluate(value, here) == evaluate(value, Drawn())
    with pytest.raises(StateFailure) as caught:
        for _ in range(58):
            evaluate(value, here)
    assert caught.value.error == "States.DataLimitExceeded"


def test_printing_a_container_is_bounded_too() -> None:
    parts: Json = ["x" * 1_000] * 2_000
    assert failure("States.Format('{}', $)", parts)[0] == "States.DataLimitExceeded"


def test_a_template_as_long_as_what_fills_it_is_bounded_too() -> None:
    assert failure("States.Format($.t, $.v)", {"t": "x" * 600_000 + "{}", "v": "x" * 600_000})[0] == (
        "States.DataLimitExceeded"
    )


@pytest.mark.parametrize("call", ["States.ArrayUnique($)", "States.JsonToString($)"])
def test_values_nested_deeper_than_a_text_may_be_are_refused(call: str) -> None:
    deep: Json = []
    for _ in range(5_000):
        deep = [deep]
    invalid(call, deep)


def test_values_nested_deeply_print_and_count_without_recursion() -> None:
    deep: Json = []
    for _ in range(5_000):
        deep = [deep]
    assert result("States.Format('{}', States.Array($))", deep) == "[" * 5_002 + "]" * 5_002
