"""Reads what the command line names: definitions, JSON arguments, modules with a Worker."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TextIO

from processor.errors import DecodingFailed, Diagnostic, InvalidCommand, InvalidDefinition, InvalidSettings
from processor.model.json import Json, parse_json, private_json

if TYPE_CHECKING:
    from processor.apps.worker import Worker

YAML_SUFFIXES: Final = (".yaml", ".yml")
_YAML_BOOLEAN: Final = re.compile(r"^(?:true|false)$")
_WORKER_EXAMPLE: Final = "--worker examples/order/workers.py, or --worker orders.tasks:worker"


def load_definition(path: Path, *, stdin: TextIO | None = None) -> Json:
    """Return the definition in a JSON file, or a YAML one by its suffix; `-` is `stdin` where that is given.

    Raises InvalidDefinition, with one diagnostic, for a file that cannot be read or is no JSON or YAML.
    """
    try:
        if stdin is not None and str(path) == "-":
            return parse_json(stdin.read(), what="standard input")
        text = path.read_bytes()
        return _parse_yaml(text) if path.suffix in YAML_SUFFIXES else parse_json(text, what=str(path))
    except OSError as fault:
        raise _unreadable(f"{path} cannot be read: {fault.strerror}") from None
    except (DecodingFailed, InvalidCommand) as fault:
        raise _unreadable(str(fault)) from None


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


def _unreadable(message: str) -> InvalidDefinition:
    return InvalidDefinition([Diagnostic(pointer="", code="UNREADABLE", message=message)])


def _parse_yaml(text: bytes) -> Json:
    import yaml

    class JsonLoader(yaml.SafeLoader):
        """YAML as JSON has it: `Next: Yes` is a text, and so is 2026-01-01."""

    kept = {"tag:yaml.org,2002:null", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
    resolvers: dict[Any, Any] = {
        first: [(tag, pattern) for tag, pattern in entries if tag in kept]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    JsonLoader.yaml_implicit_resolvers = resolvers
    JsonLoader.add_implicit_resolver("tag:yaml.org,2002:bool", _YAML_BOOLEAN, list("tf"))
    try:
        return private_json(yaml.load(text, Loader=JsonLoader), what="YAML")  # a SafeLoader
    except yaml.YAMLError as fault:
        raise DecodingFailed(what="YAML", reason=" ".join(str(fault).split())) from None
