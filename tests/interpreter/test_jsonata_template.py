"""Fields of JSON with JSONata in it: what they make, what they share, how AWS names the place of a failure."""

from __future__ import annotations

import pytest

from processor.errors import InvalidDefinition
from processor.interpreter import jsonata
from processor.interpreter.jsonata import EvaluationFailed, Expression, JsonataFault
from processor.interpreter.jsonata_template import Template, compile_jsonata_template, expression_in, is_expression
from processor.interpreter.parse import parse
from processor.model.ids import Millis
from processor.model.json import Json

STATES: Json = {"input": {"a": 1, "b": [2, 3]}, "result": {"c": 4}}


def compiled(value: Json, field: str = "Output") -> Template:
    def refuse(pointer: str, fault: JsonataFault) -> None:
        raise AssertionError((pointer, fault))

    return compile_jsonata_template(value, field=field, pointer="/States/S/Output", report=refuse)


def made(template: Template) -> Json:
    return template.evaluate(STATES, {"v": [5]}, entropy=lambda: bytes(16), now=Millis(0))


def test_every_text_in_braces_is_an_expression_however_deep() -> None:
    template = compiled(
        {"a": "{% $states.input.a %}", "b": [0, {"c": "{%$v%}"}, ["{% 1 + 1 %}"]], "d": {"e": None}, "f": [True]}
    )
    assert made(template) == {"a": 1, "b": [0, {"c": [5]}, [2]], "d": {"e": None}, "f": [True]}
    assert (template.variables, template.whole, template.constant) == (frozenset({"v"}), None, False)
    assert [expression.field for expression in template.expressions] == ["Output/a", "Output/b[1]/c", "Output/b[2][0]"]


@pytest.mark.parametrize(
    "value", [{"a": [" {% states.input %} ", "$states.input", {}]}, [], 1, None, "text", "a {% x %} b"]
)
def test_what_holds_no_expression_is_shared(value: Json) -> None:
    template = compiled(value)
    assert made(template) is value
    assert (template.expressions, template.whole, template.constant) == ((), None, True)


def test_constant_parts_are_shared_by_all_that_is_made() -> None:
    constant: Json = {"x": [1, 2]}
    first, second = (made(compiled({"c": constant, "a": "{% $states.input.a %}"})) for _ in range(2))
    assert isinstance(first, dict) and isinstance(second, dict)
    assert first["c"] is second["c"] is constant


def test_a_template_of_one_expression_may_hand_on_the_whole() -> None:
    assert compiled("{% $states.input %}").whole == "INPUT"
    assert compiled("{% $states.result %}").whole == "RESULT"
    assert compiled("{% $states.input.a %}").whole is None
    assert compiled(["{% $states.input %}"]).whole is None
    assert compiled("{% 1 %}").constant


@pytest.mark.parametrize(
    ("value", "field", "location"),
    [
        ("{% $gone %}", "Output", "Output"),
        ({"v": "{% $gone %}"}, "Assign", "Assign/v"),
        ({"a": {"b": [[1, "{% $gone %}"]]}}, "Choices[0]/Output", "Choices[0]/Output/a/b[0][1]"),
    ],
)
def test_a_failure_names_its_place_as_aws_does(value: Json, field: str, location: str) -> None:
    with pytest.raises(EvaluationFailed) as failed:
        made(compiled(value, field))
    cause = f"The JSONata expression '$gone' specified for the field '{location}' returned nothing (undefined)."
    assert (failed.value.location, failed.value.cause) == (location, cause)


def test_every_fault_is_reported_with_its_pointer() -> None:
    faults: list[tuple[str, str, str]] = []

    def report(pointer: str, fault: JsonataFault) -> None:
        faults.append((pointer, fault.code, fault.message))

    value: Json = {"a/b": "{% 1 + %}", "c": ["{% phone %}", "{% $x", "$x %}", "{%}"], "d": "{% $x %}"}
    compile_jsonata_template(value, field="Output", pointer="/States/S/Output", report=report)
    unclosed = "JSONata string must start with {% and end with %}"
    assert faults == [
        ("/States/S/Output/a~1b", "INVALID_JSONATA_EXPRESSION", "Unexpected end of expression"),
        (
            "/States/S/Output/c/0",
            "UNSUPPORTED_JSONATA_EXPRESSION",
            "Reference to 'phone' at the top level is not supported.",
        ),
        ("/States/S/Output/c/1", "SCHEMA_VALIDATION_FAILED", unclosed),
        ("/States/S/Output/c/2", "SCHEMA_VALIDATION_FAILED", unclosed),
        ("/States/S/Output/c/3", "SCHEMA_VALIDATION_FAILED", unclosed),
    ]


def test_an_expression_stands_between_braces() -> None:
    assert [is_expression(text) for text in ("{% 1 %}", "{%%}", "{%}", "{% 1", " {% 1 %}")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert [expression_in(text) for text in ("{%  1 + 1 %}", " {% 1 %} ", "")] == ["1 + 1", None, None]


def test_a_text_of_a_definition_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    original = jsonata.compile_expression

    def counted(text: str, *, field: str) -> Expression:
        compiled.append(text)
        return original(text, field=field)

    monkeypatch.setattr(jsonata, "compile_expression", counted)
    output: Json = {"a": "{% 1 + 1 %}", "b": ["{%1 + 1%}", "{% phone %}"], "c": "{% phone %}", "d": "{% $x + 1 %}"}
    states: Json = {"S": {"Type": "Pass", "Output": output, "End": True}}
    with pytest.raises(InvalidDefinition) as invalid:
        parse({"QueryLanguage": "JSONata", "StartAt": "S", "States": states})
    assert compiled == ["1 + 1", "phone", "$x + 1"]
    assert [fault.pointer for fault in invalid.value.diagnostics][:2] == [
        "/States/S/Output/b/1",
        "/States/S/Output/c",
    ]


def test_an_expression_that_stands_in_two_places_fails_in_its_own() -> None:
    template = compiled({"a": "{% $states.input.a %}", "b": "{% $gone %}", "c": "{% $states.input.a %}"})
    assert [expression.field for expression in template.expressions] == ["Output/a", "Output/b", "Output/c"]
