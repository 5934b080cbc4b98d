"""What the interpreter itself costs, as ratios measured in one run: python -m benchmarks.language [--profile | --maps]

Each figure is the median of interleaved pairs: both sides in turn, so that what else the machine does meets both. Time
is the process's CPU. Beside the interpreter stand state-machine-amz-py 0.0.1, which walks a chain in memory and keeps
no events, and moto 5.2.5's, as it runs an execution (it parses the definition each time) and with that done beforehand.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import logging
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace
from src.machine.state_machine import StateMachine  # state-machine-amz-py's own name for itself

from processor import Succeeded, Workflow, parse, start
from processor.interpreter.evolve import begin
from processor.interpreter.interpreter import first_event, steps
from processor.model.commands import StartExecution
from processor.model.events import NO_CAUSE, ExecutionStarted
from processor.model.ids import Millis
from processor.model.json import Json
from tests.differential.moto_side import parsed_before, run, worker_of

PAIRS = 7
PAIRS_OF_MAPS = 3  # of those with further fields
LENGTH = 10  # states in the chain
EXECUTIONS = 1_000  # of it, on our side and amz's, in one measurement
MOTO_EXECUTIONS = 10
FEW_ITEMS, MANY_ITEMS = 1_000, 100_000
INPUT: Json = {"customer": "c-1029", "note": "x" * 170}  # 200 bytes of JSON text

CHAIN: Json = {
    "StartAt": "Step1",
    "States": {
        f"Step{n}": {"Type": "Pass", **({"Next": f"Step{n + 1}"} if n < LENGTH else {"End": True})}
        for n in range(1, LENGTH + 1)
    },
}
MAP: Json = {
    "StartAt": "Each",
    "States": {
        "Each": {
            "Type": "Map",
            "ItemProcessor": {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}},
            "End": True,
        }
    },
}

ONE: Json = {"StartAt": "One", "States": {"One": {"Type": "Pass", "Result": 1, "End": True}}}
OUTPUT_ONE: Json = {"StartAt": "One", "States": {"One": {"Type": "Pass", "Output": 1, "End": True}}}


def a_map(processor: Json, *, distributed: bool = False, **fields: Json) -> dict[str, Json]:
    """Return a machine of one Map. Each iteration gives one byte, so that what all give is no more than a state may
    hold."""
    assert isinstance(processor, dict)
    if distributed:
        processor = {**processor, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    each: Json = {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}
    return {"StartAt": "Each", "States": {"Each": each}}


FIELDS: dict[str, Json] = {"k.$": "$.k", "i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"}
SEARCHED: dict[str, Json] = {"first.$": "$[0]", "i.$": "$$.Map.Item.Index"}
EXPRESSIONS: dict[str, Json] = {
    "k": "{% $states.input.in.k %}",
    "v": "{% $states.context.Map.Item.Value + $states.input.in.one %}",
}
AT_ONCE = 40
"""Iterations of a distributed Map, as of an inline one: a thousand at once would all but hold the few items."""
MAPS: dict[str, dict[str, Json]] = {
    "InputPath, ItemsPath, ItemSelector": a_map(ONE, InputPath="$.in", ItemsPath="$.items", ItemSelector=FIELDS),
    "InputPath that searches, ItemSelector": a_map(ONE, InputPath="$.in.items[*]", ItemSelector=SEARCHED),
    "InputPath, ItemSelector, ItemBatcher": a_map(
        ONE,
        distributed=True,
        MaxConcurrency=AT_ONCE,
        InputPath="$.in",
        ItemsPath="$.items",
        ItemSelector=FIELDS,
        ItemBatcher={"MaxItemsPerBatchPath": "$.one", "BatchInput": {"k.$": "$.k"}},
    ),
    "JSONata: Items, ItemSelector": {
        **a_map(OUTPUT_ONE, Items="{% $states.input.in.items %}", ItemSelector=EXPRESSIONS),
        "QueryLanguage": "JSONata",
    },
    "JSONata: Items, ItemSelector, ItemBatcher": {
        **a_map(
            OUTPUT_ONE,
            distributed=True,
            MaxConcurrency=AT_ONCE,
            Items="{% $states.input.in.items %}",
            ItemSelector=EXPRESSIONS,
            ItemBatcher={
                "MaxItemsPerBatch": "{% $states.input.in.one + 0 %}",
                "BatchInput": {"k": "{% $states.input.in.k & '' %}"},
            },
        ),
        "QueryLanguage": "JSONata",
    },
}
"""Those whose iterations need the state's effective input."""

MOST_US = 10.0
MOST_OF_AMZ = 3.0
LEAST_OF_MOTO = 70.0
MOST_OF_MANY = 1.5


@dataclass(frozen=True)
class Pairs:
    """Seconds of CPU for each unit, of both sides of each pair, warmed up once."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Theirs to ours, the median of the pairs'."""
        return statistics.median(other / own for own, other in zip(self.ours, self.theirs, strict=True))

    def told(self, unit: str) -> str:
        own, other = (_spread([1e6 * one for one in side]) for side in (self.ours, self.theirs))
        return f"{own} | {other} | µs {unit}"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def pairs(ours: Callable[[], int], theirs: Callable[[], int], *, count: int = PAIRS) -> Pairs:
    """Measure both in turn. Each does its work and returns how many units that was."""
    ours()
    theirs()
    measured = [(_seconds(ours), _seconds(theirs)) for _ in range(count)]
    return Pairs(tuple(own for own, _ in measured), tuple(other for _, other in measured))


def _seconds(work: Callable[[], int]) -> float:
    begun = time.process_time()
    units = work()
    return (time.process_time() - begun) / units


# ---- the work


def chains(workflow: Workflow) -> int:
    for _ in range(EXECUTIONS):
        outcome = start(workflow, INPUT)
        assert isinstance(outcome, Succeeded)
        assert len(outcome.events) == 2 * LENGTH + 2
    return EXECUTIONS * LENGTH


def amz_chains(machine: StateMachine) -> int:
    async def run() -> None:
        for _ in range(EXECUTIONS):
            execution = await machine.execute(INPUT)
            assert execution.status == "SUCCEEDED"

    asyncio.run(run())
    return EXECUTIONS * LENGTH


def moto_chains() -> int:
    for _ in range(MOTO_EXECUTIONS):
        assert run(worker_of(CHAIN, INPUT)).states.get_input() == INPUT
    return MOTO_EXECUTIONS * LENGTH


def iterations(
    workflow: Workflow, items: int, *, input: Callable[[int], Json] = lambda items: [1] * items, all: int = MANY_ITEMS
) -> Callable[[], int]:
    """Return a run of a Map over so many items of one byte each, on as many executions as give `all` of them; no event
    is kept, so that what is measured is the interpreter and not the memory of what it gave."""

    def work() -> int:
        for _ in range(all // items):
            command = StartExecution(execution_id="map:1", input=input(items))
            started = first_event(workflow, command, now=Millis(0), seed=bytes(16), cause=NO_CAUSE)
            assert isinstance(started, ExecutionStarted)
            last = begin(workflow, started)
            for _, last in steps(last):  # noqa: B007, B020 - none is kept but the last
                pass
            assert last.output == [1] * items
        return all

    return work


def with_fields(definition: dict[str, Json]) -> Pairs:
    """Measure one of MAPS over few items and over many."""
    workflow = replace(parse(definition), history_quota=sys.maxsize)

    def input(items: int) -> Json:
        return {"in": {"k": "key", "one": 1, "items": [1] * items}}

    few = iterations(workflow, FEW_ITEMS, input=input, all=20 * FEW_ITEMS)
    return pairs(few, iterations(workflow, MANY_ITEMS, input=input), count=PAIRS_OF_MAPS)


# ---- what is told


def report() -> bool:
    """Print the figures and whether the goals hold; return that."""
    logging.disable(logging.WARNING)
    workflow = parse(CHAIN)
    machine = StateMachine.from_dict(CHAIN)
    each = parse(MAP, type="EXPRESS")  # no limit on the number of events
    with_amz = pairs(lambda: chains(workflow), lambda: amz_chains(machine))
    with_moto = pairs(lambda: chains(workflow), moto_chains)
    with parsed_before(CHAIN):
        with_prepared = pairs(lambda: chains(workflow), moto_chains)
    map_items = pairs(iterations(each, FEW_ITEMS), iterations(each, MANY_ITEMS))
    print(f"medians of {PAIRS} interleaved pairs, with the least and the greatest; CPU\n")
    print("| | here | beside it | |")
    print("|---|---|---|---|")
    print(f"| chain of {LENGTH} Pass, state-machine-amz-py | {with_amz.told('a transition')} |")
    print(f"| chain of {LENGTH} Pass, moto | {with_moto.told('a transition')} |")
    print(f"| chain of {LENGTH} Pass, moto without parsing | {with_prepared.told('a transition')} |")
    print(f"| inline Map of Pass, {FEW_ITEMS:,} and {MANY_ITEMS:,} items | {map_items.told('an item')} |")
    print()
    goals = [
        _goal("a Pass transition with its events, µs", statistics.median(with_amz.ours) * 1e6, at_most=MOST_US),
        _goal("times what state-machine-amz-py takes", 1 / with_amz.ratio, at_most=MOST_OF_AMZ),
        _goal("times faster than moto", with_moto.ratio, at_least=LEAST_OF_MOTO),
        _goal(f"times the cost of an item, {MANY_ITEMS:,} to {FEW_ITEMS:,}", map_items.ratio, at_most=MOST_OF_MANY),
    ]
    print()
    return report_maps() and all(goals)


def report_maps() -> bool:
    """As report, of Maps whose iterations need the state's effective input."""
    maps = {name: with_fields(definition) for name, definition in MAPS.items()}
    print(f"medians of {PAIRS_OF_MAPS} interleaved pairs\n")
    print(f"| Map with | {FEW_ITEMS:,} items | {MANY_ITEMS:,} items | |")
    print("|---|---|---|---|")
    for name, measured in maps.items():
        print(f"| {name} | {measured.told('an item')} |")
    print()
    goals = [_goal(f"times the cost, {name}", measured.ratio, at_most=MOST_OF_MANY) for name, measured in maps.items()]
    return all(goals)


def _goal(what: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> bool:
    holds = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    limit = f"at most {at_most:g}" if at_most is not None else f"at least {at_least:g}"
    print(f"{'holds' if holds else 'FAILS'}: {value:.2f} {what}; {limit}")
    return holds


def profile(work: Callable[[], int]) -> None:
    with cProfile.Profile() as profiled:
        work()
    pstats.Stats(profiled).sort_stats("tottime").print_stats(30)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language")
    parser.add_argument("--profile", choices=["chain", "map"], help="show where the time goes instead")
    parser.add_argument("--maps", action="store_true", help="measure only the Maps with fields")
    wanted = parser.parse_args()
    match wanted.profile:
        case "chain":
            workflow = parse(CHAIN)
            profile(lambda: chains(workflow))
        case "map":
            profile(iterations(parse(MAP, type="EXPRESS"), MANY_ITEMS))
        case _:
            return 0 if (report_maps() if wanted.maps else report()) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
