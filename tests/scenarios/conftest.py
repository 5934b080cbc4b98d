"""Says how many scenarios there are, by file."""

from __future__ import annotations

from pytest import TerminalReporter

from tests.scenarios.scenario import load_tables


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    counts = {stem: len(table.scenarios) for stem, table in load_tables()}
    told = ", ".join(f"{stem} {count}" for stem, count in counts.items())
    terminalreporter.write_line(f"{sum(counts.values())} scenarios: {told}")
