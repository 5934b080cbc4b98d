"""The way of a payload through a state: InputPath and Parameters before it, ResultSelector, ResultPath and OutputPath
after it.

Where the output lies (OutputOf) is decided here by how the fields are written, never by comparing values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from processor.interpreter.paths import Path, PathFault, ReferencePath, compile_path, compile_reference_path
from processor.interpreter.templates import Report, compile_template, pointer_to
from processor.model.definition import Assign, Environment, Evaluate, Finish
from processor.model.events import OutputOf
from processor.model.json import Json

Fields = Mapping[str, Json]
"""A state, or a Catch's entry, as written."""


def compile_prepare(fields: Fields, *, template: str | None, pointer: str, report: Report) -> Evaluate | None:
    """Return what makes the input that the state works on: InputPath, then the named template field, if written.

    None: the input as it is.
    """
    path = _compile_path(fields, "InputPath", pointer, report)
    select = _selected(path)
    make = _compile_field(fields, template, pointer, report)
    if select is None or make is None:
        return make or select
    return lambda value, environment: make(select(value, environment), environment)


def compile_finish(fields: Fields, *, result: OutputOf, pointer: str, report: Report) -> Finish:
    """Return what makes a state's output of its input and its result.

    `result` tells what a result handed on whole is to the history: RESULT where an event before holds it (a task's, a
    Map's, a Parallel's), INPUT where it is the input itself, else VALUE.
    """
    select = _compile_field(fields, "ResultSelector", pointer, report)
    place = _compile_place(fields, pointer, report)
    path = _compile_path(fields, "OutputPath", pointer, report)
    return _then_path(_joined(select, place, result), path)


class Stages(Struct, frozen=True, kw_only=True, eq=False):
    """The same fields one by one, for whoever wants to see the values in between. Each takes what the one before gave;
    None hands that on. What they come to is what `compile_prepare` and `compile_finish` give."""

    input_path: Evaluate | None
    template: Evaluate | None
    result_selector: Evaluate | None
    result_path: Finish


def compile_stages(fields: Fields, *, template: str | None, pointer: str, report: Report) -> Stages:
    """Return the way of a payload through a state, but for OutputPath: after that comes the output."""
    return Stages(
        input_path=_selected(_compile_path(fields, "InputPath", pointer, report)),
        template=_compile_field(fields, template, pointer, report),
        result_selector=_compile_field(fields, "ResultSelector", pointer, report),
        result_path=_joined(None, _compile_place(fields, pointer, report), "VALUE"),
    )


def compile_caught(fields: Fields, *, pointer: str, report: Report) -> Finish:
    """Return what makes a Catch's output of the state's input and the error output; no other path applies."""
    return _joined(None, _compile_place(fields, pointer, report), "VALUE")


def compile_assign(fields: Fields, *, pointer: str, report: Report) -> Assign | None:
    """Return what makes the variables. `$` is the raw result, before ResultSelector; of a state that makes none, its
    input after InputPath; of a Catch, the error output."""
    written = fields.get("Assign")
    if not isinstance(written, dict):
        return None
    make = compile_template(written, pointer=pointer_to(pointer, "Assign"), report=report)

    def assign(_value: Json, result: Json, environment: Environment) -> dict[str, Json]:
        assigned = make(result, environment)
        assert isinstance(assigned, dict)
        return assigned

    return assign


# ---- the fields


def _compile_path(fields: Fields, field: str, pointer: str, report: Report) -> Path | None:
    """Return the path, None for a written null."""
    text = fields.get(field, "$")
    if text is None:
        return None
    try:
        # What is no string is reported with the rest of the state's shape.
        return compile_path(text if isinstance(text, str) else "$", field=field)
    except PathFault as fault:
        report(pointer_to(pointer, field), str(fault))
        return None


def _compile_field(fields: Fields, template: str | None, pointer: str, report: Report) -> Evaluate | None:
    """Return what makes the payload of a template field, None where it is not written."""
    if template is None or template not in fields:
        return None
    return compile_template(fields[template], pointer=pointer_to(pointer, template), report=report)


def _compile_place(fields: Fields, pointer: str, report: Report) -> ReferencePath | None:
    """Return where the result goes, None for a written null: nowhere."""
    text = fields.get("ResultPath", "$")
    if text is None:
        return None
    try:
        return compile_reference_path(text if isinstance(text, str) else "$")
    except PathFault as fault:
        report(pointer_to(pointer, "ResultPath"), str(fault))
        return None


def _selected(path: Path | None) -> Evaluate | None:
    if path is None:
        return _empty
    return None if path.whole_input else path.evaluate


def _empty(_value: Json, _environment: Environment) -> Json:
    """A path written as null: "the input to the state is an empty object" (ASL specification, "Input and Output")."""
    return {}


# ---- the joints


def _joined(select: Evaluate | None, place: ReferencePath | None, result: OutputOf) -> Finish:
    """ResultSelector and ResultPath. The result is joined with the state's raw input, not with what InputPath left.

    ResultSelector may fail where ResultPath is null, too: what it gives "replaces the state's result and is passed to
    ResultPath" (AWS Developer Guide, "ResultSelector"), which only then discards it.
    """
    if place is None:
        return _hand_on_input if select is None else _select_and_discard(select)
    if not place.steps:
        return _WHOLE[result] if select is None else _select_result(select)
    if select is None:
        return lambda value, result, environment: ("VALUE", place.insert(value, result))
    return lambda value, result, environment: ("VALUE", place.insert(value, select(result, environment)))


def _select_and_discard(select: Evaluate) -> Finish:
    def finish(value: Json, result: Json, environment: Environment) -> tuple[OutputOf, Json]:
        select(result, environment)
        return "INPUT", value

    return finish


def _select_result(select: Evaluate) -> Finish:
    return lambda value, result, environment: ("VALUE", select(result, environment))


def _then_path(finish: Finish, path: Path | None) -> Finish:
    """OutputPath, over what the other fields made."""
    select = _selected(path)
    if select is None:
        return finish

    def finish_with_path(value: Json, result: Json, environment: Environment) -> tuple[Literal["VALUE"], Json]:
        return "VALUE", select(finish(value, result, environment)[1], environment)

    return finish_with_path


def _hand_on_input(value: Json, _result: Json, _environment: Environment) -> tuple[OutputOf, Json]:
    return "INPUT", value


def _hand_on_result(_value: Json, result: Json, _environment: Environment) -> tuple[OutputOf, Json]:
    return "RESULT", result


def _give_result(_value: Json, result: Json, _environment: Environment) -> tuple[OutputOf, Json]:
    return "VALUE", result


_WHOLE: dict[OutputOf, Finish] = {"INPUT": _hand_on_input, "RESULT": _hand_on_result, "VALUE": _give_result}
