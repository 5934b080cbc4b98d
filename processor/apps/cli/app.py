"""The application: its commands, and how faults reach the user."""

from __future__ import annotations

import errno
import os
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from processor.apps.cli import (
    audit,
    authoring,
    drawing,
    executions,
    migration,
    recovery,
    retention,
    roles,
    run,
    tasks,
    trial,
)
from processor.apps.cli.terminal import WANTS_JSON, Terminal
from processor.errors import AslError

FAULT = 2


class FaultReporting(TyperGroup):
    """Tells the package's exceptions as messages; all others are bugs and keep their trace."""

    def invoke(self, ctx: Any) -> Any:  # typer's own base class of contexts has no public name
        try:
            return super().invoke(ctx)
        except AslError as fault:
            Terminal(as_json=bool(ctx.meta.get(WANTS_JSON))).fault(fault)
            raise typer.Exit(FAULT) from None
        except BrokenPipeError:  # whoever read the output has seen enough, as head does: no fault
            _discard_output()
            raise typer.Exit from None
        except OSError as fault:
            if fault.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            _discard_output()
            message = f"the output cannot be written: {fault.strerror}"
            raise Terminal(as_json=bool(ctx.meta.get(WANTS_JSON))).refusal("OutputNotWritten", message) from None


def _discard_output() -> None:
    """What is still buffered would fail once more at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    name="asl",
    cls=FaultReporting,
    help="Workflows in the Amazon States Language, on Kafka or on a SQLite file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topics = typer.Typer(no_args_is_help=True, help="Create, check and migrate the topics.")

app.command()(authoring.validate)
app.command("test-state")(trial.test_state)
app.command()(run.run)
app.command()(drawing.graph)
app.command()(authoring.dev)
app.add_typer(topics, name="topics")
topics.command("create")(roles.create_topics)
topics.command("check")(roles.check_topics)
topics.command("migrate")(migration.migrate_topics)
app.command()(roles.processor)
app.command()(roles.timers)
app.command()(roles.worker)
app.command()(roles.janitor)
app.command()(executions.deploy)
app.command()(executions.start)
app.command()(executions.stop)
app.command()(executions.describe)
app.command()(executions.history)
app.command()(audit.replay)
app.command()(audit.export)
app.command("list")(executions.list_executions)
app.command()(tasks.complete)
app.command()(tasks.fail)
app.command()(tasks.heartbeat)
app.command()(recovery.redrive)
app.command()(retention.purge)
app.add_typer(recovery.quarantine, name="quarantine")
app.add_typer(recovery.dead_letters, name="dead-letters")


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"asl {version('asl-processor')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Workflows in the Amazon States Language, on Kafka or on a SQLite file."""
