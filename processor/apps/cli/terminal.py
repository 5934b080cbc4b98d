"""Where output goes: results on standard output, messages on standard error; as text, or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from processor.apps.render.values import indented_json
from processor.errors import AslError, Diagnostic, InvalidDefinition
from processor.model.json import Json, json_bytes, render_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WANTS_JSON: Final = "asl.json"
_PIPE_WIDTH: Final = 160  # columns where there is no terminal to ask


class Terminal:
    """`as_json`: every result is one line of JSON, every message one too."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, value: Json) -> None:
        typer.echo(json_bytes(value))

    def document(self, value: Json) -> None:
        """Print a result of many lines: laid out for reading, or as JSON on one line as any other."""
        typer.echo(json_bytes(value) if self.as_json else indented_json(value))

    def say(self, text: str) -> None:
        """Tell the user something besides the result."""
        typer.echo(render_json({"message": text}) if self.as_json else text, err=True)

    def fault(self, fault: AslError) -> None:
        self.refusal(type(fault).__name__, str(fault))

    def refusal(self, error: str, message: str) -> typer.Exit:
        """Tell why nothing could be done; return what to raise."""
        told: Json = {"error": error, "message": message}
        typer.echo(render_json(told) if self.as_json else f"asl: {message}", err=True)
        return typer.Exit(2)

    def table(self, table: Table, *, stderr: bool = False) -> None:
        console(stderr=stderr).print(table)

    @contextmanager
    def faults_of(self, file: Path) -> Iterator[None]:
        """Tell every fault of the definition or the mock configuration in `file`, on standard error, and exit 2: as
        `validate` tells them, whose result they are."""
        try:
            yield
        except InvalidDefinition as fault:
            diagnostics = [d for d in _located(fault.diagnostics, file) if d.severity == "ERROR"]
            if self.as_json:
                faults: Json = [diagnostic_json(d) for d in diagnostics]
                told: Json = {"error": type(fault).__name__, "file": str(file), "diagnostics": faults}
                typer.echo(render_json(told), err=True)
            else:
                self.table(faults_table(diagnostics, file=file), stderr=True)
            raise typer.Exit(2) from None

    @contextmanager
    def progress(self, what: str, *, total: int) -> Iterator[Progress]:
        """Show how far a reading has come, while it lasts, where there is a terminal to show it on."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        shown_on = console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        silent = self.as_json or not shown_on.is_terminal
        with Bar(*columns, console=shown_on, transient=True, disable=silent) as bar:
            task = bar.add_task(what, total=total)
            yield Progress(lambda passed: bar.advance(task, passed))


class Progress:
    """Told how many further steps have been made; shows every thousandth, for drawing costs more than reading."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance, self._passed = advance, 0

    def __call__(self, passed: int) -> None:
        self._passed += passed
        if self._passed >= _DRAW_EVERY:
            self._advance(self._passed)
            self._passed = 0


_DRAW_EVERY: Final = 1_000


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False)
    # Without a terminal rich assumes 80 columns and would cut what goes into a file or a pipe.
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=_PIPE_WIDTH)


def faults_table(diagnostics: Sequence[Diagnostic], *, file: Path) -> Table:
    """Return a row for each diagnostic: how grave, where (in the definition, and in the file), which rule, what."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{file}: {_counted(diagnostics)}", title_justify="left")
    for column in ("where", "line", "severity", "code", "what"):
        table.add_column(column, overflow="fold")
    for diagnostic in diagnostics:
        at = "" if diagnostic.line is None else f"{diagnostic.line}:{diagnostic.column}"
        found = "" if diagnostic.found is None else f", got {diagnostic.found}"
        table.add_row(
            Text(diagnostic.place or "/"),
            at,
            diagnostic.severity,
            diagnostic.code,
            Text(diagnostic.message + found),
        )
    return table


def _counted(diagnostics: Sequence[Diagnostic]) -> str:
    faults = sum(diagnostic.severity == "ERROR" for diagnostic in diagnostics)
    counts = (("fault", faults), ("warning", len(diagnostics) - faults))
    return ", ".join(f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts if count)


def diagnostic_json(diagnostic: Diagnostic) -> dict[str, Json]:
    return {
        "pointer": diagnostic.pointer,
        "field": diagnostic.field,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "found": diagnostic.found,
        "severity": diagnostic.severity,
    }


def _located(diagnostics: Sequence[Diagnostic], file: Path) -> Sequence[Diagnostic]:
    """Return the diagnostics with their places in the file, if that can be read again."""
    from processor.apps.loading import read_source

    try:
        return read_source(file).located(diagnostics)
    except InvalidDefinition:
        return diagnostics


__all__ = ["WANTS_JSON", "Progress", "Terminal", "console", "diagnostic_json", "faults_table"]
