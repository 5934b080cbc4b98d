"""asl purge: an execution that has ended is taken from the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from processor.adapters.sqlite import SqliteLog
from processor.apps.settings import Settings
from processor.engine.definitions import Definitions
from tests.apps.test_cli import asl, engine, folder, lines

__all__ = ["engine", "folder"]  # fixtures

pytestmark = pytest.mark.usefixtures("engine")


def test_an_ended_execution_is_purged_and_nobody_tells_of_it_any_more(folder: Path) -> None:
    asl("deploy", "waiting.json")
    asl("start", "waiting", "--name", "one")
    asl("start", "waiting", "--name", "two")
    while len(lines(asl("list", "--json").stdout)) < 2:
        pass
    [refused] = lines(asl("purge", "waiting:one", "--wait", "--json").stdout)
    assert (refused["reason"], refused["detail"]) == (
        "ExecutionNotPurgeable",
        "waiting:one is RUNNING: only an ended execution can be purged, and by a processor",
    )
    asl("stop", "waiting:one", "--wait")

    purged = asl("purge", "waiting:one", "--wait")
    assert (purged.exit_code, purged.stdout) == (0, "waiting:one\n")
    assert [one["execution_id"] for one in lines(asl("list", "--json").stdout)] == ["waiting:two"]
    for command in ("describe", "history", "purge"):
        told = asl(command, "waiting:one")
        assert (told.exit_code, told.stdout, "holds no execution waiting:one" in told.stderr) == (2, "", True)
    assert asl("start", "waiting", "--name", "one", "--input", '{"other": 1}').exit_code == 0


def test_a_definition_is_deployed_with_its_retention_which_stays_until_another_is_given(folder: Path) -> None:
    kept = []
    for option in (["--retention", "90d"], [], ["--retention", "12h"], ["--retention", "default"], []):
        assert asl("deploy", "waiting.json", *option).exit_code == 0
        kept.append(retention_ms(folder))
    assert kept == [90 * 86_400_000, 90 * 86_400_000, 12 * 3_600_000, None, None]

    refused = asl("deploy", "waiting.json", "--retention", "for ever")
    assert (refused.exit_code, refused.stderr) == (
        2,
        "asl: --retention: must be a whole number and s, m, h or d for its unit, or default, got 'for ever', "
        "for example --retention 90d\n",
    )


def retention_ms(folder: Path) -> int | None:
    log = SqliteLog(folder / "log.db", names=Settings().names)
    reader = log.reader()
    definitions = Definitions(reader, log.names)
    definitions.refresh()
    reader.close()
    log.close()
    return definitions.retention_ms("waiting")
