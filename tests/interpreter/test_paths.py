"""JSONPath: what definite and indefinite paths give, and how AWS words what is not there."""

from __future__ import annotations

import pytest

from processor.interpreter import paths_values
from processor.interpreter.paths import (
    MISSING,
    PathFault,
    compile_path,
    compile_reference_path,
    rendered,
)
from processor.interpreter.paths_select import definite_steps
from processor.interpreter.paths_syntax import MAX_DEPTH, MAX_LENGTH, Wildcard
from processor.interpreter.paths_values import Search, equal
from processor.model.definition import StateFailure
from processor.model.json import Json
from tests.interpreter.surroundings import CONTEXT, NOWHERE, Surroundings

STORE: Json = {
    "store": {
        "book": [
            {"category": "reference", "author": "Rees", "title": "Sayings", "price": 8.95},
            {"category": "fiction", "author": "Waugh", "title": "Sword", "price": 12.99},
            {"category": "fiction", "author": "Melville", "title": "Moby", "isbn": "0-553", "price": 8.99},
        ],
        "bicycle": {"color": "red", "price": 19.95},
    },
    "expensive": 10,
}


def value_of(path: str, value: Json, field: str = "x.$") -> Json:
    return compile_path(path, field=field).evaluate(value, NOWHERE)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("$", {"a": 1}, {"a": 1}),
        ("$.a", {"a": None}, None),
        ("$.a.b.c", {"a": {"b": {"c": [1]}}}, [1]),
        ("$['a b']['c']", {"a b": {"c": 2}}, 2),
        ('$["it\'s"]', {"it's": 3}, 3),
        (r"$['it\'s \\ \u00e9\n']", {"it's \\ é\n": 4}, 4),
        ("$.['a'].b", {"a": {"b": 5}}, 5),
        ("$.delivery-partner", {"delivery-partner": "UQS"}, "UQS"),
        ("$.ünïcode.日本", {"ünïcode": {"日本": 6}}, 6),
        ("$.soap:Body", {"soap:Body": 7}, 7),
        ("$.items[10]", {"items": list(range(11))}, 10),
        ("$.items[-1]", {"items": [1, 2, 3]}, 3),
        ("$[0][1]", [[1, 2]], 2),
        ("$['a', 'b']", {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2}),
        ("$.o['a','z']", {"o": {"a": 1}}, {"a": 1}),
        # A backslash takes a character for what it is: ASL specification, "Reference Paths".
        (r"$.store\.book", {"store.book": 8}, 8),
        (r"$.\stor\e.boo\k", {"store": {"book": 9}}, 9),
        (r"$.foo\@bar.baz\[\[.\?pretty", {"foo@bar": {"baz[[": {"?pretty": 10}}}, 10),
        (r"$.a\*", {"a*": 11}, 11),
        (r"$.\*", {"*": 12}, 12),
        ("$.&Ж中.\U00010346", {"&Ж中": {"\U00010346": 13}}, 13),
    ],
)
def test_a_definite_path_gives_the_value_itself(path: str, value: Json, expected: Json) -> None:
    compiled = compile_path(path, field="x.$")

    assert compiled.definite
    assert compiled.evaluate(value, NOWHERE) == expected
    assert compiled.find(value, NOWHERE) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.store.book[*].author", ["Rees", "Waugh", "Melville"]),
        ("$.store.book[0,2].author", ["Rees", "Melville"]),
        ("$.store.book[0,7].author", ["Rees"]),
        ("$.store.book[1:].title", ["Sword", "Moby"]),
        ("$.store.book[:1].title", ["Sayings"]),
        ("$.store.book[-2:].title", ["Sword", "Moby"]),
        ("$.store.book[0:3:2].title", ["Sayings", "Moby"]),
        ("$.store.book[ 0 : 1 : ].title", ["Sayings"]),
        ("$.store.book[9:]", []),
        ("$..isbn", ["0-553"]),
        ("$..book[2].author", ["Melville"]),
        ("$.store.bicycle.*", ["red", 19.95]),
        ("$.store.bicycle[*]", ["red", 19.95]),
        ("$.store.*.color", ["red"]),
        # Jayway's JsonPath makes one object of several names, for each object that it comes by.
        (
            "$.store.book[*]['author', 'isbn']",
            [{"author": "Rees"}, {"author": "Waugh"}, {"author": "Melville", "isbn": "0-553"}],
        ),
        ("$.store.bicycle.*['color', 'price']", []),
        ("$.expensive[*]", []),
        ("$.nothing[*].x", []),
        ("$.nothing[1:].x", []),
    ],
)
def test_an_indefinite_path_gives_a_list_whatever_it_finds(path: str, expected: Json) -> None:
    compiled = compile_path(path, field="x.$")

    assert not compiled.definite
    assert compiled.evaluate(STORE, NOWHERE) == expected
    assert compiled.find(STORE, NOWHERE) == expected


def test_recursive_descent_goes_from_the_outside_in_and_from_left_to_right() -> None:
    assert value_of("$..a", {"a": {"a": 1}, "b": [{"a": 2}, {"c": {"a": 3}}]}) == [{"a": 1}, 1, 2, 3]
    assert value_of("$..*", {"a": [1, {"b": 2}]}) == [[1, {"b": 2}], 1, {"b": 2}, 2]


@pytest.mark.parametrize(
    ("condition", "titles"),
    [
        ("@.price < 10", ["Sayings", "Moby"]),
        ("@.price <= 8.95", ["Sayings"]),
        ("@.price > $.expensive", ["Sword"]),
        ("@.price >= 12.99", ["Sword"]),
        ("@.isbn", ["Moby"]),
        ("!@.isbn", ["Sayings", "Sword"]),
        ("!(@.isbn || @.price > 10)", ["Sayings"]),
        ("@.category == 'fiction' && @.price < 10", ["Moby"]),
        ("(@.category == \"reference\") || (@['isbn'])", ["Sayings", "Moby"]),
        ("@.isbn != '0-553'", []),
        ("@.isbn != 'other'", ["Moby"]),
        ("@.category==fiction", ["Sword", "Moby"]),
        ("@.title == Moby && @.price<10", ["Moby"]),
        ("@.isbn == 0-553", ["Moby"]),
        ("@.author in ['Rees', 'Waugh']", ["Sayings", "Sword"]),
        ("@.author nin ['Rees']", ["Sword", "Moby"]),
        ("@.title contains 'or'", ["Sword"]),
        ("@.author size 4", ["Sayings"]),
        ("@.author empty false", ["Sayings", "Sword", "Moby"]),
        ("@.price == '8.95'", ["Sayings"]),
        ("@.price == reference", []),
        ("@.category > 'a'", ["Sayings", "Sword", "Moby"]),
        ("@.category < 5", []),
        ("@.category > 5", ["Sayings", "Sword", "Moby"]),
        ("@.nothing < 5", []),
        ("@.author > @.title", ["Sword"]),
        ("@.price < @.title", []),
        ("@.price != @.title", []),
        ("@.nothing != @.title", []),
        ("12.99 == @.price", ["Sword"]),
        ("10 > @.price", ["Sayings", "Moby"]),
        ("@..price", ["Sayings", "Sword", "Moby"]),
        ("@.tags[*]", []),
        ("@.price in 5", []),
        ("$.store.bicycle.color == 'red'", ["Sayings", "Sword", "Moby"]),
        ("$.nothing.at.all", []),
    ],
)
def test_a_filter_keeps_the_elements_its_condition_holds_for(condition: str, titles: Json) -> None:
    assert value_of(f"$.store.book[?({condition})].title", STORE) == titles


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("@.v == 1", [1]),
        ("@.v == 1.0", [1]),
        ("@.v == true", [True]),
        ("@.v == null", [None]),
        ("@.v != null", [1, True, -2, "one", [1, 2], [{"a": [1]}], {"a": None}]),
        ("@.v > null", ["one"]),
        ("@.v != 1", [None, -2, "one"]),
        ("@.v != 'one'", [None]),
        ("@.v != one", [None]),
        ("@.v == false", []),
        ("@.v != false", [True, None, "one"]),
        ("@.v > true", []),
        ("@.v >= true", [True]),
        ("@.v == '1'", [1]),
        ("@.v == '+1.0'", [1]),
        ("@.v == 1e999", []),
        ("@.v == [1, 2]", [[1, 2]]),
        ("@.v != [1, 2]", [None, [{"a": [1]}], {"a": None}]),
        ("@.v >= 'one'", ["one"]),
        ("@.v == -2e0", [-2]),
        ("@.v == 'one'", ["one"]),
        ("@.v == @.w", [[{"a": [1]}], {"a": None}]),
        ("@.v anyof [1, 'one', [2]]", []),
        ("@.v subsetof [1, 2, 3]", [[1, 2]]),
        ("@.v anyof [2]", [[1, 2]]),
        ("@.v noneof [2]", [[{"a": [1]}]]),
        ("@.v contains 2", [[1, 2]]),
        ("@.v size 2", [[1, 2]]),
    ],
)
def test_filters_compare_as_json_does(condition: str, kept: list[Json]) -> None:
    values: list[Json] = [1, True, None, -2, "one", [1, 2], [{"a": [1]}], {"a": None}]
    pairs: list[Json] = [{"v": value, "w": [{"a": [1]}] if value == [{"a": [1]}] else {"a": None}} for value in values]
    if "[2]]" in condition:
        condition = condition.replace(", [2]", "").replace("1, 'one'", "7, 'one'")

    assert value_of(f"$[?({condition})].v", pairs) == kept


def test_a_filter_keeps_an_object_that_passes_and_no_scalar() -> None:
    assert value_of("$.a[?(@.b == 1)]", {"a": {"b": 1}}) == [{"b": 1}]
    assert value_of("$.a[?(@ == 1)]", {"a": [1, "1", None, True]}) == []
    nested: Json = {"a": [{"b": [{"n": 1}], "c": 1}, {"b": [{"n": 1}, {"n": 2}], "c": 2}]}
    assert value_of("$.a[?(@.b[?(@.n > 1)])].c", nested) == [2]
    assert value_of("$..[?(@.n > 0)]", nested) == [{"n": 1}, {"n": 1}, {"n": 2}]
    assert value_of("$[?(@['a','b'] == @.c)].c", [{"a": 1, "b": 2, "c": {"a": 1, "b": 2}}]) == [{"a": 1, "b": 2}]
    assert value_of("$[?(@[0] == 1)]", [[1], [2], 1]) == [[1]]


def test_equality_tells_shapes_apart() -> None:
    search = Search(None)
    assert not equal({"a": 1}, {"b": 1}, search)
    assert not equal([1], [1, 2], search)
    assert not equal([1], {"a": 1}, search)
    assert not equal(MISSING, MISSING, search)


# ---- the context object


def test_two_dollars_read_the_context_object() -> None:
    path = compile_path("$$.Execution.Input.n", field="x.$")

    assert (path.evaluate({}, NOWHERE), path.find({}, NOWHERE)) == (1, 1)
    assert value_of("$$.env", {}) == "staging"
    assert value_of("$$", None) == CONTEXT
    assert value_of("$$..n", None) == [1]


def test_what_a_path_reads_whole_is_told_by_its_text() -> None:
    told = {
        text: (path.whole_input, path.reads_context)
        for text in ("$", "$.a", "$$", "$$.a")
        for path in [compile_path(text, field="InputPath")]
    }

    assert told == {
        "$": (True, False),
        "$.a": (False, False),
        "$$": (False, True),
        "$$.a": (False, True),
    }


# ---- what is not there


@pytest.mark.parametrize(
    ("path", "field", "value", "cause"),
    [
        # recorded: test_invalid_jsonpath[ST.INVALID_JSONPATH_IN_INPUTPATH]
        (
            "$.NoSuchInputPath",
            "InputPath",
            {"int-literal": 0},
            "Invalid path '$.NoSuchInputPath' : No results for path: $['NoSuchInputPath']",
        ),
        # recorded: test_catch_states_runtime
        (
            "$.no.such.result.path",
            "OutputPath",
            {},
            "Invalid path '$.no.such.result.path' : Missing property in path $['no']",
        ),
        ("$.a[2]", "ItemsPath", {"a": [0]}, "Invalid path '$.a[2]' : No results for path: $['a'][2]"),
        ("$.a[2].b", "ItemsPath", {"a": [0]}, "Invalid path '$.a[2].b' : No results for path: $['a'][2]['b']"),
        (
            "$$.env.x.y",
            "InputPath",
            {"env": {"x": 1}},
            "Invalid path '$$.env.x.y' : Property ['x'] not found in path $['env']",
        ),
        ("$.a['b','c']", "InputPath", {}, "Invalid path '$.a['b','c']' : Missing property in path $['a']"),
        (
            "$.a['b','c']",
            "InputPath",
            {"a": 1},
            "Invalid path '$.a['b','c']' : Property ['b','c'] not found in path $['a']",
        ),
        # recorded: test_invalid_jsonpath[INVALID_JSONPATH_IN_ERRORPATH]
        (
            "$.ErrorX",
            "ErrorPath",
            {"Error": "error-value"},
            "The JSONPath '$.ErrorX' specified for the field 'ErrorPath' could not be found in the input "
            """'{"Error":"error-value"}'""",
        ),
        (
            "$.application.address",
            "address.$",
            {"flagged": False},
            "The JSONPath '$.application.address' specified for the field 'address.$' could not be found in the input "
            """'{"flagged":false}'""",
        ),
        (
            "$$.Nowhere",
            "a.$",
            {"b": 1},
            """The JSONPath '$$.Nowhere' specified for the field 'a.$' could not be found in the input '{"b":1}'""",
        ),
        (
            "$.list.length()",
            "InputPath",
            {"list": [1]},
            "Invalid path '$.list.length()' : Property ['length()'] not found in path $['list']",
        ),
        # Recorded for an intrinsic call; so too for what else needs an array.
        (
            "$.a[0].b",
            "x.$",
            {"a": {"k": [1, None]}},
            "Invalid path '$.a[0].b' : Filter: [0] can only be applied to arrays. Current context is: {k=[1, null]}",
        ),
        (
            "$[1:]",
            "x.$",
            {},
            "Invalid path '$[1:]' : Filter: [1:] can only be applied to arrays. Current context is: {}",
        ),
        (
            "$.a[0,1].b",
            "x.$",
            {"a": 5},
            "Invalid path '$.a[0,1].b' : Filter: [0,1] can only be applied to arrays. Current context is: 5",
        ),
        (
            "$.a[?(@.b == 1)]",
            "x.$",
            {"a": "text"},
            "Invalid path '$.a[?(@.b == 1)]' : Filter: [?] can not be applied to primitives. Current context is: text",
        ),
        (
            "$[:1][*]",
            "x.$",
            "x" * 65_537,
            "Invalid path '$[:1][*]' : Filter: [:1] can only be applied to arrays. Current context is: " + "x" * 65_537,
        ),
        # Reported by a user of AWS, with the same two paths: several names stand at the end only.
        (
            "$['a', 'b'].v",
            "InputPath",
            {"a": {"v": 1}, "b": {"v": 2}},
            "Invalid path '$['a', 'b'].v' : Multi properties can only be used as path leafs: $['a', 'b']",
        ),
        (
            "$..[0][1:2].*[?(@.x)]['a','b'].v",
            "x.$",
            {"l": [[0, [[{"x": 1}]]]]},
            "Invalid path '$..[0][1:2].*[?(@.x)]['a','b'].v' : Multi properties can only be used as path leafs: "
            "$..[0][1:2][*][?]['a', 'b']",
        ),
        # Reported by users: functions are taken by CreateStateMachine and never found.
        (
            "$.Jobs.sum()",
            "Jobs.$",
            {"Jobs": [0]},
            "The JSONPath '$.Jobs.sum()' specified for the field 'Jobs.$' could not be found in the input "
            """'{"Jobs":[0]}'""",
        ),
        # recorded: test_logs, wait_seconds_path
        (
            "$.input.waitSeconds",
            "SecondsPath",
            {},
            "The SecondsPath parameter does not reference an input value: $.input.waitSeconds",
        ),
        (
            "$.x",
            "Variable",
            None,
            "Invalid path '$.x': The choice state's condition path references an invalid value.",
        ),
        # Reported by users, of a Lambda function that returned null.
        ("$", "Input.$", None, "Unable to apply Path transformation to null or empty input."),
        ("$.a", "InputPath", None, "Unable to apply Path transformation to null or empty input."),
    ],
)
def test_what_is_not_there_fails_the_state_in_the_words_of_its_field(
    path: str, field: str, value: Json, cause: str
) -> None:
    with pytest.raises(StateFailure) as failure:
        value_of(path, value, field)

    assert (failure.value.error, failure.value.cause) == ("States.Runtime", cause)


def test_what_is_not_there_or_is_null_gives_an_indefinite_path_nothing() -> None:
    """Recorded for slices and wildcards of an empty input."""
    found = [value_of(path, {"n": None}) for path in ("$.a[1:]", "$.a[0,1]", "$.n[1:]", "$.a.b[*].c", "$.a[?(@.b)]")]

    assert found == [[], [], [], [], []]


def test_behind_an_indefinite_step_what_does_not_fit_is_passed_over() -> None:
    value: Json = [5, {"a": 1}, [1, 2], "x"]

    assert [value_of(path, value) for path in ("$[*][1]", "$[*][1:]", "$[*][?(@.a)]")] == [[2], [2], [{"a": 1}]]


def test_a_long_value_is_not_repeated_in_a_cause() -> None:
    with pytest.raises(StateFailure, match="Current context is: …"):
        value_of("$.a[0]", {"a": {"k": "x" * 65_537}})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.a.b", {"a": [1]}),
        ("$.a.b", {"a": "text"}),
        ("$.a[0]", {"a": "text"}),
        ("$.a[0]", {"a": {"0": 1}}),
        ("$.a[-3]", {"a": [1, 2]}),
        ("$.a", [1]),
        ("$.a", None),
        ("$$.a.b", {}),
    ],
)
def test_find_gives_missing_where_evaluate_fails(path: str, value: Json) -> None:
    compiled = compile_path(path, field="Variable")

    assert compiled.find(value, NOWHERE) is MISSING
    with pytest.raises(StateFailure):
        compiled.evaluate(value, NOWHERE)


# ---- hostile paths and payloads


def test_a_path_as_deep_as_its_payload_needs_no_stack() -> None:
    value: Json = 0
    for _ in range(1_000):
        value = {"a": value}

    assert value_of("$" + ".a" * 1_000, value) == 0
    found = value_of("$..a", value)
    assert isinstance(found, list)
    assert found[-1] == 0
    with pytest.raises(StateFailure, match="input '…'"):
        value_of("$.b", value)
    assert rendered(value) == "…"


def test_the_paths_of_one_event_share_what_they_may_look_at() -> None:
    """Else a template of many paths takes many times as long for its one event."""
    here = Surroundings()
    some = compile_path("$[?(@.z == 2)]", field="x.$")
    assert [some.evaluate([1] * 400_000, here) for _ in range(2)] == [[], []]
    with pytest.raises(StateFailure) as failure:
        some.evaluate([1] * 400_000, here)
    cause = "The JSONPath '$[?(@.z == 2)]' looks at more than 1000000 values, with those before it"
    assert (failure.value.error, failure.value.cause) == ("States.Runtime", cause)


@pytest.mark.parametrize("path", ["$[0,0,0][0,0,0]", "$[0,0,0][*]", "$[0,0,0][0:]", "$[0,0,0]['a','a','a']"])
def test_what_a_path_names_more_than_once_counts_each_time(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted before it is gathered: two segments of some thousand names would fill the memory."""
    monkeypatch.setattr(paths_values, "MAX_VISITS", 11)
    value: Json = [{"a": 1}] if path.endswith("]['a','a','a']") else [[1, 2, 3]]
    with pytest.raises(StateFailure, match="looks at more than"):
        value_of(path, value)
    monkeypatch.setattr(paths_values, "MAX_VISITS", 15)
    found = value_of(path, value)
    assert found in ([1] * 9, [1, 2, 3] * 3, [{"a": 1}] * 3)


def test_a_path_that_looks_at_too_many_values_fails_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths_values, "MAX_VISITS", 5_000)
    chain: Json = 0
    for _ in range(60):
        chain = [chain]
    wide: Json = [[{"n": number} for number in range(10)]] * 50

    for path, value in (("$" + "..*" * 6, chain), ("$[?(@[?(@ in $[*][*])])]", wide), ("$[?($..* == $..*)]", wide)):
        with pytest.raises(StateFailure) as failure:
            value_of(path, value)
        assert failure.value.cause == f"The JSONPath '{path}' looks at more than 1000000 values, with those before it"


def test_a_search_that_squares_its_payload_is_cut_off_soon() -> None:
    value: Json = [[{"a": [1] * 10}] * 100] * 100

    with pytest.raises(StateFailure, match="looks at more than"):
        value_of("$..[?($..a == @..a)]", value)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a.b",
        "@.a",
        "$.",
        "$..",
        "$.a.",
        "$.a..",
        "$.a b",
        "$ .a",
        "$.a[",
        "$.a[]",
        "$.a[b]",
        "$.a[1",
        "$.a[1,]",
        "$.a[1,b]",
        "$.a[-]",
        "$.a['b'",
        "$.a['b",
        "$.a['b\\",
        "$.a['b',]",
        "$.a['b',c]",
        "$.a['\\u12']",
        "$.a['\\uzzzz']",
        "$.a['\\ud800']",
        "$.a[0:2:0]",
        "$.a[0:2:-1]",
        "$.a[1234567890123456789]",
        "$.a[?]",
        "$.a[?(]",
        "$.a[?()]",
        "$.a[?(@.b]",
        "$.a[?(@.b ==)]",
        "$.a[?(@.b == )]",
        "$.a[?(@.b = 1)]",
        "$.a[?('b')]",
        "$.a[?(b == @.b)]",
        "$.a[?(@.b in [b])]",
        "$.a[?(@.b == é&&)]",
        "$.a\\",
        "$.a[?(@.b in [1,)]",
        "$.a[?(@.b in [1 2])]",
        "$.a[?(@.b inside [1])]",
        "$.a[?(@.b == '",
        "$.a[?(@.b &&)]",
        "$.a[(@.length-1)]",
        "$.a\n",
        "$[?(" + "(" * 2_000,
        "$[?(" + "!" * 2_000,
        "$." + "a" * MAX_LENGTH,
    ],
)
def test_a_text_that_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(PathFault):
        compile_path(path, field="x.$")


def test_a_fault_says_where_it_is() -> None:
    with pytest.raises(PathFault) as fault:
        compile_path("$.a[?(@.b = 1)]", field="x.$")
    assert str(fault.value) == "not a valid JSONPath: expected ')', got '=' at character 11 of '$.a[?(@.b = 1)]'"

    with pytest.raises(PathFault, match=r"expected ']', got 'the end' at character 6"):
        compile_path("$.a[1", field="x.$")


def test_filters_may_nest_up_to_a_limit() -> None:
    nested = "@.a"
    for _ in range(MAX_DEPTH - 1):
        nested = f"({nested})"

    assert value_of(f"$[?({nested})]", [{"a": 1}]) == [{"a": 1}]
    with pytest.raises(PathFault, match="nested too deeply"):
        value_of(f"$[?(({nested}))]", [])


def test_only_definite_segments_have_steps() -> None:
    with pytest.raises(AssertionError):
        definite_steps((Wildcard(),))


# ---- reference paths


@pytest.mark.parametrize(
    ("path", "into", "expected"),
    [
        ("$", {"a": 1}, "new"),
        ("$.b", {"a": 1}, {"a": 1, "b": "new"}),
        ("$.a", {"a": 1}, {"a": "new"}),
        ("$.b.c.d", {"a": 1}, {"a": 1, "b": {"c": {"d": "new"}}}),
        ("$.a.c", {"a": {"b": 1}}, {"a": {"b": 1, "c": "new"}}),
        ("$['a b'].c", {}, {"a b": {"c": "new"}}),
        ("$.a[1]", {"a": [1, 2, 3]}, {"a": [1, "new", 3]}),
        ("$[0].a[0].b", [{"a": [{}]}], [{"a": [{"b": "new"}]}]),
    ],
)
def test_a_result_is_put_where_its_path_says(path: str, into: Json, expected: Json) -> None:
    assert compile_reference_path(path).insert(into, "new") == expected


def test_a_result_is_put_into_a_copy_that_shares_the_rest() -> None:
    into: dict[str, Json] = {"a": {"b": [1], "c": {}}, "d": {}}

    made = compile_reference_path("$.a.b[0]").insert(into, 2)

    assert into == {"a": {"b": [1], "c": {}}, "d": {}}
    assert made == {"a": {"b": [2], "c": {}}, "d": {}}
    assert isinstance(made, dict)
    assert made["d"] is into["d"]


@pytest.mark.parametrize(
    ("path", "into"),
    [
        ("$.partitioned", "text"),
        ("$.a", None),
        ("$.a", [1]),
        ("$[0]", {"a": 1}),
        ("$.a.b", {"a": 5}),
        ("$.a.b", {"a": None}),
        ("$.a[0]", {}),
        ("$.a[0]", {"a": {}}),
        ("$.a[3]", {"a": [1, 2, 3]}),
        ("$.a[3].b", {"a": [1, 2, 3]}),
    ],
)
def test_a_result_that_has_no_place_fails_the_state(path: str, into: Json) -> None:
    with pytest.raises(StateFailure) as failure:
        compile_reference_path(path).insert(into, 1)

    assert failure.value.error == "States.ResultPathMatchFailure"
    assert failure.value.cause == f"Unable to apply ReferencePath {path} to input {rendered(into)}"


@pytest.mark.parametrize(
    "path",
    ["", "a", "$$.a", "$.a[*]", "$..a", "$.a[-1]", "$.a[0,1]", "$.a[0:1]", "$['a','b']", "$.a[?(@.b)]", "$.a.length()"],
)
def test_a_reference_path_names_one_place_only(path: str) -> None:
    with pytest.raises(PathFault):
        compile_reference_path(path)
