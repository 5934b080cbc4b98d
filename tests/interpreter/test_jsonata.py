"""JSONata: values and undefined, AWS's wording of failures, what is refused, purity, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import jlens
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.interpreter import jsonata_engine
from processor.interpreter.jsonata import (
    UNDEFINED,
    Bounded,
    EvaluationFailed,
    Expression,
    JsonataFault,
    Task,
    Undefined,
    compile_expression,
    type_name,
)
from processor.interpreter.jsonata_engine import MAX_ARRAY, MAX_LENGTH, SANDBOXED, TAME, TIMEOUT, Engine, Panicked
from processor.interpreter.jsonata_functions import MEMORY_LIMIT as MEMORY
from processor.interpreter.jsonata_functions import Exhausted, Refused
from processor.interpreter.jsonata_paths import compile_path
from processor.interpreter.jsonata_syntax import scan
from processor.model.commands import MAX_CAUSE_LENGTH
from processor.model.definition import Budget
from processor.model.ids import Millis
from processor.model.json import Json, parse_json, render_json

NOW = Millis(1_700_000_000_123)
SEED = bytes(range(16))
STATES: Json = {
    "input": {"a": {"b": 1}, "rows": [{"id": 1, "v": [1]}, {"id": 2}], "nothing": None, "one": [7]},
    "result": [1, 2, 3],
    "context": {"Execution": {"Name": "e"}},
}


def no_entropy() -> bytes:
    raise AssertionError("drew")


def evaluated(
    text: str, states: Json = STATES, variables: Mapping[str, Json] | None = None, seed: bytes = SEED
) -> Json | Undefined:
    expression = compile_expression(text, field="Output")
    return expression.evaluate(states, variables or {}, entropy=lambda: seed, now=NOW)


def failure_of(text: str, states: Json = STATES, variables: Mapping[str, Json] | None = None) -> str:
    expression = compile_expression(text, field="Output/x")
    with pytest.raises(EvaluationFailed) as failed:
        expression.value(states, variables or {}, entropy=lambda: SEED, now=NOW)
    assert (failed.value.error, failed.value.location) == ("States.QueryEvaluationError", "Output/x")
    return failed.value.cause


def tail(cause: str) -> str:
    return cause.partition("specified for the field 'Output/x' ")[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$states.input.a.b", 1),
        ("$states.input.a.b + 1", 2),
        ("$states.input.nothing", None),
        ("$states.input.rows.id", [1, 2]),
        ("$states.input.rows.v", [1]),
        ("$states.input.rows.v[0]", 1),
        ("$states.input.rows.v[7]", UNDEFINED),
        ("$states.input.rows[-1].id", 2),
        ("$states.input.rows[7].id", UNDEFINED),
        ("$states.input.a[0].b[0]", 1),
        ("$states.input.a[1].b", UNDEFINED),
        ("$states.input.one", [7]),
        ("$states.input.one.x", UNDEFINED),
        ("$states.input.a.b.c", UNDEFINED),
        ("$states.input.z", UNDEFINED),
        ("$states.input.nothing.x", UNDEFINED),
        ("$states.result[$ > 1]", [2, 3]),
        ("$x", {"y": [2.0]}),
        ("$x.y", [2.0]),
        ("$n", 3),
        ("$n & ''", "3"),
        ("$gone", UNDEFINED),
        ("$gone.x", UNDEFINED),
        ("$exists($gone)", False),
        ("$exists($states.input.nothing)", True),
        ("null", None),
        ("-12", -12),
        ("'it'", "it"),
        ("true", True),
        ("[]", []),
        ("($states.result.{'v': $, 'n': $n})[0]", {"v": 1, "n": 3}),
        ("$string()", UNDEFINED),  # no context: reported of AWS
        ("$sum($n)", 3),
        ("function($v) { $v }", UNDEFINED),
        ("$big", 9007199254740993),  # a path is not rounded as the engine would
        ("$small", 2.5),
        ("/a/ ~> $type", UNDEFINED),  # where a regular expression opens the text
        ("/* no */ $n ? 'y' : 'n'", "y"),
        ("$y := $n", 3),
        ("$n = 3 ? '?:' : '??'", "?:"),
        ("/* $n ?? 1 */ $match('a?:', /aa??:?|a/).match", "a"),
    ],
)
def test_an_expression_gives_its_value_or_undefined(text: str, expected: Json | Undefined) -> None:
    variables: dict[str, Json] = {"x": {"y": [2.0]}, "n": 3.0, "big": 9007199254740993, "small": 2.5}
    made = evaluated(text, variables=variables)
    assert (made, type(made)) == (expected, type(expected))


def test_an_expression_tells_what_it_reads() -> None:
    read = compile_expression("  ($y := 1; $y + $states.input.a + $z + $sum($q)) ", field="Output")
    assert read.text == "($y := 1; $y + $states.input.a + $z + $sum($q))"
    assert (read.variables, read.states_fields) == (frozenset({"z", "q"}), frozenset({"input"}))
    assert (read.whole, read.constant) == (None, False)
    assert compile_expression("$states.input", field="Output").whole == "INPUT"
    assert compile_expression("$states.result", field="Output").whole == "RESULT"
    assert compile_expression("1", field="Seconds").constant


def test_the_whole_input_is_handed_on_as_it_is() -> None:
    states: Json = {"input": {"n": 1.0}}
    assert isinstance(states, dict)
    assert evaluated("$states.input", states) is states["input"]


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.sampled_from([0.5, 2.0, -0.0, 1e17])
        | st.text("ab", max_size=2),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=20,
    ),
    st.lists(
        st.sampled_from(["a", "b", "c", '"a"', "'b'", "`c`", "a[0]", "b[-1]", "c[1]", "a[0][0]", "`b`[-2]"]), max_size=4
    ),
    st.sampled_from(["", "[0]", "[-1]", "[1][0]"]),
)
def test_a_compiled_path_gives_what_the_engine_gives(value: Json, steps: list[str], index: str) -> None:
    text = ".".join([f"$x{index}", *steps])
    assert compile_path(text) is not None
    by_engine = Engine(text, scan(text)).evaluate(
        {}, {"x": value}, seed=SEED, now=NOW, limits=SANDBOXED, budget=Budget()
    )
    assert evaluated(text, {}, {"x": value}) == by_engine


# ---- failures


def test_undefined_fails_a_field_in_the_recorded_words() -> None:
    assert failure_of("$doesNotExist") == (
        "The JSONata expression '$doesNotExist' specified for the field 'Output/x' returned nothing (undefined)."
    )


def test_another_type_than_expected_fails_in_the_recorded_words() -> None:
    expression = compile_expression("$ItemsVar", field="Items")
    found: dict[str, Json] = {}
    items: dict[str, Json] = {"number": 1, "boolean": True, "object": {"foo": "bar"}, "null": None, "string": "x"}
    for name, value in items.items():
        with pytest.raises(EvaluationFailed) as failed:
            expression.value({}, {"ItemsVar": value}, entropy=no_entropy, now=NOW, expected="array")
        found[name] = failed.value.cause
    opening = "The JSONata expression '$ItemsVar' specified for the field 'Items' returned an unexpected result type. "
    assert found == {
        "number": opening + "Expected 'array', but was 'number' for value: 1",
        "boolean": opening + "Expected 'array', but was 'boolean' for value: true",
        "object": opening + "Expected 'array', but was 'object' for value: {\"foo\":\"bar\"}",
        "null": opening + "Expected 'array', but was 'null' for value: null",
        "string": opening + "Expected 'array', but was 'string' for value: \"x\"",
    }
    assert expression.value({}, {"ItemsVar": [1]}, entropy=no_entropy, now=NOW, expected="array") == [1]


def test_a_value_too_deep_to_write_is_not_repeated_in_the_cause() -> None:
    deep: Json = 1
    for _ in range(400):
        deep = {"a": deep}
    with pytest.raises(EvaluationFailed, match="for value: …"):
        compile_expression("$x", field="Items").value({}, {"x": deep}, entropy=no_entropy, now=NOW, expected="array")
    assert (type_name(1.5), type_name([]), type_name({})) == ("number", "array", "object")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$randomSeeded($states.input)", ". T1006: Attempted to invoke a non-function"),
        ("$eval('1+1')", ". T1006: Attempted to invoke a non-function"),
        ("1 + 'a'", '. T2002: The right side of the "+" operator must evaluate to a number'),
        ("$number('x')", '. D3030: Unable to cast value to a number: "x"'),
        ("1 / 0", ". D1001: Number out of range: null"),
        ("$power(10, 400)", None),
        ("0 / 0", ". D1001: Number out of range: NaN"),
        ("{'a': [1, 5 % 0]}", ". D1001: Number out of range: NaN"),
        ("$parseInteger('abc', '0')", ". D1001: Number out of range: NaN"),
        (r'"\ud800" & "x"', ": A string literal holds half of a surrogate pair"),
    ],
)
def test_an_error_of_the_language_fails_with_its_code(text: str, expected: str | None) -> None:
    said = tail(failure_of(text))
    assert said.startswith("threw an error during evaluation")
    assert expected is None or said == "threw an error during evaluation" + expected


def test_null_among_results_of_a_division_is_null() -> None:
    assert evaluated("[$states.input.nothing, {'a': 4 / 2, 'b': null}]") == [None, {"a": 2, "b": None}]
    assert evaluated("4 / 2") == 2
    assert evaluated("[4 / 2, 'x', {'y': true}]") == [2, "x", {"y": True}]


def test_integers_beyond_64_bits_come_as_floats() -> None:
    made = evaluated("[1e20, {'a': -$power(2, 64), 'b': 7, 'c': [$power(2, 63)]}, 'x']")
    assert repr(made) == "[1e+20, {'a': -1.8446744073709552e+19, 'b': 7, 'c': [9223372036854775808]}, 'x']"
    assert repr(evaluated("$power(2, 65) + 0")) == "3.6893488147419103e+19"
    assert repr(evaluated("$power(2, 62) + 0")) == "4611686018427387904"


def test_a_panic_of_the_engine_fails_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As the engine's binding calls it."""

    def raising(kind: type[BaseException]) -> None:
        def evaluated_here(*_: object) -> dict[str, Json]:
            raise kind

        monkeypatch.setattr(Engine, "_evaluated", evaluated_here)

    raising(PanicException)
    assert tail(failure_of("1 + 1")) == "threw an internal error during evaluation."
    raising(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        evaluated("1 + 1")


# ---- what is refused


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("1 +", "Unexpected end of expression", 3),
        ('"unterminated', "String literal must be terminated by a matching quote", 13),
        ("a[1,2)", 'Expected "]", got ","', 4),
        ("", "Unexpected end of expression", 0),
        ("1)})", None, None),
        ("$x ?? 1", 'The symbol "?" cannot be used as a unary operator', 5),
        ("$x.(a ? b : c ?: '??')", 'The symbol ":" cannot be used as a unary operator', 16),
        ("[1 ? 2 : 3, $x ?: 1 ?? 2]", 'The symbol ":" cannot be used as a unary operator', 17),
        ("(" * 1100 + ")" * 1100, "The expression is nested too deeply (the limit is 1000 levels)", 1001),
        ("1e400", 'Number out of range: "1e400"', 0),
        ("'\ud800'", "The expression is no Unicode text: half of a pair", 1),
        ("1" * (MAX_LENGTH + 1), f"The expression is longer than {MAX_LENGTH} characters", None),
    ],
)
def test_what_is_no_expression_is_refused(text: str, message: str | None, position: int | None) -> None:
    with pytest.raises(JsonataFault) as fault:
        compile_expression(text, field="Output")
    assert fault.value.code == "INVALID_JSONATA_EXPRESSION"
    if message is not None:
        assert (fault.value.message, fault.value.position) == (message, position)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("phone", "Reference to 'phone' at the top level is not supported."),
        ("$", "Reference to '$' at the top level is not supported."),
        ("$$", "Reference to '$$' is not supported."),
        ("$count($states.result[$$ = 1])", "Reference to '$$' is not supported."),
    ],
)
def test_a_context_that_is_not_there_is_refused(text: str, message: str) -> None:
    with pytest.raises(JsonataFault) as fault:
        compile_expression(text, field="Output")
    assert (fault.value.code, fault.value.message) == ("UNSUPPORTED_JSONATA_EXPRESSION", message)


# ---- purity


def test_time_is_the_one_given() -> None:
    assert evaluated("[$now(), $millis()]") == ["2023-11-14T22:13:20.123Z", 1_700_000_000_123]


def test_draws_come_of_one_seed() -> None:
    text = "[$random(), $random(), $uuid(), $uuid(), $shuffle([1,2,3,4,5,6,7,8])]"
    first, again, other = evaluated(text), evaluated(text), evaluated(text, seed=bytes(16))
    assert first == again != other
    assert isinstance(first, list)
    assert len({str(drawn) for drawn in first[:4]}) == 4
    assert sorted(first[4:], key=str) == [1, 2, 3, 4, 5, 6, 7, 8] != first[4:]


def test_nothing_is_drawn_where_nothing_is_random() -> None:
    assert compile_expression("1 + 1", field="x").evaluate({}, {}, entropy=no_entropy, now=NOW) == 2


def test_a_workflow_variable_hides_the_function_of_its_name() -> None:
    assert evaluated("$sum + 1", variables={"sum": 4}) == 5
    assert evaluated("$uuid", variables={"uuid": "mine"}) == "mine"


# ---- limits


def depth(text: str) -> str:
    try:
        return repr(evaluated(text))[:3]
    except EvaluationFailed as failed:
        return failed.cause.rpartition("evaluation: ")[2][:14]


def test_nesting_ends_where_it_ends_on_aws() -> None:
    recursion = "($f := function($n) { $n <= 0 ? 0 : 1 + $f($n - 1) }; $f(%d))"
    assert [depth("+".join(["1"] * n)) for n in (100, 101)] == ["100", "Stack overflow"]
    assert [depth("(" * n + "1" + ")" * n) for n in (99, 100)] == ["1", "Stack overflow"]
    assert [depth(recursion % n) for n in (31, 32)] == ["31", "Stack overflow"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("($f := function($x) { $f($x + 1) }; $f(1))", "Expression evaluation timeout: Check for infinite loop"),
        (
            "($f := function($x) { 1 + $f($x) }; $f(1))",
            "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive",
        ),
        ("$match('" + "a" * 40 + "b', /(a+)+$/)", "Expression evaluation timeout: Check for infinite loop"),
        ("($p := function($s, $n) { $n = 0 ? $s : $p($s & $s, $n - 1) }; $p('x', 60))", None),
        ("($p := function($s, $n) { $n = 0 ? $s : $p($append($s, $s), $n - 1) }; $p([1], 60))", None),
        ("($p := function($s, $n) { $n = 0 ? $s : $p({'a': $s, 'b': $s}, $n - 1) }; $p(1, 60))", None),
        (f"[1..{MAX_ARRAY + 1}]", None),
        (f"$range(1, {MAX_ARRAY + 1}, 1)", None),
        ("$range(-1e300, 1e300, 1)", None),
        ("[1..200000].('0123456789')", None),
        ("$distinct([1..20000])", None),
    ],
)
def test_what_grows_without_end_is_ended(text: str, expected: str | None) -> None:
    memory = "Expression evaluation memory limit exceeded: Check for excessive memory usage"
    assert tail(failure_of(text)) == f"threw an error during evaluation: {expected or memory}"


def test_a_range_larger_than_any_has_its_own_code() -> None:
    assert "evaluation. D2014: " in failure_of("[1..100000000000]")


def test_a_stall_of_the_machine_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Engine._evaluated
    slow = "$match('" + "a" * 40 + "b', /(a+)+$/)"
    with pytest.raises(jlens.JlensError) as told:
        jlens.Expression(slow).evaluate(timeout=0.01)
    stalls = [told.value]

    def stalling(*arguments: object) -> dict[str, Json]:
        if stalls:
            raise stalls.pop()
        return original(*arguments)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(Engine, "_evaluated", stalling)
    assert evaluated("1 + 1") == 2


# ---- what the expressions of one event may take together


def shared(budget: Budget, text: str, variables: Mapping[str, Json]) -> Json | Undefined | str:
    """Return what the expression gives, the tail of its cause where it fails."""
    expression = compile_expression(text, field="Output/x")
    bounded = Bounded(None, budget)
    try:
        return expression.evaluate(STATES, variables, entropy=no_entropy, now=NOW, bounded=bounded)
    except EvaluationFailed as failed:
        return failed.cause.rpartition("evaluation: ")[2]


def test_results_are_charged_by_the_bytes_of_their_text() -> None:
    budget = Budget()
    budget.result_bytes = 20
    assert shared(budget, "{'a': [1, 'é']}", {}) == {"a": [1, "é"]}
    assert budget.result_bytes == 20 - len('{"a":[1,"é"]}'.encode()) == 6
    assert shared(budget, "1 + 1234567", {}) == MEMORY
    assert shared(budget, "1 + 12345", {}) == 12346
    assert shared(budget, "$gone + 1", {}) is UNDEFINED
    assert (shared(budget, "1 + 1", {}), shared(budget, "1 + 1", {}), budget.result_bytes) == (2, MEMORY, 0)


def test_many_results_are_bounded_as_one_is() -> None:
    budget, half = Budget(), "[1..100000]"
    assert shared(budget, half, {}) == list(range(1, 100_001))
    assert shared(budget, half, {}) == MEMORY
    assert shared(budget, "1 + 1", {}) == 2  # what was not given was not charged


def test_a_path_through_arrays_is_charged_for_what_it_looks_at_and_gathers() -> None:
    budget = Budget()
    budget.visits, budget.result_bytes = 9, 1_000
    rows: Json = [{"a": 1}, [{"a": 2}, {}], {"a": [3, 4]}]
    assert shared(budget, "$rows.a", {"rows": rows}) == [1, 2, 3, 4]
    assert (budget.visits, budget.result_bytes) == (9 - 3 - 2, 1_000 - 2 * (1 + 4))
    assert shared(budget, "$rows.a", {"rows": rows}) == TIMEOUT  # in the array within
    assert shared(budget, "$rows.a", {"rows": rows}) == TIMEOUT
    budget.visits, budget.result_bytes = 9, 9
    assert shared(budget, "$rows.a", {"rows": rows}) == MEMORY


def test_a_path_that_shares_what_it_finds_is_not_charged() -> None:
    budget = Budget()
    large: Json = ["x" * 200_000]
    assert [shared(budget, "$large", {"large": large}) for _ in range(100)] == [large] * 100
    assert (budget.result_bytes, budget.visits) == (Budget().result_bytes, Budget().visits)


def test_a_cause_is_cut_where_it_repeats_what_is_long() -> None:
    assert len(failure_of("$error($pad('x', 2000000))")) == MAX_CAUSE_LENGTH
    assert len(failure_of("$number($pad('x', 2000000))")) == MAX_CAUSE_LENGTH
    with pytest.raises(EvaluationFailed, match="for value: …"):
        compile_expression("$x", field="Items").value(
            {}, {"x": "y" * 300_000}, entropy=no_entropy, now=NOW, expected="array"
        )


def test_a_value_nested_too_deeply_to_be_written_is_given_by_no_expression() -> None:
    nest = "($f := function($a, $n) { $n = 0 ? $a : $f({'a': $a}, $n - 1) }; $f(%s, %d))"
    made = evaluated(nest % ("1", 254))
    assert not isinstance(made, Undefined)
    assert render_json(made) == '{"a":' * 254 + "1" + "}" * 254
    assert tail(failure_of(nest % ("1", 255))) == f"threw an error during evaluation: {MEMORY}"
    assert tail(failure_of(nest % ("1e20", 255))) == f"threw an error during evaluation: {MEMORY}"


# ---- numbers


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**64 - 1, 0.1])
def test_a_path_gives_the_number_that_stands_there_whatever_is_on_the_way(number: Json) -> None:
    variables: dict[str, Json] = {
        "o": {"a": {"n": number}},
        "r": {"a": [{"n": number}]},
        "rows": [{"a": {"n": number}}, {"a": [[{"n": [number]}]]}],
    }
    found = [
        evaluated(text, variables=variables)
        for text in ("$o.a.n", '$o."a".`n`', "$r.a.n", "$rows.a.n", "$rows[0].a", "$rows[0].a.n", "$r.a[-1].n")
    ]
    assert found == [number, number, number, [number, number], {"n": number}, number, number]


@pytest.mark.parametrize(
    ("written", "number"), [("2.0", 2), ("-0.0", 0), ("1e17", 10**17), ("1e19", 10**19), ("1e20", 1e20)]
)
def test_a_whole_number_is_an_integer_whatever_gives_it(written: str, number: Json) -> None:
    read = parse_json(written)
    by_path, by_engine = (evaluated(text, variables={"x": {"n": read}}) for text in ("$x.n", "($x.n)"))
    assert repr(by_path) == repr(by_engine) == repr(number)


# ---- the sandbox


class Noting:
    """A sandbox that evaluates here, and notes what it was given. Each evaluation takes so many seconds."""

    def __init__(self, failure: Refused | None = None, *, seconds: float = 0.0) -> None:
        self.tasks: list[Task] = []
        self.failure, self.seconds = failure, seconds

    def evaluate(self, task: Task, budget: Budget) -> Json | Undefined:
        self.tasks.append(task)
        if self.failure is not None:
            raise self.failure
        engine = Engine(task.text, scan(task.text))
        return engine.evaluate(
            task.states, task.variables, seed=task.seed, now=task.now, limits=SANDBOXED, budget=budget
        )

    def timed(self, evaluate: Callable[[], Json | Undefined], budget: Budget) -> Json | Undefined:
        if budget.seconds <= 0:
            raise Exhausted(TIMEOUT)
        budget.seconds -= self.seconds
        return evaluate()

    def close(self) -> None:
        pass


def sandboxed(expression: Expression, sandbox: Noting, budget: Budget | None = None) -> Json | Undefined:
    variables: dict[str, Json] = {"x": 1, "unread": 2}
    bounded = Bounded(sandbox, budget or Budget())
    return expression.evaluate(STATES, variables, entropy=lambda: SEED, now=NOW, bounded=bounded)


def test_what_is_not_tame_runs_in_the_sandbox() -> None:
    text = "($f := function($v) { $v + $x }; [$f(1), $random()])"
    sandbox = Noting()
    assert sandboxed(compile_expression(text, field="x"), sandbox) == evaluated(text, variables={"x": 1})
    assert sandbox.tasks == [Task(text=text, states={}, variables={"x": 1}, seed=SEED, now=NOW)]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("$pad($string($states.context.Map.Item.Index), 3)", {"context": {"Map": {"Item": {"Index": 4}}}}),
        ("$pad($states . context . `State`.Name, 3)", {"context": {"State": {"Name": "S"}}}),
        ("$pad($states.input.a, $count([$states.context]))", {"input": {"a": "b"}, "context": "whole"}),
        ("$pad($string($states.context.*), 3)", {"context": "whole"}),
        ("$pad($string([$states.context, $states.context.Map]), 3)", {"context": "whole"}),
        ("$pad($string(($states.context) / 2), 3)", {"context": "whole"}),
        ("$pad($string($count($states) / 2), 3)", "whole"),
        ("$pad($string($states.input.a), 3)", {"input": {"a": "b"}}),
    ],
)
def test_of_states_the_sandbox_is_given_what_is_read(text: str, read: Json) -> None:
    context: Json = {"Map": {"Item": {"Index": 4}}, "State": {"Name": "S"}, "Execution": {"Input": [1, 2]}}
    states: dict[str, Json] = {"input": {"a": "b"}, "context": context}
    sandbox = Noting()
    with suppress(EvaluationFailed):
        compile_expression(text, field="x").evaluate(
            states, {}, entropy=lambda: SEED, now=NOW, bounded=Bounded(sandbox, Budget())
        )
    expected: Json = states if read == "whole" else read
    if isinstance(expected, dict) and expected.get("context") == "whole":
        expected = expected | {"context": context}
    assert [task.states for task in sandbox.tasks] == [expected]


def test_what_is_tame_runs_here() -> None:
    sandbox = Noting()
    assert sandboxed(compile_expression("$map([1, 2], function($v) { $v + $x })", field="x"), sandbox) == [2, 3]
    assert sandbox.tasks == []


def test_what_is_tame_and_takes_long_runs_in_the_sandbox_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonata_engine, "MAX_STEPS", 3)
    sandbox = Noting(Exhausted("Expression evaluation timeout: Check for infinite loop"))
    with pytest.raises(EvaluationFailed, match="infinite loop"):
        sandboxed(compile_expression("[$uuid(), $x + 1, 2, 3]", field="x"), sandbox)
    assert [task.seed for task in sandbox.tasks] == [SEED]
    with pytest.raises(EvaluationFailed, match="infinite loop"):
        evaluated("[1 + 1, 2, 3]")


@pytest.mark.parametrize(
    "text",
    [
        "$count($split($join($x.$string()), ''))",
        "$x.{'a': $string()}",
        "$join($x.('0123456789' & '0123456789' & $string()))",
    ],
)
def test_what_makes_much_of_tame_texts_is_made_in_the_sandbox(text: str) -> None:
    """Few steps may make megabytes, and the clock is looked at between steps alone."""
    sandbox, numbers = Noting(), list[Json](range(TAME.array + 1))
    bounded = Bounded(sandbox, Budget())
    compile_expression(text, field="x").evaluate({}, {"x": numbers}, entropy=no_entropy, now=NOW, bounded=bounded)
    assert [task.text for task in sandbox.tasks] == [text]


def test_an_event_that_has_used_its_seconds_here_gets_no_more() -> None:
    expression, sandbox, budget = compile_expression("$x + 1", field="x"), Noting(seconds=0.3), Budget()
    assert [sandboxed(expression, sandbox, budget) for _ in range(3)] == [2, 2, 2]
    assert budget.seconds < 0
    assert sandboxed(expression, sandbox, budget) == 2  # this one looks at no clock in the sandbox
    assert len(sandbox.tasks) == 1


def test_once_one_took_long_the_others_of_its_event_run_in_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    long, short, budget = compile_expression("[$x + 1, 2, 3]", field="x"), compile_expression("$x", field="x"), Budget()
    sandbox = Noting()
    with monkeypatch.context() as patched:
        patched.setattr(jsonata_engine, "MAX_STEPS", 3)
        with pytest.raises(EvaluationFailed):
            sandboxed(long, Noting(Exhausted("timeout")), budget)
    assert sandboxed(compile_expression("$x + 1", field="x"), sandbox, budget) == 2
    assert len(sandbox.tasks) == 1
    assert sandboxed(short, sandbox, budget) == 1  # a path needs no engine
    assert len(sandbox.tasks) == 1


def test_a_failure_in_the_sandbox_is_told_as_one_here() -> None:
    expression = compile_expression("($f := function($v) { $v }; $f(1))", field="Output/x")
    with pytest.raises(EvaluationFailed, match=r"during evaluation\. T1: told"):
        sandboxed(expression, Noting(Refused("T1", "told")))
    with pytest.raises(EvaluationFailed, match="internal error"):
        sandboxed(expression, Noting(Panicked()))
