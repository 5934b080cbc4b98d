"""What README.md shows works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from processor import Continued, Succeeded, resume
from processor.apps.cli.app import app
from processor.apps.settings import Settings
from processor.apps.worker import Worker
from processor.engine.encoding import decode_command
from processor.model.commands import StartExecution
from processor.model.json import render_json

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.strip().partition("  #")[0] for line in README.splitlines() if line.startswith("    asl ")]


def test_the_interpreter_example_does_what_its_comments_say() -> None:
    names: dict[str, Any] = {}
    *statements, comparison = PYTHON[0].strip().splitlines()
    exec("\n".join(statements), names)
    outcome = names["outcome"]
    assert type(outcome) is Continued
    assert type(resume(outcome.execution, names["finish"])) is Succeeded
    assert eval(comparison, names) is True


def test_the_worker_example_registers_its_function() -> None:
    names: dict[str, Any] = {}
    exec(PYTHON[1], names)
    worker = names["worker"]
    assert isinstance(worker, Worker)
    assert (worker.name, list(worker.registrations)) == ("payments", ["charge"])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_line_is_one_that_asl_takes(command: str) -> None:
    result = CliRunner().invoke(app, [*shlex.split(command)[1:], "--help"])
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "command", [line for line in COMMANDS if re.match(r"asl (validate|test-state|run|graph examples)", line)]
)
def test_what_needs_no_log_does_what_it_is_there_for(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert result.exit_code == (1 if "--case broken" in command else 0), result.stderr
    assert (tmp_path / "order.svg").exists() is ("--graph order.svg" in command)


def test_the_start_as_json_is_an_order_that_the_example_ships() -> None:
    [written] = re.findall(r"^    (\{\"type\": .*)$", README, re.MULTILINE)
    command = decode_command(written.encode(), content_type="application/json")
    assert isinstance(command, StartExecution)
    assert (
        f"key `{command.execution_id}`" in README and f"--name {command.execution_id.partition(':')[2]} " not in README
    )

    example, given = REPOSITORY / "examples/order", render_json(command.input)
    arguments = [str(example / "order.asl.json"), "--worker", str(example / "workers.py"), "--input", given]
    result = CliRunner().invoke(app, ["run", *arguments])
    assert (result.exit_code, json.loads(result.stdout)["status"]) == (0, "SHIPPED")


def test_the_table_of_settings_is_whole() -> None:
    assert set(re.findall(r"^\| `\[?(\w+)\]?` \|", README, re.MULTILINE)) == set(Settings.model_fields)


def test_every_file_it_points_at_is_there() -> None:
    named = set(re.findall(r"\]\(((?!https?:)[^)#]+)(?:#[^)]*)?\)", README)) | set(
        re.findall(r"examples/\S+\.(?:json|py)\b", README)
    )
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists()] == []
