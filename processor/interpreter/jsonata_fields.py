"""The fields of one JSONata state, compiled to what `model/definition.py` runs: `$states` and the variables come of the
Environment, draws and the time too.

Causes of values that an expression gave and the field cannot take are AWS's where a recording has them; the others say
the same of their field, by analogy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Literal, TypeAlias

from processor.errors import SCHEMA, AslCode
from processor.interpreter.fields import Range
from processor.interpreter.jsonata import (
    Bounded,
    EvaluationFailed,
    Expressions,
    JsonataFault,
    Sandbox,
    TypeName,
    type_name,
)
from processor.interpreter.jsonata_template import Template, compile_jsonata_template, is_expression
from processor.interpreter.templates import pointer_to
from processor.interpreter.timestamps import parse_timestamp
from processor.model.definition import Assign, Environment, Evaluate, Finish, Predicate
from processor.model.events import OutputOf
from processor.model.ids import Millis
from processor.model.json import Json, render_json

Note: TypeAlias = Callable[[str, AslCode, str], None]
"""(JSON pointer, code, message)"""

ResultName: TypeAlias = Literal["result", "errorOutput"]


class Fields:
    """An object of the definition (a state, a rule, a catcher, a reader) whose fields are compiled.

    `known`: the definition's expressions. `prefix` is how causes name the place of the object: 'Choices[0]/'. Total:
    faults go to `note`, and something is returned.
    """

    def __init__(
        self,
        written: Mapping[str, Json],
        *,
        pointer: str,
        note: Note,
        sandbox: Sandbox | None,
        known: Expressions,
        prefix: str = "",
    ) -> None:
        self.written, self.pointer = written, pointer
        self._note, self._sandbox, self._known, self._prefix = note, sandbox, known, prefix

    def within(self, written: Mapping[str, Json], field: str, *tokens: str | int) -> Fields:
        """Return the fields of an object further in: `field` is its name for causes, the tokens lead to it."""
        pointer = pointer_to(self.pointer, *tokens)
        prefix = f"{self._prefix}{field}/"
        return Fields(
            written, pointer=pointer, note=self._note, sandbox=self._sandbox, known=self._known, prefix=prefix
        )

    def fault(self, field: str, message: str) -> None:
        self._note(pointer_to(self.pointer, field), SCHEMA, message)

    def template(self, field: str) -> Template:
        def report(pointer: str, fault: JsonataFault) -> None:
            self._note(pointer, fault.code, fault.message)

        at = pointer_to(self.pointer, field)
        return compile_jsonata_template(
            self.written[field], field=self._prefix + field, pointer=at, report=report, known=self._known
        )

    # ---- values of any type

    def any(self, field: str) -> Evaluate | None:
        """Return what computes the field; None where it is not written."""
        return self._evaluate(field, self.template(field)) if field in self.written else None

    def finish(self, *, result: ResultName | None, default: OutputOf) -> Finish:
        """Return what makes the output. `default`: what it is where there is no Output, and where a result that is
        handed on lies."""
        if "Output" not in self.written:
            return _WHOLE[default]
        template = self.template("Output")
        if template.whole == "INPUT":
            return _WHOLE["INPUT"]
        if template.whole == "RESULT" and default == "RESULT":
            return _WHOLE["RESULT"]
        make = self._make(template, "Output", result)
        return lambda value, made, environment: ("VALUE", make(value, made, environment))

    def assign(self, *, result: ResultName | None) -> Assign | None:
        written = self.written.get("Assign")
        if not isinstance(written, dict):
            return None
        make = self._make(self.template("Assign"), "Assign", result)

        def assign(value: Json, made: Json, environment: Environment) -> dict[str, Json]:
            assigned = make(value, made, environment)
            assert isinstance(assigned, dict)
            return assigned

        return assign

    # ---- values of one type

    def integer(self, field: str, range: Range) -> int | Evaluate | None:
        """Return a number of the definition, or what computes one."""
        return self._number(field, range, whole=True)

    def percentage(self, field: str) -> float | Evaluate | None:
        return self._number(field, Range(0, 100), whole=False)

    def _number(self, field: str, range: Range, *, whole: bool) -> Evaluate | int | None:
        written = self.written.get(field)
        if isinstance(written, bool) or not isinstance(written, int | float | str):
            if field in self.written:
                self.fault(field, f"Expected value of type {'Integer' if whole else 'Number'} or a JSONata expression")
            return None

        def fits(value: Json) -> bool:
            if isinstance(value, bool) or not isinstance(value, int | float) or (whole and value != int(value)):
                return False
            return range.holds(value)

        if not isinstance(written, str):
            if not fits(written):
                self.fault(field, f"must be {'an integer, ' if whole else ''}{range}, got {render_json(written)}")
            return int(written) if whole else written  # type: ignore[return-value]  # a percentage may be a float
        name = self._prefix + field

        def check(value: Json) -> Json:
            if not fits(value):
                kind = "an integer " if whole else ""
                cause = f"The {name} field must be {kind}{range} but was: {render_json(value)}"
                raise EvaluationFailed(cause, location=name)
            return int(value) if whole else value  # type: ignore[arg-type]  # fits says that it is a number

        return self._typed(field, "number", check)

    def text(self, field: str) -> str | Evaluate | None:
        """Return a string of the definition, or what computes one."""
        written = self.written.get(field)
        if not isinstance(written, str):
            if field in self.written:
                self.fault(field, "Expected value of type String")
            return None
        return self._typed(field, "string", lambda value: value) if is_expression(written) else written

    def timestamp(self, field: str) -> Millis | Evaluate | None:
        written = self.written.get(field)
        if not isinstance(written, str):
            if field in self.written:
                self.fault(field, "Expected value of type String")
            return None
        if not is_expression(written):
            if (moment := parse_timestamp(written)) is None:
                self.fault(field, "String does not match RFC3339 timestamp")
            return moment
        name = self._prefix + field

        def check(value: Json) -> Json:
            assert isinstance(value, str)
            if (moment := parse_timestamp(value)) is None:
                form = "an ISO-8601 extended offset date-time format string"
                raise EvaluationFailed(f"The {field} field cannot be parsed as {form}: {value}", location=name)
            return moment

        return self._typed(field, "string", check)

    def condition(self) -> Predicate:
        """Return a rule's Condition: true, false or an expression that gives one of them."""
        written = self.written.get("Condition")
        if isinstance(written, bool):
            return lambda value, environment: written
        if not isinstance(written, str) or not is_expression(written):
            if "Condition" in self.written:
                self.fault("Condition", "must be a boolean or a JSONata expression")
            return lambda value, environment: False
        evaluate = self._typed("Condition", "boolean", lambda value: value)
        return lambda value, environment: evaluate(value, environment) is True

    def items(self, field: str, *, objects: bool) -> Evaluate | None:
        """Return what computes an array, or an object where `objects` are allowed: one that is written, with
        expressions in it, or one expression."""
        written = self.written.get(field)
        if field not in self.written:
            return None
        literal = isinstance(written, list) or (objects and isinstance(written, dict))
        if not literal and not (isinstance(written, str) and is_expression(written)):
            kinds = "Array, Object" if objects else "Array"
            self.fault(field, f"Expected value of type {kinds} or a JSONata expression")
            return None
        return self._typed(field, "array", lambda value: value, also="object" if objects else None)

    def _typed(
        self, field: str, expected: TypeName, check: Callable[[Json], Json], *, also: TypeName | None = None
    ) -> Evaluate:
        written = self.written[field]
        if isinstance(written, str) and not is_expression(written):
            self.fault(field, "must be a JSONata expression, between '{%' and '%}', where it is a text")
        template = self.template(field)
        evaluate = self._evaluate(field, template)

        def evaluate_typed(value: Json, environment: Environment) -> Json:
            found = evaluate(value, environment)
            if type_name(found) not in (expected, also):
                raise template.expressions[0].unexpected(found, expected)
            return check(found)

        return evaluate_typed

    # ---- what expressions read

    def _evaluate(self, field: str, template: Template) -> Evaluate:
        make = self._make(template, field, None)
        return lambda value, environment: make(value, None, environment)

    def _make(
        self, template: Template, field: str, result: ResultName | None
    ) -> Callable[[Json, Json, Environment], Json]:
        sandbox = self._sandbox
        position = f"{self.pointer}\0{field}".encode()
        number = int.from_bytes(blake2b(position, digest_size=8).digest(), "big") + 1  # 0 is the jitter of a retry
        reads_context = any(
            expression.states_fields is None or "context" in expression.states_fields
            for expression in template.expressions
        )
        make = template.make

        def make_value(value: Json, made: Json, environment: Environment) -> Json:
            states: dict[str, Json] = {"input": value}
            if reads_context:
                states["context"] = environment.context
            if result is not None:
                states[result] = made
            bounded = Bounded(sandbox, environment.budget)
            return make(states, environment.variables, _Draws(environment, number), environment.now, bounded)

        return make_value


class _Draws:
    """The entropy of one field's expressions: each that draws gets bytes of its own."""

    __slots__ = ("_environment", "_number")

    def __init__(self, environment: Environment, number: int) -> None:
        self._environment, self._number = environment, number

    def __call__(self) -> bytes:
        self._number += 1
        return self._environment.draw(self._number)


_WHOLE: dict[OutputOf, Finish] = {
    "INPUT": lambda value, result, environment: ("INPUT", value),
    "RESULT": lambda value, result, environment: ("RESULT", result),
    "VALUE": lambda value, result, environment: ("VALUE", result),
}
