"""Carrying the topics over to another prefix."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from processor.apps.cli.options import (
    JsonOption,
    LogOption,
    PrefixOption,
    ReplicationFactorOption,
    SettingsOption,
    opened_log,
)
from processor.apps.cli.terminal import Terminal

if TYPE_CHECKING:
    from processor.engine.carrying import Moved

_LOOK_EVERY_SECONDS: Final = 0.5
_REST_WITHIN_SECONDS: Final = 40.0
"""A processor that was stopped is a member until its session ends, and its open transaction until that times out."""


def migrate_topics(
    to: Annotated[str, typer.Option("--to", metavar="PREFIX", help="Of the new topics and groups.")],
    partitions: Annotated[
        int | None, typer.Option("--partitions", help="Of the new topics; else as many as there are.")
    ] = None,
    task_partitions: Annotated[
        int | None, typer.Option("--task-partitions", help="Of the new tasks topic; as many as the others.")
    ] = None,
    replication_factor: ReplicationFactorOption = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Carry everything over to topics of another prefix, with another number of partitions, while every role is
    stopped. One that did not come to its end is run again, and goes on."""
    from processor.adapters.clock import SystemClock
    from processor.apps.settings import load_settings
    from processor.engine.migration import migrate
    from processor.engine.topics_setup import verify_counts

    source = load_settings(file=settings, log=log, prefix=prefix)
    target = load_settings(
        file=settings,
        log=log,
        prefix=to,
        partitions=partitions,
        task_partitions=task_partitions,
        replication_factor=replication_factor,
    )
    terminal = Terminal(as_json=json)
    waiting: list[bool] = []
    deadline = time.monotonic() + _REST_WITHIN_SECONDS

    def wait(busy: Sequence[str]) -> bool:
        if not waiting:
            terminal.say(f"asl: waits {_REST_WITHIN_SECONDS:.0f} s for: {'; '.join(busy)}")
            waiting.append(True)
        time.sleep(_LOOK_EVERY_SECONDS)
        return time.monotonic() < deadline

    def tell(moved: Moved) -> None:
        if json:
            terminal.result({"topic": moved.topic, "written": moved.written, "live": moved.live})
        else:
            held = f"it holds the source's {moved.live:,}, verified"
            typer.echo(f"{moved.topic}: {moved.written:,} records written; {held}")

    with opened_log(source, missing="REFUSE") as opened, opened_log(target, missing="MAKE_FILE") as new:
        reader = opened.reader()
        try:
            count = partitions or verify_counts(reader, opened.names)
        finally:
            reader.close()
        migrate(
            opened,
            new,
            partitions=count,
            task_partitions=task_partitions,
            retention=target.retention,
            clock=SystemClock(),
            wait=wait,
            told=tell,
        )
    terminal.say(f"asl: go on with --prefix {to}; the topics of {source.prefix} are left as they are, and closed")
