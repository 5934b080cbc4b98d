"""2,000 definitions in JSONPath, without side effects, from one seed.

A scope is a chain; what its states change is put beside their input, so that paths go on to find what they name, and
only the last state gives something of another shape. Where branches or iterations may fail, at most one does at a
time (one branch that is not calm, MaxConcurrency 1): which of two failures comes first would be chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from processor.model.json import Json
from tests.differential.draws import Draws
from tests.differential.expressions import (
    REFERENCES,
    a_path,
    a_rule,
    a_template,
    an_expression,
    an_input,
)

SEED = 20_261_125
COUNT = 2_000

Object = dict[str, Json]


@dataclass(frozen=True)
class Generated:
    number: int
    definition: Object
    input: Object


def generated(*, seed: int = SEED, count: int = COUNT) -> Iterator[Generated]:
    """Yield the cases. Each has draws of its own, so that it is the same whatever is generated before it."""
    for number in range(count):
        draw = Draws(seed + number)
        calm = number % 3 != 0
        yield Generated(number, a_scope(draw, depth=draw.one([0, 1, 1, 2]), calm=calm), an_input(draw))


def a_scope(draw: Draws, *, depth: int, calm: bool) -> Object:
    kinds = [*_FLAT, *(_NESTED if depth else ())]
    chain = [draw.one(kinds) for _ in range(draw.one([1, 1, 2, 3]))]
    names = [draw.name(kind) for kind in chain]
    states: Object = {}
    for place, (kind, name) in enumerate(zip(chain, names, strict=True)):
        following = names[place + 1 :]
        states[name] = _MAKERS[kind](draw, following, states, depth, calm)
    return {"StartAt": names[0], "States": states}


# ---- what states share


def _lead(following: list[str]) -> Object:
    return {"Next": following[0]} if following else {"End": True}


def _result_fields(draw: Draws, following: list[str], *, calm: bool) -> Object:
    """ResultPath and OutputPath. Where another state follows, its paths must still find what they name."""
    fields: Object = {}
    if following:
        fields["ResultPath"] = draw.one(["$.r", "$.obj.r", "$.new.deep.er", None])
    else:
        if draw.chance(3):
            fields["ResultPath"] = draw.one([*REFERENCES, "$", None])
            if draw.chance(3) and not (calm and fields["ResultPath"] in ("$", "$.n", "$.obj")):
                fields["OutputPath"] = a_path(draw, calm=calm)
        if draw.chance(20):
            fields["OutputPath"] = None
    return fields


# ---- the states

_RESULTS: tuple[Json, ...] = (1, "text", {"k": "$.n"}, [1, None], None, 1.0, True)
_WAITS: tuple[Object, ...] = (
    {"Seconds": 0},
    {"Timestamp": "2020-01-01T00:00:00Z"},
    {"SecondsPath": "$.zero"},
    {"TimestampPath": "$.past"},
    {"SecondsPath": "$$.Execution.Input.zero"},
)
_LAPSES: tuple[Object, ...] = (
    {"SecondsPath": "$.s"},
    {"SecondsPath": "$.neg"},
    {"SecondsPath": "$.nope"},
    {"TimestampPath": "$.nope"},
    {"SecondsPath": "$.x"},
)


def _pass(draw: Draws, following: list[str], _states: Object, _depth: int, calm: bool) -> Object:
    state: Object = {"Type": "Pass"}
    match draw.below(5):
        case 0:
            state["Result"] = draw.one(_RESULTS)
        case 1 | 2:
            state["Parameters"] = a_template(draw, calm=calm)
        case 3:
            state["InputPath"] = a_path(draw, calm=calm) if draw.below(8) else None
        case _:
            state["Parameters"] = {"only.$": an_expression(draw, calm=calm)}
    return {**state, **_result_fields(draw, following, calm=calm), **_lead(following)}


def _choice(draw: Draws, following: list[str], states: Object, _depth: int, calm: bool) -> Object:
    """Where it leads to is told by the output: to the next state, or to a Pass of its own."""
    targets = following[:1]
    while len(targets) < 2:
        target = draw.name("Chosen")
        states[target] = {"Type": "Pass", "Result": target, "End": True}
        targets.append(target)
    choices: list[Json] = [
        {**a_rule(draw, calm=calm), "Next": draw.one(targets)} for _ in range(draw.one([1, 1, 2, 3]))
    ]
    for number, target in enumerate(targets):  # everything is reachable
        choices.append({"Variable": "$.n", "NumericEquals": 1_000 + number, "Next": target})
    state: Object = {"Type": "Choice", "Choices": choices}
    if calm or draw.below(4):
        state["Default"] = targets[-1]
    if draw.chance(6):
        state["OutputPath"] = "$"
    return state


def _wait(draw: Draws, following: list[str], _states: Object, _depth: int, calm: bool) -> Object:
    return {"Type": "Wait", **draw.one(_WAITS if calm else (*_WAITS, *_LAPSES)), **_lead(following)}


def _succeed(draw: Draws, following: list[str], states: Object, _depth: int, calm: bool) -> Object:
    """In the middle of a chain it stands at the side, for a Choice to lead to."""
    end: Object = {"Type": "Succeed"}
    if draw.chance(3):
        end["InputPath"] = a_path(draw, calm=calm)
    if draw.chance(4):
        end["OutputPath"] = "$" if "InputPath" in end else a_path(draw, calm=calm)
    if not following:
        return end
    name = draw.name("Side")
    states[name] = end
    rule: Json = {**a_rule(draw, calm=calm), "Next": name}
    return {"Type": "Choice", "Choices": [rule], "Default": following[0]}


def _fail(draw: Draws, following: list[str], states: Object, _depth: int, calm: bool) -> Object:
    end = a_fail(draw)
    if not following and not calm:
        return end
    name = draw.name("Fail")
    states[name] = end
    rule: Json = {"Variable": "$.n", "NumericLessThan": 0 if calm else 2, "Next": name}
    if following:
        return {"Type": "Choice", "Choices": [rule], "Default": following[0]}
    last = draw.name("Pass")
    states[last] = _pass(draw, [], states, 0, calm)
    return {"Type": "Choice", "Choices": [rule], "Default": last}


def a_fail(draw: Draws) -> Object:
    end: Object = {"Type": "Fail"}
    match draw.below(4):
        case 0:
            end |= {"Error": draw.one(["E1", "E2", "States.Timeout"]), "Cause": "as written"}
        case 1:
            end |= {"Error": "E1"}
        case 2:
            end |= {"ErrorPath": "$.b64", "CausePath": draw.one(["$.t", "States.Format('n is {}', $.n)"])}
        case _:
            end |= {
                "Error": draw.one(["E1", "E2"]),
                "CausePath": draw.one(["$.t", "$.obj.b.c", "States.JsonToString($.obj)"]),
            }
    return end


def _parallel(draw: Draws, following: list[str], states: Object, depth: int, calm: bool) -> Object:
    count = draw.one([1, 2, 2, 3])
    uncalm = draw.below(count) if not calm else -1
    inner = depth - 1
    branches: list[Json] = [a_scope(draw, depth=inner, calm=place != uncalm) for place in range(count)]
    if not calm and draw.chance(3):
        branches[uncalm] = _failing(draw)
    state: Object = {"Type": "Parallel", "Branches": branches}
    return _container(draw, state, following, states, calm)


def _map(draw: Draws, following: list[str], states: Object, depth: int, calm: bool) -> Object:
    processor = draw.one([_item_processor, _item_processor, _whole_processor])
    state: Object = {"Type": "Map"}
    old = draw.chance(2)
    state |= processor(draw, depth, calm, old)
    if not calm:
        state["MaxConcurrency"] = 1
    elif draw.chance(3):
        state["MaxConcurrency"] = draw.between(0, 3)
    elif draw.chance(4):
        state["MaxConcurrencyPath"] = draw.one(["$.list[0]", "$.zero"])
    return _container(draw, state, following, states, calm)


_ITEMS = (
    "$$.Execution.Input.list",
    "$.items",
    "$.list",
    "$.texts",
    "$.empty",
    "$.nested",
    "$.items[*].id",
    "$.list[0:2]",
    "$.doubled",
)
_ITEM_VALUES = ("$$.Map.Item.Value", "$$.Map.Item.Index", "$$.State.Name", "$$.Execution.Name")


def _item_processor(draw: Draws, _depth: int, calm: bool, old: bool) -> Object:
    """The iterations see the item itself; what they do is possible with any item."""
    name = draw.name("Item")
    inner: Object = {"Type": "Pass", "End": True}
    match draw.below(4):
        case 0:
            inner["Parameters"] = {"got.$": "$", "text.$": "States.Format('<{}>', $$.Map.Item.Index)"}
        case 1:
            inner["Result"] = draw.one([1, None, "done"])
        case 2:
            inner["Parameters"] = {"value.$": draw.one(_ITEM_VALUES)}
        case _:
            pass
    first: Object = {"StartAt": name, "States": {name: inner}}
    if not calm and draw.chance(2):
        first = _failing_item(draw)
    if not old and draw.chance(2):
        first["ProcessorConfig"] = {"Mode": "INLINE"}
    fields: Object = {"Iterator" if old else "ItemProcessor": first}
    items = draw.one(_ITEMS if calm else (*_ITEMS, "$.mixed"))  # a null item is not what every path may be applied to
    if not calm and draw.chance(6):
        items = draw.one(["$.nope", "$.obj", "$.s", "$.z"])
    fields["ItemsPath"] = items
    if draw.chance(6):
        del fields["ItemsPath"]
        fields["InputPath"] = items
    return fields


def _whole_processor(draw: Draws, depth: int, calm: bool, old: bool) -> Object:
    """The iterations see the state's input with the item in it: any scope can run there."""
    selector: Object = {
        key + ".$": f"$.{key}"
        for key in (
            "n", "x", "neg", "s", "csv", "t", "b", "z", "obj", "list", "mixed", "texts", "doubled", "nested", "items",
            "empty", "none", "json", "b64", "zero", "past", "other",
        )
    }  # fmt: skip
    selector |= {"item.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index"}
    return {
        "ItemsPath": draw.one(["$.list", "$.items", "$.texts"]),
        "Parameters" if old else "ItemSelector": selector,
        "Iterator" if old else "ItemProcessor": a_scope(draw, depth=min(depth - 1, 1), calm=calm),
    }


def _failing(draw: Draws) -> Object:
    name = draw.name("Fail")
    return {"StartAt": name, "States": {name: a_fail(draw)}}


def _failing_item(draw: Draws) -> Object:
    """Fails from the second item on, or at a number, so that iterations have ended before."""
    check, end, ok = draw.name("Check"), draw.name("Fail"), draw.name("Ok")
    rule: Object = {"Variable": "$$.Map.Item.Index", "NumericGreaterThanEquals": draw.between(0, 2), "Next": end}
    fail: Object = {"Type": "Fail", "Error": draw.one(["E1", "E2"]), "Cause": "an item"}
    return {
        "StartAt": check,
        "States": {
            check: {"Type": "Choice", "Choices": [rule], "Default": ok},
            end: fail,
            ok: {"Type": "Pass", "End": True},
        },
    }


_RETRIED: tuple[list[Json], ...] = (["E1"], ["E2", "E1"], ["States.ALL"], ["States.TaskFailed"], ["States.Timeout"])


def _container(draw: Draws, state: Object, following: list[str], states: Object, calm: bool) -> Object:
    """What Parallel and Map have in common."""
    if draw.chance(4):
        first = "$[0:1]" if calm else "$[0]"
        selectors: list[Object] = [{"first.$": first, "all.$": "$"}, {"count.$": "States.ArrayLength($)"}]
        state["ResultSelector"] = draw.one(selectors)
    if draw.chance(3):
        count = draw.between(1, 2)
        retriers: list[Json] = []
        for place in range(count):
            errors = draw.one(_RETRIED if place == count - 1 else _RETRIED[:2])
            retrier: Object = {"ErrorEquals": errors, "MaxAttempts": draw.between(0, 2), "IntervalSeconds": 1}
            retriers.append(retrier | draw.one([{}, {"BackoffRate": 1.5}, {"MaxDelaySeconds": 3}]))
        state["Retry"] = retriers
    if draw.chance(2):
        catches: list[Json] = []
        for place in range(draw.between(1, 2)):
            name = draw.name("Caught")
            states[name] = {"Type": "Pass", "End": True, **({"Parameters": {"e.$": "$"}} if draw.chance(2) else {})}
            errors = draw.one(_RETRIED if place else _RETRIED[:2] if draw.chance(2) else _RETRIED[3:])
            entry: Object = {"ErrorEquals": errors, "Next": name}
            if draw.chance(2):
                entry["ResultPath"] = draw.one(["$.error", None, "$", "$.obj.error"])
            catches.append(entry)
        state["Catch"] = catches
    return {**state, **_result_fields(draw, following, calm=calm), **_lead(following)}


Maker = Callable[[Draws, list[str], Object, int, bool], Object]

_MAKERS: dict[str, Maker] = {
    "Pass": _pass,
    "Choice": _choice,
    "Wait": _wait,
    "Succeed": _succeed,
    "Fail": _fail,
    "Parallel": _parallel,
    "Map": _map,
}
_FLAT = ("Pass", "Pass", "Pass", "Choice", "Choice", "Wait", "Succeed", "Fail")
_NESTED = ("Parallel", "Parallel", "Map", "Map", "Map")
