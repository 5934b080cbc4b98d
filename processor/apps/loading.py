"""Reads what the command line names: definitions, JSON arguments, modules with a Worker."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TextIO

from processor.apps.yaml_text import DuplicateField, YamlFault, parse_yaml
from processor.errors import Code, DecodingFailed, Diagnostic, InvalidDefinition, InvalidSettings
from processor.interpreter.validation.json_text import JsonFault, Place, places_in, read_json
from processor.interpreter.validation.reading import check_length, json_diagnostic
from processor.model.json import Json, parse_json

if TYPE_CHECKING:
    from processor.apps.worker import Worker

YAML_SUFFIXES: Final = (".yaml", ".yml")
_WORKER_EXAMPLE: Final = "--worker examples/order/workers.py, or --worker orders.tasks:worker"


@dataclass(frozen=True, slots=True)
class Source:
    """A definition that was read; `places` gives where those parts of it stand in its file whose JSON
    pointers are asked for."""

    value: Json
    places: Callable[[Iterable[str]], Mapping[str, Place]]

    def located(self, diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
        """Return the diagnostics with the lines and columns of their places."""
        places = self.places({each.place for each in diagnostics}) if diagnostics else {}
        return tuple(
            replace(each, line=place.line, column=place.column) if (place := places.get(each.place)) else each
            for each in diagnostics
        )


def load_definition(path: Path, *, stdin: TextIO | None = None) -> Json:
    """Return the definition in a file, as `read_source` reads it."""
    return read_source(path, stdin=stdin).value


def read_source(path: Path, *, stdin: TextIO | None = None, any_length: bool = False) -> Source:
    """Return the definition in a JSON file, or a YAML one by its suffix; `-` is `stdin` where that is given, YAML where
    it does not begin as an object of JSON does.

    Raises InvalidDefinition, with one diagnostic, for a file that cannot be read, is no JSON or YAML, gives a field
    twice, or is longer than AWS takes a definition, unless `any_length`: what is read is none.
    """
    try:
        piped = stdin is not None and str(path) == "-"
        text = stdin.read() if stdin is not None and piped else path.read_bytes().decode()
    except OSError as fault:
        raise _unreadable(f"{path} cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError as fault:
        raise _unreadable(f"{path} cannot be read: no UTF-8 at byte {fault.start}") from None
    # An empty text is one without content, as an empty JSON file is.
    is_yaml = text.strip() != "" and not text.lstrip().startswith("{") if piped else path.suffix in YAML_SUFFIXES
    try:
        if is_yaml:
            value, places = parse_yaml(text)
            return Source(value, lambda wanted: places)
        if not any_length:
            check_length(text)
        return Source(read_json(text), lambda wanted: places_in(text, wanted))
    except JsonFault as fault:
        raise InvalidDefinition([json_diagnostic(fault)]) from None
    except YamlFault as fault:
        # As of a JSON file.
        code: Code = "INVALID_JSON_DESCRIPTION" if isinstance(fault, DuplicateField) else "UNREADABLE"
        raise _unreadable(f"YAML does not decode: {fault.reason}", code=code, place=fault.place) from None


def machine_name(path: Path) -> str:
    """Return the state machine's name that a file's name suggests: order.asl.json is `order`."""
    return path.name.partition(".")[0]


def load_json(text: str, *, option: str, stdin: TextIO) -> Json:
    """Return the value of a JSON argument: the text itself, `@FILE`, or `-` for standard input.

    Raises InvalidSettings, naming the option, for what is none of these.
    """
    example = f"""{option} '{{"user": "a@example.com"}}', {option} @input.json, or {option} - for standard input"""
    try:
        if text == "-":
            return parse_json(stdin.read())
        return parse_json(Path(text[1:]).read_bytes() if text.startswith("@") else text)
    except OSError as fault:
        raise InvalidSettings(setting=option, rule=f"cannot be read: {fault}", example=example) from None
    except DecodingFailed as fault:
        raise InvalidSettings(setting=option, rule=str(fault), example=example) from None


def load_workers(places: Iterable[str], *, s3: Path | None) -> list[Worker]:
    """Return the workers of the places, and one that reads and writes below the folder `s3`.

    Raises InvalidSettings as load_worker does, and where `s3` is no folder.
    """
    workers = [load_worker(place) for place in places]
    if s3 is not None:
        from processor.adapters.directory import DirectoryObjects
        from processor.apps.worker.s3 import s3_worker

        if not s3.is_dir():
            raise InvalidSettings(setting="--s3", rule=f"must be a folder, got {s3}", example="--s3 ./buckets")
        workers.append(s3_worker(DirectoryObjects(s3)))
    return workers


def load_worker(place: str) -> Worker:
    """Return the Worker of a module or a Python file, `MODULE[:ATTRIBUTE]`; without an attribute it has just one.

    Raises InvalidSettings where there is none, or more than one, and where the module cannot be loaded.
    """
    from processor.apps.worker import Worker

    source, _, attribute = place.partition(":")
    module = _load_module(source)
    if attribute:
        found: object = getattr(module, attribute, None)
        if isinstance(found, Worker):
            return found
        raise _no_worker(f"{source} has no Worker called {attribute}")
    workers = {name: value for name, value in vars(module).items() if isinstance(value, Worker)}
    if len({id(worker) for worker in workers.values()}) == 1:
        return next(iter(workers.values()))
    choice = ", ".join(f"{source}:{name}" for name in workers)
    raise _no_worker(f"{source} has more than one Worker: {choice}" if workers else f"{source} has no Worker")


def _load_module(source: str) -> ModuleType:
    if source.endswith(".py"):
        path = Path(source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise _no_worker(f"{source} is no file")
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)
        try:
            spec.loader.exec_module(module)
        except Exception as fault:  # whatever an author's module raises
            raise _broken(source, fault) from fault
        return module
    if not source:
        raise _no_worker("'' names no module")
    # A console script's path holds its own folder, not the one it is called in.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(source)
    except ModuleNotFoundError as fault:
        if fault.name is not None and (source == fault.name or source.startswith(fault.name + ".")):
            raise _no_worker(f"there is no module {fault.name}") from None
        raise _broken(source, fault) from fault
    except Exception as fault:
        raise _broken(source, fault) from fault


def _broken(source: str, fault: Exception) -> InvalidSettings:
    where = ""
    if not isinstance(fault, SyntaxError):  # that one names its line itself
        last = traceback.extract_tb(fault.__traceback__)[-1]
        where = f" ({Path(last.filename).name}, line {last.lineno})"
    return _no_worker(f"{source} cannot be loaded: {type(fault).__name__}: {' '.join(str(fault).split())}{where}")


def _no_worker(rule: str) -> InvalidSettings:
    return InvalidSettings(setting="worker", rule=rule, example=_WORKER_EXAMPLE)


def _unreadable(message: str, *, code: Code = "UNREADABLE", place: Place | None = None) -> InvalidDefinition:
    line, column = (None, None) if place is None else (place.line, place.column)
    return InvalidDefinition([Diagnostic(pointer="", code=code, message=message, line=line, column=column)])
