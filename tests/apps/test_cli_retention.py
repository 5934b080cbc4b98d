"""asl purge: an execution that has ended is taken from the log."""

from __future__ import annotations

from pathlib import Path

import pytest

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
