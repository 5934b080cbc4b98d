"""A process that evaluates JSONata where it can be ended: at a second, at 256 MiB, at whatever the engine does.

`ProcessSandbox` is the port's implementation; `jsonata_worker.py` is the process, which calls `serve`. Both speak
lines of JSON over pipes: a task, its answer. Which expressions go here: docs/decisions/0010.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import orjson

from processor.interpreter.jsonata_engine import (
    SANDBOXED,
    TIMEOUT,
    UNDEFINED,
    Engine,
    Panicked,
    Task,
    Undefined,
)
from processor.interpreter.jsonata_functions import MEMORY_LIMIT, Exhausted, Refused
from processor.interpreter.jsonata_syntax import scan
from processor.model.definition import Budget
from processor.model.ids import Millis
from processor.model.json import Json

ANSWER_SECONDS = 0.8  # AWS ends an expression at 1 s
START_SECONDS = 10.0
KEPT_ENGINES = 256
_READY = b"ready\n"


class ProcessSandbox:
    """One process, and a spare one started ahead, so that nothing waits where one had to be ended. For one thread.

    Both are started by the first evaluation: most definitions need none.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._spare: subprocess.Popen[bytes] | None = None
        self._ready = False

    def evaluate(self, task: Task, budget: Budget) -> Json | Undefined:
        """See the port. An expression that ends its process is Exhausted; the next task finds another one."""
        if budget.seconds <= 0:
            raise Exhausted(TIMEOUT)
        line = orjson.dumps([task.text, task.states, task.variables, task.seed.hex(), task.now]) + b"\n"
        process = self._ready_process()
        began = time.monotonic()
        try:
            answer = _asked(process, line, min(ANSWER_SECONDS, budget.seconds))
        except TimeoutError:
            self._replace()
            raise Exhausted(TIMEOUT) from None
        except (BrokenPipeError, EOFError):  # without memory the engine aborts
            self._replace()
            raise Exhausted(MEMORY_LIMIT) from None
        finally:
            budget.seconds -= time.monotonic() - began
        return _answered(answer)

    def close(self) -> None:
        for process in (self._process, self._spare):
            if process is not None:
                _end(process)

    def _ready_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process, self._spare = _start(), _start()
        if not self._ready:
            _line_of(self._process, START_SECONDS)
            self._ready = True
        return self._process

    def _replace(self) -> None:
        assert self._process is not None
        _end(self._process)
        self._process, self._spare, self._ready = self._spare, _start(), False


def _asked(process: subprocess.Popen[bytes], line: bytes, seconds: float) -> bytes:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()
    return _line_of(process, seconds)


def _line_of(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """Return one line. Raises TimeoutError, and EOFError for a process that has ended."""
    assert process.stdout is not None
    deadline = time.monotonic() + seconds
    received = bytearray()
    while not received.endswith(b"\n"):
        if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError
        part = os.read(process.stdout.fileno(), 65_536)
        if not part:
            raise EOFError
        received += part
    return bytes(received)


def _start() -> subprocess.Popen[bytes]:
    # By its path: -m would import the package, and the engine with it, before the limit of memory stands. -P: its
    # folder is no place to import from.
    command = [sys.executable, "-P", str(Path(__file__).with_name("jsonata_worker.py"))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def _answered(answer: bytes) -> Json | Undefined:
    match orjson.loads(answer):
        case ["value", value]:
            made: Json = value
            return made
        case ["exhausted", str(message)]:
            raise Exhausted(message)
        case ["refused", code, message]:
            raise Refused(code, message)
        case ["panicked"]:
            raise Panicked
        case _:
            return UNDEFINED


# ---- the process itself


def serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    """Answer each task until there are no more."""
    engines: dict[str, Engine] = {}
    answers.write(_READY)
    answers.flush()
    for line in tasks:
        text, states, variables, seed, now = orjson.loads(line)
        if text not in engines:
            if len(engines) == KEPT_ENGINES:
                engines.clear()
            engines[text] = Engine(text, scan(text))
        task = Task(text=text, states=states, variables=variables, seed=bytes.fromhex(seed), now=Millis(now))
        answers.write(_answer_of(engines[text], task) + b"\n")
        answers.flush()


def _answer_of(engine: Engine, task: Task) -> bytes:
    try:
        value = engine.evaluate(task.states, task.variables, seed=task.seed, now=task.now, clock=SANDBOXED)
        return orjson.dumps(["undefined"] if isinstance(value, Undefined) else ["value", value])
    except Panicked:
        return orjson.dumps(["panicked"])
    except Exhausted as limit:
        return orjson.dumps(["exhausted", limit.message])
    except Refused as refusal:
        return orjson.dumps(["refused", refusal.code, refusal.message])
    except (MemoryError, orjson.JSONEncodeError):  # a value nested deeper than can be written is none of a state's
        return orjson.dumps(["exhausted", MEMORY_LIMIT])
