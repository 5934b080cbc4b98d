"""The fields of generated JSONata states. Their expressions are cheap, and tame: each runs in this process."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from processor.model.json import Json
from tests.properties.place import VARIABLES, Made, Object, Place


def expression(text: str) -> str:
    return f"{{% {text} %}}"


def expressions(*texts: str) -> list[Json]:
    return [expression(text) for text in texts]


# ---- values


def small_values(place: Place, made: Made) -> list[Json]:
    """Return values that stay small, whatever comes here, among them all that the order of answers must not change."""
    texts = ["$states.context.State.Name", "$states.context.Execution.Name", "$uuid()", "$random()"]
    texts += ['$hash($string($states.input), "MD5")', "$states.context.Execution.Input.n * 2"]
    if made == "result":
        texts += ['$hash($string($states.result), "SHA-1")', "$type($states.result)"]
    if made == "errorOutput":
        texts += ["$string($states.errorOutput.Error)", "$count($keys($states.errorOutput))"]
    texts += [text for name in place.small for text in (f"${name}", f"[${name}, 1]", f"$type(${name})")]
    texts += [f"$exists(${place.one_of(VARIABLES)})"]
    texts += ["$now()", "$millis()"] if place.may_fail else []
    texts += place.if_it_may_fail("$nothing", '$error("on purpose")', "$states.input.n + 1")
    return [1, {"k": [None, expression("$states.context.State.RetryCount = 0")]}, *expressions(*texts)]


def whole_values(place: Place, made: Made) -> list[Json]:
    texts = ["$states.input", "$states.context.Execution.Input", *(f"${name}" for name in place.whole)]
    if made != "nothing":
        texts += [f"$states.{made}"] * 3
    return expressions(*texts)


def payloads(place: Place, made: Made) -> list[Json]:
    """Return what may be an output or arguments."""
    values: list[Json] = [0, [], {"fixed": [1.0, "x"], "state": expression("$states.context.State.Name")}]
    values += [*whole_values(place, made), *small_values(place, made)]
    if made != "nothing":
        values += [{"got": expression(f"$states.{made}")}]
    # What would be another if it were computed again: drawn, told by a clock, read before the state's own Assign
    once: Object = {"drawn": expression("$random()"), **{name: expression(f"${name}") for name in place.small}}
    if place.may_fail:
        once["at"] = expression("$millis()")
    values += [once] * 8
    return [*values, None] if place.mood == "any" else values


def _told(place: Place) -> Object:
    """Return what tells the variables: see `variables.py`."""
    return {
        "by": place.name,
        "seen": {name: expression(f"${name}") for name in place.small},
        "there": {name: expression(f"$exists(${name})") for name in VARIABLES},
        "all": expression("$states.input"),
    }


# ---- fields


def add_data_flow(place: Place, state: Object) -> None:
    if place.kind != "Fail" and place.draw(st.booleans()):
        state["Output"] = place.one_of(payloads(place, place.made))
    if place.kind in ("Task", "Parallel"):
        place.maybe(state, "Arguments", payloads(place, "nothing"))
        if place.tells():
            state["Arguments"] = _told(place)
    if place.mood == "contained" and _keeps_no_cause(state):
        # Caught where it happens, as everything in this mood
        place.maybe(state, "Output", expressions("$states.result.there.is.none", "$states.input + {}"))


def _keeps_no_cause(state: Object) -> bool:
    """Whether what failed is caught, and its cause forgotten: that of an evaluation tells the id of an event."""
    catchers = state.get("Catch", [])
    assert isinstance(catchers, list)
    written = [json.dumps(catcher) for catcher in catchers if isinstance(catcher, dict) and "Output" in catcher]
    return any("errorOutput" not in text for text in written)


def assigned(place: Place, fields: Object, made: Made) -> list[str]:
    written: Object = {}
    if place.often():
        written[place.own(1)] = place.one_of(small_values(place, made))
    if place.sometimes():
        written[place.own(2)] = place.one_of(whole_values(place, made))
    if written:
        fields["Assign"] = written
    return list(written)


def add_to_catcher(place: Place, catcher: Object) -> None:
    place.maybe(catcher, "Output", payloads(place, "errorOutput"))


def add_to_rule(place: Place, rule: Object) -> None:
    texts = ['$type($states.input) = "object"', '$states.context.Execution.Name = "1"']
    texts += [f"$exists(${place.one_of(VARIABLES)})", "$states.context.Execution.Input.n > 2"]
    texts += [f"${name} = 1" for name in place.small]
    texts += place.if_it_may_fail("$nothing", "$states.input.n > 1")
    rule["Condition"] = place.one_of([True, *expressions(*texts)])
    place.maybe(rule, "Output", payloads(place, "nothing"))


def add_to_pass(place: Place, state: Object) -> None:
    pass


def add_to_task(place: Place, state: Object) -> None:
    if place.mood != "calm" and "TimeoutSeconds" not in state:
        small = expressions(*(f"${name}" for name in place.small)) if place.may_fail else []
        place.maybe(state, "TimeoutSeconds", expressions("$states.context.Execution.Input.n", "20") + small)


def add_to_wait(place: Place, state: Object) -> None:
    forms: list[Object] = [
        {"Seconds": 0},
        {"Seconds": expression("2 + 3")},
        {"Seconds": expression("$states.context.Execution.Input.seconds")},
        {"Timestamp": "1970-01-01T00:00:09Z"},
        {"Timestamp": expression("$states.context.Execution.StartTime")},
    ]
    small = [f"${name}" for name in place.small if place.mood == "any"]
    state |= place.one_of(forms + [{"Seconds": expression(text)} for text in small])


def add_to_fail(place: Place, state: Object) -> None:
    if "Error" not in state:
        place.maybe(state, "Error", expressions("$states.context.State.Name", *(f"${name}" for name in place.small)))


def add_to_map(place: Place, state: Object) -> None:
    source = place.one_of(["items", "items", "items", "empty", "deep.er"])
    written: list[Json] = [1, "two", expression("$states.context.State.Name")]
    mapped = "$map($states.context.Execution.Input.items, function($item, $index) { {'at': $index, 'item': $item} })"
    items = [*expressions(f"$states.context.Execution.Input.{source}", mapped), written]
    if place.mood == "any":
        items += expressions("$states.input", *(f"${name}" for name in place.whole))
    state["Items"] = place.one_of(items)
    selector: Object = {
        "i": expression("$states.context.Map.Item.Index"),
        "v": expression("$states.context.Map.Item.Value"),
        "drawn": expression("$random()"),
        "r": expression("$states.input"),
    }
    place.maybe(state, "ItemSelector", [selector, selector | _told(place)])


OBJECTS: tuple[str, list[Json]] = (
    "Items",
    expressions("$states.context.Execution.Input.deep", "$states.context.Execution.Input"),
)
READER: Object = {
    "Resource": "arn:aws:states:::s3:getObject",
    "Arguments": {"Bucket": "b", "Key": expression("$states.context.Execution.Name")},
    "ReaderConfig": {"InputType": "JSON", "MaxItems": expression("1 + 2")},
}
WRITER: Object = {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": "b", "Prefix": "p"}}
