"""The kinds of faults, and a cluster with its processors on which to commit them."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka.admin import AdminClient

from tests.broker import Broker
from tests.chaos.processor import STEPS
from tests.chaos.proxy import Cut, Places, Proxy
from tests.chaos.town import Town

SLOTS = ("0", "1")
EXTRA_SLOT = "2"
SETTLED_SECONDS = 60.0
PAUSE_SECONDS = 9.0
"""Past the session timeout of 6 s; the longest stand-still with it."""


class Slot:
    """A processor, and those that come after it."""

    def __init__(self, name: str, arguments: list[str], folder: Path) -> None:
        self.name, self._arguments, self._folder = name, arguments, folder
        self.step_file = folder / f"{name}.step"
        self.format = "current"
        self.process: subprocess.Popen[bytes] | None = None
        self.lives = 0
        self.ended_badly: list[str] = []

    @property
    def log(self) -> Path:
        return self._folder / f"processor-{self.name}.{self.lives}.log"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, *, dies_at: str | None = None) -> None:
        assert not self.alive
        self.lives += 1
        self.step_file.write_text(dies_at or "")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.chaos.processor",
                    *self._arguments,
                    self.name,
                    self._folder,
                    self.format,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def died(self, *, within_seconds: float) -> bool:
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(within_seconds)
        return not self.alive

    def has_said(self, event: str) -> bool:
        return f'"{event}"' in self.log.read_text(errors="replace")


class Chaos:
    """What a fault may use. Every fault leaves all brokers and both slots alive; returns whether it happened."""

    def __init__(
        self, broker: Broker, proxy: Proxy, town: Town, slots: dict[str, Slot], *, events: str, chance: random.Random
    ) -> None:
        assert broker.cluster is not None
        self.cluster, self.proxy, self.town, self.slots = broker.cluster, proxy, town, slots
        self.chance, self._events = chance, events
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
        self.kinds: dict[str, Callable[[], bool]] = {
            **{f"death at {step}": lambda step=step: self._die_at(step) for step in STEPS},  # type: ignore[misc]
            "death at random": self._kill,
            "broker killed": self._kill_broker,
            "stopped past the session": self._stop,
            "moved while restoring": self._move,
            "commands again, in another order": self._again,
            "cut before EndTxn": lambda: self._cut(Cut.BEFORE),
            "cut after EndTxn": lambda: self._cut(Cut.AFTER),
            "leader killed before the markers": self._kill_leader,
            "two formats": self._change_format,
        }

    # ---- back to normal

    def supervise(self) -> None:
        """Start again what has ended, as whatever runs processors does: told that it shares its slot, one exits."""
        for name in SLOTS:
            if not (slot := self.slots[name]).alive:
                if slot.process is not None and slot.process.returncode not in (-signal.SIGKILL, 0):
                    slot.ended_badly.append(f"{slot.name}.{slot.lives}: {slot.process.returncode}")
                slot.start()

    def settle(self) -> None:
        """Everyone is alive, and every partition of every topic has all of its copies again."""
        self.slots[EXTRA_SLOT].kill()
        self.supervise()
        deadline = time.monotonic() + SETTLED_SECONDS
        while not self._all_in_sync():
            assert time.monotonic() < deadline, "the brokers do not get in sync again"
            time.sleep(0.1)

    def _all_in_sync(self) -> bool:
        with contextlib.suppress(Exception):
            metadata = self._admin.list_topics(timeout=2)
            return len(metadata.brokers) == len(self.cluster.numbers) and all(
                len(p.isrs) == len(p.replicas) for topic in metadata.topics.values() for p in topic.partitions.values()
            )
        return False

    def progress(self, *, executions: int, within_seconds: float) -> bool:
        before, deadline = self.town.ended.total(), time.monotonic() + within_seconds
        while self.town.ended.total() < before + executions:
            if time.monotonic() > deadline:
                return False
            self.supervise()
            time.sleep(0.02)
        return True

    # ---- faults

    def _any(self) -> Slot:
        return self.slots[self.chance.choice(SLOTS)]

    def _down(self, slot: Slot) -> None:
        """Dead for a moment, or for longer than the session."""
        slot.kill()
        time.sleep(self.chance.choice((0.0, 0.0, 0.3, 1.0, 7.0)))

    def _kill(self) -> bool:
        slot = self._any()
        time.sleep(self.chance.random() * 0.3)
        self._down(slot)
        return True

    def _die_at(self, step: str) -> bool:
        slot = self._any()
        if step.startswith("takeover"):
            self._down(slot)
            slot.start(dies_at=step)
        else:
            slot.step_file.write_text(step)
            slot.signal(signal.SIGUSR1)
        died = slot.died(within_seconds=20)
        if not died:  # not to die of it later, uncounted
            slot.kill()
        # One that has only just begun dies of the signal itself, not at the step.
        return died and slot.process is not None and slot.process.returncode == -signal.SIGKILL

    def _kill_broker(self) -> bool:
        number = self.chance.choice(self.cluster.numbers)
        self.cluster.kill(number)
        time.sleep(self.chance.random() * 3)
        self.cluster.start(number)
        return True

    def _stop(self) -> bool:
        slot = self._any()
        slot.signal(signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)
        slot.signal(signal.SIGCONT)
        return True

    def _move(self) -> bool:
        """A third processor comes, and is killed while it restores."""
        extra = self.slots[EXTRA_SLOT]
        extra.start()
        deadline = time.monotonic() + 20
        while not extra.has_said("partition_taken"):
            if time.monotonic() > deadline or not extra.alive:
                return False
            time.sleep(0.01)
        extra.kill()
        return True

    def _again(self) -> bool:
        self.town.send_again(30)
        return True

    def _at_end_txn(self, cut: Cut, act: Callable[[Places], None]) -> bool:
        happened = threading.Event()

        def done(written: Places) -> None:
            act(written)
            happened.set()

        self.proxy.arm(cut, done)
        if not happened.wait(10):
            self.proxy.disarm()
        return happened.is_set()

    def _cut(self, cut: Cut) -> bool:
        return self._at_end_txn(cut, lambda _: None)

    def _kill_leader(self) -> bool:
        leaders = {
            p.id: p.leader
            for p in self._admin.list_topics(self._events, timeout=5).topics[self._events].partitions.values()
        }
        killed: list[int] = []

        def kill(written: Places) -> None:
            number = leaders[self.chance.choice(sorted(p for topic, p in written if topic == self._events))]
            self.cluster.kill(number)
            killed.append(number)

        if not self._at_end_txn(Cut.DECIDED, kill):
            return False
        time.sleep(self.chance.random() * 2)
        self.cluster.start(killed[0])
        return True

    def _change_format(self) -> bool:
        """One slot goes on in the other format of events, beside one that does not."""
        slot = self._any()
        slot.format = "older" if slot.format == "current" else "current"
        slot.signal(signal.SIGTERM)
        return slot.died(within_seconds=20)
