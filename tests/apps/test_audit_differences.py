"""What of two JSON values differs, and the folded state as JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.apps.audit.differences import Difference, differences
from processor.apps.render.state import state_json
from processor.interpreter.interpreter import start
from processor.interpreter.parse import parse
from processor.model.json import Json

SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, -2.5]) | st.text("a/~", max_size=2)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a/~", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 2}, [{"path": "/a", "old": 1, "new": 2}]),
        ({"a": 1}, {"a": True}, [{"path": "/a", "old": 1, "new": True}]),
        ({"a": 1}, {"a": 1.0}, [{"path": "/a", "old": 1, "new": 1.0}]),
        ({"a": None}, {}, [{"path": "/a", "old": None}]),
        ({}, {"a": None}, [{"path": "/a", "new": None}]),
        ([1, [2]], [1, [3], 4], [{"path": "/1/0", "old": 2, "new": 3}, {"path": "/2", "new": 4}]),
        ([1, 2], [1], [{"path": "/1", "old": 2}]),
        ({"k/y~": {"": 0}}, {"k/y~": {"": 1}}, [{"path": "/k~1y~0/", "old": 0, "new": 1}]),
        ({"a": []}, {"a": {}}, [{"path": "/a", "old": [], "new": {}}]),
        (1, "1", [{"path": "", "old": 1, "new": "1"}]),
    ],
)
def test_each_difference_has_its_pointer_and_both_values(old: Json, new: Json, expected: list[dict[str, Json]]) -> None:
    assert repr([one.as_json() for one in differences(old, new)]) == repr(expected)


@given(VALUES, VALUES)
def test_the_differences_applied_to_the_old_value_give_the_new_one(old: Json, new: Json) -> None:
    holder: dict[str, Any] = {"it": _copy(old)}
    for one in [*differences({"it": old}, {"it": new})][::-1]:  # elements are removed from the end
        _apply(holder, one)
    # Added elements come in reverse order then, so they are put in their places.
    assert repr(_sorted(holder["it"])) == repr(_sorted(new))


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(one) for name, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value


def _apply(holder: dict[str, Any], one: Difference) -> None:
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in one.path.split("/")[1:]]
    place: Any = holder
    for part in way:
        place = place[int(part) if isinstance(place, list) else part]
    told = one.as_json()
    if isinstance(place, list):
        index = int(last)
        if "new" not in told:
            del place[index]
        elif "old" not in told:
            place.extend([None] * (index + 1 - len(place)))
            place[index] = told["new"]
        else:
            place[index] = told["new"]
    elif "new" in told:
        place[last] = told["new"]
    else:
        del place[last]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def test_a_state_is_told_whole_with_phases_by_name_and_scopes_by_their_indexes() -> None:
    workflow = parse({
        "StartAt": "Both",
        "States": {"Both": {"Type": "Parallel", "End": True, "Branches": [
            {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 5, "End": True}}},
            {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "work", "End": True}}},
        ]}},
    })  # fmt: skip
    execution = start(workflow, {"a": 1}).execution
    assert execution is not None
    told: Any = state_json(execution)

    assert (told["execution_id"], told["revision"], told["status"]) == ("local:1", workflow.revision, "RUNNING")
    assert told["started"]["seed"] == "00" * 16
    assert {name: scope["phase"] for name, scope in told["scopes"].items()} == {
        "top": {"is": "Running"},
        "0": {"is": "Waiting", "sequence": 4, "due": 5000},
        "1": {
            "is": "Pending", "sequence": 6, "kind": "LAMBDA", "timeout_at": None, "heartbeat_seconds": None,
            "heartbeat_at": None, "last_heartbeat": None, "started": False, "submitted": False,
        },
    }  # fmt: skip
    assert told["scopes"]["top"]["children"] == {"is": "Branches", "count": 2, "results": {}, "result_bytes": 0}
    assert told["runnable"] == []
