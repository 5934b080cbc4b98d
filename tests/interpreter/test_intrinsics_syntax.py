"""What is an intrinsic call and what is not: AWS refuses a definition for these (recorded for most of them)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processor.interpreter.intrinsics import IntrinsicFault, compile_intrinsic
from processor.interpreter.intrinsics_syntax import (
    FUNCTIONS,
    MAX_LENGTH,
    Call,
    Reference,
    Scalar,
    Text,
    parse_intrinsic,
)
from processor.interpreter.paths import PathFault


def test_a_call_is_read_with_the_place_of_each_call_in_it() -> None:
    assert parse_intrinsic(r"States.Array(States.Format('\'{}', $.a ), States.UUID(),1)" + " \n") == Call(
        "States.Array",
        (
            Call("States.Format", (Text(r"\'{}", "'{}"), Reference("$.a", 35)), 1),
            Call("States.UUID", (), 2),
            Scalar(1),
        ),
        0,
    )


def test_all_eighteen_functions_are_known() -> None:
    assert len(FUNCTIONS) == 18
    for name in FUNCTIONS:
        assert parse_intrinsic(f"{name}()") == Call(name, (), 0)


KNOWN = ", ".join(sorted(FUNCTIONS))
NO_ARGUMENT = "expected a string in single quotes, a path, a number, true, false, null or a function"


@pytest.mark.parametrize(
    ("text", "what", "position"),
    [
        ("", "expected a function such as States.Format", 0),
        (" States.UUID()", "expected a function such as States.Format", 0),
        ("States.Nope(1)", f"there is no function 'States.Nope'; there are {KNOWN}", 0),
        ("States.Array(States.Now())", f"there is no function 'States.Now'; there are {KNOWN}", 13),
        ("States.format('x')", f"there is no function 'States.format'; there are {KNOWN}", 0),
        ("States.UUID", "expected '(' after States.UUID", 11),
        ("States.UUID)", "expected '(' after States.UUID", 11),
        ("States.UUID (", "expected '(' after States.UUID", 11),
        ("States.UUID($", "the call ends within this path", 12),
        ("States.UUID() trailing", "unexpected 't'", 14),
        ("States.UUID()[0]", "unexpected '['", 13),
        ("States.Array(1", "expected ',' or ')', got 'the end'", 14),
        ("States.Array(1 2)", "expected ',' or ')', got '2'", 15),
        ("States.Array('a", "the string is not terminated", 13),
        (r"States.Array('a\'", "the string is not terminated", 13),
        (r"States.Array('a\"b')", "a backslash escapes only ', \\, { and }", 15),
        (r"States.Array('a\n')", "a backslash escapes only ', \\, { and }", 15),
        ("States.Array('a\\", "a backslash escapes only ', \\, { and }", 15),
        ("States.Array(1e999)", "the number is out of range", 13),
        *(
            (text, NO_ARGUMENT, 13)
            for text in (
                "States.Array(",
                "States.Array(,)",
                "States.Array([1])",
                'States.Array("a")',
                "States.Array(.5)",
                "States.Array(True)",
                "States.Array(nul)",
            )
        ),
        ("States.Array($.a, )", NO_ARGUMENT, 18),
        ("States.Array(1.)", "expected ',' or ')', got '.'", 14),
        ("States.Array(01)", "expected ',' or ')', got '1'", 14),
        ("States.Array(nullx)", NO_ARGUMENT, 13),
        ("States.Array(" * 11 + ")" * 11, "calls are nested more than 10 deep", 130),
        ("States.Array(" + " " * MAX_LENGTH, f"longer than {MAX_LENGTH} characters", MAX_LENGTH),
    ],
)  # fmt: skip
def test_a_text_that_is_no_call_is_refused_with_its_position(text: str, what: str, position: int) -> None:
    with pytest.raises(IntrinsicFault) as caught:
        parse_intrinsic(text)

    assert (caught.value.what, caught.value.position) == (what, position)
    assert str(caught.value) == (
        f"not a valid intrinsic function call: {what} at character {position + 1} of {text[:200]!r}"
    )


def test_calls_may_be_nested_ten_deep() -> None:
    assert parse_intrinsic("States.Array(" * 10 + ")" * 10).name == "States.Array"


@pytest.mark.parametrize("path", ["$.", "$.a b", "$.a[", "$.a[?(@.b == ", "$['a", "$.a]", "$.a'"])
def test_a_path_that_is_none_is_refused_at_its_position(path: str) -> None:
    with pytest.raises(IntrinsicFault) as caught:
        compile_intrinsic(f"States.Array(1, {path})", field="x.$")

    assert caught.value.position == 16


@given(st.text(alphabet="States.Array$UUIDFormat(),'\\{}[]\"1-e \t@?*nulltre", max_size=60))
@example("States.Array($\\")
@example("States.Array($'\\")
def test_any_text_is_compiled_or_refused(tail: str) -> None:
    for text in (tail, f"States.Array({tail}", f"States.Array({tail})"):
        with suppress(PathFault):
            compile_intrinsic(text, field="x.$")
