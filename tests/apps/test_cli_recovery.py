"""asl redrive, asl quarantine, asl dead-letters: from the command line to the log and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from processor.adapters.sqlite import SqliteLog
from processor.apps.settings import Settings
from processor.engine import applier
from processor.engine.ports import Message
from processor.interpreter.decide import Decision, decide
from processor.model import commands as c
from processor.model.execution import Execution
from tests.apps.test_cli import asl, engine, folder, lines

__all__ = ["engine", "folder"]  # fixtures

pytestmark = pytest.mark.usefixtures("engine")

PICKY: dict[str, Any] = {
    "StartAt": "Look",
    "States": {"Look": {"Type": "Task", "Resource": "double", "TimeoutSeconds": 3600, "End": True}},
}


def send_bytes(folder: Path, key: bytes, value: bytes) -> None:
    log = SqliteLog(folder / "log.db", names=Settings().names)
    outbox = log.outbox()
    outbox.send([Message(topic=log.names.commands, key=key, value=value, headers=(("mine", b"1"),))])
    outbox.close()
    log.close()


def test_an_execution_is_redriven_and_tells_how_it_ends(folder: Path) -> None:
    asl("deploy", "waiting.json")
    asl("start", "waiting", "--name", "one")
    asl("stop", "waiting:one", "--error", "Enough", "--wait")
    mended = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 0, "End": True}}}
    (folder / "waiting.json").write_text(json.dumps(mended))
    [deployed] = lines(asl("deploy", "waiting.json", "--json").stdout)

    redriven = asl("redrive", "waiting:one", "--revision", deployed["revision"], "--wait", "--json")
    [told] = lines(redriven.stdout)
    assert (redriven.exit_code, told["status"], told["revision"]) == (0, "SUCCEEDED", deployed["revision"])
    [described] = lines(asl("describe", "waiting:one", "--json").stdout)
    [listed] = lines(asl("list", "--json").stdout)
    assert [one["revision"] for one in (described, listed)] == [deployed["revision"]] * 2
    assert (described["redrive_count"], described["redrive_status"]) == (1, "NOT_REDRIVABLE")
    assert f"revision {deployed['revision']}, redrive 1" in asl("history", "waiting:one").stdout

    again = asl("redrive", "waiting:one", "--wait", "--json")
    [refused] = lines(again.stdout)
    assert (again.exit_code, refused["reason"], refused["detail"]) == (
        1,
        "ExecutionNotRedrivable",
        "Execution is SUCCEEDED and cannot be redriven",
    )


def test_an_execution_in_quarantine_is_listed_and_released(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "picky.json").write_text(json.dumps(PICKY))

    def faulty(execution: Execution, command: c.AnyCommand, **how: Any) -> Decision:
        if isinstance(command, c.CompleteTask):
            raise ZeroDivisionError("a bug")
        return decide(execution, command, **how)

    asl("deploy", "picky.json")
    assert asl("quarantine", "list").stderr == "asl: no execution is in quarantine\n"
    with monkeypatch.context() as planted:
        planted.setattr(applier, "decide", faulty)
        asl("start", "picky", "--name", "one", "--input", "21")
        found: list[dict[str, Any]] = []
        while not found:
            found = lines(asl("quarantine", "list", "--json").stdout)
    assert [(one["execution_id"], one["reason"]) for one in found] == [("picky:one", "ZeroDivisionError: a bug")]
    assert "picky:one" in asl("quarantine", "list").stdout

    asl("quarantine", "release", "picky:one")
    while lines(asl("quarantine", "list", "--json").stdout):
        pass
    assert asl("stop", "picky:one", "--wait").exit_code == 0


def test_dead_letters_are_listed_and_sent_again_as_they_came(folder: Path) -> None:
    assert asl("dead-letters", "list").stderr == "asl: no dead letter\n"
    send_bytes(folder, b"k", b"junk")
    letters: list[dict[str, Any]] = []
    while not letters:
        letters = lines(asl("dead-letters", "list", "--json").stdout)
    [letter] = letters
    assert (letter["key"], letter["bytes"], letter["whole"]) == ("k", 4, True)
    assert letter["origin"].startswith("asl.commands[")
    assert letter["reason"] in asl("dead-letters", "list").stdout

    assert asl("dead-letters", "replay", letter["place"]).exit_code == 0
    while len(again := lines(asl("dead-letters", "list", "--json").stdout)) < 2:
        pass
    assert {one["key"] for one in again} == {"k"}
    assert [(one["place"] == letter["place"], one["replayed"] is None) for one in again] == [
        (True, False),
        (False, True),
    ]
    assert "  replayed 2" in asl("dead-letters", "list").stdout


def test_all_dead_letters_are_those_not_replayed_yet(folder: Path) -> None:
    send_bytes(folder, b"k", b"junk")
    while not (letters := lines(asl("dead-letters", "list", "--json").stdout)):
        pass
    [first] = letters
    assert [one["place"] for one in lines(asl("dead-letters", "replay", "--all", "--json").stdout)] == [first["place"]]
    while len(letters := lines(asl("dead-letters", "list", "--json").stdout)) < 2:
        pass
    [second] = [one for one in letters if one["place"] != first["place"]]
    assert [one["place"] for one in lines(asl("dead-letters", "replay", "--all", "--json").stdout)] == [second["place"]]
    named = asl("dead-letters", "replay", first["place"], "--json")  # on purpose
    assert [one["place"] for one in lines(named.stdout)] == [first["place"]]


@pytest.mark.parametrize("arguments", [[], ["--all", "0@1"], ["0@99"]])
def test_which_dead_letters_are_meant_must_be_said(arguments: list[str]) -> None:
    result = asl("dead-letters", "replay", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "0@12" in result.stderr
