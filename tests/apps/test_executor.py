"""Every run is reported once, also one that is cancelled before the event loop has come to it."""

from __future__ import annotations

import queue
import threading

from processor.apps.worker.executor import Executor, Result, Run
from processor.apps.worker.sdk import TaskContext, Worker
from processor.model.commands import CompleteTask
from processor.model.json import Json
from tests.apps.test_worker import WAIT_SECONDS, task_of


def test_an_async_run_cancelled_before_the_loop_reaches_it_is_reported_and_never_called() -> None:
    worker = Worker("orders")
    reported = queue.SimpleQueue[tuple[str, Result | None]]()
    busy, go_on, called = threading.Event(), threading.Event(), list[Json]()

    @worker.task("charge")
    async def charge(arguments: Json) -> Json:
        called.append(arguments)
        if arguments == "first":
            busy.set()
            go_on.wait(WAIT_SECONDS)  # holds the loop itself
        return arguments

    def run(token: str, arguments: Json) -> Run:
        task = task_of(token, arguments=arguments)
        context = TaskContext(task, send=lambda command: None, worker="orders")
        return Run(task, worker.registrations["charge"], context, issuer="orders")

    def report(run: Run, result: Result | None) -> None:
        reported.put((run.task.token, result))

    executor = Executor(concurrency=4, finished=report, name="test")
    executor.start(run("order:1##2", "first"))
    assert busy.wait(WAIT_SECONDS)
    second = run("order:1##3", "second")
    executor.start(second)
    second.cancel()
    go_on.set()
    answer = CompleteTask(execution_id="order:1", issuer="orders", token="order:1##2", output="first")
    assert reported.get(timeout=WAIT_SECONDS) == ("order:1##2", answer)
    assert reported.get(timeout=WAIT_SECONDS) == ("order:1##3", None)
    executor.close()
    assert called == ["first"]
