"""Generated definitions: all eight states, nested, with Retry, Catch, timeouts, jitter and data flow.

A scope is a chain in which each state leads to the next one, so that everything is reachable; Choice rules and
catchers jump further down the chain. What paths read is there, but for a few that fail on purpose.

A definition has a mood:

    any         everything, in equal parts
    stormy      tasks have timeouts and heartbeats, everything that can have Retry and Catch has both
    contained   what fails is caught within its own scope, so that the order of answers cannot matter
    calm        what fails is retried, and nothing fails for good: no Fail, no timeout, no path that is not there
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Literal

from hypothesis import strategies as st

from processor.model.json import Json

Object = dict[str, Json]
Mood = Literal["any", "stormy", "contained", "calm"]

INPUT: Object = {"n": 3, "items": [1, "two", {"three": 3}], "empty": [], "seconds": 2, "deep": {"er": [0, 1.5, "x"]}}
ERRORS = ("E1", "E2")
RETRIED: list[list[Json]] = [["E1"], ["E2", "States.Timeout"], ["States.TaskFailed"]]
CAUGHT: list[list[Json]] = [["E1"], ["States.ALL"], ["States.Timeout", "E2"]]


class Names:
    """Names that are unique in one definition."""

    def __init__(self) -> None:
        self.count = 0

    def new(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"


@st.composite
def definitions(draw: st.DrawFn, *, mood: Mood = "any") -> Object:
    depths = [2, 1] if mood == "stormy" else [2, 1, 0]
    definition = draw(scopes(Names(), depth=draw(st.sampled_from(depths)), mood=mood))
    if _may_fail(mood) and draw(st.integers(0, 4)) == 0:
        definition["TimeoutSeconds"] = draw(st.integers(1, 100))
    return definition


def _may_fail(mood: Mood) -> bool:
    return mood in ("any", "stormy")


@st.composite
def scopes(draw: st.DrawFn, names: Names, *, depth: int, mood: Mood) -> Object:
    length = draw(st.sampled_from([1, 2, 3]))
    kinds = ["Pass", "Task", "Task", "Wait", "Choice"] + (["Parallel", "Parallel", "Map", "Map"] if depth else [])
    chain = [names.new(draw(st.sampled_from(kinds))) for _ in range(length)]
    ends = ["Task", "Pass", "Wait", "Succeed"] * 3
    end = draw(st.sampled_from([*ends, "Fail"] if _may_fail(mood) else ends))
    chain.append(names.new(end))
    states: Object = {}
    for index, name in enumerate(chain):
        states[name] = draw(_state(name, chain[index + 1 :], names, depth, mood))
    return {"StartAt": chain[0], "States": states}


@st.composite
def _state(draw: st.DrawFn, name: str, rest: list[str], names: Names, depth: int, mood: Mood) -> Object:
    kind = name.rstrip("0123456789")
    state: Object = {"Type": kind}
    if kind not in ("Choice", "Succeed", "Fail"):
        state |= {"Next": rest[0]} if rest else {"End": True}
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
        _maybe(draw, state, "Parameters", [{"all.$": "$", "id.$": "$$.Execution.Name", "k": 1}, {}])
    if kind in ("Task", "Parallel", "Map"):
        _maybe(draw, state, "ResultSelector", [{"got.$": "$"}, {"k": [1, {"state.$": "$$.State.Name"}]}])
        _add_handlers(draw, state, rest, mood)
    _PARTS[kind](draw, state, name, rest, names, depth, mood)
    return state


def _maybe(draw: st.DrawFn, state: Object, field: str, values: Sequence[Json]) -> None:
    if draw(st.integers(0, 3)) == 0:
        state[field] = draw(st.sampled_from(values))


def _add_handlers(draw: st.DrawFn, state: Object, rest: list[str], mood: Mood) -> None:
    always = mood in ("calm", "stormy")
    if always or draw(st.integers(0, 3)):
        retriers: list[Json] = []
        for errors in draw(st.lists(st.sampled_from(RETRIED), max_size=2, unique_by=str)):
            retriers.append(_retrier(draw, errors, mood))
        if mood == "calm" or draw(st.integers(0, 3)):
            retriers.append(_retrier(draw, ["States.ALL"], mood))
        if retriers:
            state["Retry"] = retriers
    if rest and (mood in ("contained", "stormy") or (mood == "any" and draw(st.booleans()))):
        caught: list[Json] = ["States.ALL"]
        if mood != "contained":
            caught = draw(st.sampled_from(CAUGHT))
        catcher: Object = {"ErrorEquals": caught, "Next": draw(st.sampled_from(rest))}
        # The input need not be an object: into a part of it the error can be put only where that may fail
        _maybe(draw, catcher, "ResultPath", [None, "$", "$.caught"] if mood != "contained" else [None, "$"])
        state["Catch"] = [catcher]


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

Part = Callable[[st.DrawFn, Object, str, list[str], Names, int, Mood], None]


def _pass(
    draw: st.DrawFn, state: Object, _name: object, _rest: object, _names: object, _depth: object, mood: Mood
) -> None:
    # To a null no path applies, not even $
    results: list[Json] = [0, [], {"fixed": [1.0, "x"]}]
    _maybe(draw, state, "Result", [*results, None] if mood == "any" else results)


def _task(draw: st.DrawFn, state: Object, name: str, _rest: object, _names: object, _depth: object, mood: Mood) -> None:
    activity = "arn:aws:states:us-east-1:111111111111:activity:a"
    service = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
    state["Resource"] = draw(st.sampled_from([name.lower(), activity, service]))
    if state["Resource"] == service:
        state.setdefault("Parameters", {})
    if mood == "calm":
        return
    if mood == "stormy":
        state |= draw(st.sampled_from([{"TimeoutSeconds": 7}, {"HeartbeatSeconds": 3}, {"HeartbeatSeconds": 6}, {}]))
    _maybe(draw, state, "TimeoutSeconds", [7, 20])
    if "TimeoutSeconds" not in state:
        _maybe(draw, state, "TimeoutSecondsPath", ["$$.Execution.Input.n"])
    _maybe(draw, state, "HeartbeatSeconds", [3, 6])


def _choice(draw: st.DrawFn, state: Object, _name: object, rest: list[str], *_: object) -> None:
    comparison: Object = draw(
        st.sampled_from(
            [
                {"Variable": "$$.Execution.Input.n", "NumericGreaterThan": 2},
                {"Variable": "$.r0", "IsPresent": True},
                {"And": [{"Variable": "$$.Execution.Name", "StringEquals": "1"}]},
            ]
        )
    )
    state["Choices"] = [{**comparison, "Next": draw(st.sampled_from(rest))}]
    state["Default"] = rest[0]


def _wait(draw: st.DrawFn, state: Object, *_: object) -> None:
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


def _fail(draw: st.DrawFn, state: Object, *_: object) -> None:
    _maybe(draw, state, "Error", ["E1", "E2", "States.Timeout"])
    _maybe(draw, state, "Cause", ["because"])
    if "Error" not in state:
        _maybe(draw, state, "ErrorPath", ["$$.State.Name"])


def _parallel(
    draw: st.DrawFn, state: Object, _name: object, _rest: object, names: Names, depth: int, mood: Mood
) -> None:
    state["Branches"] = [draw(scopes(names, depth=depth - 1, mood=mood)) for _ in range(draw(st.integers(1, 3)))]


def _map(draw: st.DrawFn, state: Object, _name: object, _rest: object, names: Names, depth: int, mood: Mood) -> None:
    source = draw(st.sampled_from(["items", "items", "items", "empty", "deep.er"]))
    state["ItemsPath"] = f"$$.Execution.Input.{source}"
    state["ItemProcessor"] = draw(scopes(names, depth=depth - 1, mood=mood))
    state["MaxConcurrency"] = draw(st.integers(0, 2))
    selector: Object = {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "r.$": "$"}
    _maybe(draw, state, "ItemSelector", [selector])
    if draw(st.booleans()):
        _distribute(draw, state, mood == "calm")


def _distribute(draw: st.DrawFn, state: Object, calm: bool) -> None:
    processor = state["ItemProcessor"]
    assert isinstance(processor, dict)
    if calm and "$$.Execution.Input" in json.dumps(processor):
        return  # its children have an input of their own
    processor["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    _maybe(draw, state, "ItemsPath", ["$$.Execution.Input.deep", "$$.Execution.Input"])
    reader: Object = {
        "Resource": "arn:aws:states:::s3:getObject",
        "Parameters": {"Bucket": "b", "Key.$": "$$.Execution.Name"},
        "ReaderConfig": {"InputType": "JSON", "MaxItems": 3},
    }
    _maybe(draw, state, "ItemReader", [reader])
    _maybe(draw, state, "ItemBatcher", [{"MaxItemsPerBatch": 2}, {"MaxInputBytesPerBatch": 40, "BatchInput": {"b": 1}}])
    writer: Object = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}}
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
