"""The command line: results on standard output, messages on standard error, exit 0, 1 or 2."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from processor.adapters.sqlite import SqliteLog
from processor.apps.cli.app import app
from processor.apps.loading import load_worker
from processor.apps.local import start_roles
from processor.apps.roles import Roles
from processor.apps.settings import Settings
from processor.engine.ports import Message

REPOSITORY = Path(__file__).parents[2]
GREETING = {"StartAt": "Greet", "States": {"Greet": {"Type": "Pass", "Result": "hello", "End": True}}}
FAILING = {"StartAt": "Stop", "States": {"Stop": {"Type": "Fail", "Error": "E", "Cause": "because"}}}
WAITING = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
DOUBLING = {"StartAt": "Double", "States": {"Double": {"Type": "Task", "Resource": "double", "End": True}}}
WORKER = """
from processor.apps.worker import Worker
worker = Worker("numbers")
worker.task("double")(lambda number: 2 * number)
"""
FAULTY = {"StartAt": "Nowhere", "States": {"A": {"Type": "Pas", "End": True}, "B": {"Type": "Wait", "End": True}}}
FAULTS = {"/StartAt", "/States/A", "/States/A/Type", "/States/B"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder with nothing set."""
    for name in [name for name in os.environ if name.startswith("ASL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for name, content in [
        ("greeting.asl.json", GREETING), ("failing.json", FAILING), ("waiting.json", WAITING),
        ("doubling.json", DOUBLING), ("faulty.json", FAULTY),
    ]:  # fmt: skip
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "numbers_worker.py").write_text(WORKER)
    return tmp_path


def asl(*arguments: str, input: str | None = None) -> Result:
    result = CliRunner().invoke(app, list(arguments), input=input)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All roles on a SQLite log in threads of this process; ASL_LOG names it."""
    monkeypatch.setenv("ASL_LOG", "sqlite:log.db")
    assert asl("topics", "create", "--partitions", "2").exit_code == 0
    log = SqliteLog(folder / "log.db", names=Settings().names)
    roles = Roles()
    start_roles(roles, log, [load_worker("numbers_worker.py")], slot="0", grace_seconds=1)
    yield
    roles.close()
    log.close()
    assert roles.failure is None


# ---- validate


def test_a_valid_definition_is_said_to_be_so() -> None:
    result = asl("validate", "greeting.asl.json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(r"greeting\.asl\.json: valid, revision [0-9a-f]{16}\n", result.stdout)


def test_every_fault_of_a_definition_is_a_row_with_its_pointer() -> None:
    result = asl("validate", "faulty.json")
    assert (result.exit_code, result.stderr) == (2, "")
    assert set(re.findall(r"^│ (/\S*)", result.stdout, re.MULTILINE)) == FAULTS


def test_every_fault_of_a_definition_as_json_has_a_pointer() -> None:
    result = asl("validate", "faulty.json", "--json")
    [told] = lines(result.stdout)
    assert (result.exit_code, told["file"], told["valid"]) == (2, "faulty.json", False)
    assert {d["pointer"] for d in told["diagnostics"]} == FAULTS
    names = {"pointer", "field", "line", "column", "code", "message", "found", "severity"}
    assert all(set(d) == names for d in told["diagnostics"])


def test_a_fault_stands_with_its_line_and_what_was_found(folder: Path) -> None:
    (folder / "late.asl.yaml").write_text("StartAt: A\nStates:\n  A:\n    Type: Wait\n    Seconds: -1\n    End: true")
    result = asl("validate", "late.asl.yaml")
    row = r"^│ /States/A/Seconds +│ 5:5 +│ ERROR +│ SCHEMA_VALIDATION_FAILED +│ Minimum value is 0, got -1 +│$"
    assert (result.exit_code, result.stdout.splitlines()[0].strip()) == (2, "late.asl.yaml: 1 fault")
    assert re.search(row, result.stdout, re.MULTILINE)


def test_a_fault_that_aws_places_at_an_object_stands_where_its_field_does(folder: Path) -> None:
    text = """{"StartAt": "A", "States": {"A": {
      "Type": "Pass",
      "Parameters": {"a": [{"x.$": "$.a["}, {
         "x.$": 3}]},
      "Outputs": 1,
      "Items": "{% [] %}",
      "End": true}}}"""
    (folder / "fields.json").write_text(text)
    reason = "not a valid JSONPath: expected an index, a slice, a quoted name, '*' or '?'"
    [told] = lines(asl("validate", "fields.json", "--json").stdout)
    assert [(d["pointer"], d["field"], d["line"], d["found"]) for d in told["diagnostics"]] == [
        ("/States/A", "/States/A/Outputs", 5, None),
        ("/States/A", "/States/A/Items", 6, None),
        (
            "/States/A/Parameters/a/0", "/States/A/Parameters/a/0/x.$", 3,
            f"\"$.a[\" ({reason} at character 5 of '$.a[')",
        ),
        ("/States/A/Parameters/a/1", "/States/A/Parameters/a/1/x.$", 4, "3 (it is no string)"),
    ]  # fmt: skip
    shown = asl("validate", "fields.json").stdout
    assert re.search(r"^│ /States/A/Outputs +│ 5:7 +│", shown, re.MULTILINE)


def test_warnings_are_told_and_never_refuse(folder: Path) -> None:
    warned = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "$.a", "End": True}}}
    (folder / "warned.json").write_text(json.dumps(warned))

    table, told = asl("validate", "warned.json"), asl("validate", "warned.json", "--json")
    assert (table.exit_code, table.stdout.splitlines()[0].strip()) == (0, "warned.json: 1 warning")
    assert table.stdout.splitlines()[-1].startswith("warned.json: valid, revision ")
    [answer] = lines(told.stdout)
    assert (answer["valid"], answer["result"]) == (True, "OK")
    assert [(d["code"], d["severity"], d["line"]) for d in answer["diagnostics"]] == [
        ("PASS_RESULT_IS_STATIC", "WARNING", 1)
    ]

    [quiet] = lines(asl("validate", "warned.json", "--json", "--severity", "error").stdout)
    assert (quiet["valid"], quiet["diagnostics"]) == (True, [])


def test_faults_and_warnings_are_counted_apart(folder: Path) -> None:
    both = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "$.a", "End": True}}, "X": 1, "Y": 2}
    (folder / "both.json").write_text(json.dumps(both))
    assert asl("validate", "both.json").stdout.splitlines()[0].strip() == "both.json: 2 faults, 1 warning"


def test_a_severity_that_is_none_is_told_with_one_that_is() -> None:
    result = asl("validate", "greeting.asl.json", "--severity", "loud")
    assert result.exit_code == 2
    assert "--severity: must be ERROR or WARNING, got 'loud', for example --severity ERROR" in result.stderr


def test_a_file_that_cannot_be_read_is_a_fault_too() -> None:
    result = asl("validate", "absent.json", "--json")
    assert (result.exit_code, lines(result.stdout)[0]["diagnostics"][0]["code"]) == (2, "UNREADABLE")


def test_several_definitions_are_checked_and_all_are_told() -> None:
    result = asl("validate", "greeting.asl.json", "faulty.json", "-", "--json", input=json.dumps(FAILING))
    assert result.exit_code == 2
    assert [(told["file"], told["valid"]) for told in lines(result.stdout)] == [
        ("greeting.asl.json", True),
        ("faulty.json", False),
        ("-", True),
    ]


def test_the_order_example_is_valid() -> None:
    assert asl("validate", str(REPOSITORY / "examples/order/order.asl.json")).exit_code == 0


# ---- run


def test_run_prints_the_output_and_shows_commands_beside_events() -> None:
    result = asl("run", "greeting.asl.json", "--input", '{"user": "a@example.com"}')
    assert (result.exit_code, result.stdout) == (0, '"hello"\n')
    shown = [line.split()[-2:] for line in result.stderr.splitlines() if "StateEntered" in line]
    assert shown == [["StateEntered", "Greet"]]
    assert re.search(r"^[-0-9T:.Z]{24}  StartExecution by cli +ExecutionStarted", result.stderr, re.MULTILINE)


def test_run_as_json_gives_the_whole_execution() -> None:
    result = asl("run", "greeting.asl.json", "--json")
    [told] = lines(result.stdout)
    assert (result.exit_code, told["status"], told["output"], told["input"]) == (0, "SUCCEEDED", "hello", {})
    assert [event["event"] for event in told["events"]] == [
        "ExecutionStarted", "StateEntered", "StateExited", "ExecutionSucceeded",
    ]  # fmt: skip


def test_run_exits_1_where_the_workflow_fails() -> None:
    result = asl("run", "failing.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].endswith(" FAILED: E: because")


def test_run_takes_workers_and_input_from_standard_input() -> None:
    result = asl("run", "doubling.json", "--worker", "numbers_worker.py", "--input", "-", input="21")
    assert (result.exit_code, result.stdout) == (0, "42\n")


def test_a_folder_stands_for_s3_in_distributed_maps(folder: Path) -> None:
    """Pages of a file too large for one command are read in order, and the results are written."""
    rows = [f"{number},{'x' * 1000}" for number in range(300)]
    (folder / "s3" / "in").mkdir(parents=True)
    (folder / "s3" / "out").mkdir()
    (folder / "s3" / "in" / "rows.csv").write_text("\n".join(["n,text", *rows]))
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    inner = {"StartAt": "I", "States": {"I": {"Type": "Pass", "InputPath": "$.n", "End": True}}}
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "Parameters": {"Bucket": "in", "Key.$": "$.key"},
        "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
    }
    writer = {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": "out", "Prefix": "results"},
        "WriterConfig": {"Transformation": "COMPACT"},
    }
    each = {"Type": "Map", "ItemProcessor": {**inner, "ProcessorConfig": config}, "ItemReader": reader, "End": True}
    (folder / "map.json").write_text(json.dumps({"StartAt": "M", "States": {"M": {**each, "ResultWriter": writer}}}))

    for time in ("--real-time", "--virtual-time"):
        result = asl("run", "map.json", "--s3", "s3", time, "--input", '{"key": "rows.csv"}')
        assert result.exit_code == 0, result.stderr
        output = json.loads(result.stdout)
        manifest = json.loads((folder / "s3" / "out" / output["ResultWriterDetails"]["Key"]).read_text())
        [succeeded] = manifest["ResultFiles"]["SUCCEEDED"]
        assert json.loads((folder / "s3" / "out" / succeeded["Key"]).read_text()) == [str(n) for n in range(300)]

    missing = asl("run", "map.json", "--s3", "s3", "--input", '{"key": "no.csv"}')
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "States.ItemReaderFailed: The specified key does not exist: S3://in/no.csv" in missing.stderr
    nowhere = asl("run", "map.json", "--s3", "nowhere")
    assert (nowhere.exit_code, nowhere.stderr) == (
        2,
        "asl: --s3: must be a folder, got nowhere, for example --s3 ./buckets\n",
    )
    unread = asl("run", "map.json", "--real-time", "--input", '{"key": "rows.csv"}')
    assert unread.stderr.splitlines()[-1] == (
        "asl: the ItemReader of the Map M: asks for s3:getObject, and nothing that was given stands for S3, "
        "for example --s3 DIR, a folder DIR/BUCKET/KEY, or --mocks FILE with a response for the Map"
    )


def test_a_result_writer_without_a_place_for_its_files_is_named_with_the_option(folder: Path) -> None:
    writing = {
        "Type": "Map",
        "ItemProcessor": {**GREETING, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}},
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "out"}},
        "End": True,
    }
    (folder / "writing.json").write_text(json.dumps({"StartAt": "M", "States": {"M": writing}}))
    result = asl("run", "writing.json", "--input", "[1]")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        2,
        "asl: the ResultWriter of the Map M: asks for s3:putObject, and nothing that was given stands for S3, "
        "for example --s3 DIR, a folder DIR/BUCKET/KEY, or --mocks FILE with a response for the Map",
    )


def test_a_task_that_no_worker_runs_is_named_and_ends_the_run() -> None:
    result = asl("run", "doubling.json", "--input", "21")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == (
        "asl: the Task Double: asks for double, and no worker that was given has a function for it, "
        "for example --worker examples/order/workers.py, or --mocks examples/order/mocks.json"
    )


def test_a_task_that_no_worker_runs_but_that_times_out_is_only_named(folder: Path) -> None:
    state = DOUBLING["States"]["Double"] | {"TimeoutSeconds": 1}  # type: ignore[index] # a dict
    (folder / "impatient.json").write_text(json.dumps(DOUBLING | {"States": {"Double": state}}))
    result = asl("run", "impatient.json")
    assert (result.exit_code, result.stderr.splitlines()[-1].split()[1:3]) == (1, ["FAILED:", "States.Timeout"])
    assert "asl: the Task Double asks for double" in result.stderr


def test_a_context_with_aws_own_keys_is_refused() -> None:
    result = asl("run", "greeting.asl.json", "--context", '{"Execution": 1}')
    assert (result.exit_code, result.stdout) == (1, "")
    assert "StartExecution rejected" in result.stderr


def test_input_that_is_no_json_is_bad_usage() -> None:
    result = asl("run", "greeting.asl.json", "--input", "{")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("asl: --input: ")


@pytest.mark.parametrize(
    "command",
    [
        ["run", "faulty.json"],
        ["deploy", "faulty.json", "--log", "sqlite:log.db"],
        ["dev", "--definition", "faulty.json", "--log", "sqlite:log.db"],
    ],
    ids=lambda command: command[0],
)
def test_a_faulty_definition_is_refused_as_validate_tells_it(command: list[str]) -> None:
    result = asl(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == asl("validate", "faulty.json").stdout

    as_json = asl(*command, "--json")
    [told], [validated] = lines(as_json.stderr), lines(asl("validate", "faulty.json", "--json").stdout)
    assert (as_json.exit_code, told["error"], told["file"]) == (2, "InvalidDefinition", "faulty.json")
    assert told["diagnostics"] == validated["diagnostics"]


# ---- deploy, start, stop, describe, history, list


@pytest.mark.usefixtures("engine")
def test_an_input_that_the_processor_would_refuse_for_its_size_is_not_sent(folder: Path) -> None:
    (folder / "large.json").write_text(json.dumps("x" * 262_143))
    asl("deploy", "doubling.json")

    refused = asl("start", "doubling", "--input", "@large.json")

    told = "asl: input: must take at most 262144 bytes of JSON, with the context, got 262145\n"
    assert (refused.exit_code, refused.stdout, refused.stderr) == (2, "", told)


@pytest.mark.usefixtures("engine")
def test_an_execution_is_deployed_started_and_looked_at() -> None:
    deployed = asl("deploy", "doubling.json", "--json")
    [told] = lines(deployed.stdout)
    started = asl("start", "doubling", "--name", "one", "--input", "21", "--wait")
    assert (started.exit_code, started.stdout) == (0, "42\n")

    [described] = lines(asl("describe", "doubling:one", "--json").stdout)
    assert (described["status"], described["output"], described["revision"]) == ("SUCCEEDED", 42, told["revision"])

    events = lines(asl("history", "doubling:one", "--json").stdout)
    assert [event["sequence"] for event in events] == list(range(len(events)))
    assert events[-1]["event"] == "ExecutionSucceeded"
    assert lines(asl("history", "doubling:one", "--json", "--follow").stdout) == events

    [listed] = lines(asl("list", "--json").stdout)
    assert (listed["execution_id"], listed["status"]) == ("doubling:one", "SUCCEEDED")
    assert asl("list", "--status", "running", "--json").stdout == ""
    assert asl("list", "--state-machine", "other", "--json").stdout == ""


@pytest.mark.usefixtures("engine")
def test_what_people_read_has_the_same_facts() -> None:
    asl("deploy", "failing.json", "--name", "sad")
    started = asl("start", "sad", "--name", "one", "--wait")
    assert (started.exit_code, started.stdout) == (1, "")
    assert started.stderr.splitlines()[-1] == "sad:one FAILED: E: because"
    described = dict(line.split(maxsplit=1) for line in asl("describe", "sad:one").stdout.splitlines())
    assert (described["execution"], described["status"], described["cause"]) == ("sad:one", "FAILED", "because")
    history = asl("history", "sad:one").stdout.splitlines()
    assert [line.split()[0] for line in history] == ["sequence", *map(str, range(len(history) - 1))]
    assert [line.split()[:2] for line in asl("list").stdout.splitlines()] == [
        ["execution", "status"],
        ["sad:one", "FAILED"],
    ]


@pytest.mark.usefixtures("engine")
def test_an_execution_is_stopped() -> None:
    asl("deploy", "waiting.json")
    assert asl("start", "waiting", "--name", "one").stdout == "waiting:one\n"
    stopped = asl("stop", "waiting:one", "--error", "Enough", "--cause", "a test", "--wait", "--json")
    [told] = lines(stopped.stdout)
    assert (stopped.exit_code, told["status"], told["error"], told["cause"]) == (0, "ABORTED", "Enough", "a test")


@pytest.mark.usefixtures("engine")
def test_waiting_for_an_execution_that_another_stops_is_a_failure(folder: Path) -> None:
    asl("deploy", "waiting.json")
    waiting = asl_process(folder, "start", "waiting", "--name", "one", "--wait")
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == "waiting:one …\n"
    assert asl("stop", "waiting:one", "--wait").exit_code == 0
    _, told = waiting.communicate(timeout=30)
    assert (waiting.returncode, told) == (1, "waiting:one ABORTED\n")


@pytest.mark.usefixtures("engine")
def test_a_refused_command_tells_why() -> None:
    asl("deploy", "greeting.asl.json")
    asl("start", "greeting", "--name", "one", "--wait")
    again = asl("start", "greeting", "--name", "one", "--wait", "--json")
    unknown = asl("start", "nowhere", "--wait", "--json")
    stopped = asl("stop", "greeting:two", "--wait", "--json")
    assert [(r.exit_code, lines(r.stdout)[0]["reason"]) for r in (again, unknown, stopped)] == [
        (1, "ExecutionAlreadyExists"),
        (1, "DefinitionNotFound"),
        (1, "UnknownExecution"),
    ]


@pytest.mark.parametrize("command", ["describe", "history"])
def test_an_execution_that_does_not_exist_is_bad_usage(command: str) -> None:
    asl("topics", "create", "--log", "sqlite:log.db")
    result = asl(command, "order:1", "--log", "sqlite:log.db")
    assert (result.exit_code, result.stdout, result.stderr) == (
        2, "", "asl: sqlite:log.db holds no execution order:1; asl list shows those there are\n",
    )  # fmt: skip


def test_an_execution_that_does_not_come_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.apps.cli.executions._STARTS_WITHIN", timedelta())
    asl("topics", "create", "--log", "sqlite:log.db")
    result = asl("history", "order:1", "--follow", "--log", "sqlite:log.db")
    assert (result.exit_code, result.stdout, result.stderr.splitlines()) == (2, "", [
        "asl: order:1 is not there yet: waiting 0 s for its start",
        "asl: sqlite:log.db holds no execution order:1; asl list shows those there are",
    ])  # fmt: skip


# ---- settings and topics


def test_a_missing_log_is_named_with_an_example() -> None:
    result = asl("list")
    assert (result.exit_code, result.stdout, result.stderr) == (
        2, "", "asl: log: is not set, for example --log sqlite:orders.db, or ASL_LOG=kafka:localhost:9092\n",
    )  # fmt: skip


def test_a_fault_as_json_is_one_line_of_it() -> None:
    result = asl("list", "--json")
    assert (result.exit_code, lines(result.stderr)[0]["error"]) == (2, "InvalidSettings")


def test_a_sqlite_log_has_its_topics_from_its_first_writer_on() -> None:
    asl("deploy", "greeting.asl.json", "--log", "sqlite:new.db")
    assert asl("topics", "check", "--log", "sqlite:new.db").stdout == "the topics fit\n"
    assert asl("topics", "create", "--log", "sqlite:new.db").stderr == "every topic is there already\n"


def test_topics_create_lists_what_it_made_on_a_new_file(folder: Path) -> None:
    created = asl("topics", "create", "--partitions", "6", "--log", "sqlite:new.db")
    assert (created.exit_code, created.stdout.split()) == (0, list(Settings().names.all))
    log = SqliteLog(folder / "new.db")
    assert log.reader().partitions("asl.events") == 6
    log.close()


@pytest.mark.parametrize("count", ["partitions", "task_partitions"])
def test_topics_that_stand_with_another_count_are_told(count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASL_LOG", "sqlite:log.db")
    asl("topics", "create", "--partitions", "6")
    topic = {"partitions": "asl.commands", "task_partitions": "asl.tasks"}[count]
    problem = f"{topic}: has 6 partitions, not the 12 asked for; a topic keeps those it was made with"

    created = asl("topics", "create", f"--{count.replace('_', '-')}", "12")
    assert (created.exit_code, created.stdout, created.stderr) == (2, "", f"asl: {problem}\n")

    monkeypatch.setenv(f"ASL_{count.upper()}", "12")
    checked = asl("topics", "check")
    others = {"partitions": ["events", "snapshots", "closed", "timers"], "task_partitions": []}[count]
    told = [f"{name}: partitions is 6, should be 12" for name in (topic, *(f"asl.{other}" for other in others))]
    assert (checked.exit_code, [line for line in checked.stdout.splitlines() if line in told]) == (2, told)


@pytest.mark.parametrize(
    "command", [["list"], ["describe", "order:1"], ["history", "order:1"], ["topics", "check"]], ids=" ".join
)
def test_who_only_reads_makes_no_file(folder: Path, command: list[str]) -> None:
    result = asl(*command, "--log", "sqlite:absent/log.db")
    assert (result.exit_code, result.stdout, result.stderr) == (
        2, "",
        "asl: cannot reach the log at sqlite:absent/log.db: there is no such file; "
        "asl topics create or asl deploy makes it\n",
    )  # fmt: skip
    assert not (folder / "absent").exists()


@pytest.mark.parametrize("command", [["list"], ["deploy", "greeting.asl.json"], ["start", "greeting"]], ids=" ".join)
def test_missing_topics_are_named_whatever_is_done(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Kafka, where a file's first writer does not make them."""
    monkeypatch.setattr("processor.apps.logs._make_topics", lambda log, settings: None)
    SqliteLog("log.db").close()
    result = asl(*command, "--log", "sqlite:log.db")
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(r"asl: asl\.\w+: does not exist; asl topics create makes it\n", result.stderr)


def test_an_unknown_option_is_bad_usage() -> None:
    assert asl("processor", "--sloth", "0").exit_code == 2


@pytest.mark.parametrize("status", ["DONE", ""])
def test_an_unknown_status_is_refused_with_the_known_ones(status: str) -> None:
    result = asl("list", "--status", status, "--log", "sqlite:log.db")
    assert result.exit_code == 2
    assert "must be one of RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED" in result.stderr


# ---- processes


@pytest.mark.parametrize("role", [["processor"], ["timers"], ["worker", "numbers_worker.py"]])
def test_a_role_ends_cleanly_on_sigterm(folder: Path, role: list[str]) -> None:
    process = asl_process(folder, *role, "--log", "sqlite:log.db", "--json")
    assert process.stderr is not None
    first = json.loads(process.stderr.readline())["event"]
    for line in process.stderr:
        if json.loads(line)["event"] in ("partition_read", "partition_restored"):
            break
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=30)
    assert (process.returncode, first, lines(rest)[-1]["event"]) == (0, "role_started", "role_stopped")


def test_dev_runs_everything_in_one_process(folder: Path) -> None:
    options = ["--definition", "doubling.json", "--worker", "numbers_worker.py", "--log", "sqlite:d.db"]
    process = asl_process(folder, "dev", "--json", *options)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line).get("message", "").startswith("asl: processor, timers, janitor and 1 workers"):
                break
        started = asl("start", "doubling", "--input", "4", "--wait", "--log", "sqlite:d.db")
        assert (started.exit_code, started.stdout) == (0, "8\n")
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert [event["event"] for event in lines(output)][-1] == "ExecutionSucceeded"


JUNK = Message(topic="asl.commands", key=b"order:1", value=b"junk", partition=0)


@pytest.mark.parametrize(
    ("options", "rejected", "dead"),
    [
        (
            ["--json"],
            r'"rejected":true,.*"reason":"DefinitionNotFound"',
            r'"dead_letter":true,"key":"order:1",.*"junk"',
        ),
        ([], r"StartExecution by cli +StartExecution rejected, DefinitionNotFound: ", r"a command +dead letter: .*"),
    ],
    ids=["json", "text"],
)
def test_dev_shows_what_is_refused(folder: Path, options: list[str], rejected: str, dead: str) -> None:
    process = asl_process(folder, "dev", *options)
    try:
        assert process.stdout is not None and process.stderr is not None
        assert "processor, timers, janitor and 0 workers" in process.stderr.readline()
        assert asl("start", "nowhere", "--log", "sqlite:asl-dev.db").exit_code == 0
        assert any(re.search(rejected, line) for line in process.stdout)
        log = SqliteLog(folder / "asl-dev.db")
        log.outbox().send([JUNK])
        log.close()
        assert any(re.search(dead, line) for line in process.stdout)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.usefixtures("engine")
def test_a_reader_that_has_seen_enough_ends_it_quietly(folder: Path) -> None:
    asl("deploy", "greeting.asl.json")
    asl("start", "greeting", "--name", "one", "--wait")
    with asl_process(folder, "history", "greeting:one") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()  # as head does
        assert (process.stderr.read(), process.wait(timeout=30)) == ("", 0)


def test_asl_tells_its_version() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "processor", "--version"], check=True, capture_output=True, text=True, cwd=REPOSITORY
    )
    assert told.stdout == f"asl {version('asl-processor')}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here, the disk that is always full")
def test_output_that_finds_no_room_is_told_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "processor", "validate", "examples/order/order.asl.json"],
            check=False, stdout=full, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY,
        )  # fmt: skip
    message = "asl: the output cannot be written: No space left on device\n"
    assert (told.returncode, told.stderr) == (2, message)


def test_a_broker_that_is_absent_is_named(folder: Path) -> None:
    process = asl_process(folder, "list", "--log", "kafka:127.0.0.1:1")
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told.count("\n")) == (2, 1)
    assert told.startswith("asl: cannot reach the log at kafka:127.0.0.1:1: ")


def test_the_command_line_loads_neither_kafka_nor_the_settings_before_they_are_needed() -> None:
    late = "{'confluent_kafka', 'sqlite3', 'rich.table', 'yaml'}"
    program = f"import sys, processor.apps.cli.app; print(sorted({late} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=REPOSITORY)
    assert loaded.stdout == "[]\n"


def asl_process(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "processor.apps.cli", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_a_processor_refuses_at_its_start_a_format_that_it_does_not_write(
    folder: Path, workers: tuple[str, ...]
) -> None:
    role = asl_process(folder, "processor", "--log", "sqlite:log.db", "--write-format", "7", *workers)
    _, told = role.communicate(timeout=60)

    assert role.returncode == 2
    expected = "write_format: must be a format that this release writes (1), got 7, for example ASL_WRITE_FORMAT=1"
    assert expected in " ".join(told.split())


def test_every_command_that_writes_refuses_it_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASL_WRITE_FORMAT", "7")
    result = asl("start", "order", "--log", f"sqlite:{folder / 'log.db'}")

    assert (result.exit_code, "must be a format that this release writes (1), got 7" in result.stderr) == (2, True)
