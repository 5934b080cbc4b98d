"""`asl run` with mocks, in virtual time and with a graph; `asl graph`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from processor import parse
from processor.adapters.sqlite import SqliteLog
from processor.apps.local import start_roles
from processor.apps.roles import Roles
from processor.apps.settings import Settings
from processor.interpreter.jsonata_engine import TIMEOUT
from processor.model.json import Json
from tests.apps.test_cli import asl, folder, lines

__all__ = ["folder"]  # the fixture: an empty folder with nothing set

ORDER = Path(__file__).parents[2] / "examples/order"
WORK = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {}, "End": True}
ONE = {"StartAt": "Send", "States": {"Send": WORK}}
NOTE = {"Type": "Pass", "End": True}
YEAR = {"StartAt": "Hold", "States": {"Hold": {"Type": "Wait", "Seconds": 31_536_000, "End": True}}}
DRAWING = {
    "StartAt": "Draw",
    "States": {"Draw": {"Type": "Pass", "Parameters": {"id.$": "States.UUID()", "at.$": "$$.State.EnteredTime"},
                        "End": True}},
}  # fmt: skip
MOCKS = {
    "StateMachines": {"one": {"TestCases": {"sent": {"Send": "Sent"}, "lost": {"Send": "Lost", "Sned": "Sent"}}}},
    "MockedResponses": {
        "Sent": {"0": {"Return": {"MessageId": "1"}}},
        "Lost": {"0": {"Throw": {"Error": "Lost", "Cause": "no such queue"}}},
    },
}


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    for name, content in [("one", ONE), ("year", YEAR), ("drawing", DRAWING), ("mocks", MOCKS)]:
        (folder / f"{name}.json").write_text(json.dumps(content))


def order(case: str, *more: str, input: str = "parcel") -> Any:
    mocks = ("--mocks", str(ORDER / "mocks.json"), "--case", case)
    return asl("run", str(ORDER / "order.asl.json"), "-i", f"@{ORDER}/inputs/{input}.json", *mocks, *more)


# ---- mocks


@pytest.mark.parametrize(
    ("case", "status", "output_or_error"),
    [("shipped", "SUCCEEDED", "SHIPPED"), ("declined", "SUCCEEDED", "CANCELLED"), ("broken", "FAILED", "OrderBroken"),
     ("invalid", "FAILED", "InvalidOrder")],
)  # fmt: skip
def test_each_mocked_case_of_the_order_example_ends_as_it_says(case: str, status: str, output_or_error: str) -> None:
    result = order(case, "--json")
    [told] = lines(result.stdout)
    shown = told["output"]["status"] if status == "SUCCEEDED" else told["error"]
    assert (result.exit_code, told["status"], shown) == (int(status == "FAILED"), status, output_or_error)


def test_mocked_results_are_answers_of_their_own_issuer_and_timers_fire_when_due() -> None:
    [told] = lines(order("shipped", "--json", "--start-time", "2026-01-01").stdout)
    issuers = {event["caused_by"]["issuer"] for event in told["events"]}
    assert issuers == {"cli", "mocks", "timers"}
    # Two retries of a second, an hour's hold, and the carrier's retry of another second.
    assert told["stopped_at"] - told["started_at"] == 3_603_000


@pytest.mark.parametrize("case", ["sent", "one#sent"])
def test_a_case_is_named_alone_or_with_its_machine(case: str) -> None:
    result = asl("run", "one.json", "--mocks", "mocks.json", "--case", case)
    assert (result.exit_code, result.stdout) == (0, '{"MessageId":"1"}\n')


def test_a_machine_of_another_name_than_its_file_is_named(folder: Path) -> None:
    (folder / "one.json").rename(folder / "other.json")
    refused = asl("run", "other.json", "--mocks", "mocks.json", "--case", "sent")
    assert (refused.exit_code, refused.stderr) == (
        2, "asl: --name: the mocks have no state machine 'other'; there are: one, for example --name one\n",
    )  # fmt: skip
    named = asl("run", "other.json", "--mocks", "mocks.json", "--case", "sent", "--name", "one", "--json")
    assert lines(named.stdout)[0]["state_machine"] == "one"


def test_mocks_of_states_that_are_not_there_are_told() -> None:
    result = asl("run", "one.json", "--mocks", "mocks.json", "--case", "lost")
    assert result.exit_code == 1
    told = "asl: warning: the machine has no state 'Sned', which the test case 'lost' mocks; is 'Send' meant?"
    assert [line for line in result.stderr.splitlines() if "warning" in line] == [told]
    assert result.stderr.splitlines()[-1].endswith(" FAILED: Lost: no such queue")


def test_a_mock_of_a_state_within_another_is_known_and_one_of_what_asks_for_nothing_is_told(folder: Path) -> None:
    inner = {"StartAt": "Work", "States": {"Work": WORK}}
    each = {"Type": "Map", "ItemProcessor": inner, "Next": "Note"}
    branches = {
        "Type": "Parallel",
        "Branches": [{"StartAt": "Each", "States": {"Each": each, "Note": NOTE}}],
        "End": True,
    }
    mocked = {"Work": "Done", "Each": "Done", "Note": "Done", "Both": "Done", "Absent": "Done"}
    done = {"0-9": {"Return": {"MessageId": "1"}}}
    mocks = {"StateMachines": {"nested": {"TestCases": {"c": mocked}}}, "MockedResponses": {"Done": done}}
    (folder / "nested.json").write_text(json.dumps({"StartAt": "Both", "States": {"Both": branches}}))
    (folder / "nested_mocks.json").write_text(json.dumps(mocks))
    result = asl("run", "nested.json", "-i", "[1, 2]", "--mocks", "nested_mocks.json", "--json")
    assert result.exit_code == 0
    assert [told["message"] for told in lines(result.stderr)] == [
        "asl: warning: the state 'Each', which the test case 'c' mocks, asks for no result from outside",
        "asl: warning: the state 'Note', which the test case 'c' mocks, asks for no result from outside",
        "asl: warning: the state 'Both', which the test case 'c' mocks, asks for no result from outside",
        "asl: warning: the machine has no state 'Absent', which the test case 'c' mocks",
    ]


def test_what_is_not_mocked_goes_to_a_worker(folder: Path) -> None:
    mocks = json.loads((ORDER / "mocks.json").read_text())
    del mocks["StateMachines"]["order"]["TestCases"]["declined"]["Reserve"]
    (folder / "part.json").write_text(json.dumps(mocks))
    result = asl(
        "run", str(ORDER / "order.asl.json"), "-i", f"@{ORDER}/inputs/parcel.json", "--worker",
        str(ORDER / "workers.py"), "--mocks", "part.json", "--case", "declined", "--json",
    )  # fmt: skip
    [told] = lines(result.stdout)
    by = {event["state"]: event["caused_by"]["issuer"] for event in told["events"] if event["event"] == "TaskSucceeded"}
    assert by == {"Validate": "mocks", "Reserve": "orders", "Release": "mocks"}


def reading_map(folder: Path) -> None:
    """`rows.json`: a distributed Map over a CSV file, of which too many children may fail."""
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
        "Parameters": {"Bucket": "bucket", "Key": "rows.csv"},
    }
    choices = [{"Variable": "$.good", "StringEquals": "no", "Next": "Bad"}]
    states = {
        "Look": {"Type": "Choice", "Choices": choices, "Default": "Hold"},
        "Hold": {"Type": "Wait", "Seconds": 1, "End": True},
        "Bad": {"Type": "Fail", "Error": "Bad"},
    }
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    rows = {
        "Type": "Map", "ItemReader": reader, "ToleratedFailurePercentage": 25, "End": True,
        "ItemProcessor": {"ProcessorConfig": config, "StartAt": "Look", "States": states},
        "Catch": [{"ErrorEquals": ["States.ItemReaderFailed", "States.ExceedToleratedFailureThreshold"],
                   "Next": "Saved"}],
    }  # fmt: skip
    definition = {"StartAt": "Rows", "States": {"Rows": rows, "Saved": {"Type": "Succeed"}}}
    (folder / "rows.json").write_text(json.dumps(definition))
    (folder / "s3/bucket").mkdir(parents=True)


def test_a_catch_of_a_reader_that_fails_is_tried_with_a_mock_of_what_s3_answers(folder: Path) -> None:
    reading_map(folder)
    thrown = {"0": {"Throw": {"Error": "S3.NoSuchKey", "Cause": "The specified key does not exist."}}}
    mocks = {"StateMachines": {"rows": {"TestCases": {"c": {"Rows": "Gone"}}}}, "MockedResponses": {"Gone": thrown}}
    (folder / "gone.json").write_text(json.dumps(mocks))
    for given, cause in (
        (("--mocks", "gone.json"), "S3.NoSuchKey: The specified key does not exist."),
        (("--s3", "s3", "--virtual-time"), "The specified key does not exist: S3://bucket/rows.csv"),
    ):
        result = asl("run", "rows.json", *given)
        assert (result.exit_code, json.loads(result.stdout)) == (
            0, {"Error": "States.ItemReaderFailed", "Cause": cause},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "counts", "iterations"),
    [
        (
            ("yes", "no", "no", "yes"), "caught, 0 of 4 items, 2 failed, 2 aborted",
            {"length": 4, "started": 4, "succeeded": 0, "failed": 2, "aborted": 2},
        ),
        (
            ("yes", "no", "yes", "yes"), "succeeded, 3 of 4 items, 1 failed",
            {"length": 4, "started": 4, "succeeded": 3, "failed": 1, "aborted": 0},
        ),
        (
            ("yes",), "succeeded, 1 of 1 item",
            {"length": 1, "started": 1, "succeeded": 1, "failed": 0, "aborted": 0},
        ),
    ],
)  # fmt: skip
def test_a_graph_tells_how_many_of_the_rows_that_were_read_are_done(
    folder: Path, rows: tuple[str, ...], counts: str, iterations: dict[str, int]
) -> None:
    reading_map(folder)
    (folder / "s3/bucket/rows.csv").write_text("\n".join(("good", *rows)))
    result = asl("run", "rows.json", "--s3", "s3", "--virtual-time", "--graph", "-")
    asl("run", "rows.json", "--s3", "s3", "--virtual-time", "--graph", "drawn.json")
    assert [line.partition("Map  ")[2] for line in result.stderr.splitlines() if " Rows  Map  " in line] == [counts]
    assert json.loads((folder / "drawn.json").read_text())["visits"]["Rows"]["iterations"] == iterations


def test_every_fault_of_the_mocks_is_a_row(folder: Path) -> None:
    (folder / "bad.json").write_text(json.dumps({"StateMachines": {}, "MockedResponses": {"X": {"a": 1}}}))
    result = asl("run", "one.json", "--mocks", "bad.json", "--json")
    [told] = lines(result.stderr)
    assert (result.exit_code, told["error"], told["file"]) == (2, "InvalidMocks", "bad.json")
    assert [fault["pointer"] for fault in told["diagnostics"]] == ["/MockedResponses/X/a"] * 3


# ---- virtual time


def test_a_year_passes_at_once() -> None:
    [told] = lines(asl("run", "year.json", "--json").stdout)
    assert told["stopped_at"] - told["started_at"] == 31_536_000_000


def test_functions_of_a_worker_are_called_in_virtual_time_where_that_is_asked_for() -> None:
    result = asl(
        "run", str(ORDER / "order.asl.json"), "-i", f"@{ORDER}/inputs/retried.json", "--worker",
        str(ORDER / "workers.py"), "--virtual-time", "--json",
    )  # fmt: skip
    [told] = lines(result.stdout)
    assert (told["status"], told["stopped_at"] - told["started_at"]) == ("SUCCEEDED", 3_000)
    [reserved] = [event for event in told["events"] if event["event"] == "TaskStarted"]  # an activity
    assert (reserved["state"], reserved["worker"]) == ("Reserve", "orders")


def test_a_seed_and_a_start_give_the_same_run_again() -> None:
    command = ("run", "drawing.json", "--seed", "7", "--start-time", "2026-01-31T12:00:00Z", "--json")
    first, second = asl(*command).stdout, asl(*command).stdout
    [told], [other] = lines(first), lines(asl(*command[:3], "8", *command[4:]).stdout)
    assert first == second
    assert told["output"]["at"] == "2026-01-31T12:00:00.000Z"
    assert told["output"]["id"] != other["output"]["id"]


def test_a_seed_gives_the_same_draws_in_real_time() -> None:
    outputs = [
        lines(asl("run", "drawing.json", "--seed", "7", time, "--json").stdout)[0]["output"]["id"]
        for time in ("--real-time", "--virtual-time")
    ]
    assert outputs[0] == outputs[1]


def test_an_express_machine_is_run_as_one() -> None:
    for time in ("--real-time", "--virtual-time"):
        [told] = lines(asl("run", "drawing.json", "--type", "EXPRESS", time, "--json").stdout)
        assert told["events"][0]["type"] == "EXPRESS"


def test_the_history_is_printed_as_aws_gives_it() -> None:
    result = asl("run", "one.json", "--mocks", "mocks.json", "--case", "sent", "--history")
    history = json.loads(result.stdout)
    assert [event["type"] for event in history["events"]] == [
        "ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited",
        "ExecutionSucceeded",
    ]  # fmt: skip
    assert (result.exit_code, result.stderr.splitlines()[-1].split()[1]) == (0, "SUCCEEDED")
    failed = asl("run", "one.json", "--mocks", "mocks.json", "--case", "lost", "--history", "--json")
    assert (failed.exit_code, len(lines(failed.stdout)[0]["events"])) == (1, 6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--mocks", "mocks.json", "--real-time"], "--real-time: does not go with --mocks"),
        (["--start-time", "2026-01-01", "--real-time"], "--real-time: does not go with --start-time"),
        (["--start-time", "tomorrow"], "--start-time: must be a date"),
        (["--case", "sent"], "--case: needs --mocks"),
        (["--graph", "one.png"], "--graph: must end in one of .txt, .svg"),
        (["--name", "a b"], "--name: must be 1 to 80 characters"),
        (["--graph", "absent/one.svg", "--mocks", "mocks.json", "--case", "sent"], "absent/one.svg: cannot be written"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: list[str], told: str) -> None:
    result = asl("run", "one.json", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith(f"asl: {told}")


# ---- what a definition may be all the same


def test_what_no_limit_of_the_engine_ends_fails_the_run(folder: Path) -> None:
    """In another process, which is ended: here nothing would end it."""
    nested = "($f := function($a, $n) { $n = 0 ? $a : $f([[$a], [$a]], $n - 1) }; $boolean($f(0, 60)))"
    endless = f"{{% {nested} %}}"
    state = {"Type": "Pass", "QueryLanguage": "JSONata", "Output": endless, "End": True}
    (folder / "endless.json").write_text(json.dumps({"StartAt": "A", "States": {"A": state}}))
    (folder / "state.json").write_text(json.dumps(state))
    for arguments in (["run", "endless.json", "--virtual-time"], ["run", "endless.json", "--real-time"],
                      ["test-state", "--definition", "state.json"]):  # fmt: skip
        result = asl(*arguments, "--json")
        [told] = lines(result.stdout)
        assert (result.exit_code, told["status"], told["error"]) == (1, "FAILED", "States.QueryEvaluationError")
        assert told["cause"].endswith(TIMEOUT)


def test_an_input_that_no_processor_could_read_is_refused_where_it_is_sent(folder: Path) -> None:
    """Nobody would answer: it would be a dead letter, and a run would wait for ever."""
    (folder / "deep.json").write_text('{"a":' * 253 + "1" + "}" * 253)
    (folder / "pass.json").write_text(json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}))
    log = ("--log", f"sqlite:{folder / 'asl.db'}")
    assert asl("topics", "create", *log).exit_code == 0
    assert asl("deploy", "pass.json", *log).exit_code == 0
    for command in (("run", "pass.json"), ("run", "pass.json", "--real-time"), ("start", "pass", "--wait", *log)):
        result = asl(*command, "--input", "@deep.json")
        assert (result.exit_code, result.stdout) == (2, "")
        assert (
            result.stderr
            == "asl: StartExecution: must be readable, got \"input: must nest at most 200 deep, got 'more'\"\n"
        )


def test_what_is_only_warned_of_is_run_drawn_and_tried(folder: Path) -> None:
    state: Json = {"Type": "Pass", "Result": "$.a", "End": True}
    warned: Json = {"StartAt": "A", "States": {"A": state}}
    assert [warning.severity for warning in parse(warned).warnings] == ["WARNING"]
    (folder / "warned.json").write_text(json.dumps(warned))
    (folder / "state.json").write_text(json.dumps(state))
    for time in ("--virtual-time", "--real-time"):
        ran = asl("run", "warned.json", time, "--graph", "-")
        assert (ran.exit_code, ran.stdout) == (0, '"$.a"\n')
        assert "└── ✓ A  Pass  succeeded" in ran.stderr.splitlines()
    assert asl("graph", "warned.json").stdout == "warned.json\n└── A  Pass\n"
    tried = asl("test-state", "--definition", "state.json", "--json")
    assert (tried.exit_code, lines(tried.stdout)[0]["output"]) == (0, "$.a")


# ---- graphs


def test_what_was_run_is_drawn_even_where_it_could_not_go_on(folder: Path) -> None:
    result = asl("run", "one.json", "--graph", "stuck.txt")
    assert result.exit_code == 2
    assert (folder / "stuck.txt").read_text().splitlines()[1:] == ["└── ▶ Send  Task: sqs:sendMessage  in progress"]


def test_a_run_is_drawn_into_a_file_by_its_suffix(folder: Path) -> None:
    order("broken", "--graph", "order.svg")
    order("broken", "--graph", "order.json")
    picture = ElementTree.fromstring((folder / "order.svg").read_bytes())
    classes = [str(group.get("class")) for group in picture.iter("{http://www.w3.org/2000/svg}g")]
    assert (classes.count("node FAILED"), classes.count("node CAUGHT")) == (2, 1)
    visits = json.loads((folder / "order.json").read_text())["visits"]
    assert {name for name, visit in visits.items() if visit["outcome"] == "FAILED"} == {"Charge", "Broken"}


def test_a_run_is_shown_in_the_terminal() -> None:
    result = asl("run", "year.json", "--graph", "-")
    assert result.stderr.splitlines()[-2] == "└── ✓ Hold  Wait: 31536000 s  succeeded"


@pytest.mark.parametrize(
    ("format", "begins"),
    [("text", "year.json\n└── Hold"), ("svg", "<?xml"), ("dot", "digraph {"), ("mermaid", "flowchart TD"),
     ("json", '{"label":""')],
)  # fmt: skip
def test_a_definition_is_drawn_in_each_format(format: str, begins: str) -> None:
    result = asl("graph", "year.json", "--format", format)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(begins)


def test_a_definition_is_drawn_into_a_file(folder: Path) -> None:
    assert asl("graph", "year.json", "-o", "year.mmd").exit_code == 0
    assert (folder / "year.mmd").read_text() == asl("graph", "year.json", "--format", "mermaid").stdout
    assert asl("graph", "year.json", "--json").stdout == asl("graph", "year.json", "--format", "json").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["year.json", "--format", "png"], "--format: must be one of text, svg, mermaid, dot, json, got 'png'"),
        (["year.json", "-o", "year.png"], "--output: must end in one of"),
        ([], "FILE: names no definition"),
    ],
)
def test_a_drawing_that_cannot_be_made_is_refused(arguments: list[str], told: str) -> None:
    result = asl("graph", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"asl: {told}")


@pytest.fixture
def log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A processor and timers on a SQLite log in threads of this process; ASL_LOG names it."""
    monkeypatch.setenv("ASL_LOG", "sqlite:log.db")
    assert asl("topics", "create", "--partitions", "1").exit_code == 0
    opened = SqliteLog(folder / "log.db", names=Settings().names)
    roles = Roles()
    start_roles(roles, opened, [], slot="0", grace_seconds=1)
    yield
    roles.close()
    opened.close()
    assert roles.failure is None


@pytest.mark.usefixtures("log")
def test_an_execution_on_a_log_is_drawn_with_the_definition_it_ran(folder: Path) -> None:
    asl("deploy", "drawing.json", "--name", "m")
    assert asl("start", "m", "--name", "1", "--wait").exit_code == 0
    deployed = asl("graph", "--execution", "m:1")
    assert (deployed.exit_code, deployed.stdout) == (0, "m:1\n└── ✓ Draw  Pass  succeeded\n")
    assert asl("graph", "drawing.json", "--execution", "m:1").stdout == deployed.stdout
    other = asl("graph", "year.json", "--execution", "m:1")
    assert other.stdout == "m:1\n└── · Hold  Wait: 31536000 s\n"
    assert other.stderr.startswith("asl: the file is revision ")
    absent = asl("graph", "--execution", "m:2")
    assert (absent.exit_code, absent.stderr.split(";")[0]) == (2, "asl: sqlite:log.db holds no execution m:2")


@pytest.mark.usefixtures("log")
def test_an_execution_that_was_redriven_is_drawn_with_the_revision_that_it_runs_on_now(folder: Path) -> None:
    asl("deploy", "year.json", "--name", "m")
    asl("start", "m", "--name", "1")
    asl("stop", "m:1", "--wait")
    hold = {"Type": "Wait", "Seconds": 0, "Next": "Then"}
    mended = {"StartAt": "Hold", "States": {"Hold": hold, "Then": {"Type": "Succeed"}}}
    (folder / "mended.json").write_text(json.dumps(mended))
    [deployed] = lines(asl("deploy", "mended.json", "--name", "m", "--json").stdout)
    assert asl("redrive", "m:1", "--revision", deployed["revision"], "--wait").exit_code == 0

    drawn = asl("graph", "--execution", "m:1")
    assert drawn.stdout.splitlines() == [
        "m:1",
        "├── ✓ Hold  Wait: 0 s  succeeded, entered 2×, 1 aborted  ⇒ Then",
        "└── ✓ Then  Succeed  succeeded",
    ]
    other = asl("graph", "year.json", "--execution", "m:1")
    assert other.stderr.endswith(f"the execution ran {deployed['revision']}\n")
