"""Generated definitions: all eight states, nested, with Retry, Catch, timeouts, jitter and data flow.

A scope is a chain in which each state leads to the next one, so that everything is reachable; Choice rules and
catchers jump further down the chain. What paths read is there, but for a few that fail on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from processor.model.json import Json

Object = dict[str, Json]

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
def definitions(draw: st.DrawFn, *, calm: bool = False) -> Object:
    """`calm`: nothing fails for good, so that the order of answers cannot matter: no Fail, no timeout, no path that
    is not there; the tasks' first attempts may fail, for all of them are retried."""
    definition = draw(scopes(Names(), depth=draw(st.sampled_from([2, 1, 0])), calm=calm))
    if not calm and draw(st.integers(0, 4)) == 0:
        definition["TimeoutSeconds"] = draw(st.integers(1, 100))
    return definition


@st.composite
def scopes(draw: st.DrawFn, names: Names, *, depth: int, calm: bool) -> Object:
    length = draw(st.sampled_from([1, 2, 3]))
    kinds = ["Pass", "Task", "Task", "Wait", "Choice"] + (["Parallel", "Parallel", "Map", "Map"] if depth else [])
    chain = [names.new(draw(st.sampled_from(kinds))) for _ in range(length)]
    ends = ["Task", "Pass", "Wait", "Succeed"] * 3
    end = draw(st.sampled_from(ends if calm else [*ends, "Fail"]))
    chain.append(names.new(end))
    states: Object = {}
    for index, name in enumerate(chain):
        states[name] = draw(_state(name, chain[index + 1 :], names, depth, calm))
    return {"StartAt": chain[0], "States": states}


@st.composite
def _state(draw: st.DrawFn, name: str, rest: list[str], names: Names, depth: int, calm: bool) -> Object:
    kind = name.rstrip("0123456789")
    state: Object = {"Type": kind}
    if kind not in ("Choice", "Succeed", "Fail"):
        state |= {"Next": rest[0]} if rest else {"End": True}
    if kind not in ("Fail", "Map"):
        _maybe(draw, state, "InputPath", ["$", "$$.Execution.Input", None])
    if kind != "Fail":
        _maybe(draw, state, "OutputPath", ["$$.Execution.Input.deep", "$", "$", None] + ([] if calm else ["$.r0"]))
    if kind in ("Pass", "Task", "Parallel", "Map"):
        # Into the whole only: what comes here need not be an object
        _maybe(draw, state, "ResultPath", ["$", "$", None, None] + ([] if calm else ["$.r0", "$.a.b"]))
    if kind in ("Pass", "Task", "Parallel"):
        _maybe(draw, state, "Parameters", [{"all.$": "$", "id.$": "$$.Execution.Name", "k": 1}, {}])
    if kind in ("Task", "Parallel", "Map"):
        _maybe(draw, state, "ResultSelector", [{"got.$": "$"}, {"k": [1, {"state.$": "$$.State.Name"}]}])
        _add_handlers(draw, state, rest, calm)
    _PARTS[kind](draw, state, name, rest, names, depth, calm)
    return state


def _maybe(draw: st.DrawFn, state: Object, field: str, values: Sequence[Json]) -> None:
    if draw(st.integers(0, 3)) == 0:
        state[field] = draw(st.sampled_from(values))


def _add_handlers(draw: st.DrawFn, state: Object, rest: list[str], calm: bool) -> None:
    if calm or draw(st.integers(0, 3)):
        retriers: list[Json] = []
        for errors in draw(st.lists(st.sampled_from(RETRIED), max_size=2, unique_by=str)):
            retriers.append(_retrier(draw, errors, calm))
        if calm or draw(st.integers(0, 3)):
            retriers.append(_retrier(draw, ["States.ALL"], calm))
        if retriers:
            state["Retry"] = retriers
    if not calm and rest and draw(st.booleans()):
        catcher: Object = {"ErrorEquals": draw(st.sampled_from(CAUGHT)), "Next": draw(st.sampled_from(rest))}
        _maybe(draw, catcher, "ResultPath", [None, "$", "$.caught"])
        state["Catch"] = [catcher]


def _retrier(draw: st.DrawFn, errors: Sequence[Json], calm: bool) -> Json:
    retrier: Object = {
        "ErrorEquals": list(errors),
        "IntervalSeconds": draw(st.integers(1, 3)),
        "MaxAttempts": draw(st.sampled_from([2, 1] if calm else [2, 1, 2, 0])),
        "BackoffRate": draw(st.sampled_from([1.0, 1.5, 2.0])),
    }
    _maybe(draw, retrier, "JitterStrategy", ["FULL", "FULL", "NONE"])
    _maybe(draw, retrier, "MaxDelaySeconds", [4])
    return retrier


# ---- what each type has of its own

Part = Callable[[st.DrawFn, Object, str, list[str], Names, int, bool], None]


def _pass(
    draw: st.DrawFn, state: Object, _name: object, _rest: object, _names: object, _depth: object, calm: bool
) -> None:
    # To a null no path applies, not even $
    results: list[Json] = [0, [], {"fixed": [1.0, "x"]}]
    _maybe(draw, state, "Result", results if calm else [*results, None])


def _task(draw: st.DrawFn, state: Object, name: str, _rest: object, _names: object, _depth: object, calm: bool) -> None:
    activity = "arn:aws:states:us-east-1:111111111111:activity:a"
    service = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
    state["Resource"] = draw(st.sampled_from([name.lower(), activity, service]))
    if calm:
        return
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
    draw: st.DrawFn, state: Object, _name: object, _rest: object, names: Names, depth: int, calm: bool
) -> None:
    state["Branches"] = [draw(scopes(names, depth=depth - 1, calm=calm)) for _ in range(draw(st.integers(1, 3)))]


def _map(draw: st.DrawFn, state: Object, _name: object, _rest: object, names: Names, depth: int, calm: bool) -> None:
    source = draw(st.sampled_from(["items", "items", "items", "empty", "deep.er"]))
    state["ItemsPath"] = f"$$.Execution.Input.{source}"
    state["ItemProcessor"] = draw(scopes(names, depth=depth - 1, calm=calm))
    state["MaxConcurrency"] = draw(st.integers(0, 2))
    selector: Object = {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "r.$": "$"}
    _maybe(draw, state, "ItemSelector", [selector])
    if draw(st.booleans()):
        _distribute(draw, state, calm)


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
        "ReaderConfig": {"InputType": "JSON", "MaxItemsPath": "$$.Execution.Input.n"},
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
