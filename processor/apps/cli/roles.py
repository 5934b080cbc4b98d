"""The long-running roles, each in a process of its own, and the topics they need."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from processor.apps.cli.options import (
    HealthHostOption,
    HealthPortOption,
    JsonOption,
    LogOption,
    PrefixOption,
    ReplicationFactorOption,
    SettingsOption,
    opened_log,
)
from processor.apps.cli.running import run, supervise
from processor.apps.cli.terminal import Terminal

if TYPE_CHECKING:
    from processor.apps.roles import Role
    from processor.apps.settings import Settings
    from processor.engine.ports import Log
    from processor.model.json import Json


def processor(  # noqa: PLR0913, PLR0917 # each argument is an option of the command line
    slot: Annotated[
        str | None,
        typer.Option("--slot", help="Unique among live processors, the same after a restart. Else ASL_SLOT, else 0."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            help="Run so many, a process each, started again when it ends; in slots 0, 1, … or SLOT-0, SLOT-1, …",
        ),
    ] = None,
    health_host: HealthHostOption = None,
    health_port: HealthPortOption = None,
    write_format: Annotated[
        int | None,
        typer.Option(
            "--write-format",
            metavar="N",
            help="Of what is written; the newest one when all that read are of this release. Else ASL_WRITE_FORMAT.",
        ),
    ] = None,
    supervised: Annotated[int | None, typer.Option("--supervised", hidden=True)] = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Run a processor: commands in, events out. Several share the partitions."""
    from processor.adapters.clock import OsEntropy, SystemClock
    from processor.adapters.metrics import ProcessorMetrics
    from processor.apps.settings import load_settings

    chosen = load_settings(
        file=settings,
        log=log,
        prefix=prefix,
        slot=slot,
        workers=workers,
        health_host=health_host,
        health_port=health_port,
        write_format=write_format,
    )
    if chosen.workers is not None and supervised is None:
        supervise(chosen, settings, as_json=json)
        return
    metrics = ProcessorMetrics(clock=SystemClock())

    def make(log: Log, settings: Settings) -> Role:
        from processor.adapters.jsonata_sandbox import ProcessSandbox
        from processor.apps.health import Surveyed, Surveyor
        from processor.engine.processor import Processor

        processor = Processor(
            log=log,
            clock=SystemClock(),
            entropy=OsEntropy(),
            slot=settings.own_slot,
            sandbox=ProcessSandbox(),
            observer=metrics,
        )
        return processor if settings.health_port is None else Surveyed(processor, Surveyor(log, metrics))

    run("processor", make, chosen, as_json=json, metrics=metrics, supervised=supervised, worker=chosen.own_slot)


def timers(
    health_host: HealthHostOption = None,
    health_port: HealthPortOption = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Run a timer service: fires what is due."""
    from processor.apps.health import TimersMetrics
    from processor.apps.settings import load_settings

    metrics = TimersMetrics()

    def make(log: Log, settings: Settings) -> Role:
        from processor.adapters.clock import SystemClock
        from processor.apps.timers import TimerService

        return TimerService(log, SystemClock(), tell=metrics.stepped)

    chosen = load_settings(file=settings, log=log, prefix=prefix, health_host=health_host, health_port=health_port)
    run("timers", make, chosen, as_json=json, metrics=metrics)


def worker(
    module: Annotated[
        str, typer.Argument(metavar="MODULE", help="A module or Python file with a Worker, MODULE[:ATTRIBUTE].")
    ],
    log: LogOption = None,
    grace_seconds: Annotated[
        float | None, typer.Option("--grace-seconds", help="How long a stop waits for what runs. Default 30.")
    ] = None,
    health_host: HealthHostOption = None,
    health_port: HealthPortOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Run the task functions of a Worker."""
    from processor.apps.health import WorkerMetrics
    from processor.apps.loading import load_worker
    from processor.apps.settings import load_settings

    loaded, metrics = load_worker(module), WorkerMetrics()

    def make(log: Log, settings: Settings) -> Role:
        from processor.adapters.clock import SystemClock
        from processor.apps.worker import WorkerRunner

        return WorkerRunner(log, loaded, SystemClock(), grace_seconds=settings.grace_seconds, tell=metrics.stepped)

    chosen = load_settings(
        file=settings,
        log=log,
        prefix=prefix,
        grace_seconds=grace_seconds,
        health_host=health_host,
        health_port=health_port,
    )
    run("worker", make, chosen, as_json=json, metrics=metrics, service=loaded.name)


def janitor(
    retention: Annotated[
        str | None,
        typer.Option(
            "--retention",
            metavar="30d",
            help="How long ended executions are kept whose definition does not say. Else ASL_RETENTION, else 30d.",
        ),
    ] = None,
    health_host: HealthHostOption = None,
    health_port: HealthPortOption = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Run a janitor: lets executions be purged that have been kept for long enough after their end."""
    from processor.apps.health import JanitorMetrics
    from processor.apps.settings import load_settings

    metrics = JanitorMetrics()

    def make(log: Log, settings: Settings) -> Role:
        from processor.adapters.clock import SystemClock
        from processor.apps.janitor import Janitor

        return Janitor(log, SystemClock(), retention=settings.retention, tell=metrics.stepped)

    chosen = load_settings(
        file=settings,
        log=log,
        prefix=prefix,
        retention=retention,
        health_host=health_host,
        health_port=health_port,
    )
    run("janitor", make, chosen, as_json=json, metrics=metrics)


def create_topics(
    log: LogOption = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            "--partitions", help="Of commands, events, snapshots, closed, timers; fixed at creation. 24; SQLite 4."
        ),
    ] = None,
    task_partitions: Annotated[
        int | None, typer.Option("--task-partitions", help="Of tasks. As many as the others.")
    ] = None,
    replication_factor: ReplicationFactorOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Create the topics that are missing; existing ones are left as they are, and must have the counts asked for."""
    from processor.apps.settings import load_settings
    from processor.engine.topics_setup import create_topics as create

    chosen = load_settings(
        file=settings,
        log=log,
        prefix=prefix,
        partitions=partitions,
        task_partitions=task_partitions,
        replication_factor=replication_factor,
    )
    with opened_log(chosen, missing="MAKE_FILE") as opened:
        created = create(
            opened,
            partitions=_partition_count(opened, chosen),
            task_partitions=chosen.task_partitions,
            retention=chosen.retention,
        )
    terminal = Terminal(as_json=json)
    if json:
        terminal.result({"created": list(created)})
    elif created:
        typer.echo("\n".join(created))
    else:
        terminal.say("every topic is there already")


def check_topics(
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Say what of the topics is not as create would make it, or that they were migrated; exit 2 then."""
    from processor.apps.render.values import struct_json
    from processor.apps.settings import load_settings
    from processor.engine.topics_setup import check_topics as check
    from processor.engine.topics_setup import migrated_message, migrated_to

    chosen = load_settings(file=settings, log=log, prefix=prefix)
    with opened_log(chosen, missing="REFUSE") as opened:
        found = check(
            opened,
            partitions=chosen.partitions,
            task_partitions=chosen.task_partitions,
            retention=chosen.retention,
        )
        with contextlib.closing(opened.reader()) as reader:
            moved = migrated_to(reader, opened.names)
    if json:
        problems: list[Json] = [struct_json(difference) for difference in found]
        Terminal(as_json=True).result({"fit": not found, "problems": problems, "migrated_to": moved})
    else:
        told = [*map(str, found), *([] if moved is None else [migrated_message(opened.names, moved)])]
        typer.echo("\n".join(told) or "the topics fit")
    if found or moved is not None:
        raise typer.Exit(2)


def _partition_count(log: Log, settings: Settings) -> int:
    """Return the count that the topics have, else the one asked for, else the default.

    Raises TopicsUnfit where topics have another count than the one asked for: it is fixed when they are made.
    """
    from processor.apps.logs import default_partitions
    from processor.engine.topics_setup import counts_of, recorded_partitions, unlike
    from processor.errors import TopicsUnfit

    reader, names = log.reader(), log.names
    # `commands` stands for those that must have the same.
    asked = {names.commands: settings.partitions, names.tasks: settings.task_partitions}
    try:
        counts = counts_of(reader, asked)
        if problems := unlike(counts, {topic: asked[topic] for topic, count in counts.items() if count is not None}):
            raise TopicsUnfit(problems)
        made = recorded_partitions(reader, names) or reader.partitions(names.commands)
        return made or settings.partitions or default_partitions(settings)
    finally:
        reader.close()
