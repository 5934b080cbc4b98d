"""Mending what went wrong: redrive, quarantine, dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from processor.apps.cli.executions import WaitOption, send
from processor.apps.cli.options import (
    ExecutionArgument,
    JsonOption,
    LogOption,
    PrefixOption,
    SettingsOption,
    opened_reader,
)
from processor.apps.cli.terminal import Terminal
from processor.errors import InvalidSettings

if TYPE_CHECKING:
    from processor.apps.recovery import DeadLetter

quarantine = typer.Typer(no_args_is_help=True, help="Executions that were stopped because deciding them failed.")
dead_letters = typer.Typer(no_args_is_help=True, help="Records that could not be read as commands.")


def redrive(
    execution_id: ExecutionArgument,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Of the definition to go on with; else that it ran on.")
    ] = None,
    wait: WaitOption = False,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Let a failed, timed-out or aborted execution go on from where it failed; what succeeded is not done again."""
    from processor.model.commands import RedriveExecution
    from processor.model.ids import parse_execution_id

    parse_execution_id(execution_id)
    command = RedriveExecution(execution_id=execution_id, revision=revision)
    send(command, wait=wait, log=log, prefix=prefix, settings=settings, json=json)


@quarantine.command("list")
def list_quarantined(
    log: LogOption = None, prefix: PrefixOption = None, settings: SettingsOption = None, json: JsonOption = False
) -> None:
    """Print the executions in quarantine, and why. Reads all events."""
    from processor.apps.recovery import quarantined
    from processor.apps.render.values import render_time

    terminal = Terminal(as_json=json)
    with opened_reader(log=log, settings_file=settings, prefix=prefix) as (opened, reader):
        found = quarantined(reader, opened.names)
    for one in found:
        if json:
            terminal.result(
                {"execution_id": one.execution_id, "since": one.since, "sequence": one.sequence, "reason": one.reason}
            )
        else:
            typer.echo(f"{one.execution_id}  {render_time(one.since)}  {one.reason}")
    if not found:
        terminal.say("asl: no execution is in quarantine")


@quarantine.command("release")
def release(
    execution_id: ExecutionArgument,
    wait: WaitOption = False,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Let an execution go on that is in quarantine, once its cause is mended."""
    from processor.model.commands import ReleaseExecution
    from processor.model.ids import parse_execution_id

    parse_execution_id(execution_id)
    send(ReleaseExecution(execution_id=execution_id), wait=wait, log=log, prefix=prefix, settings=settings, json=json)


@dead_letters.command("list")
def list_dead_letters(
    log: LogOption = None, prefix: PrefixOption = None, settings: SettingsOption = None, json: JsonOption = False
) -> None:
    """Print the dead letters: where each lies and came from, why it could not be read, when it was replayed."""
    from processor.apps.recovery import dead_letters as letters

    terminal = Terminal(as_json=json)
    count = 0
    with opened_reader(log=log, settings_file=settings, prefix=prefix) as (opened, reader):
        for letter in letters(reader, opened.names):
            count += 1
            _print_letter(letter, terminal)
    if not count:
        terminal.say("asl: no dead letter")


@dead_letters.command("replay")
def replay_dead_letters(
    places: Annotated[
        list[str] | None, typer.Argument(metavar="PARTITION@OFFSET…", help="As list prints them; else --all.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were not replayed yet.")] = False,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Send dead letters to the commands again, as they came: after an upgrade that can read them. Those that were
    replayed before, as list tells, are sent once more only where they are named."""
    from processor.apps.recovery import dead_letters as letters
    from processor.apps.recovery import replay
    from processor.engine.topics_setup import refuse_migrated

    if bool(places) == everything:
        raise InvalidSettings(setting="PARTITION@OFFSET", rule="must be given, or --all", example="0@12")
    terminal = Terminal(as_json=json)
    with opened_reader(log=log, settings_file=settings, prefix=prefix) as (opened, reader):
        names = opened.names
        refuse_migrated(reader, names)
        wanted = set(places or ())
        outbox = opened.atomic_outbox("dead-letters")
        try:
            outbox.send(())  # a replay that is still under way is shut out, before what it wrote is read
            found = [
                one for one in letters(reader, names) if (one.replayed is None if everything else _place(one) in wanted)
            ]
            if missing := wanted - {_place(one) for one in found}:
                rule, example = "is no dead letter's place", "0@12, as asl dead-letters list"
                raise InvalidSettings(setting=sorted(missing)[0], rule=rule, example=example)
            replay(outbox, [one for one in found if one.whole], names)
        finally:
            outbox.close()
    for one in found:
        if one.whole:
            _print_letter(one, terminal)
        else:
            terminal.say(f"asl: {_place(one)} was too large to be kept whole, and is not sent")
    terminal.say(f"asl: sent to the commands again: {sum(one.whole for one in found)}")


def _place(letter: DeadLetter) -> str:
    return f"{letter.partition}@{letter.offset}"


def _print_letter(letter: DeadLetter, terminal: Terminal) -> None:
    from processor.apps.render.values import render_time

    key = None if letter.key is None else letter.key.decode(errors="replace")
    if terminal.as_json:
        terminal.result(
            {
                "place": _place(letter),
                "time": letter.time,
                "origin": letter.origin,
                "key": key,
                "bytes": len(letter.value or b""),
                "whole": letter.whole,
                "replayed": letter.replayed,
                "reason": letter.reason,
            }
        )
    else:
        again = "" if letter.replayed is None else f"  replayed {render_time(letter.replayed)}"
        told = f"{_place(letter)}  {render_time(letter.time)}  from {letter.origin}  key {key}{again}"
        typer.echo(f"{told}  {letter.reason}")
