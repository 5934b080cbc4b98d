"""The indexes of timers and tasks are exactly what is unresolved, after every command, whatever happens."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.interpreter.interpreter import recover
from processor.interpreter.parse import parse
from processor.model import commands as c
from processor.model import events as e
from processor.model.commands import timers_set_by, token_of
from processor.model.execution import Execution, Pending, Retrying, Waiting
from processor.model.ids import TimerKind, parse_timer_id, task_token, timer_id
from processor.model.json import Json
from processor.model.records import Task
from tests.engine.world import World, scheduled

RETRY: Json = [{"ErrorEquals": ["Again"], "IntervalSeconds": 5, "MaxAttempts": 2}]
WORK: dict[str, Json] = {"Type": "Task", "Resource": "work", "TimeoutSeconds": 90, "HeartbeatSeconds": 30}
SHAPES: dict[str, Json] = {
    "deadline": {
        "TimeoutSeconds": 600,
        "StartAt": "Work",
        "States": {"Work": {**WORK, "Retry": RETRY, "End": True}},
    },
    "branches": {
        "StartAt": "Both",
        "States": {
            "Both": {
                "Type": "Parallel",
                "Retry": RETRY,
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "After"}],
                "Branches": [
                    {"StartAt": "Left", "States": {"Left": {**WORK, "Retry": RETRY, "End": True}}},
                    {
                        "StartAt": "Rest",
                        "States": {
                            "Rest": {"Type": "Wait", "Seconds": 20, "Next": "Right"},
                            "Right": {**WORK, "End": True},
                        },
                    },
                    {
                        "StartAt": "Each",
                        "States": {
                            "Each": {
                                "Type": "Map",
                                "ItemsPath": "$.items",
                                "MaxConcurrency": 2,
                                "Retry": RETRY,
                                "ItemProcessor": {
                                    "StartAt": "One",
                                    "States": {
                                        "One": {**WORK, "Retry": RETRY, "Next": "Pause"},
                                        "Pause": {"Type": "Wait", "Seconds": 3, "End": True},
                                    },
                                },
                                "End": True,
                            }
                        },
                    },
                ],
                "Next": "After",
            },
            "After": {"Type": "Wait", "Seconds": 1, "End": True},
        },
    },
}


def unresolved(execution: Execution) -> tuple[set[str], set[str]]:
    """Return the tokens and timers that a fold over the events says are waited for."""
    tokens: set[str] = set()
    timers: set[str] = set()
    if execution.closed:
        return tokens, timers
    id = execution.execution_id
    if execution.timeout_at is not None:
        timers.add(timer_id(id, (), execution.timer_sequence, "execution"))
    for key, scope in execution.scopes.items():
        match scope.phase:
            case Pending(sequence=sequence) as pending:
                tokens.add(task_token(id, key, sequence))
                due: dict[TimerKind, object] = {"timeout": pending.timeout_at, "heartbeat": pending.heartbeat_at}
                timers |= {timer_id(id, key, sequence, kind) for kind, at in due.items() if at is not None}
            case Waiting(sequence=sequence):
                timers.add(timer_id(id, key, sequence, "wait"))
            case Retrying(sequence=sequence):
                timers.add(timer_id(id, key, sequence, "retry"))
    return tokens, timers


def check_indexes(world: World, shape: str) -> bool:
    """Return whether the execution goes on."""
    execution = recover(parse(SHAPES[shape]), world.events(f"{shape}:1")).execution
    assert execution is not None
    tokens, timers = unresolved(execution)
    assert {task.token for task in world.tasks()} == tokens
    assert {timer.timer_id for timer in world.timers()} == timers
    return not execution.closed


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 2**32), stop=st.booleans())
@settings(max_examples=150, deadline=None)
def test_what_is_unresolved_stands_in_the_indexes_and_nothing_else(shape: str, seed: int, stop: bool) -> None:
    drawn = random.Random(seed)
    world = World(partitions=1)
    world.deploy(shape, SHAPES[shape])
    world.start(f"{shape}:1", {"items": [1, 2, 3, 4, 5]})
    world.settle()
    for _ in range(60):
        if not check_indexes(world, shape):
            break
        command = a_command(world, drawn)
        if stop and drawn.random() < 0.05:
            command = c.StopExecution(execution_id=f"{shape}:1")
        world.advance(drawn.choice([0, 1, 20]))
        world.send(command)
        world.settle()
    assert world.dead_letters() == []


def a_command(world: World, drawn: random.Random) -> c.AnyCommand:
    """Return one that answers something open: a task well or badly, a timer, a heartbeat."""
    timers = world.timers()
    open_tasks = world.tasks()
    if timers and (not open_tasks or drawn.random() < 0.3):
        timer = drawn.choice(timers)
        return c.FireTimer(execution_id=timer.execution_id, timer_id=timer.timer_id)
    task = drawn.choice(open_tasks)
    match drawn.randrange(6):
        case 0:
            return c.FailTask(execution_id=task.execution_id, token=task.token, error="Again")
        case 1:
            return c.FailTask(execution_id=task.execution_id, token=task.token, error="Broken")
        case 2:
            return c.HeartbeatTask(execution_id=task.execution_id, token=task.token)
        case 3:
            return c.SubmitTask(execution_id=task.execution_id, token=task.token, output=None)
        case _:
            return c.CompleteTask(execution_id=task.execution_id, token=task.token, output=drawn.random())


def test_a_task_record_says_all_that_its_event_says() -> None:
    world = World()
    world.deploy("deadline", SHAPES["deadline"])
    world.start("deadline:1", {"n": 1})
    world.settle()

    event = scheduled(world, "deadline:1")
    assert world.tasks() == [
        Task(
            token=token_of(event),
            execution_id="deadline:1",
            state="Work",
            kind="LAMBDA",
            resource="work",
            attempt=0,
            arguments={"n": 1},
            timeout_at=event.timeout_at,
            heartbeat_seconds=30,
            scheduled_at=event.time,
        )
    ]


def test_every_timer_an_event_sets_stands_in_its_executions_partition_with_its_due_time() -> None:
    world = World(partitions=4)
    world.deploy("deadline", SHAPES["deadline"])
    world.start("deadline:1")
    world.settle()

    started, scheduled_event = world.events("deadline:1")[0], scheduled(world, "deadline:1")
    assert isinstance(started, e.ExecutionStarted)
    assert {timer.timer_id: timer.due for timer in world.timers()} == {
        "deadline:1##0#execution": started.timeout_at,
        "deadline:1##2#timeout": scheduled_event.timeout_at,
        "deadline:1##2#heartbeat": scheduled_event.heartbeat_at,
    }
    assert [parse_timer_id(timer.timer_id)[3] for timer in world.timers()] == ["execution", "heartbeat", "timeout"]
    assert timers_set_by(scheduled_event) == ("timeout", "heartbeat")
    [partition] = {record.partition for record in world.records(world.names.events)}
    assert {record.partition for record in world.records(world.names.timers)} == {partition}


@pytest.mark.parametrize(
    ("resource", "left"),
    [("arn:aws:states:::sqs:sendMessage.waitForTaskToken", 0), ("arn:aws:states:::states:startExecution.sync:2", 1)],
)
def test_a_submitted_task_stays_for_its_executor_unless_somebody_else_is_to_complete_it(
    resource: str, left: int
) -> None:
    world = World()
    call: Json = {"Type": "Task", "Resource": resource, "Parameters": {}, "End": True}
    world.deploy("call", {"StartAt": "Call", "States": {"Call": call}})
    world.start("call:1")
    world.settle()
    task = scheduled(world, "call:1")
    world.send(c.SubmitTask.of(task, {"MessageId": "m"}))
    world.settle()

    assert len(world.tasks()) == left

    world.send(c.CompleteTask.of(task, "done"))
    world.settle()

    assert world.tasks() == []
    assert world.types("call:1")[-1] == "ExecutionSucceeded"
