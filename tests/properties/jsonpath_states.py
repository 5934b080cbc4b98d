"""The fields of generated JSONPath states. What paths read is there, but for a few that fail on purpose."""

from __future__ import annotations

from processor.model.json import Json
from tests.properties.place import Made, Object, Place


def add_data_flow(place: Place, state: Object) -> None:
    if place.kind not in ("Fail", "Map"):
        place.maybe(state, "InputPath", ["$", "$$.Execution.Input", None, *(f"${name}" for name in place.whole)])
    if place.kind != "Fail":
        outputs = ["$$.Execution.Input.deep", "$", "$", None, *(f"${name}" for name in place.known)]
        place.maybe(state, "OutputPath", [*outputs, *(["$.r0"] if place.mood == "any" else [])])
    if place.kind in ("Pass", "Task", "Parallel", "Map"):
        # Into the whole only: what comes here need not be an object
        place.maybe(state, "ResultPath", ["$", "$", None, None] + (["$.r0", "$.a.b"] if place.may_fail else []))
    if place.kind in ("Pass", "Task", "Parallel"):
        place.maybe(state, "Parameters", [{"all.$": "$", "id.$": "$$.Execution.Name", "k": 1}, {}])
        if place.small and place.tells():
            state["Parameters"] = _told(place)
    if place.kind in ("Task", "Parallel", "Map"):
        place.maybe(state, "ResultSelector", [{"got.$": "$"}, {"k": [1, {"state.$": "$$.State.Name"}]}])


def _told(place: Place) -> Object:
    """Return what tells the variables: see `variables.py`."""
    return {"by": place.name, "seen": {f"{name}.$": f"${name}" for name in place.small}, "all.$": "$"}


def assigned(place: Place, fields: Object, _made: Made) -> list[str]:
    small, whole = place.own(1), place.own(2)
    written: Object = {}
    if place.often():
        constants: list[Object] = [{small: 1}, {small: [{"x": None}]}]
        made = ["$$.State.Name", "$$.Execution.Name", "States.Format('{}!', $$.State.Name)"]
        made += [path for name in place.small for path in (f"${name}", f"States.Array(${name}, 1)")]
        made += ["States.UUID()", "States.MathRandom(1, 100)", *(["$$.State.EnteredTime"] if place.may_fail else [])]
        made += place.if_it_may_fail("$nothing")
        written |= place.one_of([*constants, *({f"{small}.$": text} for text in made)])
    if place.sometimes():
        written[f"{whole}.$"] = place.one_of(["$", "$", "$$.Execution.Input", *(f"${name}" for name in place.whole)])
    if written:
        fields["Assign"] = written
    return [name.removesuffix(".$") for name in written]


def add_to_catcher(place: Place, catcher: Object) -> None:
    # The input need not be an object: into a part of it the error can be put only where that may fail
    place.maybe(catcher, "ResultPath", [None, "$", "$.caught"] if place.mood != "contained" else [None, "$"])


def add_to_rule(place: Place, rule: Object) -> None:
    rules: list[Object] = [
        {"Variable": "$$.Execution.Input.n", "NumericGreaterThan": 2},
        {"Variable": "$.r0", "IsPresent": True},
        {"And": [{"Variable": "$$.Execution.Name", "StringEquals": "1"}]},
        {"Variable": "$y1", "IsPresent": True},
        {"Not": {"Variable": "$x2", "IsPresent": True}},
    ]
    for name in place.known:
        rules += [{"Variable": f"${name}", "IsString": True}, {"Variable": f"${name}", "NumericEquals": 1}]
    rule |= place.one_of(rules)


def add_to_pass(place: Place, state: Object) -> None:
    # To a null no path applies, not even $
    place.maybe(state, "Result", [0, [], {"fixed": [1.0, "x"]}, *([None] if place.mood == "any" else [])])


def add_to_task(place: Place, state: Object) -> None:
    if place.mood != "calm" and "TimeoutSeconds" not in state:
        small = [f"${name}" for name in place.small if place.may_fail]
        place.maybe(state, "TimeoutSecondsPath", ["$$.Execution.Input.n", *small])


def add_to_wait(place: Place, state: Object) -> None:
    forms: list[Object] = [
        {"Seconds": 0},
        {"Seconds": 5},
        {"SecondsPath": "$$.Execution.Input.seconds"},
        {"Timestamp": "1970-01-01T00:00:09Z"},
        {"TimestampPath": "$$.Execution.StartTime"},
    ]
    state |= place.one_of(forms + [{"SecondsPath": f"${name}"} for name in place.small if place.mood == "any"])


def add_to_fail(place: Place, state: Object) -> None:
    if "Error" not in state:
        place.maybe(state, "ErrorPath", ["$$.State.Name", *(f"${name}" for name in place.small)])


def add_to_map(place: Place, state: Object) -> None:
    source = place.one_of(["items", "items", "items", "empty", "deep.er"])
    state["ItemsPath"] = f"$$.Execution.Input.{source}"
    if place.mood == "any" and place.whole:
        place.maybe(state, "ItemsPath", [f"${name}" for name in place.whole])
    selector: Object = {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "r.$": "$"}
    place.maybe(state, "ItemSelector", [selector, selector | _told(place)])


OBJECTS: tuple[str, list[Json]] = ("ItemsPath", ["$$.Execution.Input.deep", "$$.Execution.Input"])
READER: Object = {
    "Resource": "arn:aws:states:::s3:getObject",
    "Parameters": {"Bucket": "b", "Key.$": "$$.Execution.Name"},
    "ReaderConfig": {"InputType": "JSON", "MaxItems": 3},
}
WRITER: Object = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}}
