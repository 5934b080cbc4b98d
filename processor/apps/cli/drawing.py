"""`asl graph`, and where a drawing goes: a format by name or by a file's suffix, to a file or the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, assert_never, get_args

import typer

from processor.apps.cli.options import (
    JsonOption,
    LogOption,
    PrefixOption,
    SettingsOption,
    TypeOption,
    machine_type,
    opened_reader,
)
from processor.apps.cli.terminal import Terminal, console
from processor.errors import InvalidSettings

if TYPE_CHECKING:
    from processor.apps.render.graph import Scope
    from processor.apps.render.graph_visits import Visits
    from processor.engine.ports import Log, Reader
    from processor.model.definition import Workflow
    from processor.model.events import AnyEvent, MachineType

Format: TypeAlias = Literal["text", "svg", "mermaid", "dot", "json"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_SUFFIXES: Final[dict[str, Format]] = {
    ".txt": "text",
    ".svg": "svg",
    ".mmd": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".json": "json",
}


def graph(  # noqa: PLR0913, PLR0917 # each argument is an option of the command line
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A definition; without one, that of --execution, from the log."),
    ] = None,
    format: Annotated[
        str | None, typer.Option("--format", help=f"{', '.join(FORMATS)}; else by --output's suffix, else text.")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Else standard output.")] = None,
    execution: Annotated[
        str | None, typer.Option("--execution", metavar="ID", help="Show what this execution came to in each state.")
    ] = None,
    type: TypeOption = "STANDARD",
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Draw a definition: its states, where each may lead, what an execution came to in each."""
    from processor.apps.render.graph import graph_of
    from processor.apps.render.graph_visits import visits_of

    terminal, chosen_type = Terminal(as_json=json), machine_type(type)
    chosen, place = _format(format, output=output, as_json=json), output or "-"
    given = None if file is None else _load(terminal, file, type=chosen_type)
    if execution is None:
        if given is None:
            raise InvalidSettings(setting="FILE", rule="names no definition", example="asl graph order.asl.json")
        write(terminal, graph_of(given), format=chosen, place=place, title=str(file))
        return
    with opened_reader(log=log, settings_file=settings, prefix=prefix) as (opened, reader):
        events = _events(terminal, opened, reader, execution)
        state_machine, revision = _ran(events)
        ran = given or _deployed(opened, reader, state_machine, revision)
    if ran.revision != revision:  # states that the file does not have are not drawn
        terminal.say(f"asl: the file is revision {ran.revision}, the execution ran {revision}")
    write(terminal, graph_of(ran), visits=visits_of(events), format=chosen, place=place, title=execution)


def check_place(place: str | None, *, option: str) -> None:
    """Raise InvalidSettings where the suffix of a file's name names no format; before anything is run for it."""
    if place is not None and place != "-":
        format_of(place, option=option)


def format_of(place: str, *, option: str) -> Format:
    suffix = Path(place).suffix.lower()
    if suffix not in _SUFFIXES:
        rule = f"must end in one of {', '.join(_SUFFIXES)}, got {place!r}"
        raise InvalidSettings(setting=option, rule=rule, example=f"{option} order.svg")
    return _SUFFIXES[suffix]


def draw(terminal: Terminal, drawn: Scope, *, visits: Visits, title: str, place: str) -> None:
    """Draw what was run into the file `place`, in the format of its suffix; `-`: on standard error, as text."""
    if place == "-":
        from processor.apps.render.graph_text import text_tree

        console(stderr=True).print(text_tree(drawn, visits=visits, title=title))
        return
    write(terminal, drawn, visits=visits, format=format_of(place, option="--graph"), place=place, title=title)
    terminal.say(f"asl: drawn in {place}")


def write(
    terminal: Terminal, drawn: Scope, *, visits: Visits | None = None, format: Format, place: str, title: str
) -> None:
    """Write the graph to the file `place`, to standard output where that is `-`."""
    if place == "-" and format == "text":
        from processor.apps.render.graph_text import text_tree

        console().print(text_tree(drawn, visits=visits, title=title))
        return
    content = _rendered(drawn, visits, format=format, title=title)
    if place == "-":
        typer.echo(content, nl=False)
        return
    try:
        Path(place).write_bytes(content)
    except OSError as fault:
        rule = f"cannot be written: {fault.strerror}"
        raise InvalidSettings(setting=place, rule=rule, example="-o order.svg") from None


def _rendered(drawn: Scope, visits: Visits | None, *, format: Format, title: str) -> bytes:
    match format:
        case "svg":
            from processor.apps.render.graph_svg import svg

            return svg(drawn, visits=visits, title=title)
        case "dot":
            from processor.apps.render.graph_dot import dot

            return dot(drawn, visits=visits, title=title).encode()
        case "mermaid":
            from processor.apps.render.graph_mermaid import mermaid

            return mermaid(drawn, visits=visits).encode()
        case "json":
            from processor.apps.render.graph_json import graph_json
            from processor.model.json import json_bytes

            return json_bytes(graph_json(drawn, visits=visits)) + b"\n"
        case "text":
            from processor.apps.render.graph_text import render_text

            return render_text(drawn, visits=visits, title=title).encode()
        case _:
            assert_never(format)


def _format(asked: str | None, *, output: str | None, as_json: bool) -> Format:
    if asked is not None:
        found = next((known for known in FORMATS if known == asked.lower()), None)
        if found is None:
            rule = f"must be one of {', '.join(FORMATS)}, got {asked!r}"
            raise InvalidSettings(setting="--format", rule=rule, example="--format svg")
        return found
    if output is not None and output != "-":
        return format_of(output, option="--output")
    return "json" if as_json else "text"


# ---- an execution on a log


def _events(terminal: Terminal, opened: Log, reader: Reader, execution_id: str) -> list[AnyEvent]:
    from processor.apps.executions import History

    past = History(reader, opened.names, execution_id)
    with terminal.progress("reading events", total=past.end()) as progress:
        events = [event for batch in past.read(seen=progress) for event in batch]
    if not events:
        message = f"{opened.address} holds no execution {execution_id}; asl list shows those there are"
        raise terminal.refusal("UnknownExecution", message)
    return events


def _ran(events: list[AnyEvent]) -> tuple[str, str]:
    """Return the state machine and the revision that the execution runs on now: the one it was last redriven on."""
    from processor.errors import DecodingFailed
    from processor.model.events import ExecutionRedriven, ExecutionStarted

    first = events[0]
    if not isinstance(first, ExecutionStarted):
        reason = f"begins with {type(first).__name__}: retention has taken what came before"
        raise DecodingFailed(what=f"the history of {first.execution_id}", reason=reason)
    redriven = [event.revision for event in events if isinstance(event, ExecutionRedriven) and event.revision]
    return first.state_machine, [first.revision, *redriven][-1]


def _deployed(opened: Log, reader: Reader, state_machine: str, revision: str) -> Workflow:
    from processor.engine.definitions import Definitions

    workflow = Definitions(reader, opened.names).workflow(state_machine, revision)
    if workflow is None:
        rule = f"revision {revision} of {state_machine} is not in {opened.names.definitions}"
        raise InvalidSettings(setting="FILE", rule=rule, example="asl graph order.asl.json --execution ID")
    return workflow


def _load(terminal: Terminal, file: Path, *, type: MachineType) -> Workflow:
    from processor.apps.loading import load_definition
    from processor.interpreter.parse import parse

    with terminal.faults_of(file):
        return parse(load_definition(file, stdin=sys.stdin), type=type)
