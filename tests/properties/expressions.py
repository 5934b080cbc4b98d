"""The fields of generated JSONata states. What they read is there, but where the mood is to fail on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from processor.model.json import Json

Object = dict[str, Json]

INPUT = "$states.context.Execution.Input"


class Where(NamedTuple):
    """`rest`: the states that follow; `known`: readable variables; `own`: the one that may be assigned."""

    rest: list[str]
    known: tuple[str, ...]
    own: str | None
    calm: bool
    fails: bool


def object_of(value: Json) -> Object:
    assert isinstance(value, dict)
    return value


def parts_of(value: Json) -> Iterator[Object]:
    """The catchers of a Catch, the rules of Choices; none of a field that is not there."""
    for part in value if isinstance(value, list) else []:
        yield object_of(part)


def first_value(draw: st.DrawFn, outer: Json) -> Json:
    values: list[Json] = ["{% $states.context.Execution.Name %}", [1, {"fixed": None}], "{% [1, 2].($ * 2) %}"]
    if outer:
        values += [f"{{% ${outer} %}}", {"outer": f"{{% ${outer} %}}", "of": f"{{% $type(${outer}) %}}"}]
    return draw(st.sampled_from(values))


def add_to_state(draw: st.DrawFn, state: Object, kind: str, where: Where) -> None:
    if kind in ("Task", "Parallel"):
        if kind == "Task" and "sqs" in str(state["Resource"]):
            state["Arguments"] = {}
        _maybe(draw, state, "Arguments", [*_values(where, "input"), {"all": "{% $states.input %}", "k": 1}])
    if kind == "Choice":
        _choose(draw, state, where)
    if kind == "Wait":
        _wait(draw, state)
    if kind == "Map":
        _items(draw, state, where)
    if kind == "Fail":
        _maybe(draw, state, "Error", ["E1", "{% 'E' & '2' %}", "{% $states.context.State.Name %}"])
        _maybe(draw, state, "Cause", ["because", "{% $string([1, 2]) %}"])
        return
    of = "result" if kind in ("Task", "Parallel", "Map") else "input"
    missing: list[Json] = ["{% $states.input.not.there %}", "{% 'a' + 1 %}"] if where.fails else []
    _maybe(draw, state, "Output", [*_values(where, of), {"got": f"{{% $states.{of} %}}", "k": [1]}, *missing])
    if kind != "Succeed":
        _assign(draw, state, where, f"{{% $states.{of} %}}")


def add_to_catcher(draw: st.DrawFn, catcher: Object, where: Where) -> None:
    values: list[Json] = [
        "{% $states.errorOutput %}",
        {"why": "{% $states.errorOutput.Error %}"},
        "{% $states.input %}",
    ]
    _maybe(draw, catcher, "Output", values)
    _assign(draw, catcher, where, "{% $states.errorOutput.Error %}")


def _values(where: Where, of: str) -> list[Json]:
    """What is anywhere: the input or result, parts of the context, variables."""
    reads: list[Json] = [f"{{% ${name} %}}" for name in where.known]
    reads += [{"var": f"{{% ${name} %}}", "n": "{% $count([1, 2, 3]) %}"} for name in where.known]
    return [f"{{% $states.{of} %}}", "{% $states.context.Execution.Name %}", "{% {'a': [1, null]} %}", *reads]


def _assign(draw: st.DrawFn, target: Object, where: Where, value: str) -> None:
    if where.own is not None:
        _maybe(draw, target, "Assign", [{where.own: value}, {where.own: {"was": f"{{% ${where.own} %}}"}}])


def _choose(draw: st.DrawFn, state: Object, where: Where) -> None:
    conditions = [f"{{% {INPUT}.n > 2 %}}", "{% $exists($states.input.r0) %}", "{% false or true %}"]
    conditions += [f"{{% $type(${name}) = 'string' %}}" for name in where.known]
    rule: Object = {"Condition": draw(st.sampled_from(conditions)), "Next": draw(st.sampled_from(where.rest))}
    _maybe(draw, rule, "Output", [{"chosen": True}, *_values(where, "input")])
    _assign(draw, rule, where, "{% $states.input %}")
    state["Choices"] = [rule]
    state["Default"] = where.rest[0]


def _wait(draw: st.DrawFn, state: Object) -> None:
    forms: list[Object] = [
        {"Seconds": 0},
        {"Seconds": "{% 2 + 3 %}"},
        {"Timestamp": "1970-01-01T00:00:09Z"},
        {"Timestamp": "{% $states.context.Execution.StartTime %}"},
    ]
    state |= draw(st.sampled_from(forms))


def _items(draw: st.DrawFn, state: Object, where: Where) -> None:
    items: list[Json] = [[1, "two", {"three": 3}], [], "{% [1..3] %}", ["{% $states.context.Execution.Name %}", 2]]
    state["Items"] = draw(st.sampled_from(items))
    item = "$states.context.Map.Item"
    selector: Object = {"i": f"{{% {item}.Index %}}", "v": f"{{% {item}.Value %}}", "r": "{% $states.input %}"}
    _maybe(draw, state, "ItemSelector", [selector, *_values(where, "input")])
    _maybe(draw, state, "MaxConcurrency", ["{% 1 %}", 2])


def _maybe(draw: st.DrawFn, target: Object, field: str, values: Sequence[Json]) -> None:
    if draw(st.integers(0, 2)) == 0:
        target[field] = draw(st.sampled_from(values))
