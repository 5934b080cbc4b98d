"""Runs task functions: sync ones on daemon threads, async ones on one event loop, a bounded number at a time."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, cast

from processor.apps.worker.results import command_for_exception, command_for_result
from processor.apps.worker.routes import arguments_for
from processor.apps.worker.sdk import Registration, TaskContext
from processor.model.commands import CompleteTask, FailTask, SubmitTask
from processor.model.json import Json
from processor.model.records import Task

_LOOP_END_SECONDS: Final = 5.0  # for async functions that refuse to be cancelled

Result: TypeAlias = CompleteTask | SubmitTask | FailTask


class Run:
    """One call of a function for one token. `command` is its result, None as long as there is none."""

    def __init__(self, task: Task, registration: Registration, context: TaskContext, *, issuer: str) -> None:
        self.task, self.registration, self.context = task, registration, context
        self.started = False
        self._issuer = issuer
        self._cancel: Callable[[], object] | None = None

    def cancel(self) -> None:
        """Nobody wants the result any more: one that waits never starts, an async one is cancelled."""
        self.context.cancel()
        if self._cancel is not None:
            self._cancel()

    def call(self) -> Result:
        """Run a sync function. Everything it raises is the task's failure."""
        self.started = True
        try:
            return self._returned(self.registration(self._arguments(), self.context))
        except BaseException as raised:  # SystemExit too: a function cannot end its worker
            return self._failed(raised)

    async def call_async(self) -> Result:
        self.started = True
        try:
            return self._returned(await cast("Awaitable[Json]", self.registration(self._arguments(), self.context)))
        except asyncio.CancelledError:
            if self.context.cancelled:
                raise
            return self._failed(RuntimeError("the function cancelled itself"))
        except BaseException as raised:  # SystemExit would end the loop, and with it all other functions
            return self._failed(raised)

    def cancelled_by(self, cancel: Callable[[], object]) -> None:
        self._cancel = cancel

    def _arguments(self) -> Json:
        return arguments_for(self.task, self.registration.route)

    def _returned(self, result: object) -> Result:
        return command_for_result(self.task, route=self.registration.route, result=result, issuer=self._issuer)

    def _failed(self, raised: BaseException) -> Result:
        return command_for_exception(self.task, raised=raised, issuer=self._issuer)


Finished: TypeAlias = Callable[[Run, Result | None], None]
"""Called once per run, on the thread that ran it: its result, or None where it was cancelled."""


class Executor:
    """At most `concurrency` sync functions and as many async ones run at a time; the rest waits in order."""

    def __init__(self, *, concurrency: int, finished: Finished, name: str) -> None:
        self._concurrency, self._finished, self._name = concurrency, finished, name
        self._waiting: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots: Final = asyncio.Semaphore(concurrency)
        self._loop_thread: threading.Thread | None = None
        self._async_runs: dict[asyncio.Task[None], Run] = {}

    def start(self, run: Run) -> None:
        """Run it as soon as there is room. Called from one thread only."""
        if run.registration.is_async:
            asyncio.run_coroutine_threadsafe(self._begin(run), self._running_loop())
            return
        self._waiting.put(run)
        if len(self._threads) < self._concurrency:
            # Daemons: a function that never returns must not keep a stopped worker alive past its grace.
            thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Start nothing more. What still runs is abandoned: async functions are cancelled, threads left behind."""
        for _ in self._threads:
            self._waiting.put(None)
        if self._loop is not None and self._loop_thread is not None:
            asyncio.run_coroutine_threadsafe(self._end_runs(), self._loop)
            self._loop_thread.join(timeout=_LOOP_END_SECONDS)

    def _work(self) -> None:
        while (run := self._waiting.get()) is not None:
            self._finished(run, None if run.context.cancelled else run.call())

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            arguments = (self._loop,)
            self._loop_thread = threading.Thread(
                target=_run_loop, args=arguments, name=f"{self._name}-async", daemon=True
            )
            self._loop_thread.start()
        return self._loop

    async def _begin(self, run: Run) -> None:
        """On the loop: the task is known to `cancel` before it waits for its turn."""
        task = asyncio.ensure_future(self._run_async(run))
        self._async_runs[task] = run
        task.add_done_callback(lambda done: self._async_runs.pop(done, None))
        loop = asyncio.get_running_loop()
        run.cancelled_by(lambda: loop.call_soon_threadsafe(task.cancel))
        if run.context.cancelled:  # cancelled between start and here
            _cancel_begun(task)

    async def _run_async(self, run: Run) -> None:
        result = None
        try:
            async with self._slots:
                if not run.context.cancelled:
                    result = await run.call_async()
        finally:
            self._finished(run, result)

    async def _end_runs(self) -> None:
        runs = dict(self._async_runs)
        for task, run in runs.items():
            run.context.cancel()  # so that the cancellation is not taken for the function's own failure
            _cancel_begun(task)
        await asyncio.gather(*runs, return_exceptions=True)
        asyncio.get_running_loop().stop()


def _cancel_begun(task: asyncio.Task[None]) -> None:
    """Cancel after the task's first step: one cancelled before it never runs, not even its `finally`, which reports."""
    task.get_loop().call_soon(task.cancel)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
