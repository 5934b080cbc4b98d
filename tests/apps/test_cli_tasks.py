"""asl complete, asl fail, asl heartbeat: a task that nobody here runs is answered from the command line."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.apps.test_cli import REPOSITORY, asl, engine, folder, lines

__all__ = ["engine", "folder"]  # fixtures

APPROVAL: dict[str, Any] = json.loads((REPOSITORY / "examples/approval/approval.asl.json").read_text())
APPROVAL["States"]["Ask"]["HeartbeatSeconds"] = 3600
README = (REPOSITORY / "README.md").read_text()


@pytest.fixture
def token(folder: Path, engine: None) -> str:
    """Of the task of approval:7, which waits for somebody to decide, or for a heartbeat."""
    (folder / "approval.json").write_text(json.dumps(APPROVAL))
    asl("deploy", "approval.json")
    asl("start", "approval", "--name", "7", "--input", '{"invoice": 7}')
    return waiting_token()


def waiting_token() -> str:
    while True:
        result = asl("describe", "approval:7", "--json")
        active = lines(result.stdout)[0]["active"] if result.exit_code == 0 else []
        if active and active[0]["token"]:
            return str(active[0]["token"])


def test_the_token_is_shown_to_people_and_the_task_completed_with_it(token: str) -> None:
    assert f", token {token}\n" in asl("describe", "approval:7").stdout
    done = asl("complete", token, "--output", '{"approved": true, "by": "ada"}', "--wait")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"approved": True, "by": "ada"})
    [described] = lines(asl("describe", "approval:7", "--json").stdout)
    assert described["active"] == []


def test_a_task_is_completed_without_waiting_for_what_comes_of_it(token: str) -> None:
    sent = asl("complete", token, "--output", "-", "--json", input='{"approved": false, "by": "bob"}')
    [told] = lines(sent.stdout)
    assert (sent.exit_code, told["execution_id"]) == (0, "approval:7")
    while (described := lines(asl("describe", "approval:7", "--json").stdout)[0])["status"] == "RUNNING":
        pass
    assert (described["status"], described["error"], described["cause"]) == ("FAILED", "Rejected", "by bob")


def test_a_task_is_failed_with_its_error_and_cause(token: str) -> None:
    failed = asl("fail", token, "--error", "NoBudget", "--cause", "it is December", "--wait")
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr.splitlines()[-1] == "approval:7 FAILED: NoBudget: it is December"


def test_a_heartbeat_is_recorded_in_the_name_of_the_command_line(token: str) -> None:
    sent = asl("heartbeat", token)
    assert (sent.exit_code, sent.stdout) == (0, "approval:7\n")
    asl("complete", token, "--output", '{"approved": true}', "--wait")
    beats = [
        one for one in lines(asl("history", "approval:7", "--json").stdout) if one["event"] == "TaskHeartbeatRecorded"
    ]
    assert [beat["caused_by"]["issuer"] for beat in beats] == ["cli"]


def test_a_token_that_nothing_waits_for_is_refused(token: str) -> None:
    asl("complete", token, "--output", '{"approved": true}', "--wait")
    again = asl("complete", token, "--output", "{}", "--wait", "--json")
    [refused] = lines(again.stdout)
    assert (again.exit_code, refused["reason"]) == (1, "TaskNotPending")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("complete", "gibberish", "--output", "{}"),
            "token: must be <execution id>#<scope>#<sequence>, got 'gibberish'",
        ),
        (("fail", "gibberish"), "token: must be <execution id>#<scope>#<sequence>, got 'gibberish'"),
        (("heartbeat", "gibberish"), "token: must be <execution id>#<scope>#<sequence>, got 'gibberish'"),
        (("complete", "m:1##2", "--output", "NaN"), "--output: "),
        (("fail", "m:1##2", "--error", "e" * 257), "error: must be at most 256 characters, got 257"),
    ],
)
def test_what_cannot_be_sent_is_told_at_once(arguments: tuple[str, ...], told: str) -> None:
    result = asl(*arguments, "--log", "sqlite:log.db")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"asl: {told}")


@pytest.mark.usefixtures("engine")
def test_the_readmes_approval_works_as_it_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = re.findall(r"^    asl (.*approval.*)$", README, re.MULTILINE)
    deploy, start, describe, complete = (shlex.split(line.partition("  #")[0]) for line in written)
    monkeypatch.setenv("ASL_LOG", f"sqlite:{folder}/log.db")
    monkeypatch.chdir(REPOSITORY)
    assert [asl(*command).exit_code for command in (deploy, start)] == [0, 0]
    assert waiting_token() == complete[1]
    assert f", token {complete[1]}\n" in asl(*describe).stdout
    assert json.loads(asl(*complete).stdout) == {"approved": True, "by": "ada"}
