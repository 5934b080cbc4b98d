"""Task workers: functions that do what Task states ask for.

    worker = Worker("orders")

    @worker.task("charge")
    def charge(arguments, context): ...

`asl worker MODULE` runs it. A function is called at least once per token; what it gives back, or raises, becomes the
task's result once. Which names route to which task: `routes`. How a partition of the tasks index is read: `runner`.
"""

from processor.apps.worker.runner import WorkerRunner
from processor.apps.worker.sdk import TaskContext, TaskError, TaskFunction, Worker

__all__ = ["TaskContext", "TaskError", "TaskFunction", "Worker", "WorkerRunner"]
