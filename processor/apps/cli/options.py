"""Options that several commands share, and what they open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from processor.apps.cli.terminal import WANTS_JSON
from processor.errors import InvalidSettings, Severity
from processor.model.events import MachineType

if TYPE_CHECKING:
    from processor.apps.logs import Missing
    from processor.apps.settings import Settings
    from processor.engine.ports import Log, Reader


def _remember(ctx: typer.Context, value: bool) -> bool:
    ctx.meta[WANTS_JSON] = value  # for faults, which are told above the command
    return value


LogOption: TypeAlias = Annotated[
    str | None, typer.Option("--log", metavar="ADDRESS", help="sqlite:PATH or kafka:HOST:PORT. Else ASL_LOG.")
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", callback=_remember, help="Results as JSON, one line each.")
]
SettingsOption: TypeAlias = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="A TOML file. Else ASL_SETTINGS, else asl.toml.")
]
PrefixOption: TypeAlias = Annotated[str | None, typer.Option("--prefix", help="Of topics and groups. Else asl.")]
HealthHostOption: TypeAlias = Annotated[
    str | None, typer.Option("--health-host", help="Where to listen. Else ASL_HEALTH_HOST, else 127.0.0.1.")
]
HealthPortOption: TypeAlias = Annotated[
    int | None,
    typer.Option("--health-port", help="For /metrics, /health/live, /health/ready; 0: any. Else ASL_HEALTH_PORT."),
]
WorkerOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--worker", metavar="MODULE", help="A module or Python file with a Worker, MODULE[:ATTRIBUTE]."),
]
S3Option: TypeAlias = Annotated[
    Path | None,
    typer.Option("--s3", metavar="DIR", help="A folder DIR/BUCKET/KEY that stands for S3 in distributed Maps."),
]
InputOption: TypeAlias = Annotated[
    str, typer.Option("--input", "-i", metavar="JSON", help="JSON text, @FILE, or - for standard input.")
]
ContextOption: TypeAlias = Annotated[
    str | None, typer.Option("--context", metavar="JSON", help="The user's part of the context object, as --input.")
]
DefinitionArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="A definition in JSON, or in YAML by its suffix.")
]
MachineNameOption: TypeAlias = Annotated[
    str | None, typer.Option("--name", help="Of the state machine; else the file's up to the first dot.")
]
ReplicationFactorOption: TypeAlias = Annotated[
    int | None, typer.Option("--replication-factor", help="On Kafka; else the cluster's default.")
]
TypeOption: TypeAlias = Annotated[str, typer.Option("--type", help="STANDARD or EXPRESS.")]
SeverityOption: TypeAlias = Annotated[
    str,
    typer.Option("--severity", help="The least that is told: ERROR or WARNING. Warnings never refuse a definition."),
]
ExecutionArgument: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="<state machine>:<name>")]


@contextmanager
def opened_log(settings: Settings, *, missing: Missing = "MAKE") -> Iterator[Log]:
    from processor.apps.journal import log_nothing
    from processor.apps.logs import open_log

    log_nothing()
    log = open_log(settings, missing=missing)
    try:
        yield log
    finally:
        log.close()


@contextmanager
def opened_reader(*, log: str | None, settings_file: Path | None, prefix: str | None) -> Iterator[tuple[Log, Reader]]:
    from processor.apps.settings import load_settings

    with opened_log(load_settings(file=settings_file, log=log, prefix=prefix), missing="REFUSE") as opened:
        reader = opened.reader()
        try:
            yield opened, reader
        finally:
            reader.close()


def machine_type(text: str) -> MachineType:
    match text.upper():
        case "STANDARD":
            return "STANDARD"
        case "EXPRESS":
            return "EXPRESS"
    raise InvalidSettings(setting="--type", rule=f"must be STANDARD or EXPRESS, got {text!r}", example="--type EXPRESS")


def severity_of(text: str) -> Severity:
    match text.upper():
        case "ERROR":
            return "ERROR"
        case "WARNING":
            return "WARNING"
    raise InvalidSettings(
        setting="--severity", rule=f"must be ERROR or WARNING, got {text!r}", example="--severity ERROR"
    )
