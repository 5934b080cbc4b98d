"""The long-running roles, each in a process of its own, and the topics they need."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from processor.apps.cli.options import (
    JsonOption,
    LogOption,
    PrefixOption,
    SettingsOption,
    opened_log,
)
from processor.apps.cli.terminal import Terminal

if TYPE_CHECKING:
    from processor.apps.roles import Role
    from processor.apps.settings import Settings
    from processor.engine.ports import Log, Reader
    from processor.engine.topics import TopicNames
    from processor.model.json import Json

    MakeFromLog: TypeAlias = Callable[[Log, Settings], Role]

_log = logging.getLogger("processor.roles")


def processor(
    slot: Annotated[
        str | None,
        typer.Option("--slot", help="Unique among live processors, the same after a restart. Else ASL_SLOT, else 0."),
    ] = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Run a processor: commands in, events out. Several share the partitions."""

    def make(log: Log, settings: Settings) -> Role:
        from processor.adapters.clock import OsEntropy, SystemClock
        from processor.adapters.jsonata_sandbox import ProcessSandbox
        from processor.engine.processor import Processor

        return Processor(
            log=log,
            clock=SystemClock(),
            entropy=OsEntropy(),
            slot=settings.slot,
            sandbox=ProcessSandbox(),
        )

    from processor.apps.settings import load_settings

    _run("processor", make, load_settings(file=settings, log=log, prefix=prefix, slot=slot), as_json=json)


def timers(
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Run a timer service: fires what is due."""

    def make(log: Log, settings: Settings) -> Role:
        from processor.adapters.clock import SystemClock
        from processor.apps.timers import TimerService

        return TimerService(log, SystemClock())

    from processor.apps.settings import load_settings

    _run("timers", make, load_settings(file=settings, log=log, prefix=prefix), as_json=json)


def worker(
    module: Annotated[
        str, typer.Argument(metavar="MODULE", help="A module or Python file with a Worker, MODULE[:ATTRIBUTE].")
    ],
    log: LogOption = None,
    grace_seconds: Annotated[
        float | None, typer.Option("--grace-seconds", help="How long a stop waits for what runs. Default 30.")
    ] = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Run the task functions of a Worker."""
    from processor.apps.loading import load_worker
    from processor.apps.settings import load_settings

    loaded = load_worker(module)

    def make(log: Log, settings: Settings) -> Role:
        from processor.adapters.clock import SystemClock
        from processor.apps.worker import WorkerRunner

        return WorkerRunner(log, loaded, SystemClock(), grace_seconds=settings.grace_seconds)

    chosen = load_settings(file=settings, log=log, prefix=prefix, grace_seconds=grace_seconds)
    _run("worker", make, chosen, as_json=json)


def janitor(
    retention: Annotated[
        str | None,
        typer.Option(
            "--retention",
            metavar="30d",
            help="How long ended executions are kept whose definition does not say. Else ASL_RETENTION, else 30d.",
        ),
    ] = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Run a janitor: lets executions be purged that have been kept for long enough after their end."""

    def make(log: Log, settings: Settings) -> Role:
        from processor.adapters.clock import SystemClock
        from processor.apps.janitor import Janitor

        return Janitor(log, SystemClock(), retention=settings.retention)

    from processor.apps.settings import load_settings

    _run("janitor", make, load_settings(file=settings, log=log, prefix=prefix, retention=retention), as_json=json)


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
    replication_factor: Annotated[
        int | None, typer.Option("--replication-factor", help="On Kafka; else the cluster's default.")
    ] = None,
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
    """Say what of the topics is not as create would make it; exit 2 where something is."""
    from processor.apps.render.values import struct_json
    from processor.apps.settings import load_settings
    from processor.engine.topics_setup import check_topics as check

    chosen = load_settings(file=settings, log=log, prefix=prefix)
    with opened_log(chosen, missing="REFUSE") as opened:
        found = check(
            opened,
            partitions=chosen.partitions,
            task_partitions=chosen.task_partitions,
            retention=chosen.retention,
        )
    if json:
        problems: list[Json] = [struct_json(difference) for difference in found]
        Terminal(as_json=True).result({"fit": not found, "problems": problems})
    else:
        typer.echo("\n".join(map(str, found)) if found else "the topics fit")
    if found:
        raise typer.Exit(2)


def _partition_count(log: Log, settings: Settings) -> int:
    """Return the count that the topics have, else the one asked for, else the default.

    Raises TopicsUnfit where topics have another count than the one asked for: it is fixed when they are made.
    """
    from processor.apps.logs import default_partitions
    from processor.engine.topics_setup import recorded_partitions
    from processor.errors import TopicsUnfit

    reader = log.reader()
    try:
        if problems := _unlike(settings, log.names, reader):
            raise TopicsUnfit(problems)
        made = recorded_partitions(reader, log.names) or reader.partitions(log.names.commands)
        return made or settings.partitions or default_partitions(settings)
    finally:
        reader.close()


def _unlike(settings: Settings, names: TopicNames, reader: Reader) -> list[str]:
    """Return a line for each count that is another than the settings ask for. `commands` stands for those that must
    have the same."""
    asked = {names.commands: settings.partitions, names.tasks: settings.task_partitions}
    counts = {topic: reader.partitions(topic) for topic in asked}
    return [
        f"{topic}: has {counts[topic]} partitions, not the {count} asked for; a topic keeps those it was made with"
        for topic, count in asked.items()
        if count is not None and counts[topic] not in (None, count)
    ]


def _run(name: str, make: MakeFromLog, settings: Settings, *, as_json: bool) -> None:
    from processor.apps.journal import log_to_stderr
    from processor.apps.roles import run_role, stopped_by_signals

    log_to_stderr(as_json=as_json)
    address = settings.required_log()
    with stopped_by_signals() as stop:
        _log.info("role_started", extra={"role": name, "pid": os.getpid(), "address": address, "slot": settings.slot})
        run_role(name, lambda: _Opened(make, settings), stop)


def _refuse_migrated(log: Log) -> None:
    from processor.engine.topics_setup import refuse_migrated

    reader = log.reader()
    try:
        refuse_migrated(reader, log.names)
    finally:
        reader.close()


class _Opened:
    """A role together with its log, made and closed with it: a log that could not be reached is opened anew."""

    def __init__(self, make: MakeFromLog, settings: Settings) -> None:
        from processor.apps.logs import open_log

        self._log = open_log(settings)
        try:
            _refuse_migrated(self._log)
            self._role = make(self._log, settings)
        except BaseException:
            self._log.close()
            raise

    def run(self, stop: Callable[[], bool]) -> None:
        self._role.run(stop)

    def close(self) -> None:
        try:
            self._role.close()
        finally:
            self._log.close()
