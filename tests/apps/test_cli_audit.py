"""asl replay and asl export: from the log to the terminal."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from processor.adapters.sqlite import SqliteLog
from processor.apps.settings import Settings
from processor.engine.ports import Message
from tests.apps.test_cli import asl, engine, folder, lines

__all__ = ["engine", "folder"]  # fixtures

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def doubled(folder: Path) -> list[dict[str, Any]]:
    """An execution that a worker has answered; its events as `asl history` tells them."""
    asl("deploy", "doubling.json")
    assert asl("start", "doubling", "--name", "one", "--input", "21", "--wait").exit_code == 0
    return lines(asl("history", "doubling:one", "--json").stdout)


def test_a_replay_tells_each_event_with_who_caused_it_and_the_last_state(doubled: list[dict[str, Any]]) -> None:
    *told, last = lines(asl("replay", "doubling:one", "--json").stdout)

    places = [
        (event.pop("record"), event["caused_by"].pop("topic"), event["caused_by"].pop("partition")) for event in told
    ]
    partition = places[0][0]["partition"]
    assert told == doubled
    assert {(record["topic"], record["partition"]) for record, _, _ in places} == {("asl.events", partition)}
    assert {(topic, number) for _, topic, number in places} == {("asl.commands", partition)}
    assert [record["offset"] for record, _, _ in places] == sorted(record["offset"] for record, _, _ in places)
    assert (last["at"], last["state"]["status"], last["state"]["output"]) == (len(doubled) - 1, "SUCCEEDED", 42)


def test_a_replay_for_people_names_command_issuer_and_place_in_every_line(doubled: list[dict[str, Any]]) -> None:
    result = asl("replay", "doubling:one")
    head, *rows = result.stdout.splitlines()[: len(doubled) + 1]

    assert head.split() == ["sequence", "time", "event", "state", "details", "at", "caused", "by"]
    for event, row in zip(doubled, rows, strict=True):
        cause = event["caused_by"]
        place = rf"asl\.events\[\d\]@\d+ +{cause['type']} by {cause['issuer']}, command {cause['command_id']}"
        assert re.search(
            rf"^{event['sequence']} +\S+  {event['event']} .*{place} at asl\.commands\[\d\]@{cause['offset']}$", row
        )
    assert "status      SUCCEEDED" in result.stdout.splitlines()


def test_the_state_at_an_event_is_that_of_the_time(doubled: list[dict[str, Any]]) -> None:
    scheduled = next(event["sequence"] for event in doubled if event["event"] == "TaskScheduled")

    event, state = lines(asl("replay", "doubling:one", "--at", str(scheduled), "--json").stdout)
    assert (event["event"], state["at"]) == ("TaskScheduled", scheduled)
    assert state["state"]["scopes"]["top"]["phase"]["is"] == "Pending"

    table = asl("replay", "doubling:one", "--at", str(scheduled)).stdout
    assert re.search(rf"^top +Double +Pending: sequence {scheduled}, kind LAMBDA +21", table, re.MULTILINE)


def test_the_differences_between_two_events_are_paths_with_old_and_new(doubled: list[dict[str, Any]]) -> None:
    scheduled = next(event["sequence"] for event in doubled if event["event"] == "TaskScheduled")
    asked = "replay", "doubling:one", "--diff", str(scheduled), str(scheduled + 1)

    event, told = lines(asl(*asked, "--json").stdout)
    assert (event["event"], told["from"], told["to"]) == ("TaskSucceeded", scheduled, scheduled + 1)
    found = {one["path"]: one for one in told["differences"]}
    assert found["/sequence"] == {"path": "/sequence", "old": scheduled + 1, "new": scheduled + 2}
    assert found["/scopes/top/phase/is"] == {"path": "/scopes/top/phase/is", "old": "Pending", "new": "Succeeded"}
    assert found["/scopes/top/phase/result"] == {"path": "/scopes/top/phase/result", "new": 42}

    table = asl(*asked).stdout
    assert re.search(r'^/scopes/top/phase/is +"Pending" +"Succeeded" *$', table, re.MULTILINE)
    assert re.search(r"^/scopes/top/phase/result +nothing +42 *$", table, re.MULTILINE)


def test_differences_of_an_event_with_itself_are_none(doubled: list[dict[str, Any]]) -> None:
    assert lines(asl("replay", "doubling:one", "--diff", "2", "2", "--json").stdout) == [
        {"from": 2, "to": 2, "differences": []}
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["replay"], "ID: must be given, or --all"),
        (["replay", "doubling:one", "--all", "--verify"], "ID: must be given, or --all"),
        (["replay", "--all"], "--all: goes with --verify"),
        (["replay", "doubling:one", "--at", "1", "--verify"], "exclude each other"),
        (["replay", "doubling:one", "--diff", "3", "1"], "the lesser first, got 3 1"),
        (["replay", "doubling:one", "--at", "99"], "there is no event number 99: they are 0 to "),
        (["replay", "doubling:two"], "there is no event of doubling:two"),
        (["replay", "doubling:two", "--verify"], "there is no event of doubling:two"),
        (["replay", "nonsense", "--verify"], "must be <state machine>:<name>"),
    ],
)
def test_what_cannot_be_replayed_is_said(doubled: list[dict[str, Any]], arguments: list[str], told: str) -> None:
    result = asl(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_a_log_in_order_is_verified_and_counted(doubled: list[dict[str, Any]]) -> None:
    result = asl("replay", "--verify", "--all", "--json")
    [told] = lines(result.stdout)

    assert (result.exit_code, told["verified"], told["faults"]) == (0, True, 0)
    assert (told["partitions"], told["executions"], told["ended"], told["closed"]) == (2, 1, 1, 1)
    assert told["events"] == len(doubled)
    assert "1 executions, 1 ended, 1 closed, 0 faults" in asl("replay", "--verify", "doubling:one").stderr


def remove_the_record_of_its_end(folder: Path) -> int:
    """Write a tombstone for doubling:one to closed; return its partition."""
    log = SqliteLog(folder / "log.db", names=Settings().names)
    with closing(log), closing(log.reader()) as reader, closing(log.outbox()) as outbox:
        partition = next(p for p in range(2) if reader.end(log.names.closed, p))
        outbox.send([Message(topic=log.names.closed, key=b"doubling:one", value=None, partition=partition)])
    return partition


def test_a_fault_is_told_and_ends_with_1(doubled: list[dict[str, Any]], folder: Path) -> None:
    partition = remove_the_record_of_its_end(folder)

    result = asl("replay", "--verify", "--all")
    place = rf"asl\.closed\[{partition}\]@1"
    assert (
        result.exit_code,
        bool(re.fullmatch(rf"{place}  CLOSED  doubling:one: it has ended.*\n", result.stdout)),
    ) == (
        1,
        True,
    )
    fault, summary = lines(asl("replay", "--verify", "doubling:one", "--json").stdout)
    assert (fault["rule"], fault["offset"], summary["verified"]) == ("CLOSED", 1, False)
    assert json.dumps(fault["differences"]) == "[]"


def send_events(folder: Path, *rows: tuple[bytes, bytes | None], partition: int) -> None:
    log = SqliteLog(folder / "log.db", names=Settings().names)
    with closing(log), closing(log.outbox()) as outbox:
        outbox.send([Message(topic=log.names.events, key=k, value=v, partition=partition) for k, v in rows])


def test_what_was_purged_is_not_replayed_nor_what_compaction_left_of_it(
    doubled: list[dict[str, Any]], folder: Path
) -> None:
    partition = lines(asl("replay", "doubling:one", "--json").stdout)[0]["record"]["partition"]
    log = SqliteLog(folder / "log.db", names=Settings().names)
    with closing(log), closing(log.reader()) as reader:
        batches = [(record.key or b"", record.value) for record in reader.read(log.names.events, partition)]
    rest, first = batches[1:], batches[0]

    send_events(folder, (b"doubling:one#0", None), partition=partition)
    gone = asl("replay", "doubling:one")
    assert (gone.exit_code, "there is no event of doubling:one" in gone.stderr) == (2, True)
    send_events(folder, *rest, partition=partition)
    broken = asl("replay", "doubling:one")
    assert (broken.exit_code, broken.stdout) == (2, "")
    assert "stands where 0 should" in broken.stderr
    send_events(folder, (b"doubling:one#0", None), first, *rest, partition=partition)
    *told, state = lines(asl("replay", "doubling:one", "--json").stdout)
    assert ([event["event"] for event in told], state["state"]["status"]) == (
        [event["event"] for event in doubled],
        "SUCCEEDED",
    )


# ---- export


def test_an_export_is_replayed_and_verified_as_the_log_is(doubled: list[dict[str, Any]], folder: Path) -> None:
    result = asl("export", "--to", "out", "--json")
    [told] = lines(result.stdout)
    assert (result.exit_code, told) == (
        0,
        {"folder": "out", "partitions": 2, "executions": 1, "events": len(doubled), "ended": 1, "faults": 0},
    )
    text = asl("export", "--to", "other", "--closed-before", "2999-01-01").stdout
    assert text == f"other, 2 partitions, 1 executions, {len(doubled)} events, 1 ended, 0 faults\n"

    assert asl("replay", "doubling:one", "--from", "out").stdout == asl("replay", "doubling:one").stdout
    [verified] = lines(asl("replay", "--verify", "--all", "--from", "out", "--json").stdout)
    assert [verified] == lines(asl("replay", "--verify", "--all", "--json").stdout)


def test_one_execution_is_exported_by_name(doubled: list[dict[str, Any]]) -> None:
    assert asl("export", "--to", "out", "--execution", "doubling:one").exit_code == 0
    assert asl("replay", "doubling:one", "--from", "out", "--verify").exit_code == 0

    assert asl("export", "--to", "none", "--closed-before", "2020-01-01T00:00:00Z").exit_code == 0
    nothing = asl("replay", "doubling:one", "--from", "none")
    assert (nothing.exit_code, "there is no event of doubling:one" in nothing.stderr) == (2, True)


def test_a_damaged_file_of_an_export_is_named_and_ends_with_1(doubled: list[dict[str, Any]], folder: Path) -> None:
    asl("export", "--to", "out")
    for path in (folder / "out").glob("events-*"):
        path.write_bytes(path.read_bytes()[:-1])

    result = asl("replay", "--verify", "--all", "--from", "out", "--json")
    *told, summary = lines(result.stdout)
    assert (result.exit_code, summary["verified"], summary["faults"], summary["events"]) == (1, False, 2, 0)
    assert [(fault["rule"], fault["topic"], fault["partition"]) for fault in told] == [
        ("FILE", "out", 0),
        ("FILE", "out", 1),
    ]
    broken = asl("replay", "doubling:one", "--from", "out")
    assert (broken.exit_code, "cannot be read after line" in broken.stderr) == (2, True)


def test_faults_of_the_log_are_told_by_its_export_which_ends_with_1(
    doubled: list[dict[str, Any]], folder: Path
) -> None:
    remove_the_record_of_its_end(folder)

    result = asl("export", "--to", "out", "--json")
    fault, told = lines(result.stdout)
    assert (result.exit_code, fault["rule"], told["faults"]) == (1, "CLOSED", 1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "out", "--closed-before", "soon"], "must be a date or a time, got 'soon'"),
        (["--to", "out", "--closed-before", "2026-01-01", "--execution", "a:b"], "exclude each other"),
        (["--to", "out", "--execution", "nonsense"], "must be <state machine>:<name>"),
        (["--to", "."], "and no manifest.json of an export"),
    ],
)
def test_what_cannot_be_exported_is_said(doubled: list[dict[str, Any]], arguments: list[str], told: str) -> None:
    result = asl("export", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_a_folder_that_is_no_export_is_not_replayed(folder: Path) -> None:
    result = asl("replay", "doubling:one", "--from", ".")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "has no manifest.json; asl export --to writes such a folder" in result.stderr


def test_an_export_of_executions_that_the_log_does_not_have_says_how_many_it_has(
    doubled: list[dict[str, Any]], tmp_path: Path
) -> None:
    wanted = ["--execution", "doubling:one", "--execution", "doubling:two"]
    result = asl("export", "--to", str(tmp_path / "out"), *wanted)

    assert (result.exit_code, result.stderr) == (1, "asl: of 2 executions asked for the log has 1\n")
    assert asl("export", "--to", str(tmp_path / "one"), *wanted[:2]).exit_code == 0
