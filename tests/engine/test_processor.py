"""What commands come to: applied, refused, or set aside; and that nothing else is held up by them."""

from __future__ import annotations

import pytest

from processor.engine.encoding import encode_command, encode_definition_record
from processor.engine.ports import Message, Record
from processor.engine.topics import partition_of
from processor.model import commands as c
from processor.model import events as e
from processor.model.ids import Millis
from processor.model.json import Json
from processor.model.records import Definition, Rejection, Timer
from tests.engine.world import BEATING, JSON, PASS, TASK, WAIT, World, now_of, scheduled


@pytest.fixture
def world() -> World:
    world = World()
    for name, definition in {"pass": PASS, "task": TASK, "wait": WAIT, "beating": BEATING}.items():
        world.deploy(name, definition)
    return world


DONE = ["ExecutionStarted", "StateEntered", "StateExited", "ExecutionSucceeded"]


def test_a_started_execution_runs_to_its_end_in_one_batch(world: World) -> None:
    world.start("pass:a", {"user": "a@example.com"}, command_id="c-1", issuer="test")
    world.settle()

    cause = e.Cause(command_id="c-1", type="StartExecution", issuer="test", offset=0)
    events = world.events("pass:a")
    assert [type(event).__name__ for event in events] == DONE
    assert {(event.time, event.caused_by) for event in events} == {(now_of(world), cause)}
    assert events[-1] == e.ExecutionSucceeded(
        execution_id="pass:a", sequence=3, time=now_of(world), caused_by=cause, output={"user": "a@example.com"}
    )
    [record] = world.records(world.names.events)
    assert (record.key, dict(record.headers)) == (b"pass:a#0", {"event-types": ",".join(DONE).encode()})
    assert world.counts() == {"started": 1}


def test_a_command_without_an_id_is_known_by_its_place_in_the_log(world: World) -> None:
    world.start("pass:a")
    world.settle()

    partition = partition_of(b"pass:a", 2)
    assert {event.caused_by for event in world.events("pass:a")} == {e.Cause(command_id=f"{partition}/0", offset=0)}


def test_a_json_command_of_any_producer_is_applied(world: World) -> None:
    world.send_bytes(
        b'{"type": "StartExecution", "execution_id": "pass:a", "input": {"n": 1}}', key=b"pass:a", headers=JSON
    )
    world.settle()

    assert world.types("pass:a") == DONE


# ---- bytes that do not decode


def dead_letter(record: Record) -> tuple[bytes | None, bytes | None, dict[str, bytes]]:
    return record.key, record.value, dict(record.headers)


def test_bytes_that_do_not_decode_become_a_dead_letter_and_the_rest_goes_on(world: World) -> None:
    world.start("pass:a")
    world.send_bytes(b"\xc3\x01 no Avro", key=b"pass:b")
    world.start("pass:c")
    world.settle()

    [letter] = world.dead_letters()
    key, value, headers = dead_letter(letter)
    partition = partition_of(b"pass:b", 2)
    assert (key, value) == (b"pass:b", b"\xc3\x01 no Avro")
    assert headers == {
        "asl-reason": b"schema 206e6f204176726f is not one this release ships; upgrade the reader",
        "asl-topic": b"asl.commands",
        "asl-partition": str(partition).encode(),
        "asl-offset": str([r.key for r in world.records(world.names.commands, partition)].index(b"pass:b")).encode(),
    }
    assert (world.types("pass:a"), world.types("pass:c")) == (DONE, DONE)
    assert world.counts() == {"started": 2, "dead_letters": 1}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "does not begin with the header of Avro's single-object encoding"),
        (b"", "does not begin with the header of Avro's single-object encoding"),
        (b'{"type": "StopExecution", "execution_id": "pass:b"}', "JSON needs the header content-type"),
    ],
)
def test_a_record_that_is_no_command_is_told_why(world: World, value: bytes | None, reason: str) -> None:
    world.send_bytes(value, key=b"pass:b")
    world.settle()

    [letter] = world.dead_letters()
    _, kept, headers = dead_letter(letter)
    assert kept == value
    assert headers["asl-reason"].decode().startswith(reason)


@pytest.mark.parametrize("key", [None, b"", b"pass:b", b"pass:a ", b"\xff"])
def test_a_key_other_than_the_execution_id_is_a_dead_letter(world: World, key: bytes | None) -> None:
    command = encode_command(c.StartExecution(execution_id="pass:a", input=None))
    world.send_bytes(command, key=key, partition=0)
    world.settle()

    [letter] = world.dead_letters()
    assert letter.value == command
    assert dict(letter.headers)["asl-reason"] == b"the key is not the execution id pass:a"
    assert world.histories() == {}


def test_a_dead_letter_keeps_the_headers_it_came_with(world: World) -> None:
    world.write(
        Message(topic=world.names.commands, key=b"pass:b", value=b"{", headers=(("content-type", b"application/json"),))
    )
    world.settle()

    [letter] = world.dead_letters()
    assert [name for name, _ in letter.headers] == [
        "asl-reason",
        "asl-topic",
        "asl-partition",
        "asl-offset",
        "content-type",
    ]
    assert (letter.value, letter.headers[-1]) == (b"{", ("content-type", b"application/json"))


def test_a_dead_letter_is_cut_where_its_headers_would_take_it_over_the_limit(world: World) -> None:
    value, key = bytes(1_048_400), bytes(1_048_400)
    world.send_bytes(value, key=b"k", partition=0)
    world.send_bytes(None, key=key, partition=0)
    world.start("pass:a")
    world.settle()

    first, second = world.dead_letters()
    assert first.value is not None
    assert value.startswith(first.value)
    assert len(first.value) > 1_000_000
    assert dict(first.headers)["asl-truncated"] == b"1048400"
    assert second.key is not None
    assert key.startswith(second.key)
    assert len(second.key) > 1_000_000
    assert dict(second.headers)["asl-truncated-key"] == b"1048400"
    assert world.types("pass:a") == DONE


def test_a_misrouted_command_larger_than_the_limit_is_a_dead_letter_and_blocks_nothing(world: World) -> None:
    """A broker's limit is on batches as they are sent, compressed; the record that is read may be larger."""
    command = c.StartExecution(execution_id="pass:a", input="x" * 2_000_000)
    home = partition_of(b"pass:a", 2)
    large = Message(topic=world.names.commands, key=b"pass:a", value=encode_command(command), partition=1 - home)
    world.log.store().append([large])
    world.start("pass:b")
    world.start("pass:c")
    world.settle()

    [letter] = world.dead_letters()
    headers = dict(letter.headers)
    assert large.value is not None
    assert large.value.startswith(letter.value or b"no")
    assert headers["asl-truncated"] == str(len(large.value)).encode()
    assert headers["asl-reason"] == (
        f"a record of asl.commands takes {len(large.value) + 6} bytes, 1048488 are allowed".encode()
    )
    assert world.counts() == {"dead_letters": 1, "started": 2}


def test_a_misrouted_command_is_written_again_where_it_belongs(world: World) -> None:
    command = encode_command(c.StartExecution(execution_id="pass:a", input=None))
    home = partition_of(b"pass:a", 2)
    world.send_bytes(command, key=b"pass:a", headers=(("traceparent", b"00-1"),), partition=1 - home)
    world.settle()

    [again] = world.records(world.names.commands, home)
    assert (again.key, again.value, again.headers) == (b"pass:a", command, (("traceparent", b"00-1"),))
    assert world.types("pass:a") == DONE
    assert world.counts() == {"misrouted": 1, "started": 1}


# ---- commands that cannot apply


@pytest.mark.parametrize(
    "command",
    [
        c.CompleteTask(execution_id="task:x", token="task:x##2", output=None),
        c.FailTask(execution_id="task:x", token="task:x##2"),
        c.SubmitTask(execution_id="task:x", token="task:x##2", output=None),
        c.HeartbeatTask(execution_id="task:x", token="task:x##2"),
        c.StopExecution(execution_id="task:x"),
        c.RedriveExecution(execution_id="task:x"),
        c.ReleaseExecution(execution_id="task:x"),
        c.PurgeExecution(execution_id="task:x", last_sequence=1),
    ],
)
def test_a_command_for_an_unknown_execution_is_rejected(world: World, command: c.AnyCommand) -> None:
    world.send(command)
    world.settle()

    assert world.rejections() == [
        Rejection(
            execution_id="task:x",
            command_id=f"{partition_of(b'task:x', 2)}/0",
            type=type(command).__name__,
            reason="UnknownExecution",
            detail="task:x was never started here",
            partition=partition_of(b"task:x", 2),
            offset=0,
            time=now_of(world),
        )
    ]
    assert world.counts() == {"rejected": 1}


def test_a_rejection_names_who_sent_the_command(world: World) -> None:
    world.send(c.StopExecution(execution_id="task:x", command_id="c-7", issuer="ops", correlation_id="ticket-1"))
    world.settle()

    [rejection] = world.rejections()
    assert (rejection.command_id, rejection.issuer, rejection.correlation_id) == ("c-7", "ops", "ticket-1")


def test_a_task_is_completed_once_and_its_second_answer_is_rejected(world: World) -> None:
    world.start("task:a")
    world.settle()
    task = scheduled(world, "task:a")
    world.send(c.CompleteTask.of(task, "first"), c.CompleteTask.of(task, "second"), c.FailTask.of(task))
    world.settle()

    assert world.events("task:a")[-1] == e.ExecutionSucceeded(
        execution_id="task:a",
        sequence=5,
        time=now_of(world),
        caused_by=e.Cause(command_id=f"{partition_of(b'task:a', 2)}/1", type="CompleteTask", offset=1),
        output="first",
    )
    assert world.reasons() == [("CompleteTask", "TaskNotPending"), ("FailTask", "TaskNotPending")]
    assert {r.detail for r in world.rejections()} == {"task:a has ended as SUCCEEDED"}


def test_an_answer_to_a_token_that_no_task_waits_for_is_rejected(world: World) -> None:
    world.start("task:a")
    world.settle()
    world.send(c.CompleteTask(execution_id="task:a", token="task:a#0#7", output=None))
    world.settle()

    [rejection] = world.rejections()
    assert (rejection.reason, rejection.detail) == ("TaskNotPending", "no task waits for the token task:a#0#7")


def test_an_endless_token_is_a_dead_letter_and_what_comes_behind_it_goes_on(world: World) -> None:
    token = f"task:a#{'.'.join('0' * 524_210)}#1"
    world.start("task:a")
    world.send(c.CompleteTask(execution_id="task:a", token=token, output=None, reply_to=world.names.replies))
    world.start("pass:a")
    world.settle()

    assert (world.reasons(), len(world.dead_letters())) == ([], 1)
    assert world.types("pass:a") == DONE


def test_the_same_start_is_idempotent_while_it_runs(world: World) -> None:
    world.start("task:a", {"x": 1, "y": 2})
    world.start("task:a", {"y": 2, "x": 1})
    world.settle()
    world.start("task:a", {"x": 1, "y": 2})
    world.settle()

    assert world.types("task:a") == ["ExecutionStarted", "StateEntered", "TaskScheduled"]
    assert world.counts() == {"started": 1, "repeated_starts": 2}


def test_the_same_start_is_rejected_once_the_execution_ended(world: World) -> None:
    world.start("pass:a", {"x": 1})
    world.start("pass:a", {"x": 1})
    world.settle()
    world.start("pass:a", {"x": 1})
    world.settle()

    assert world.reasons() == [("StartExecution", "ExecutionAlreadyExists")] * 2
    assert {r.detail for r in world.rejections()} == {"pass:a has ended as SUCCEEDED"}
    assert world.types("pass:a") == DONE


@pytest.mark.parametrize("other", [{"input": {"x": 2}}, {"input": {"x": 1}, "context": {"environment": "staging"}}])
def test_the_same_id_with_another_input_is_rejected(world: World, other: dict[str, Json]) -> None:
    world.start("task:a", {"x": 1})
    world.send(c.StartExecution(execution_id="task:a", **other))  # type: ignore[arg-type]  # input and context
    world.settle()

    [rejection] = world.rejections()
    assert (rejection.reason, rejection.detail) == ("ExecutionAlreadyExists", "task:a runs with another input")


def test_commands_after_the_end_are_rejected_as_what_they_are(world: World) -> None:
    world.start("task:a")
    world.settle()
    task = scheduled(world, "task:a")
    world.send(c.StopExecution(execution_id="task:a", error="Enough", cause="of it"))
    world.settle()
    world.send(c.StopExecution(execution_id="task:a"), c.HeartbeatTask.of(task), c.SubmitTask.of(task, None))
    world.settle()

    last = world.events("task:a")[-1]
    assert isinstance(last, e.ExecutionAborted)
    assert (last.error, last.cause) == ("Enough", "of it")
    assert world.reasons() == [
        ("StopExecution", "ExecutionEnded"),
        ("HeartbeatTask", "TaskNotPending"),
        ("SubmitTask", "TaskNotPending"),
    ]


# ---- definitions


def test_a_start_for_what_was_never_deployed_is_rejected(world: World) -> None:
    world.start("nothing:a")
    world.start("pass:b", revision="0" * 16)
    world.start("pass:c", revision="")
    world.settle()

    assert sorted((r.execution_id, r.reason, r.detail) for r in world.rejections()) == [
        ("nothing:a", "DefinitionNotFound", "nothing is not deployed"),
        ("pass:b", "DefinitionNotFound", f"no revision {'0' * 16} of pass"),
        ("pass:c", "DefinitionNotFound", "no revision  of pass"),
    ]


def test_a_start_right_behind_its_deployment_is_never_rejected(world: World) -> None:
    world.settle()
    for number in range(5):
        revision = world.deploy("late", {**TASK, "Comment": str(number)})  # type: ignore[dict-item]  # an object
        world.start(f"late:named-{number}", revision=revision)
        world.start(f"late:latest-{number}")
        world.settle()
        for kind in ("named", "latest"):
            started = world.events(f"late:{kind}-{number}")[0]
            assert isinstance(started, e.ExecutionStarted)
            assert started.revision == revision


def test_latest_is_what_was_deployed_last_even_if_it_is_old(world: World) -> None:
    old = world.deploy("m", PASS)
    world.deploy("m", WAIT)
    world.deploy("m", PASS)
    world.start("m:a")
    world.settle()

    started = world.events("m:a")[0]
    assert isinstance(started, e.ExecutionStarted)
    assert started.revision == old


def test_a_deployed_definition_that_cannot_run_is_named(world: World) -> None:
    broken = Definition(
        state_machine="broken",
        revision="1" * 16,
        definition_hash=bytes.fromhex("1" * 64),
        type="STANDARD",
        definition={"StartAt": "Nowhere", "States": {}},
        deployed_at=now_of(world),
    )
    world.write(
        Message(
            topic=world.names.definitions,
            key=b"broken#1111111111111111",
            value=encode_definition_record(broken),
            partition=0,
        )
    )
    world.start("broken:a")
    world.start("pass:a")
    world.settle()

    [rejection] = world.rejections()
    assert (rejection.execution_id, rejection.reason) == ("broken:a", "InvalidDefinition")
    assert rejection.detail == "/States: Value cannot be empty"
    assert world.types("pass:a") == DONE


def test_a_start_that_no_execution_could_take_is_rejected(world: World) -> None:
    world.send(c.StartExecution(execution_id="pass:a", input=None, context={"Execution": {}}))
    world.send(c.StartExecution(execution_id="pass:b", input="x" * 262_144))
    world.settle()

    assert sorted(r.reason for r in world.rejections()) == ["InputTooLarge", "InvalidCommand"]
    assert world.histories() == {}


# ---- timers


def test_a_fired_timer_ends_a_wait(world: World) -> None:
    world.start("wait:a")
    world.settle()
    waiting = world.events("wait:a")[-1]
    assert world.timers() == [
        Timer(
            timer_id="wait:a##2#wait",
            execution_id="wait:a",
            scope=(),
            sequence=2,
            kind="wait",
            due=Millis(waiting.time + 10_000),
            state="Rest",
        )
    ]
    world.fire()

    assert world.types("wait:a")[2:] == ["WaitStarted", "StateExited", "ExecutionSucceeded"]
    assert world.timers() == []


def test_a_stale_timer_is_only_counted_and_gets_a_tombstone(world: World) -> None:
    world.start("wait:a")
    world.settle()
    fire = c.FireTimer.of(world.events("wait:a")[-1])
    before = len(world.records(world.names.timers))
    world.send(fire, fire)
    world.send(c.FireTimer(execution_id="wait:x", timer_id="wait:x##2#wait"))
    world.settle()

    assert world.counts() == {"started": 1, "applied": 1, "stale_timers": 2}
    assert world.rejections() == []
    written = world.records(world.names.timers)
    assert len(written) == before + 3
    assert [(r.key, r.value, r.partition) for r in written if r.key == b"wait:x##2#wait"] == [
        (b"wait:x##2#wait", None, partition_of(b"wait:x", 2))
    ]
    assert world.timers() == []


def test_a_heartbeats_timer_is_set_again_from_the_last_heartbeat(world: World) -> None:
    world.start("beating:a")
    world.settle()
    task = scheduled(world, "beating:a")
    [timer] = world.timers()
    began = now_of(world)
    assert (timer.kind, timer.due) == ("heartbeat", began + 30_000)

    world.advance(20)
    world.send(c.HeartbeatTask.of(task), c.HeartbeatTask.of(task))
    world.settle()
    assert world.types("beating:a")[2:] == ["TaskScheduled", "TaskHeartbeatRecorded"]
    assert world.timers() == [timer]  # not rewritten with every heartbeat

    world.advance(10)
    world.send(c.FireTimer.of(task, "heartbeat"))
    world.settle()
    [again] = world.timers()
    assert (again.timer_id, again.due) == (timer.timer_id, began + 20_000 + 40_000)
    assert world.counts() == {"started": 1, "applied": 2, "rearmed_timers": 1}

    world.fire()
    failed = world.events("beating:a")[-1]
    assert isinstance(failed, e.ExecutionFailed)
    assert failed.error == "States.Timeout"
    assert (world.timers(), world.tasks()) == ([], [])
