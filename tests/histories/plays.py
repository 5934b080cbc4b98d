"""What happens in a set's log besides the scenarios: operators, redrives, quarantines, runs of distributed Maps that
end badly, answers asked for, and executions that are open when the release stops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from processor.engine.encoding import encode_definition_record, encode_events
from processor.engine.ports import Message
from processor.interpreter.interpreter import recover
from processor.interpreter.parse import parse
from processor.model import commands as c
from processor.model import events as e
from processor.model.json import Json
from processor.model.records import Migration
from tests.histories.town import Town, perform_scenarios

TASK: Final[Json] = {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "a", "End": True}}}
PASS: Final[Json] = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
REST: Final[Json] = {
    "TimeoutSeconds": 3600,
    "StartAt": "W",
    "States": {"W": {"Type": "Wait", "Seconds": 60, "Next": "A"}, "A": {"Type": "Task", "Resource": "a", "End": True}},
}
SLOW: Final[Json] = {
    "StartAt": "A",
    "States": {
        "A": {
            "Type": "Task",
            "Resource": "arn:aws:states:us-east-1:111111111111:activity:slow",
            "TimeoutSeconds": 600,
            "HeartbeatSeconds": 60,
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxAttempts": 2}],
            "End": True,
        }
    },
}
VARIABLES: Final[Json] = {
    "QueryLanguage": "JSONata",
    "StartAt": "Both",
    "States": {
        "Both": {
            "Type": "Parallel",
            "Assign": {"order": "{% $states.input %}", "texts": ["a" * 40, "{% 'b' & $states.input.id %}"]},
            "Branches": [
                {
                    "StartAt": "Each",
                    "States": {
                        "Each": {
                            "Type": "Map",
                            "Items": "{% $states.input.lines %}",
                            "MaxConcurrency": 2,
                            "ItemProcessor": {
                                "StartAt": "Line",
                                "States": {
                                    "Line": {
                                        "Type": "Task",
                                        "Resource": "line",
                                        "Arguments": {"line": "{% $states.input %}"},
                                        "Assign": {"done": "{% $states.result %}"},
                                        "Output": "{% $states.result %}",
                                        "End": True,
                                    }
                                },
                            },
                            "End": True,
                        }
                    },
                },
                {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 30, "End": True}}},
            ],
            "Next": "Last",
        },
        "Last": {"Type": "Task", "Resource": "last", "Arguments": "{% $texts %}", "End": True},
    },
}


def distributed(**fields: Json) -> Json:
    each: dict[str, Json] = {
        "Type": "Map",
        "Label": "L",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "A",
            "States": {"A": {"Type": "Task", "Resource": "a", "End": True}},
        },
        "End": True,
    }
    return {"StartAt": "M", "States": {"M": each | fields}}


BRANCHES: Final[Json] = [
    distributed(),
    {"StartAt": "Other", "States": {"Other": {"Type": "Task", "Resource": "b", "End": True}}},
]
READ: Final[dict[str, Json]] = {
    "ItemReader": {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket": "b", "Key": "k"},
    },
    "ItemBatcher": {"MaxItemsPerBatch": 2},
    "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "out"}},
}


def _start(town: Town, id: str, input: Json = None, **fields: str) -> None:
    town.send(c.StartExecution(execution_id=id, input=input, **fields))  # type: ignore[arg-type]  # those that are texts


def everything_a_start_may_say(town: Town) -> None:
    revision = town.deploy("told", TASK, retention=timedelta(days=90))
    town.send(
        c.StartExecution(
            execution_id="told:all",
            command_id="start-1",
            issuer="golden",
            correlation_id="c-1",
            reply_to=town.names.replies,
            input={"näme": "ü", "numbers": [0, -1, 1.5, 1e300, 9007199254740993]},
            context={"tenant": "t-1"},
            revision=revision,
            version=3,
            role="arn:aws:iam::111111111111:role/golden",
            alias="live",
            trace="Root=1-5759e988-bd862e3fe1be46a994272793",
            parent=e.Parent(execution_id="other:1", scope=(0, 1), sequence=7, map_run="other/L:1", index=2),
            synchronous=True,
        )
    )
    _start(town, "told:all", {"another": "input"}, reply_to=town.names.replies)
    town.complete("told:all", "A", {"done": True})
    town.send(c.StartExecution(execution_id="told:json", input=[None, "null"], issuer="console"), as_json=True)
    town.complete("told:json", "A", None)


def what_is_refused(town: Town) -> None:
    _start(town, "told:refused", 1)
    town.send(
        c.StartExecution(execution_id="nowhere:1", input=None),
        c.StopExecution(execution_id="told:never", issuer="golden", correlation_id="c-2"),
        c.CompleteTask(execution_id="told:refused", token="told:refused##99", output=1),
        c.FireTimer(execution_id="told:refused", timer_id="told:refused##2#wait"),
    )
    town.write(Message(topic=town.names.commands, key=b"told:refused", value=b"\xff junk"))
    town.send(c.StopExecution(execution_id="told:refused", error="Stopped", cause="by hand"))


def redriven(town: Town) -> None:
    town.deploy("again", TASK)
    mended = town.deploy("again", {"Comment": "mended", **TASK})  # type: ignore[dict-item]  # an object
    for id in ("again:same", "again:other"):
        _start(town, id, {"n": 1})
        town.fail(id, "A", "E", "no")
    town.send(c.RedriveExecution(execution_id="again:same"))
    town.fail("again:same", "A", "E", "again")
    town.send(c.RedriveExecution(execution_id="again:same"))
    town.complete("again:same", "A", 2)
    town.send(c.RedriveExecution(execution_id="again:other", revision=mended))
    town.complete("again:other", "A", 3)


def redriven_after_a_timeout(town: Town) -> None:
    town.deploy("late", REST)
    _start(town, "late:1")
    town.fire("late:1", "wait")
    town.fire("late:1", "execution")
    town.send(c.RedriveExecution(execution_id="late:1"))
    town.complete("late:1", "A", "in time")


def quarantined(town: Town) -> None:
    town.deploy("poison", TASK)
    for id in ("poison:released", "poison:stopped", "poison:held"):
        _start(town, id)
        town.of_deaths(c.FailTask.of(town.scheduled(id, "A"), error="deadly"))
    town.complete("poison:released", "A", "kept")
    town.send(c.ReleaseExecution(execution_id="poison:released"), c.StopExecution(execution_id="poison:stopped"))


def purged(town: Town) -> None:
    town.deploy("gone", PASS)
    _start(town, "gone:1", "purged")
    last = town.events("gone:1")[-1].sequence
    town.send(c.PurgeExecution(execution_id="gone:1", last_sequence=last))


def an_express_execution(town: Town) -> None:
    town.deploy("quick", TASK, type="EXPRESS")
    _start(town, "quick:1")
    town.complete("quick:1", "A", 1)


def silent_activities(town: Town) -> None:
    town.deploy("slow", SLOW)
    _start(town, "slow:1", {"job": 1})
    asked = town.scheduled("slow:1", "A")
    town.send(c.HeartbeatTask.of(asked, worker="w-1"))
    town.advance(30)
    town.send(c.HeartbeatTask.of(asked, worker="w-1", detail={"percent": 50}))
    town.fire("slow:1", "heartbeat")  # too early: set again
    town.fire("slow:1", "heartbeat")
    town.fire("slow:1", "retry")
    town.fire("slow:1", "timeout")
    town.fire("slow:1", "retry")
    town.complete("slow:1", "A", "at last")


def runs_of_a_distributed_map(town: Town) -> None:
    town.deploy("spread", distributed())
    town.deploy("tolerant", distributed(ToleratedFailureCount=1))
    town.deploy("read", distributed(**READ))
    town.deploy("cut", {"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "Branches": BRANCHES, "End": True}}})
    _start(town, "cut:1", ["x"])
    town.fail("cut:1", "Other", "E")
    for id in ("spread:failed", "spread:stopped", "spread:redriven"):
        _start(town, id, ["x", "y", "z"])
    _answer(town, "spread:failed", 0, output=1)
    _answer(town, "spread:failed", 1, error="E")
    town.send(c.StopExecution(execution_id="spread:stopped", cause="enough"))
    _answer(town, "spread:redriven", 1, error="E")
    _start(town, "tolerant:1", [1, 2])
    _answer(town, "tolerant:1", 0, error="E")
    _answer(town, "tolerant:1", 1, output=2)
    _start(town, "read:1")
    reading = town.scheduled("read:1", "M")
    town.send(
        c.SubmitTask.of(reading, {"Page": 0, "Items": [1, 2, 3]}), c.CompleteTask.of(reading, {"Page": 1, "Items": [4]})
    )
    for index in (1, 0):
        _answer(town, "read:1", index, output=[index])
    written: Json = {"MapRunArn": "arn", "ResultWriterDetails": {"Bucket": "b", "Key": "out/manifest.json"}}
    town.complete("read:1", "M", written)


def _answer(town: Town, id: str, index: int, *, output: Json = None, error: str | None = None) -> None:
    """Answer the child of that index."""
    asked = (event for event in town.events(id) if isinstance(event, e.TaskScheduled) and event.scope == (index,))
    task = list(asked)[-1]
    town.send(c.CompleteTask.of(task, output) if error is None else c.FailTask.of(task, error=error))


def a_run_that_is_redriven(town: Town) -> None:
    """MapRunRedriven is in the format, and no command leads to it yet: these events are written by hand."""
    town.deploy("run", distributed())
    _start(town, "run:1", ["x", "y"])
    _answer(town, "run:1", 1, error="E")
    before = town.events("run:1")
    execution = recover(parse(distributed()), before).execution
    assert execution is not None and execution.status == "FAILED"
    [run] = [event for event in before if isinstance(event, e.MapRunStarted)]
    cause = e.Cause(command_id="by-hand", type="RedriveExecution", offset=len(town.records(town.names.commands)))
    envelope = {"execution_id": "run:1", "time": execution.time, "caused_by": cause}
    of_run = execution.workflow
    events: list[e.AnyEvent] = [
        e.ExecutionRedriven(
            **envelope,  # type: ignore[arg-type]  # its three fields
            sequence=execution.sequence,
            redrive_count=1,
            revision=of_run.revision,
            definition_hash=of_run.definition_hash,
        ),
        e.MapRunRedriven(
            **envelope,  # type: ignore[arg-type]
            sequence=execution.sequence + 1,
            state="M",
            map_run=run.map_run,
            redrive_count=1,
        ),
    ]
    for batch in encode_events(events):
        town.write(
            Message(topic=town.names.events, key=batch.key, value=batch.value, headers=batch.headers, partition=0)
        )
    town.write(Message(topic=town.names.closed, key=b"run:1", value=None, partition=0))
    town.write(Message(topic=town.names.commands, key=b"run:1", value=b"\xff by hand"))


def carried_over(town: Town) -> None:
    """A mark that these topics came from others, as `asl topics migrate` leaves it."""
    mark = Migration(prefix="before.", time=town.clock.now())
    key = b"#origin#before."
    town.write(Message(topic=town.names.definitions, key=key, value=encode_definition_record(mark), partition=0))


def left_open(town: Town) -> None:
    """In every kind of rest: a wait, a task, a retry, a submitted task, iterations, variables, a run, a reader."""
    for machine, definition in (
        ("open-rest", REST),
        ("open-slow", SLOW),
        ("open-variables", VARIABLES),
        ("open-spread", distributed()),
        ("open-read", distributed(**READ)),
    ):
        town.deploy(machine, definition)
    _start(town, "open-rest:1")
    _start(town, "open-rest:2")
    town.fire("open-rest:2", "wait")
    for number in (1, 2):
        _start(town, f"open-slow:{number}")
    town.fail("open-slow:2", "A", "E")
    order: Json = {"id": "o-1", "lines": [{"sku": "a" * 40, "n": 1}, {"sku": "b", "n": 2}, {"sku": "c", "n": 3}]}
    for number in (1, 2):
        _start(town, f"open-variables:{number}", order)
    _complete_in(town, "open-variables:2", (0, 1), {"ok": 1})
    for number in (1, 2):
        _start(town, f"open-spread:{number}", ["x", "y"])
    _answer(town, "open-spread:2", 1, output="y")
    for number in (1, 2):
        _start(town, f"open-read:{number}")
    town.send(c.SubmitTask.of(town.scheduled("open-read:2", "M"), {"Page": 0, "Items": [1]}))


def _complete_in(town: Town, id: str, scope: tuple[int, ...], output: Json) -> None:
    asked = (event for event in town.events(id) if isinstance(event, e.TaskScheduled) and event.scope == scope)
    town.send(replace(c.CompleteTask.of(next(iter(asked)), output), issuer="workers"))


PLAYS: Final[tuple[Callable[[Town], None], ...]] = (
    everything_a_start_may_say,
    what_is_refused,
    redriven,
    redriven_after_a_timeout,
    quarantined,
    purged,
    an_express_execution,
    silent_activities,
    runs_of_a_distributed_map,
    a_run_that_is_redriven,
    carried_over,
    left_open,
)
"""The hand-written one needs a processor that is started anew behind it: none has seen those events."""


def perform(town: Town, *, stems: Sequence[str] | None = None) -> None:
    """Let all plays happen, then the scenarios of these files, or of all."""
    for play in PLAYS:
        play(town)
        if play is a_run_that_is_redriven:
            town.begin()
    perform_scenarios(town, stems=stems)
