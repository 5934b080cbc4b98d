"""`asl history --history`: an execution on a log, as AWS's GetExecutionHistory tells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from processor import render_history
from processor.adapters.sqlite import SqliteLog
from processor.apps.executions import History
from processor.engine.encoding import encode_events
from processor.engine.ports import Message
from processor.engine.topics import topic_specs
from processor.model import events as e
from processor.model.ids import EPOCH
from tests.apps.test_cli import asl, engine, folder, lines

__all__ = ["engine", "folder"]  # the fixtures: an empty folder with nothing set; all roles on a log in it


@pytest.mark.usefixtures("engine")
def test_an_execution_on_a_log_is_told_as_aws_tells_it(folder: Path) -> None:
    asl("deploy", "doubling.json")
    assert asl("start", "doubling", "--name", "one", "--input", "21", "--wait").exit_code == 0
    log = SqliteLog(folder / "log.db")
    reader = log.reader()
    events = [event for batch in History(reader, log.names, "doubling:one").read() for event in batch]
    reader.close()
    log.close()
    document = {"events": render_history(events)}
    assert [event["type"] for event in document["events"]] == [
        "ExecutionStarted", "TaskStateEntered", "LambdaFunctionScheduled", "LambdaFunctionStarted",
        "LambdaFunctionSucceeded", "TaskStateExited", "ExecutionSucceeded",
    ]  # fmt: skip
    told = asl("history", "doubling:one", "--history")
    assert (told.exit_code, told.stderr, json.loads(told.stdout)) == (0, "", document)
    assert told.stdout.startswith('{\n  "events": [\n')
    followed = asl("history", "doubling:one", "--history", "--follow", "--json")
    assert (followed.exit_code, followed.stderr, lines(followed.stdout)) == (0, "", [document])


@pytest.mark.usefixtures("engine")
def test_one_that_was_stopped_is_told_up_to_that_and_it_is_no_failure_of_the_command() -> None:
    asl("deploy", "waiting.json")
    assert asl("start", "waiting", "--name", "one").exit_code == 0
    assert asl("stop", "waiting:one", "--wait").exit_code == 0
    told = asl("history", "waiting:one", "--history")
    assert (told.exit_code, [event["type"] for event in json.loads(told.stdout)["events"]]) == (
        0, ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"],
    )  # fmt: skip


def test_without_its_beginning_it_cannot_be_told(folder: Path) -> None:
    """A year after an execution's end its events go by age, whole segments of a partition at a time."""
    log = SqliteLog(folder / "log.db")
    log.create_topics(topic_specs(log.names, partitions=1))
    entered = e.StateEntered(
        execution_id="m:1", sequence=7, time=EPOCH, caused_by=e.NO_CAUSE, state="Late", type="Pass"
    )
    [batch] = encode_events([entered])
    log.outbox().send(
        [Message(topic=log.names.events, key=batch.key, value=batch.value, headers=batch.headers, partition=0)]
    )
    log.close()
    result = asl("history", "m:1", "--history", "--log", "sqlite:log.db")
    assert (result.exit_code, result.stdout, result.stderr) == (
        2, "",
        "asl: the log has lost the beginning of m:1, all events before 7; without --history the others are printed\n",
    )  # fmt: skip
    assert asl("history", "m:1", "--log", "sqlite:log.db").exit_code == 0
