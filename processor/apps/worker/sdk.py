"""What a worker's author writes against: Worker, its decorator `task`, TaskContext, TaskError."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from processor.apps.worker.routes import routes_of
from processor.errors import InvalidCommand, InvalidSettings
from processor.interpreter.turn import MAX_PAYLOAD_BYTES
from processor.model.commands import HeartbeatTask, SubmitTask
from processor.model.events import TaskScheduled
from processor.model.ids import Millis, is_name
from processor.model.json import Json, json_bytes, private_json
from processor.model.records import Task

DEFAULT_CONCURRENCY: Final = 16

# The arguments are JSON; what an author declares them as, and whether a context is taken, is the author's.
TaskFunction: TypeAlias = "Callable[..., Json | Awaitable[Json]]"
_F = TypeVar("_F", bound=Callable[..., Any])


class TaskError(Exception):
    """Raise it in a task function to fail the task with exactly this error name and cause, for Retry and Catch."""

    def __init__(self, error: str, cause: str | None = None) -> None:
        self.error, self.cause = error, cause
        super().__init__(error, cause)


class TaskContext:
    """What a task function may know and do besides its arguments: its second parameter, if it has one."""

    def __init__(self, task: Task, *, send: Callable[[HeartbeatTask | SubmitTask], None], worker: str) -> None:
        self._task, self._send, self._worker = task, send, worker
        self._cancelled = threading.Event()

    @property
    def token(self) -> str:
        """The same whenever this attempt is run again: use it as idempotency key."""
        return self._task.token

    @property
    def execution_id(self) -> str:
        return self._task.execution_id

    @property
    def state(self) -> str:
        return self._task.state

    @property
    def attempt(self) -> int:
        """How many times Retry has repeated it: 0 at first."""
        return self._task.attempt

    @property
    def timeout_at(self) -> Millis | None:
        """When the task times out, in milliseconds UTC."""
        return self._task.timeout_at

    @property
    def heartbeat_seconds(self) -> int | None:
        """Within how many seconds a heartbeat is due; None where the state asks for none."""
        return self._task.heartbeat_seconds

    @property
    def cancelled(self) -> bool:
        """Whether the result is no longer wanted: timed out, stopped, or given by another. It becomes true while the
        function runs; an async function is cancelled besides."""
        return self._cancelled.is_set()

    def heartbeat(self, detail: Json = None) -> None:
        """Say that the work goes on. Returns at once; the processor records at most three per HeartbeatSeconds.

        Raises InvalidCommand for a detail that is no JSON, or takes over 256 KiB.
        """
        detail = private_json(detail, what="detail")
        if (size := len(json_bytes(detail))) > MAX_PAYLOAD_BYTES:
            raise InvalidCommand(where="detail", rule=f"must take at most {MAX_PAYLOAD_BYTES} bytes", value=size)
        self._send(
            HeartbeatTask(
                execution_id=self.execution_id,
                issuer=self._worker,
                token=self.token,
                worker=self._worker,
                detail=detail,
            )
        )

    def submit(self, page: Json) -> None:
        """Hand over a page of an ItemReader's items, but for the last, which is the function's result. Returns at once;
        pages arrive in order (see `interpreter.item_reader.pages`).

        Raises InvalidCommand for a page that is no JSON.
        """
        output = private_json(page, what="page")
        self._send(SubmitTask(execution_id=self.execution_id, issuer=self._worker, token=self.token, output=output))

    def wait_cancelled(self, timeout_seconds: float) -> bool:
        """Wait until the task is cancelled, at most `timeout_seconds`; return whether it is. For sync functions."""
        return self._cancelled.wait(timeout_seconds)

    def cancel(self) -> None:
        """Called by the runner once the task is resolved."""
        self._cancelled.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A function and how to call it."""

    route: str
    function: TaskFunction
    takes_context: bool
    is_async: bool
    heartbeat: bool

    def __call__(self, arguments: Json, context: TaskContext) -> Json | Awaitable[Json]:
        return self.function(arguments, context) if self.takes_context else self.function(arguments)


class Worker:
    """The task functions of one service. All processes that run the same name share its work."""

    def __init__(self, name: str, *, concurrency: int = DEFAULT_CONCURRENCY) -> None:
        """`concurrency`: how many sync functions, and how many async ones, run at a time in one process.

        Raises InvalidSettings for a name that no consumer group could have.
        """
        if not is_name(name):
            rule = f"must be 1 to 80 letters, digits, dots, dashes or underscores, got {name!r}"
            raise InvalidSettings(setting="Worker.name", rule=rule, example='Worker("orders")')
        if concurrency < 1:
            rule = f"must be at least 1, got {concurrency}"
            raise InvalidSettings(setting="Worker.concurrency", rule=rule, example="concurrency=16")
        self.name, self.concurrency = name, concurrency
        self._registrations: dict[str, Registration] = {}

    def __repr__(self) -> str:
        return f"Worker({self.name!r}, resources={list(self._registrations)})"

    @property
    def registrations(self) -> Mapping[str, Registration]:
        return MappingProxyType(self._registrations)

    def task(self, resource: str, *, heartbeat: bool = False) -> Callable[[_F], _F]:
        """Register the decorated function, sync or async, for `resource` (see `routes` for which names route).

        It is called with the arguments as JSON, and with a TaskContext where it has a second parameter. What it
        returns is the output; what it raises fails the task, under the exception's class name or as TaskError says.
        `heartbeat`: while it runs, heartbeats are sent by themselves, three per HeartbeatSeconds.
        """
        if resource in self._registrations:
            rule = f"already has the function {self._registrations[resource].function!r}"
            raise InvalidSettings(setting=f"task {resource!r}", rule=rule, example="one function for each resource")

        def register(function: _F) -> _F:
            self._registrations[resource] = Registration(
                route=resource,
                function=function,
                takes_context=_takes_context(function),
                is_async=_is_async(function),
                heartbeat=heartbeat,
            )
            return function

        return register

    def registration_for(self, task: Task | TaskScheduled) -> Registration | None:
        """Return the function for `task`; None where it is another service's."""
        return next((r for route in routes_of(task) if (r := self._registrations.get(route)) is not None), None)


def _is_async(function: Callable[..., Any]) -> bool:
    # A callable object's __call__ may be the coroutine function.
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _takes_context(function: Callable[..., Any]) -> bool:
    """Whether there is a second positional parameter, without a default unless it is called `context`."""
    parameters = list(inspect.signature(function).parameters.values())
    if parameters and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
        return True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    return len(positional) > 1 and (positional[1].default is inspect.Parameter.empty or positional[1].name == "context")
