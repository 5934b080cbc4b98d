"""Commands and what came of them, side by side, as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from processor.apps.cli.terminal import console
from processor.apps.render.events import render_cause, render_details, render_place
from processor.apps.render.refusals import render_dead_letter, render_rejection
from processor.apps.render.values import render_clock_time, render_time
from processor.engine.ports import Record
from processor.model.events import AnyEvent
from processor.model.ids import Millis
from processor.model.records import Rejection

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_TIME_WIDTH, _DATE_WIDTH, _COMMAND_WIDTH = 12, 24, 30


class LiveView:
    """One row a batch: when and why on the left, what on the right.

    `shows_execution`: the execution's id stands below the command, where rows of several are mixed. `stderr`: where
    the rows are not the result. `shows_date`: the time is told with its date, in UTC.
    """

    def __init__(self, *, shows_execution: bool = False, stderr: bool = False, shows_date: bool = False) -> None:
        self._console = console(stderr=stderr)
        self._shows_execution, self._shows_date = shows_execution, shows_date
        head = self._grid()
        head.add_row("[bold]time[/]", "[bold]command[/]", "[bold]events[/]")
        self._console.print(head)

    def show(self, batch: Sequence[AnyEvent]) -> None:
        from rich.text import Text

        first = batch[0]
        lines = Text("\n").join(map(self._line, batch))
        self._row(first.time, render_cause(first.caused_by), first.execution_id, lines)

    def show_rejection(self, rejection: Rejection) -> None:
        from rich.text import Text

        by = rejection.type if rejection.issuer is None else f"{rejection.type} by {rejection.issuer}"
        self._row(rejection.time, by, rejection.execution_id, Text(render_rejection(rejection), style="red"))

    def show_dead_letter(self, record: Record) -> None:
        from rich.text import Text

        key = (record.key or b"").decode("utf-8", "replace")
        self._row(record.time, "a command", key, Text(render_dead_letter(record), style="red"))

    def _row(self, time: Millis, command: str, execution_id: str, what: Text) -> None:
        from rich.text import Text

        cell = Text(command)
        if self._shows_execution:
            cell.append(f"\n{execution_id}", style="dim")
        row = self._grid()
        row.add_row(render_time(time) if self._shows_date else render_clock_time(time), cell, what)
        self._console.print(row)

    def _line(self, event: AnyEvent) -> Text:
        from rich.text import Text

        line = Text(type(event).__name__, style=_style(event))
        line.append(f"  {render_place(event)}".rstrip(), style="default")
        line.append(f"  {render_details(event)}".rstrip(), style="dim")
        return line

    def _grid(self) -> Table:
        from rich.table import Table

        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(width=_DATE_WIDTH if self._shows_date else _TIME_WIDTH, no_wrap=True)
        grid.add_column(width=_COMMAND_WIDTH, overflow="fold")
        grid.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
        return grid


def _style(event: AnyEvent) -> str:
    name = type(event).__name__
    if name.endswith(("Failed", "TimedOut", "Aborted", "Quarantined")):
        return "red"
    if name.startswith("Execution"):
        return "green"
    return "cyan"
