"""Events, values and descriptions as people and machines read them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from processor.apps.executions import ActiveState, Description
from processor.apps.render.events import event_json, render_cause, render_details, render_failure, render_place
from processor.apps.render.executions import description_lines
from processor.apps.render.values import render_short, render_time
from processor.model import events as e
from processor.model.ids import Millis

COMMON = {"execution_id": "order:1", "sequence": 3, "time": Millis(1_767_225_600_123), "caused_by": e.NO_CAUSE}


def event(type_: type[e.Event], /, **fields: object) -> e.AnyEvent:
    made: e.AnyEvent = type_(**(COMMON | fields))  # type: ignore[arg-type,assignment] # tests know the fields
    return made


@pytest.mark.parametrize(
    ("told", "details"),
    [
        (event(e.ExecutionSucceeded, output={"a": 1}), '{"a":1}'),
        (event(e.ExecutionFailed, error="E", cause="because"), "E: because"),
        (event(e.ExecutionAborted), ""),
        (event(e.ExecutionRedriven, redrive_count=2, revision="r", definition_hash=b""), "revision r, redrive 2"),
        (event(e.ExecutionQuarantined, reason="a bug"), "a bug"),
        (event(e.StateEntered, type="Pass"), ""),
        (event(e.StateExited, output_of="INPUT", next="Next"), "next Next"),
        (event(e.StateExited, output_of="INPUT", next="Next", catcher=1), "caught by Catch[1], next Next"),
        (event(e.StateExited, output_of="INPUT"), "end"),
        (event(e.TaskScheduled, kind="LAMBDA", resource="charge", arguments=None), "charge"),
        (
            event(e.TaskScheduled, kind="SERVICE", resource_type="sqs", resource="send", arguments=None, attempt=1),
            "sqs:send, attempt 2",
        ),
        (event(e.TaskSubmitted, output=[1]), "[1]"),
        (event(e.TaskTimedOut, error="States.Timeout", heartbeat=True), "heartbeat missed"),
        (event(e.TaskTimedOut, error="States.Timeout"), "States.Timeout"),
        (
            event(e.RetryScheduled, attempt=1, retrier=0, error="E", due=Millis(0)),
            "retry 1 at 1970-01-01T00:00:00.000Z after E",
        ),
        (event(e.WaitStarted, due=Millis(1_500)), "until 1970-01-01T00:00:01.500Z"),
        (event(e.ParallelStarted, first=("A", "B")), "2 branches"),
        (event(e.MapStarted, length=3, first="A", max_concurrency=2), "3 items, at most 2 at a time"),
        (event(e.MapStarted, length=0, first="A", max_concurrency=2), "0 items, at most 2 at a time"),
        (
            event(e.MapStarted, length=0, mode="DISTRIBUTED", first="A", max_concurrency=2),
            "no items yet, at most 2 at a time",
        ),
    ],
)
def test_details_are_what_an_event_tells_besides_its_name_and_place(told: e.AnyEvent, details: str) -> None:
    assert render_details(told) == details


def test_a_place_is_the_state_and_its_scope() -> None:
    places = [event(e.WaitStarted, due=Millis(0), state="Hold", scope=scope) for scope in ((), (12, 1))]
    assert [render_place(told) for told in places] == ["Hold", "Hold [12.1]"]


def test_a_cause_is_the_command_and_who_sent_it() -> None:
    causes = [e.Cause(type="FireTimer", issuer="timers"), e.Cause(type="StartExecution")]
    assert [render_cause(cause) for cause in causes] == ["FireTimer by timers", "StartExecution"]


def test_a_failure_is_one_line() -> None:
    assert render_failure("E", "two\n  lines") == "E: two lines"
    assert render_failure(None, None) == ""
    assert render_failure(None, "x" * 20, width=5) == "xxxx…"


def test_an_event_as_json_has_its_name_its_envelope_and_its_fields() -> None:
    told = event(e.ExecutionRedriven, redrive_count=1, revision="r", definition_hash=b"\x01\xff", scope=(1, 2))
    assert event_json(told) == {
        "event": "ExecutionRedriven",
        "execution_id": "order:1",
        "sequence": 3,
        "time": 1_767_225_600_123,
        "caused_by": {"command_id": "", "type": "StartExecution", "issuer": "", "offset": None},
        "scope": [1, 2],
        "state": "",
        "redrive_count": 1,
        "revision": "r",
        "definition_hash": "01ff",
        "timeout_at": None,
    }


def test_values_and_times_are_short() -> None:
    assert (render_short({"a": "xxxxxxxx"}, width=8), render_time(None)) == ('{"a":"x…', "-")


def test_a_running_execution_tells_where_it_is_and_what_stops_it() -> None:
    description = Description(
        execution_id="order:1", state_machine="order", revision="r", status="RUNNING", started_at=Millis(0),
        input=None, quarantined="a bug", last_sequence=4,
        active=(
            ActiveState(scope=(1,), state="Charge", entered_at=Millis(0)),
            ActiveState(scope=(2,), state="Ask", entered_at=Millis(0), token="order:1#2#7"),
        ),
    )  # fmt: skip
    assert description_lines(description) == [
        "execution   order:1",
        "status      RUNNING",
        "revision    r",
        "started     1970-01-01T00:00:00.000Z",
        "quarantined a bug",
        "in          Charge [1] since 1970-01-01T00:00:00.000Z",
        "in          Ask [2] since 1970-01-01T00:00:00.000Z, token order:1#2#7",
        "input       null",
        "events      5",
    ]


def test_a_redriven_execution_tells_how_often_and_when_and_whether_it_can_be_again() -> None:
    description = Description(
        execution_id="order:1", state_machine="order", revision="r", status="FAILED", started_at=Millis(0),
        stopped_at=Millis(2), input=None, error="E", redrive_count=1, redriven_at=Millis(1),
        redrive_status="REDRIVABLE", last_sequence=4,
    )  # fmt: skip
    told = [
        "execution   order:1",
        "status      FAILED",
        "revision    r",
        "started     1970-01-01T00:00:00.000Z",
        "stopped     1970-01-01T00:00:00.002Z",
        "redriven    1 time, last 1970-01-01T00:00:00.001Z",
        "redrive     REDRIVABLE",
        "input       null",
        "error       E",
        "events      5",
    ]
    assert description_lines(description) == told
    never = replace(description, redrive_status="NOT_REDRIVABLE", redrive_status_reason="no more")
    assert description_lines(never) == [*told[:6], "redrive     NOT_REDRIVABLE: no more", *told[7:]]
