"""Fields that hold any JSON with expressions in it (Arguments, Output, Assign, Items, ItemSelector, …): every string
`{% … %}`, however deep, is an expression. Compiled once; what holds no expression is shared by all that is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from processor.errors import SCHEMA
from processor.interpreter.jsonata import Bounded, Entropy, Expression, Expressions, JsonataFault
from processor.interpreter.templates import pointer_to
from processor.model.ids import Millis
from processor.model.json import Json

Report: TypeAlias = Callable[[str, JsonataFault], None]
"""(JSON pointer, fault): notes a fault of the definition."""

Make: TypeAlias = Callable[[Json, Mapping[str, Json], Entropy, Millis, Bounded | None], Json]

OPENING, CLOSING = "{%", "%}"
NO_EXPRESSION = f"JSONata string must start with {OPENING} and end with {CLOSING}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """`whole`: the template is one expression, which hands on the state's input or result as that is. `variables`
    and `expressions`: of all its parts. `constant`: what it makes whatever it reads, an expression or not."""

    make: Make
    expressions: tuple[Expression, ...]
    whole: Literal["INPUT", "RESULT"] | None
    constant: bool

    @property
    def variables(self) -> frozenset[str]:
        return frozenset().union(*(expression.variables for expression in self.expressions))

    def evaluate(
        self,
        states: Json,
        variables: Mapping[str, Json],
        *,
        entropy: Entropy,
        now: Millis,
        bounded: Bounded | None = None,
    ) -> Json:
        """Return the value of the field; its expressions are evaluated in the order they are written.

        Raises EvaluationFailed for the first that fails, or gives undefined.
        """
        return self.make(states, variables, entropy, now, bounded)


def is_expression(text: str) -> bool:
    """No blank may stand before or after: recorded, ' {% states.input %} ' is a text like any other."""
    return text.startswith(OPENING) and text.endswith(CLOSING) and len(text) >= len(OPENING) + len(CLOSING)


def expression_in(text: str) -> str | None:
    """Return what stands between `{%` and `%}`; None for a text that is no expression. Raises JsonataFault for half of
    one."""
    if is_expression(text):
        return text[len(OPENING) : -len(CLOSING)].strip()
    if text.startswith(OPENING) or text.endswith(CLOSING):
        raise JsonataFault(NO_EXPRESSION, code=SCHEMA)
    return None


def compile_jsonata_template(
    value: Json, *, field: str, pointer: str, report: Report, known: Expressions | None = None
) -> Template:
    """Return what makes the field. Faults go to `report`; what is returned then is of no use.

    `field` is how AWS names the place in causes: 'Output', 'Choices[0]/Assign'. `known`: the definition's expressions.
    """
    expressions: list[Expression] = []
    make = _Compilation(known or Expressions(), report, expressions).compile(value, field, pointer)
    whole = expressions[0].whole if isinstance(value, str) and expressions else None
    return Template(
        make=make or (lambda *_: value),
        expressions=tuple(expressions),
        whole=whole,
        constant=all(expression.constant for expression in expressions),
    )


@dataclass(frozen=True, slots=True)
class _Compilation:
    """One field being compiled. `found`: its expressions so far."""

    known: Expressions
    report: Report
    found: list[Expression]

    def compile(self, value: Json, field: str, pointer: str) -> Make | None:
        """Return None for what holds no expression. Recursion is bounded by the depth of definitions."""
        match value:
            case str():
                return self._text(value, field, pointer)
            case dict():
                members = [
                    (key, self.compile(member, f"{field}/{key}", pointer_to(pointer, key)))
                    for key, member in value.items()
                ]
                return _object(value, tuple((key, make) for key, make in members if make is not None))
            case list():
                elements = [
                    (index, self.compile(element, f"{field}[{index}]", pointer_to(pointer, index)))
                    for index, element in enumerate(value)
                ]
                return _array(value, tuple((index, make) for index, make in elements if make is not None))
            case _:
                return None

    def _text(self, text: str, field: str, pointer: str) -> Make | None:
        try:
            written = expression_in(text)
            expression = None if written is None else self.known.compile(written, field=field)
        except JsonataFault as fault:
            self.report(pointer, fault)
            return None
        if expression is None:
            return None
        self.found.append(expression)
        evaluate = expression.value

        def make(
            states: Json, variables: Mapping[str, Json], entropy: Entropy, now: Millis, bounded: Bounded | None
        ) -> Json:
            return evaluate(states, variables, entropy=entropy, now=now, bounded=bounded)

        return make


def _object(skeleton: dict[str, Json], computed: tuple[tuple[str, Make], ...]) -> Make | None:
    if not computed:
        return None

    def make(
        states: Json, variables: Mapping[str, Json], entropy: Entropy, now: Millis, bounded: Bounded | None
    ) -> Json:
        made = skeleton.copy()
        for key, evaluate in computed:
            made[key] = evaluate(states, variables, entropy, now, bounded)
        return made

    return make


def _array(skeleton: list[Json], computed: tuple[tuple[int, Make], ...]) -> Make | None:
    if not computed:
        return None

    def make(
        states: Json, variables: Mapping[str, Json], entropy: Entropy, now: Millis, bounded: Bounded | None
    ) -> Json:
        made = skeleton.copy()
        for index, evaluate in computed:
            made[index] = evaluate(states, variables, entropy, now, bounded)
        return made

    return make
