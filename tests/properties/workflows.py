"""Generated definitions: all eight states, nested, with Retry, Catch, timeouts, jitter and data flow.

A scope is a chain in which each state leads to the next one, so that everything is reachable; Choice rules and
catchers jump further down the chain. What paths read is there, but for a few that fail on purpose.

A definition has a mood:

    any         everything, in equal parts
    stormy      tasks have timeouts and heartbeats, everything that can have Retry and Catch has both
    contained   what fails is caught within its own scope, so that the order of answers cannot matter
    calm        what fails is retried, and nothing fails for good: no Fail, no timeout, no path that is not there

Half of the definitions are written in JSONata, and in a JSONPath one some states are (`expressions.py`). A scope may
begin with a Pass that assigns a variable: the states after it and the scopes below read it, and the states of its own
scope assign it anew. So whatever is read was assigned, and what a scope assigns depends on no other one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from hypothesis import strategies as st

from processor.model.json import Json
from tests.properties import expressions

Object = dict[str, Json]
Mood = Literal["any", "stormy", "contained", "calm"]
Language = Literal["JSONPath", "JSONata"]

INPUT: Object = {"n": 3, "items": [1, "two", {"three": 3}], "empty": [], "seconds": 2, "deep": {"er": [0, 1.5, "x"]}}
ERRORS = ("E1", "E2")
RETRIED: list[list[Json]] = [["E1"], ["E2", "States.Timeout"], ["States.TaskFailed"]]
CAUGHT: list[list[Json]] = [["E1"], ["States.ALL"], ["States.Timeout", "E2"]]


class Names:
    """Names that are unique in one definition, and what language it is written in."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.count = 0

    def new(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"


class Place(NamedTuple):
    """Where a state stands. `rest`: the states after it; `known`: the variables that it can read; `own`: that of its
    scope, which it may assign."""

    rest: list[str]
    names: Names
    depth: int
    mood: Mood
    known: tuple[str, ...]
    own: str | None


@st.composite
def definitions(draw: st.DrawFn, *, mood: Mood = "any") -> Object:
    depths = [2, 1] if mood == "stormy" else [2, 1, 0]
    names = Names(draw(st.sampled_from(["JSONPath", "JSONata"])))
    definition = draw(scopes(names, depth=draw(st.sampled_from(depths)), mood=mood))
    if names.language == "JSONata":
        definition["QueryLanguage"] = "JSONata"
    if _may_fail(mood) and draw(st.integers(0, 4)) == 0:
        definition["TimeoutSeconds"] = draw(st.integers(1, 100))
    return definition


def _may_fail(mood: Mood) -> bool:
    return mood in ("any", "stormy")


@st.composite
def scopes(draw: st.DrawFn, names: Names, *, depth: int, mood: Mood, known: tuple[str, ...] = ()) -> Object:
    length = draw(st.sampled_from([1, 2, 3]))
    kinds = ["Pass", "Task", "Task", "Wait", "Choice"] + (["Parallel", "Parallel", "Map", "Map"] if depth else [])
    chain = [names.new(draw(st.sampled_from(kinds))) for _ in range(length)]
    ends = ["Task", "Pass", "Wait", "Succeed"] * 3
    end = draw(st.sampled_from([*ends, "Fail"] if _may_fail(mood) else ends))
    chain.append(names.new(end))
    states: Object = {}
    own = names.new("v") if draw(st.booleans()) else None
    if own is not None:
        first = names.new("Pass")
        states[first] = _assigning(draw, own, known, names.language) | {"Next": chain[0]}
        chain.insert(0, first)
        known = (*known, own)
    for index, name in enumerate(chain):
        if name not in states:
            states[name] = draw(_state(name, Place(chain[index + 1 :], names, depth, mood, known, own)))
    return {"StartAt": chain[0], "States": states}


def _assigning(draw: st.DrawFn, own: str, known: tuple[str, ...], language: Language) -> Object:
    outer: Json = draw(st.sampled_from(known)) if known else None
    if language == "JSONata":
        return {"Type": "Pass", "Assign": {own: expressions.first_value(draw, outer)}}
    values: list[Object] = [{f"{own}.$": "$$.Execution.Name"}, {own: [1, {"fixed": None}]}]
    values += [{f"{own}.$": f"${outer}"}, {own: {"outer.$": f"${outer}"}}] if outer else []
    return {"Type": "Pass", "Assign": draw(st.sampled_from(values))}


@st.composite
def _state(draw: st.DrawFn, name: str, place: Place) -> Object:
    kind = name.rstrip("0123456789")
    state: Object = {"Type": kind}
    if kind not in ("Choice", "Succeed", "Fail"):
        state |= {"Next": place.rest[0]} if place.rest else {"End": True}
    if place.names.language == "JSONata" or draw(st.integers(0, 4)) == 0:
        if place.names.language == "JSONPath":
            state["QueryLanguage"] = "JSONata"
        _write_jsonata(draw, state, kind, place)
    else:
        _write_jsonpath(draw, state, name, kind, place)
    return state


def _write_jsonata(draw: st.DrawFn, state: Object, kind: str, place: Place) -> None:
    where = expressions.Where(place.rest, place.known, place.own, place.mood == "calm", place.mood == "any")
    if kind in ("Task", "Parallel", "Map"):
        add_handlers(draw, state, place)
        for catcher in expressions.parts_of(state.get("Catch")):
            expressions.add_to_catcher(draw, catcher, where)
    if kind == "Task":
        _add_resource(draw, state, "task")
        _add_limits(draw, state, place.mood)
    if kind in ("Parallel", "Map"):
        _add_scopes(draw, state, kind, place)
    expressions.add_to_state(draw, state, kind, where)
    if kind == "Map" and draw(st.booleans()):
        _distribute(draw, state, place, "Arguments")


def _write_jsonpath(draw: st.DrawFn, state: Object, name: str, kind: str, place: Place) -> None:
    mood = place.mood
    if kind not in ("Fail", "Map"):
        _maybe(draw, state, "InputPath", ["$", "$$.Execution.Input", None])
    if kind != "Fail":
        _maybe(
            draw, state, "OutputPath", ["$$.Execution.Input.deep", "$", "$", None] + (["$.r0"] if mood == "any" else [])
        )
    if kind in ("Pass", "Task", "Parallel", "Map"):
        # Into the whole only: what comes here need not be an object
        _maybe(draw, state, "ResultPath", ["$", "$", None, None] + (["$.r0", "$.a.b"] if _may_fail(mood) else []))
    if kind in ("Pass", "Task", "Parallel"):
        read: list[Json] = [{"all.$": "$", "var.$": f"${variable}"} for variable in place.known]
        _maybe(draw, state, "Parameters", [{"all.$": "$", "id.$": "$$.Execution.Name", "k": 1}, {}, *read])
    if kind in ("Task", "Parallel", "Map"):
        _maybe(draw, state, "ResultSelector", [{"got.$": "$"}, {"k": [1, {"state.$": "$$.State.Name"}]}])
        add_handlers(draw, state, place)
        for catcher in expressions.parts_of(state.get("Catch")):
            # The input need not be an object: into a part of it the error can be put only where that may fail
            _maybe(draw, catcher, "ResultPath", [None, "$", "$.caught"] if mood != "contained" else [None, "$"])
            _assign(draw, catcher, place, "$.Error")
    _PARTS[kind](draw, state, name, place)
    if kind not in ("Succeed", "Fail"):
        _assign(draw, state, place, "$$.State.Name")
        for rule in expressions.parts_of(state.get("Choices")):
            _assign(draw, rule, place, "$$.State.EnteredTime" if mood == "any" else "$$.State.Name")


def _assign(draw: st.DrawFn, target: Object, place: Place, path: str) -> None:
    """Assign the scope's variable anew, perhaps from what it is."""
    if place.own is not None:
        values: list[Json] = [{f"{place.own}.$": path}, {place.own: {"was.$": f"${place.own}"}}]
        _maybe(draw, target, "Assign", values)


def _maybe(draw: st.DrawFn, state: Object, field: str, values: Sequence[Json]) -> None:
    if draw(st.integers(0, 3)) == 0:
        state[field] = draw(st.sampled_from(values))


def add_handlers(draw: st.DrawFn, state: Object, place: Place) -> None:
    mood = place.mood
    always = mood in ("calm", "stormy")
    if always or draw(st.integers(0, 3)):
        retriers: list[Json] = []
        for errors in draw(st.lists(st.sampled_from(RETRIED), max_size=2, unique_by=str)):
            retriers.append(_retrier(draw, errors, mood))
        if mood == "calm" or draw(st.integers(0, 3)):
            retriers.append(_retrier(draw, ["States.ALL"], mood))
        if retriers:
            state["Retry"] = retriers
    if place.rest and (mood in ("contained", "stormy") or (mood == "any" and draw(st.booleans()))):
        caught: list[Json] = ["States.ALL"]
        if mood != "contained":
            caught = draw(st.sampled_from(CAUGHT))
        state["Catch"] = [{"ErrorEquals": caught, "Next": draw(st.sampled_from(place.rest))}]


def _retrier(draw: st.DrawFn, errors: Sequence[Json], mood: Mood) -> Json:
    retrier: Object = {
        "ErrorEquals": list(errors),
        "IntervalSeconds": draw(st.integers(1, 3)),
        "MaxAttempts": draw(st.sampled_from([2, 1] if mood == "calm" else [2, 1, 2, 0])),
        "BackoffRate": draw(st.sampled_from([1.0, 1.5, 2.0])),
    }
    _maybe(draw, retrier, "JitterStrategy", ["FULL", "FULL", "NONE"])
    _maybe(draw, retrier, "MaxDelaySeconds", [4])
    return retrier


# ---- what each type has of its own

Part = Callable[[st.DrawFn, Object, str, Place], None]


def _pass(draw: st.DrawFn, state: Object, _name: str, place: Place) -> None:
    # To a null no path applies, not even $
    results: list[Json] = [0, [], {"fixed": [1.0, "x"]}]
    _maybe(draw, state, "Result", [*results, None] if place.mood == "any" else results)


def _task(draw: st.DrawFn, state: Object, name: str, place: Place) -> None:
    service = _add_resource(draw, state, name.lower())
    if service:
        state.setdefault("Parameters", {})
    _add_limits(draw, state, place.mood)
    if place.mood != "calm" and "TimeoutSeconds" not in state:
        _maybe(draw, state, "TimeoutSecondsPath", ["$$.Execution.Input.n"])


def _add_resource(draw: st.DrawFn, state: Object, own: str) -> bool:
    """Return whether it is a service, which must be told something."""
    activity = "arn:aws:states:us-east-1:111111111111:activity:a"
    service = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
    state["Resource"] = draw(st.sampled_from([own, activity, service]))
    return state["Resource"] == service


def _add_limits(draw: st.DrawFn, state: Object, mood: Mood) -> None:
    if mood == "calm":
        return
    if mood == "stormy":
        state |= draw(st.sampled_from([{"TimeoutSeconds": 7}, {"HeartbeatSeconds": 3}, {"HeartbeatSeconds": 6}, {}]))
    _maybe(draw, state, "TimeoutSeconds", [7, 20])
    _maybe(draw, state, "HeartbeatSeconds", [3, 6])


def _choice(draw: st.DrawFn, state: Object, _name: str, place: Place) -> None:
    comparisons: list[Object] = [
        {"Variable": "$$.Execution.Input.n", "NumericGreaterThan": 2},
        {"Variable": "$.r0", "IsPresent": True},
        {"And": [{"Variable": "$$.Execution.Name", "StringEquals": "1"}]},
    ]
    comparisons += [{"Variable": f"${variable}", "IsString": True} for variable in place.known]
    state["Choices"] = [{**draw(st.sampled_from(comparisons)), "Next": draw(st.sampled_from(place.rest))}]
    state["Default"] = place.rest[0]


def _wait(draw: st.DrawFn, state: Object, _name: str, _place: Place) -> None:
    form: Object = draw(
        st.sampled_from(
            [
                {"Seconds": 0},
                {"Seconds": 5},
                {"SecondsPath": "$$.Execution.Input.seconds"},
                {"Timestamp": "1970-01-01T00:00:09Z"},
                {"TimestampPath": "$$.Execution.StartTime"},
            ]
        )
    )
    state |= form


def _fail(draw: st.DrawFn, state: Object, _name: str, _place: Place) -> None:
    _maybe(draw, state, "Error", ["E1", "E2", "States.Timeout"])
    _maybe(draw, state, "Cause", ["because"])
    if "Error" not in state:
        _maybe(draw, state, "ErrorPath", ["$$.State.Name"])


def _parallel(draw: st.DrawFn, state: Object, _name: str, place: Place) -> None:
    _add_scopes(draw, state, "Parallel", place)


def _map(draw: st.DrawFn, state: Object, _name: str, place: Place) -> None:
    source = draw(st.sampled_from(["items", "items", "items", "empty", "deep.er"]))
    state["ItemsPath"] = f"$$.Execution.Input.{source}"
    _add_scopes(draw, state, "Map", place)
    selector: Object = {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "r.$": "$"}
    read: list[Json] = [{"v.$": f"${variable}"} for variable in place.known]
    _maybe(draw, state, "ItemSelector", [selector, *read])
    if draw(st.booleans()):
        _distribute(draw, state, place, "Parameters")
        if "ProcessorConfig" in expressions.object_of(state["ItemProcessor"]):
            _maybe(draw, state, "ItemsPath", ["$$.Execution.Input.deep", "$$.Execution.Input"])


def _add_scopes(draw: st.DrawFn, state: Object, kind: str, place: Place) -> None:
    below = scopes(place.names, depth=place.depth - 1, mood=place.mood, known=place.known)
    if kind == "Parallel":
        state["Branches"] = [draw(below) for _ in range(draw(st.integers(1, 3)))]
    else:
        state["ItemProcessor"] = draw(below)
        state["MaxConcurrency"] = draw(st.integers(0, 2))


def _distribute(draw: st.DrawFn, state: Object, place: Place, arguments: str) -> None:
    processor, calm = expressions.object_of(state["ItemProcessor"]), place.mood == "calm"
    text = json.dumps(processor)
    if calm and ("$$.Execution.Input" in text or "context.Execution.Input" in text):
        return  # its children have an input of their own,
    if any(f"${variable}" in text for variable in place.known):
        return  # and variables
    processor["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    key: Object = {"Key.$": "$$.Execution.Name"} if arguments == "Parameters" else {"Key": "k"}
    reader: Object = {
        "Resource": "arn:aws:states:::s3:getObject",
        arguments: {"Bucket": "b", **key},
        "ReaderConfig": {"InputType": "JSON", "MaxItems": 3},
    }
    _maybe(draw, state, "ItemReader", [reader])
    _maybe(draw, state, "ItemBatcher", [{"MaxItemsPerBatch": 2}, {"MaxInputBytesPerBatch": 40, "BatchInput": {"b": 1}}])
    writer: Object = {"Resource": "arn:aws:states:::s3:putObject", arguments: {"Bucket": "b", "Prefix": "p"}}
    config: Object = {"WriterConfig": {"Transformation": "FLATTEN"}}
    # Records of children tell when they ended, and so the order of answers.
    _maybe(draw, state, "ResultWriter", [config, writer | config] + ([] if calm else [writer]))
    if not calm:
        _maybe(draw, state, "ToleratedFailureCount", [1, 2])
        _maybe(draw, state, "ToleratedFailurePercentage", [50, 100])


def _nothing(*_: object) -> None:
    pass


_PARTS: dict[str, Part] = {
    "Pass": _pass,
    "Task": _task,
    "Choice": _choice,
    "Wait": _wait,
    "Succeed": _nothing,
    "Fail": _fail,
    "Parallel": _parallel,
    "Map": _map,
}
