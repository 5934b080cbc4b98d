"""A process that evaluates JSONata where it can be ended: at 0.7 s, at 256 MiB, at whatever the engine does.

`ProcessSandbox` is the port's implementation; `jsonata_worker.py` is the process, which calls `serve`. Both speak
lines over pipes: a task in JSON, its answer in JSON after a character that says which. Which expressions go here:
docs/decisions/0010.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import orjson

from processor.errors import SandboxUnavailable
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

STALL_SECONDS = 10.0  # for a process that answers nothing though it has not used its time: it starts, or is stopped
PAUSE_SECONDS = 1.0  # after a process that did not come up, so that whoever tries again does not do so for ever
KEPT_ENGINES = 256
_READY = b"ready\n"
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


class _Gone(Exception):
    """The process has ended. `returncode` as Popen's."""

    def __init__(self, returncode: int) -> None:
        super().__init__(returncode)
        self.returncode = returncode


class _Spent(Exception):
    """The process has used all the time it may."""


class ProcessSandbox:
    """One process, and a spare one started ahead, so that nothing waits where one had to be ended. For one thread.

    Both are started by the first evaluation, which takes it 0.1 s: most definitions need none.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._spare: subprocess.Popen[bytes] | None = None
        self._ready = False

    def evaluate(self, task: Task, budget: Budget) -> Json | Undefined:
        """See the port. An expression that ends its process is Exhausted; the next task finds another one. A process
        that was ended from outside says nothing: another one is asked."""
        try:
            return self._evaluated(task, budget)
        except _Gone:
            self._replace()
        try:
            return self._evaluated(task, budget)
        except _Gone as gone:
            self._replace()
            raise SandboxUnavailable(reason=f"twice one was ended from outside, by signal {-gone.returncode}") from None

    def timed(self, evaluate: Callable[[], Json | Undefined], budget: Budget) -> Json | Undefined:
        """See the port. All seconds are those of a processor: what else the machine does is not charged."""
        if budget.seconds <= 0:
            raise Exhausted(TIMEOUT)
        began = time.thread_time()
        try:
            return evaluate()
        finally:
            budget.seconds -= time.thread_time() - began

    def close(self) -> None:
        for process in (self._process, self._spare):
            if process is not None:
                _end(process)

    def _evaluated(self, task: Task, budget: Budget) -> Json | Undefined:
        """Raises _Gone where the process was ended from outside."""
        if budget.seconds <= 0:
            raise Exhausted(TIMEOUT)
        process = self._ready_process()
        here, there, spent = time.thread_time(), _used(process), budget.seconds
        try:
            answer = _asked(process, _line(task, budget), until=there + budget.seconds)
            spent = _used(process) - there
            return _answered(answer, budget)
        except _Spent:
            self._replace()
            raise Exhausted(TIMEOUT) from None
        except TimeoutError:
            self._replace()
            raise SandboxUnavailable(reason=f"one gave no answer for {STALL_SECONDS} s, and did nothing") from None
        except (BrokenPipeError, EOFError):
            spent = _used(process) - there
            if (returncode := process.wait()) in _FROM_OUTSIDE:
                raise _Gone(returncode) from None
            self._replace()
            raise Exhausted(MEMORY_LIMIT) from None  # without memory the engine aborts
        finally:
            budget.seconds -= spent + time.thread_time() - here

    def _ready_process(self) -> subprocess.Popen[bytes]:
        """Return a process that takes tasks. Raises SandboxUnavailable; whoever asks again, another one is started."""
        if self._process is not None and self._ready and self._process.poll() is not None:
            self._replace()  # it ended while nobody asked it anything
        if self._process is None:
            self._process = _start()
        if not self._ready:
            try:
                _line_of(self._process, until=math.inf)
            except (TimeoutError, EOFError) as fault:
                self._replace()
                time.sleep(PAUSE_SECONDS)
                what = "ended as it started" if isinstance(fault, EOFError) else f"took over {STALL_SECONDS} s to start"
                raise SandboxUnavailable(reason=what) from None
            self._ready = True
        if self._spare is None:
            self._spare = _start()
        return self._process

    def _replace(self) -> None:
        assert self._process is not None
        _end(self._process)
        self._process, self._spare, self._ready = self._spare, None, False


def _line(task: Task, budget: Budget) -> bytes:
    read: list[object] = [task.text, task.states, task.variables, task.seed.hex(), task.now, budget.result_bytes]
    try:
        return orjson.dumps(read) + b"\n"
    except orjson.JSONEncodeError:
        # It writes 254 levels, which a payload may have by itself, and reads 1,024.
        return json.dumps(read, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _used(process: subprocess.Popen[bytes]) -> float:
    """Return the seconds that the process has used of a processor; it may have ended, but not been waited for. Where
    that is not told: the time."""
    try:
        return time.clock_gettime(~process.pid << 3 | 2)  # as clock_getcpuclockid(3) makes the number on Linux
    except OSError:
        return time.monotonic()


def _asked(process: subprocess.Popen[bytes], line: bytes, *, until: float) -> bytes:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()
    return _line_of(process, until=until)


def _line_of(process: subprocess.Popen[bytes], *, until: float) -> bytes:
    """Return one line. Raises _Spent where the process has used so many seconds, however long that takes;
    TimeoutError for one that uses none for STALL_SECONDS; EOFError for one that has ended."""
    assert process.stdout is not None
    seen, deadline = 0.0, 0.0
    received = bytearray()
    while not received.endswith(b"\n"):
        used, now = _used(process), time.monotonic()
        if used >= until:
            raise _Spent
        if used > seen:
            seen, deadline = used, now + STALL_SECONDS
        if now >= deadline:
            raise TimeoutError
        if select.select([process.stdout], [], [], min(max(until - used, 0.001), deadline - now))[0]:
            part = os.read(process.stdout.fileno(), 65_536)
            if not part:
                raise EOFError
            received += part
    return bytes(received)


def _start() -> subprocess.Popen[bytes]:
    # By its path: -m would import the package, and the engine with it, before the limit of memory stands. -P: its
    # folder is no place to import from.
    command = [sys.executable, "-P", str(Path(__file__).with_name("jsonata_worker.py"))]
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError as fault:
        raise SandboxUnavailable(reason=str(fault)) from None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def _answered(answer: bytes, budget: Budget) -> Json | Undefined:
    kind, text = answer[:1], answer[1:-1]
    match kind:
        case b"=":
            made: Json = orjson.loads(text)
            budget.result_bytes -= len(text)
            return made
        case b"-":
            return UNDEFINED
        case b"!":
            raise Exhausted(orjson.loads(text))
        case b"?":
            raise Refused(*orjson.loads(text))
        case _:
            raise Panicked


# ---- the process itself


def serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    """Answer each task until there are no more."""
    engines: dict[str, Engine] = {}
    answers.write(_READY)
    answers.flush()
    for line in tasks:
        text, states, variables, seed, now, result_bytes = orjson.loads(line)
        if text not in engines:
            if len(engines) == KEPT_ENGINES:
                engines.clear()
            engines[text] = Engine(text, scan(text))
        task = Task(text=text, states=states, variables=variables, seed=bytes.fromhex(seed), now=Millis(now))
        budget = Budget()
        budget.result_bytes = result_bytes
        answers.write(_answer_of(engines[text], task, budget) + b"\n")
        answers.flush()


def _answer_of(engine: Engine, task: Task, budget: Budget) -> bytes:
    """The first byte tells what it is, so that a value is as deep here as it is."""
    try:
        value = engine.evaluate(
            task.states, task.variables, seed=task.seed, now=task.now, limits=SANDBOXED, budget=budget
        )
        return b"-" if isinstance(value, Undefined) else b"=" + orjson.dumps(value)
    except Panicked:
        return b"#"
    except Exhausted as limit:
        return b"!" + orjson.dumps(limit.message)
    except Refused as refusal:
        return b"?" + orjson.dumps([refusal.code, refusal.message])
    except MemoryError:
        return b"!" + orjson.dumps(MEMORY_LIMIT)
