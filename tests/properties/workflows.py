"""Generated definitions: all eight states, nested, in both query languages, with Retry, Catch, timeouts, jitter, data
flow and variables.

A definition is JSONata as a whole, or JSONPath, where each state may be JSONata. A scope is a chain in which each state
leads to the next one, so that everything is reachable; Choice rules and catchers jump further down the chain.

A definition has a mood:

    any         everything, in equal parts
    stormy      tasks have timeouts and heartbeats, everything that can have Retry and Catch has both
    contained   what fails is caught within its own scope, so that the order of answers cannot matter
    calm        what fails is retried, and nothing fails for good: no Fail, no timeout, nothing read that is not there
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from processor.model.json import Json
from tests.properties import jsonata_states, jsonpath_states
from tests.properties.place import Fields, Language, Machine, Mood, Object, Place, Scope

INPUT: Object = {"n": 3, "items": [1, "two", {"three": 3}], "empty": [], "seconds": 2, "deep": {"er": [0, 1.5, "x"]}}
RETRIED: list[list[Json]] = [
    ["E1"],
    ["E2", "States.Timeout"],
    ["States.TaskFailed"],
    ["States.QueryEvaluationError"],
]
CAUGHT: list[list[Json]] = [["E1"], ["States.ALL"], ["States.Timeout", "E2"], ["States.QueryEvaluationError"]]


@st.composite
def definitions(draw: st.DrawFn, *, mood: Mood = "any") -> Object:
    language: Language = draw(st.sampled_from(["JSONPath", "JSONPath", "JSONata"]))
    depths = [2, 1] if mood == "stormy" else [2, 1, 0]
    machine = Machine(language, mood)
    definition = _drawn_scope(draw, machine, Scope(level=0, depth=draw(st.sampled_from(depths))))
    if language == "JSONata" or draw(st.booleans()):
        definition["QueryLanguage"] = language
    if mood in ("any", "stormy") and draw(st.integers(0, 4)) == 0:
        definition["TimeoutSeconds"] = draw(st.integers(1, 100))
    return definition


def _drawn_scope(draw: st.DrawFn, machine: Machine, scope: Scope) -> Object:
    length = draw(st.sampled_from([1, 2, 3]))
    kinds = ["Pass", "Task", "Task", "Wait", "Choice"] + (["Parallel", "Parallel", "Map", "Map"] if scope.depth else [])
    chain = [machine.new_name(draw(st.sampled_from(kinds))) for _ in range(length)]
    ends = ["Task", "Pass", "Wait", "Succeed"] * 3
    end = draw(st.sampled_from([*ends, "Fail"] if machine.mood in ("any", "stormy") else ends))
    chain.append(machine.new_name(end))
    scope.arriving[chain[0]] = frozenset()
    states: Object = {}
    for index, name in enumerate(chain):
        language: Language = "JSONata"
        if machine.language == "JSONPath":
            language = draw(st.sampled_from(["JSONPath", "JSONata"]))
        states[name] = _drawn_state(Place(draw, machine, scope, name, chain[index + 1 :], language))
    return {"StartAt": chain[0], "States": states}


def _drawn_state(place: Place) -> Object:
    kind, language = place.kind, _language(place)
    state: Object = {"Type": kind}
    if place.language != place.machine.language or place.sometimes():
        state["QueryLanguage"] = place.language
    if kind in ("Task", "Parallel", "Map"):
        _add_handlers(place, state)
    language.add_data_flow(place, state)
    _PARTS[kind](place, state)
    assigned: list[str] = [] if kind in ("Succeed", "Fail") else language.assigned(place, state, place.made)
    if kind == "Choice":
        state["Default"] = place.rest[0]
    elif kind not in ("Succeed", "Fail"):
        state |= {"Next": place.rest[0]} if place.rest else {"End": True}
    if place.rest:
        place.lead(place.rest[0], assigned)
    return state


def _language(place: Place) -> Fields:
    return jsonata_states if place.language == "JSONata" else jsonpath_states


def _add_handlers(place: Place, state: Object) -> None:
    mood, draw = place.mood, place.draw
    if mood in ("calm", "stormy") or draw(st.integers(0, 3)):
        retriers: list[Json] = []
        for errors in draw(st.lists(st.sampled_from(RETRIED), max_size=2, unique_by=str)):
            retriers.append(_retrier(place, errors))
        if mood == "calm" or draw(st.integers(0, 3)):
            retriers.append(_retrier(place, ["States.ALL"]))
        if retriers:
            state["Retry"] = retriers
    if place.rest and (mood in ("contained", "stormy") or (mood == "any" and draw(st.booleans()))):
        caught: list[Json] = ["States.ALL"] if mood == "contained" else place.one_of(CAUGHT)
        catcher: Object = {"ErrorEquals": caught, "Next": place.one_of(place.rest)}
        _language(place).add_to_catcher(place, catcher)
        place.lead(str(catcher["Next"]), _language(place).assigned(place, catcher, "errorOutput"))
        state["Catch"] = [catcher]


def _retrier(place: Place, errors: Sequence[Json]) -> Json:
    retrier: Object = {
        "ErrorEquals": list(errors),
        "IntervalSeconds": place.draw(st.integers(1, 3)),
        "MaxAttempts": place.one_of([2, 1] if place.mood == "calm" else [2, 1, 2, 0]),
        "BackoffRate": place.one_of([1.0, 1.5, 2.0]),
    }
    place.maybe(retrier, "JitterStrategy", ["FULL", "FULL", "NONE"])
    place.maybe(retrier, "MaxDelaySeconds", [4])
    return retrier


# ---- what each type has of its own


def _pass(place: Place, state: Object) -> None:
    _language(place).add_to_pass(place, state)


def _task(place: Place, state: Object) -> None:
    activity = "arn:aws:states:us-east-1:111111111111:activity:a"
    service = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
    state["Resource"] = place.one_of([place.name.lower(), activity, service])
    if state["Resource"] == service:
        state.setdefault("Arguments" if place.language == "JSONata" else "Parameters", {})
    if place.mood == "calm":
        return
    if place.mood == "stormy":
        state |= place.one_of([{"TimeoutSeconds": 7}, {"HeartbeatSeconds": 3}, {"HeartbeatSeconds": 6}, {}])
    place.maybe(state, "TimeoutSeconds", [7, 20])
    _language(place).add_to_task(place, state)
    place.maybe(state, "HeartbeatSeconds", [3, 6])


def _choice(place: Place, state: Object) -> None:
    rules: list[Json] = []
    for _ in range(place.one_of([1, 1, 2])):
        rule: Object = {"Next": place.one_of(place.rest)}
        _language(place).add_to_rule(place, rule)
        place.lead(str(rule["Next"]), _language(place).assigned(place, rule, place.made))
        rules.append(rule)
    state["Choices"] = rules


def _wait(place: Place, state: Object) -> None:
    _language(place).add_to_wait(place, state)


def _fail(place: Place, state: Object) -> None:
    place.maybe(state, "Error", ["E1", "E2", "States.Timeout"])
    place.maybe(state, "Cause", ["because"])
    _language(place).add_to_fail(place, state)


def _parallel(place: Place, state: Object) -> None:
    branches = place.draw(st.integers(1, 3))
    state["Branches"] = [_drawn_scope(place.draw, place.machine, place.within()) for _ in range(branches)]


def _map(place: Place, state: Object) -> None:
    distributed = place.draw(st.booleans())
    processor = _drawn_scope(place.draw, place.machine, place.within(distributed=distributed))
    state["ItemProcessor"] = processor
    state["MaxConcurrency"] = place.draw(st.integers(0, 2))
    _language(place).add_to_map(place, state)
    # Its children have an input of their own: what reads that as the execution's may fail.
    if distributed and (place.may_fail or "Execution.Input" not in json.dumps(processor)):
        processor["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        _distribute(place, state)


def _distribute(place: Place, state: Object) -> None:
    language = _language(place)
    field, objects = language.OBJECTS
    place.maybe(state, field, objects)
    place.maybe(state, "ItemReader", [language.READER])
    place.maybe(state, "ItemBatcher", [{"MaxItemsPerBatch": 2}, {"MaxInputBytesPerBatch": 40, "BatchInput": {"b": 1}}])
    config: Object = {"WriterConfig": {"Transformation": "FLATTEN"}}
    # Records of children tell when they ended, and so the order of answers.
    records = [language.WRITER] if place.may_fail else []
    place.maybe(state, "ResultWriter", [config, language.WRITER | config, *records])
    if place.mood != "calm":
        place.maybe(state, "ToleratedFailureCount", [1, 2])
        place.maybe(state, "ToleratedFailurePercentage", [50, 100])


def _nothing(_place: Place, _state: Object) -> None:
    pass


_PARTS: dict[str, Callable[[Place, Object], None]] = {
    "Pass": _pass,
    "Task": _task,
    "Choice": _choice,
    "Wait": _wait,
    "Succeed": _nothing,
    "Fail": _fail,
    "Parallel": _parallel,
    "Map": _map,
}
