"""One run: two processes that work through a workload while things go wrong, and what must hold afterwards."""

from __future__ import annotations

import random
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

from processor.adapters.kafka import inbox as inbox_module
from processor.adapters.kafka import restore as restore_module
from processor.adapters.kafka.log import KafkaLog
from processor.engine import checkpoints as checkpoints_module
from processor.engine import coverage as coverage_module
from processor.engine import definitions as definitions_module
from processor.engine import partitions as partitions_module
from processor.engine import processor as processor_module
from processor.engine.processor import Processor
from processor.engine.topics import partition_of, topic_specs
from processor.errors import AslError
from processor.interpreter.interpreter import recover
from processor.interpreter.parse import parse
from processor.model.definition import Workflow
from processor.model.execution import Execution
from processor.model.ids import Millis
from tests.simulation.broker import SESSION_SECONDS, Broker
from tests.simulation.clients import LOST_ANSWERS, Faults, SimulatedClients
from tests.simulation.scheduler import Killed, Process, Scheduler, Stuck
from tests.simulation.threads import SimulatedThreads
from tests.simulation.workload import (
    BEGAN,
    LEFT_OPEN,
    MACHINES,
    NAMES,
    PARTITIONS,
    STARTS,
    Workload,
    broken,
    histories,
    timeless,
)

LONGEST_SECONDS = 400.0
"""Of virtual time; by then everything must have come to its end."""
SLICE_EVENTS = 4
SLOTS = ("0", "1")

KINDS = (
    "crash",
    "stop",
    "slow",
    "slow and rejoin",
    "expel",
    "rejoin quietly",
    "move",
    "lose an answer",
    "two in a slot",
    "lose an offset",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a run came to. `violations` are () where everything holds."""

    seed: int
    violations: tuple[str, ...]
    nuisances: tuple[str, ...]
    digest: int
    calls: int
    seconds: float
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one transaction of a checkpoint's round holds at most; how many commands may wait for `closed`, and how far
    others may go ahead of them; and how long each reading of `closed` takes, without which none would wait."""

    snapshots: int
    tombstones: int
    waiting_records: int
    waiting_behind: int
    closed_seconds: float

    @staticmethod
    def draw(chance: random.Random) -> Limits:
        """So few in many a run that its rounds are of several transactions, and that it asks for no more commands."""
        return Limits(
            snapshots=chance.choice((1, 2, checkpoints_module.SNAPSHOTS)),
            tombstones=chance.choice((1, 2, checkpoints_module.TOMBSTONES)),
            waiting_records=chance.choice((1, 3, partitions_module.WAITING_RECORDS)),
            waiting_behind=chance.choice((1, 4, partitions_module.WAITING_BEHIND)),
            closed_seconds=chance.choice((0.0, 0.0, 0.5, 2.0)),
        )


class SameSeed:
    def seed(self) -> bytes:
        return bytes(16)


@dataclass(slots=True)
class Timing:
    scheduler: Scheduler

    def now(self) -> float:
        return self.scheduler.now

    def sleep(self, seconds: float) -> None:
        self.scheduler.wait(seconds)


@dataclass(slots=True)
class Clock:
    scheduler: Scheduler

    def now(self) -> Millis:
        return Millis(BEGAN + int(self.scheduler.now * 1000))


@dataclass(slots=True)
class Plan(Faults):
    """At which call of which process something happens, counted from the process's first."""

    world: World
    crash: dict[str, int] = field(default_factory=dict)
    stop: dict[str, tuple[int, float]] = field(default_factory=dict)
    slow: dict[str, tuple[int, float, bool]] = field(default_factory=dict)
    answers: dict[str, dict[int, str]] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=dict)

    def at_call(self, process: Process, name: str) -> None:
        if self.crash.get(process.name) == process.calls:
            self.world.crash(process)
        call, seconds = self.stop.get(process.name, (-1, 0.0))
        if call == process.calls:
            self.world.stop(process, seconds)
        call, seconds, rejoins = self.slow.get(process.name, (-1, 0.0, False))
        if call == process.calls:
            self.world.slow(process, seconds, rejoins=rejoins)

    def to_read(self, topic: str) -> float:
        return self.world.limits.closed_seconds if topic == NAMES.closed else 0.0

    def at_commit(self, process: Process) -> str:
        number = self.commits[process.name] = self.commits.get(process.name, 0) + 1
        return self.answers.get(process.name, {}).get(number, "")


class World:
    def __init__(self, seed: int, *, faults: int, trace: bool = False, crashes: Mapping[str, int] = {}) -> None:
        self.scheduler = Scheduler(seed, log=[] if trace else None)
        chance = self.scheduler.chance
        # Of a chance of their own: those of a run are what they were with other limits.
        self.limits = Limits.draw(random.Random(f"limits of {seed}"))
        self.scheduler.note(str(self.limits))
        late = faults and chance.random() < 0.3

        def marker_seconds() -> float:
            return chance.random() * (3.0 if late and chance.random() < 0.1 else 0.003)

        topics = {spec.name: spec.partitions for spec in topic_specs(NAMES, partitions=PARTITIONS)}
        self.broker = Broker(self.scheduler, topics, marker_seconds=marker_seconds)
        self.broker.group.assigned = dict.fromkeys(range(PARTITIONS))
        self.broker.group.wanted = dict.fromkeys(range(PARTITIONS))
        self.workload = Workload(self.broker, disturbed=faults > 0)
        self.plan = Plan(self)
        self.violations: list[str] = []
        self.offset_lost = False
        self._all: list[Process] = []
        self._processes: dict[str, Process] = {}  # the newest of each slot
        self._processors: dict[str, Processor] = {}  # by process name
        self._draw(faults)
        self.plan.crash.update(crashes)

    # ---- what goes wrong

    def _draw(self, faults: int) -> None:
        chance = self.scheduler.chance
        for _ in range(faults):
            kind, slot = chance.choice(KINDS), chance.choice(SLOTS)
            at, call = 0.2 + chance.random() * 6.0, chance.randint(1, 400)
            name = f"{slot}.{chance.choice((1, 1, 1, 2))}"
            self.scheduler.note(f"plan: {kind}, {name}, at {at:.3f} or call {call}")
            match kind:
                case "crash":
                    self.plan.crash[name] = call
                case "stop":
                    self.plan.stop[name] = (call, chance.choice((0.5, 3.0, 8.0, 14.0)))
                case "slow" | "slow and rejoin":
                    self.plan.slow[name] = (call, 0.5 + chance.random() * 2.5, kind != "slow")
                case "lose an answer":
                    answers = self.plan.answers.setdefault(name, {})
                    answers[chance.randint(1, 20)] = chance.choice(LOST_ANSWERS)
                case "move":
                    self.scheduler.at(at, lambda: self.broker.move(chance.randrange(PARTITIONS)))
                case "expel":
                    self.scheduler.at(at, lambda slot=slot: self._expel(slot))  # type: ignore[misc]
                case "rejoin quietly":
                    self.scheduler.at(at, lambda slot=slot: self._rejoin(slot))  # type: ignore[misc]
                case "two in a slot":
                    self.scheduler.at(at, lambda slot=slot: self.start(slot))  # type: ignore[misc]
                case _:
                    self.scheduler.at(at, self._lose_an_offset)

    def crash(self, process: Process) -> None:
        self.scheduler.note(f"{process.name} crashes at call {process.calls}")
        self._session_ends(process, within=SESSION_SECONDS)
        self._restart_later(process, self.scheduler.chance.choice((0.05, 0.5, 3.0, 12.0)))
        self.scheduler.kill(process)

    def stop(self, process: Process, seconds: float) -> None:
        self.scheduler.note(f"{process.name} stops for {seconds} s at call {process.calls}")
        process.stopped_until = self.scheduler.now + seconds
        if seconds > SESSION_SECONDS:
            self._session_ends(process, within=SESSION_SECONDS)
        self.scheduler.wait(0)

    def slow(self, process: Process, seconds: float, *, rejoins: bool) -> None:
        """The thread gets no time; those of its client do."""
        self.scheduler.note(f"{process.name} is slow for {seconds:.3f} s at call {process.calls}")
        if rejoins:
            self._rejoin(process.slot)
        self.scheduler.wait(seconds)

    def _session_ends(self, process: Process, *, within: float) -> None:
        def end() -> None:
            for consumer in self.broker.consumers:
                if consumer.process is process:
                    self.broker.expel(consumer.member)

        self.scheduler.at(within - self.scheduler.chance.random() * 0.5, end)

    def _expel(self, slot: str) -> None:
        for consumer in self._living(slot):
            self.broker.expel(consumer.member)

    def _rejoin(self, slot: str) -> None:
        """librdkafka joins again, a static member under another id, and does not tell before the next poll."""
        for consumer in self._living(slot):
            if consumer.member in self.broker.group.members:
                self.broker.expel(consumer.member)
                self.scheduler.at(self.scheduler.chance.random(), lambda c=consumer: self._rejoin_now(c))  # type: ignore[misc]

    def _rejoin_now(self, consumer: Any) -> None:
        works = consumer.process.alive and consumer.process.stopped_until <= self.scheduler.now
        if works and consumer.member and consumer.member not in self.broker.group.members:
            self.scheduler.note(f"{consumer.process.name} joins again, and does not tell")
            consumer.rejoin_quietly()

    def _living(self, slot: str) -> list[Any]:
        process = self._processes.get(slot)
        return [c for c in self.broker.consumers if c.process is process and c.process.alive and c.member]

    def _lose_an_offset(self) -> None:
        group = self.broker.group
        for number, owner in group.assigned.items():
            if owner is None and number in group.offsets and not self.broker.unstable([number]):
                self.scheduler.note(f"the committed offset of commands[{number}] is lost")
                del group.offsets[number]
                self.offset_lost = True
                return
        if self.scheduler.now < 30:
            self.scheduler.at(0.1, self._lose_an_offset)

    # ---- processes

    def start(self, slot: str) -> None:
        if "last" in self._processes:
            return
        process = Process(f"{slot}.{1 + sum(p.slot == slot for p in self._all)}")
        self._all.append(process)
        self._processes[slot] = process
        self.scheduler.note(f"{process.name} starts")
        self.scheduler.spawn(process, process.name, lambda: self._main(process, slot))

    def _main(self, process: Process, slot: str) -> None:
        clients = SimulatedClients(self.broker, process, self.plan)
        try:
            log = KafkaLog(
                "simulated", names=NAMES, clients=clients, timing=Timing(self.scheduler), process=process.name
            )
            processor = Processor(
                log=log, clock=Clock(self.scheduler), entropy=SameSeed(), slot=slot, slice_events=SLICE_EVENTS
            )
            self._processors[process.name] = processor
            while True:
                processor.step(timeout_seconds=1.0)
        except Killed:
            raise
        except AslError as error:
            self.scheduler.note(f"{process.name} exits: {error}")
            self._exit(process)
        except Exception:
            self.violations.append(f"{process.name} raised {traceback.format_exc()}")
            self._exit(process)

    def _exit(self, process: Process) -> None:
        process.alive = False
        self._session_ends(process, within=SESSION_SECONDS)
        self._restart_later(process, 1.0)

    def _restart_later(self, process: Process, seconds: float) -> None:
        def restart() -> None:
            if self._processes[process.slot] is process:
                self.start(process.slot)

        self.scheduler.at(seconds, restart)

    # ---- the run

    def run(self) -> Ended:
        with _surroundings(self.scheduler, self.limits):
            try:
                self.workload.begin()
                for slot in SLOTS:
                    self.start(slot)
                self.scheduler.run(self._done, until=LONGEST_SECONDS)
                self.violations += self._broken()
                if not self.violations:
                    self._take_over_once_more()
            except Stuck as stuck:
                self.violations += [f"stuck: {stuck}", *self._broken()]
            finally:
                self.scheduler.stop()
        return Ended(
            seed=self.scheduler.seed,
            violations=tuple(self.violations),
            nuisances=tuple(self.broker.nuisances),
            digest=self.scheduler.digest,
            calls=sum(p.calls for p in self._processes.values()),
            seconds=self.scheduler.now,
            log=tuple(self.scheduler.log or ()),
        )

    def _done(self) -> bool:
        for name, processor in self._processors.items():
            if processor.stopped:
                self.violations.append(f"{name} has stopped {processor.stopped}")
        if self.violations:
            return True
        # A commit returns before its markers are written.
        if not self.workload.finished or any(p.open for p in self.broker.partitions.values()):
            return False
        ends = (self.broker.partitions[NAMES.commands, p].high_watermark for p in range(PARTITIONS))
        return all(self.broker.group.offsets.get(p, (0,))[0] == end for p, end in enumerate(ends))

    def _broken(self) -> list[str]:
        return broken(self.broker, expected(), lost=self.offset_lost, went_back=self.broker.member_changed_in_commit)

    def _take_over_once_more(self) -> None:
        """What a last process restores is what the events fold to."""
        for process in self._all:
            if process.alive:
                self.scheduler.kill(process)
        for member in list(self.broker.group.members):
            self.broker.expel(member)
        self.start("last")
        name = self._all[-1].name

        def restored() -> bool:
            processor = self._processors.get(name)
            return processor is not None and processor.ready and len(processor.partitions) == PARTITIONS

        self.scheduler.run(lambda: restored() or bool(self.violations), until=self.scheduler.now + 100)
        if self.violations:
            return
        partitions = self._processors[name]._partitions
        for id, events in histories(self.broker).items():
            folded = recover(workflows()[id.partition(":")[0]], events).execution
            found = partitions[partition_of(id.encode(), PARTITIONS)].holdings.find(id)
            if isinstance(found, Execution) != (id in LEFT_OPEN) or (isinstance(found, Execution) and found != folded):
                self.violations.append(f"{id}: is restored as {found}, folds to {folded}")


@contextmanager
def _surroundings(scheduler: Scheduler, limits: Limits) -> Iterator[None]:
    """Small bounds, so that a short run meets what a long one would; threads that are greenlets."""
    threads = SimulatedThreads(scheduler)
    with ExitStack() as stack:
        for module, name, value in (
            (restore_module, "threading", threads),
            (restore_module, "queue", threads),
            (restore_module, "CHUNK", 2),
            (inbox_module, "RESULTS_A_POLL", 2),
            (inbox_module, "BUSY_SECONDS", 0.02),
            (inbox_module, "IDLE_SECONDS", 1.0),
            # What dies here dies of no command.
            (processor_module, "DEADLY_FROM", 1_000),
            (coverage_module, "CHECKPOINT_EVENTS", 15),
            (coverage_module, "CHECKPOINT_MS", 3_000),
            (checkpoints_module, "SNAPSHOTS", limits.snapshots),
            (checkpoints_module, "TOMBSTONES", limits.tombstones),
            (partitions_module, "WAITING_RECORDS", limits.waiting_records),
            (partitions_module, "WAITING_BEHIND", limits.waiting_behind),
            (definitions_module, "parse", _parse),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


_PARSED: dict[str, Workflow] = {}


def _parse(definition: Any, **more: Any) -> Workflow:
    """Compiled once for all runs: a workflow is immutable."""
    key = repr(definition)
    if key not in _PARSED:
        _PARSED[key] = parse(definition, **more)
    return _PARSED[key]


@cache
def workflows() -> dict[str, Workflow]:
    return {name: parse(definition) for name, definition in MACHINES.items()}


@cache
def expected() -> dict[str, list[Any]]:
    """The histories of a run in which nothing goes wrong."""
    world = World(0, faults=0)
    with _surroundings(world.scheduler, world.limits):
        world.workload.begin()
        for slot in SLOTS:
            world.start(slot)
        world.scheduler.run(world._done, until=LONGEST_SECONDS)
        world.scheduler.stop()
    found = {id: timeless(events) for id, events in histories(world.broker).items()}
    assert found.keys() == STARTS.keys()
    return found


def simulate(seed: int, *, faults: int | None = None, trace: bool = False, crashes: Mapping[str, int] = {}) -> Ended:
    """Run one seed. The same seed gives the same run, to the last call. `crashes`: processes by name, `0.1` is the
    first of slot 0, that die at their so manieth call, too."""
    chosen = 1 + seed % 5 if faults is None else faults
    return World(seed, faults=chosen, trace=trace, crashes=crashes).run()


def failing(ended: Sequence[Ended]) -> list[Ended]:
    return [one for one in ended if one.violations or one.nuisances]
