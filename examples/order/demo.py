"""An order in processes of its own, one of which is killed: `make demo`.

A processor, a timer service and a worker share one SQLite file in a temporary folder. While the card is being charged
the processor is killed with SIGKILL and started again. The execution goes on where it was: everything it had come to
is in its events, and none of them repeats.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from processor.adapters.sqlite import SqliteLog
from processor.apps.executions import History
from processor.engine.ports import Reader
from processor.model.events import TERMINAL_EVENTS, AnyEvent, ExecutionSucceeded, TaskScheduled

HERE = Path(__file__).parent
EXECUTION = "order:demo"
PATIENCE_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.05
CHARGE_MS = 3_000
ORDER = {
    "order_id": "demo",
    "customer": "ada@example.com",
    "card": "ok",
    "delay_ms": CHARGE_MS,
    "hold_seconds": 1,
    "lines": [
        {"sku": "book", "quantity": 2, "price_cents": 1995},
        {"sku": "fragile", "quantity": 1, "price_cents": 4500},
    ],
}


class Stage:
    """The processes of the demo, which are ended with it, and the one file they share."""

    def __init__(self, folder: Path) -> None:
        self.file, self.ledger, self._folder = folder / "orders.db", folder / "ledger.jsonl", folder
        self._environment = os.environ | {
            "ASL_LOG": f"sqlite:{self.file}",
            "ASL_SETTINGS": "",
            "ORDER_LEDGER": str(self.ledger),
            "PYTHONPATH": str(HERE.parents[1]),
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def asl(self, *arguments: str) -> str:
        """Run one command to its end; return what it printed."""
        command = [sys.executable, "-m", "processor.apps.cli", *arguments]
        return subprocess.run(
            command, env=self._environment, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS
        ).stdout

    def start(self, *role: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "processor.apps.cli", *role]
        with (self._folder / f"{role[0]}.log").open("ab") as output:
            process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)
        self._running.append(process)
        return process

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.terminate()
        for process in self._running:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ledger_lines(self) -> list[dict[str, object]]:
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return [json.loads(line) for line in lines]

    def logs(self) -> str:
        return "\n".join(f"---- {log.name}\n{log.read_text()}" for log in sorted(self._folder.glob("*.log")))


def main() -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="asl-demo-") as folder:
        stage = Stage(Path(folder))
        try:
            play(stage)
        except BaseException:
            print(stage.logs(), file=sys.stderr)
            raise
        finally:
            stage.close()
    say(f"done in {time.monotonic() - began:.1f} s")


def play(stage: Stage) -> None:
    say("a processor, a timer service and a worker, each a process, on one SQLite file")
    say("deployed " + stage.asl("deploy", str(HERE / "order.asl.json")).strip())
    first = stage.start("processor")
    stage.start("timers")
    stage.start("worker", str(HERE / "workers.py"))
    stage.asl("start", "order", "--name", "demo", "--input", json.dumps(ORDER))
    say(f"started {EXECUTION}; the processor has pid {first.pid}")

    log = SqliteLog(stage.file)
    reader = log.reader()
    try:
        wait_for("the card to be charged", lambda: is_charging(stage, events_in(reader_history(log, reader))))
        before = events_in(reader_history(log, reader))
        say(f"{len(before)} events; in flight: {', '.join(tasks_in_flight(before))}")

        first.send_signal(signal.SIGKILL)
        first.wait()
        say(f"killed pid {first.pid} with SIGKILL (exit code {first.returncode})")
        second = stage.start("processor")
        say(f"started the processor again; now it has pid {second.pid}")

        wait_for("the order to be shipped", lambda: has_ended(events_in(reader_history(log, reader))))
        events = events_in(reader_history(log, reader))
    finally:
        reader.close()
        log.close()
    history = stage.asl("history", EXECUTION).splitlines()
    # One line for the heads, and one for each event.
    history.insert(1 + len(before), f"-------- killed pid {first.pid}, started pid {second.pid} --------")
    print("\n" + "\n".join(history) + "\n")
    check(stage, before, events, pids=(first.pid, second.pid))


def check(stage: Stage, before: list[AnyEvent], events: list[AnyEvent], *, pids: tuple[int, int]) -> None:
    """Say what must hold, and fail where it does not."""
    charged = [line for line in stage.ledger_lines() if "amount_cents" in str(line["input"])]
    last = events[-1]
    for claim, holds in [
        (f"another process went on with it: pid {pids[0]}, then {pids[1]}", pids[0] != pids[1]),
        (f"the first {len(before)} events are those from before the kill", events[: len(before)] == before),
        ("no event repeats and none is missing", [event.sequence for event in events] == list(range(len(events)))),
        ("the card was charged once", len(charged) == 1),
        (f"the order ended with {type(last).__name__}", isinstance(last, ExecutionSucceeded)),
    ]:
        print(f"  {'ok ' if holds else 'NOT'} {claim}")
        if not holds:
            raise SystemExit(1)


def reader_history(log: SqliteLog, reader: Reader) -> History:
    return History(reader, log.names, EXECUTION)


def events_in(history: History) -> list[AnyEvent]:
    return [event for batch in history.read() for event in batch]


def tasks_in_flight(events: list[AnyEvent]) -> list[str]:
    """Return the states whose task was scheduled and has no later event."""
    last = {(event.scope, event.state): event for event in events}
    return [state for (_, state), event in last.items() if isinstance(event, TaskScheduled)]


def is_charging(stage: Stage, events: list[AnyEvent]) -> bool:
    """The charge function has been called, and the other branch has ended."""
    called = any("amount_cents" in str(line["input"]) for line in stage.ledger_lines())
    return called and tasks_in_flight(events) == ["Charge"]


def has_ended(events: list[AnyEvent]) -> bool:
    return bool(events) and isinstance(events[-1], TERMINAL_EVENTS)


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_SECONDS:.0f} s for {what}")
        time.sleep(LOOK_EVERY_SECONDS)


def say(text: str) -> None:
    print(f"demo: {text}", flush=True)


if __name__ == "__main__":
    main()
