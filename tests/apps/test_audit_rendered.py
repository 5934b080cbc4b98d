"""Replayed states, differences, faults and counts as people see them."""

from __future__ import annotations

from io import StringIO
from typing import Any

from msgspec.structs import replace
from rich.console import Console

from processor.apps.audit.checks import Counts, Fault
from processor.apps.audit.differences import Difference
from processor.apps.render.audit import counts_line, differences_table, fault_lines, scopes_table, state_lines
from processor.interpreter.interpreter import start
from processor.interpreter.parse import parse
from processor.model.execution import Execution
from processor.model.ids import Millis


def execution_of(states: dict[str, Any], input: Any = None) -> Execution:
    found = start(parse({"StartAt": next(iter(states)), "States": states}), input).execution
    assert found is not None
    return found


def printed(table: object) -> list[str]:
    out = StringIO()
    Console(file=out, width=200).print(table)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_the_lines_of_a_state_tell_what_there_is_to_tell() -> None:
    resting = execution_of({"Rest": {"Type": "Wait", "Seconds": 5, "End": True}})
    revision = resting.workflow.revision
    told = replace(
        resting, timeout_at=Millis(60_000), redrive_count=2, redrive_time=Millis(1_000), quarantined="ValueError: x"
    )
    assert state_lines(resting) == [
        "execution   local:1", "status      RUNNING", f"revision    {revision}", "events      3, of AWS's 2",
    ]  # fmt: skip
    assert state_lines(told)[4:] == [
        "times out   1970-01-01T00:01:00.000Z",
        "redriven    2 times, last 1970-01-01T00:00:01.000Z",
        "quarantined ValueError: x",
    ]
    failed = execution_of({"Stop": {"Type": "Fail", "Error": "E", "Cause": "because"}})
    assert state_lines(failed)[-1] == "failure     E: because"
    assert state_lines(execution_of({"Go": {"Type": "Pass", "End": True}}, {"a": 1}))[-1] == 'output      {"a":1}'


def test_a_row_for_each_scope_tells_its_phase_and_its_children() -> None:
    rest = {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 5, "End": True}}}
    both = {"Both": {"Type": "Parallel", "Branches": [rest], "End": True}}
    each = {"Each": {"Type": "Map", "ItemProcessor": rest, "MaxConcurrency": 1, "End": True}}

    assert printed(scopes_table(execution_of(both, 7))) == [
        "scope state phase value variables children",
        "top Both Running 7 0 of 1 ended",
        "0 Rest Waiting: sequence 4, due 1970-01-01T00:00:05.000Z 7",
    ]
    assert (
        printed(scopes_table(execution_of(each, [7, 8])))[1]
        == "top Each Running [7,8] 1 started, 1 running, of 2 items"
    )


def test_variables_stand_beside_the_value() -> None:
    states = {
        "Set": {"Type": "Pass", "Assign": {"b": 2, "a": "x"}, "Next": "Rest"},
        "Rest": {"Type": "Wait", "Seconds": 5, "End": True},
    }
    assert printed(scopes_table(execution_of(states, 7)))[1].endswith('7 {"a":"x","b":2}')


def test_differences_and_faults_tell_what_was_and_what_is() -> None:
    many = tuple(Difference(path=f"/{number}", old=number) for number in range(12))
    place: dict[str, Any] = {"topic": "asl.snapshots", "partition": 2, "offset": 7, "execution_id": "a:1"}
    fault = Fault(rule="SNAPSHOT", **place, what="differs", differences=many)

    assert printed(differences_table([Difference(path="/a", old={"b": 1}), Difference(path="", new=None)])) == [
        "path old new", '/a {"b":1} nothing', "nothing null",
    ]  # fmt: skip
    lines = list(fault_lines(fault))
    assert (lines[0], lines[1], lines[-1], len(lines)) == (
        "asl.snapshots[2]@7  SNAPSHOT  a:1: differs", "    /0: by the events 0, it has nothing", "    and 2 more", 12,
    )  # fmt: skip
    assert list(fault_lines(Fault(rule="FILE", topic="out", partition=0, what="is gone"))) == ["out[0]  FILE  is gone"]


def test_counts_that_are_nothing_are_left_out_but_for_faults() -> None:
    assert (
        counts_line(Counts(partitions=1, events=1_234, cut_off=2)) == "1 partitions, 1,234 events, 2 cut off, 0 faults"
    )
