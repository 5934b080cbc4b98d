"""Definitions made to exhaust time or memory, each run in a process of its own, which reports what it took.

`python -m tests.fuzz.hostile` prints one line of JSON for each; `test_hostile.py` holds them to their limits. Those in
JSONata are in `hostile_jsonata.py`.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from processor import Continued, InvalidDefinition, Outcome, parse, resume, start
from processor.adapters import jsonata_sandbox
from processor.adapters.jsonata_sandbox import ProcessSandbox
from processor.model.json import Json
from tests.fuzz import hostile_jsonata

Case = tuple[str, Json, Json]
"""name, definition, input."""

ADDRESSES = 3 << 30  # bytes, the last resort; what counts is the resident set. Importing jlens reserves 1 GiB
CPU_SECONDS = 20
LONG = "ab" * 120_000  # a string of nearly all that a state may hold


def _machine(*states: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a definition in which the states follow each other."""
    named = {f"S{number}": dict(state) for number, state in enumerate(states)}
    for number, state in enumerate(named.values()):
        if "Choices" not in state and state["Type"] not in ("Succeed", "Fail"):
            state.update({"Next": f"S{number + 1}"} if number + 1 < len(states) else {"End": True})
    return {"StartAt": "S0", "States": named, **more}


def _pass(**fields: Any) -> dict[str, Any]:
    return {"Type": "Pass", **fields}


def _one(text: str) -> dict[str, Any]:
    return _machine(_pass(Parameters={"x.$": text}))


def _nested(call: Callable[[str], str], inner: str, times: int) -> str:
    for _ in range(times):
        inner = call(inner)
    return inner


def _choice(rules: list[dict[str, Any]]) -> dict[str, Any]:
    chosen: list[Any] = [{**rule, "Next": "S1"} for rule in rules]
    return _machine({"Type": "Choice", "Choices": chosen, "Default": "S1"}, {"Type": "Succeed"})


def _deep(levels: int, leaf: Json = 1) -> Json:
    for _ in range(levels):
        leaf = {"a": leaf}
    return leaf


def _sixty(text: str) -> dict[str, Any]:
    """Return a state that makes one call over and over."""
    return _machine(_pass(Parameters={f"x{number}.$": text for number in range(60)}))


def _calls() -> Iterator[Case]:
    """What costs by the element: each call is one that a state may make, sixty of them are too many."""
    ones: Json = [1] * 125_000
    contains, partition = "States.ArrayContains($.a, $.b)", "States.ArrayLength(States.ArrayPartition($.a, 1))"
    unique, merge = "States.ArrayLength(States.ArrayUnique($.a))", "States.JsonMerge($.a, $.a, false)"
    yield "60 searches of empty objects", _sixty(contains), {"a": [{}] * 80_000, "b": {"a": 1}}
    yield "60 searches of numbers", _sixty("States.ArrayContains($.a, -1)"), {"a": ones}
    yield "60 searches of doubles", _sixty(contains), {"a": [1e16] * 40_000, "b": "1111111111"}
    yield "60 searches of arrays", _sixty(contains), {"a": [[1]] * 60_000, "b": "[1111111111"}
    yield "60 unique arrays of numbers", _sixty(unique), {"a": [i * 65_536 for i in range(25_000)]}
    yield "60 unique arrays of doubles", _sixty(unique), {"a": [i / 2 for i in range(30_000)]}
    yield "60 unique arrays of objects", _sixty(unique), {"a": [{"": i} for i in range(22_000)]}
    yield "60 templates filled with numbers", _sixty("States.Format('{}', $.a)"), {"a": ones}
    yield "60 templates filled with doubles", _sixty("States.Format('{}', $.a)"), {"a": [1e16] * 40_000}
    yield "60 templates filled with arrays", _sixty("States.Format('{}', $.a)"), {"a": [[1]] * 60_000}
    yield (
        "60 templates of escapes",
        _sixty("States.ArrayLength(States.Array(States.Format($.a)))"),
        {"a": "\\" * 120_000},
    )
    yield "60 arrays cut into ones", _sixty(partition), {"a": ones}
    yield "60 arrays as JSON", _sixty("States.JsonToString($.a)"), {"a": ones}
    yield "60 arrays of doubles as JSON", _sixty("States.JsonToString($.a)"), {"a": [0.5] * 60_000}
    yield "60 merges", _sixty(f"States.ArrayLength(States.Array({merge}))"), {"a": {f"{i:x}": 0 for i in range(28_000)}}


def cases() -> Iterator[Case]:
    yield from _calls()
    # what doubles
    double = _pass(Parameters={"s.$": "States.Format('{}{}', $.s, $.s)"})
    yield "a text doubled by each of 60 states", _machine(*[double] * 60), {"s": "x"}
    yield "a value held twice by each of 60 states", _machine(*[_pass(Parameters={"a.$": "$", "b.$": "$"})] * 60), {}
    yield (
        "an array of two of itself, 60 times",
        _machine(*[_pass(Parameters={"a.$": "States.Array($.a, $.a)"})] * 60),
        {"a": [1]},
    )
    yield (
        "calls that double a text, ten deep",
        _one(_nested(lambda x: f"States.Format('{{}}{{}}', {x}, {x})", "$.s", 9)),
        {"s": LONG},
    )
    yield "arrays of arrays, ten deep", _one(_nested(lambda x: f"States.Array({x}, {x})", "$.s", 9)), {"s": LONG}
    yield (
        "quotes escaped ten times over",
        _one(_nested(lambda x: f"States.JsonToString({x})", "$.s", 10)),
        {"s": '"' * 100_000},
    )
    yield "base64 of base64", _one(_nested(lambda x: f"States.Base64Encode({x})", "$.s", 10)), {"s": "x" * 9_000}
    yield (
        "the input copied 20,000 times",
        _machine(_pass(Parameters={f"x{i}.$": "$" for i in range(20_000)})),
        {"s": LONG},
    )
    merged = "States.JsonMerge($, States.StringToJson(States.Format('\\{\"{}\":1\\}', $.s)), false)"
    double_and_merge = _pass(Parameters={"a.$": merged, "s.$": "States.Format('{}{}', $.s, $.s)"})
    yield "JsonMerge of what doubles", _machine(*[double_and_merge] * 40), {"s": "x"}
    # what is large
    yield "ArrayRange of all integers", _one("States.ArrayRange(-2147483648, 2147483647, 1)"), {}
    yield "a text split into its letters", _one("States.StringSplit($.s, 'b')"), {"s": LONG}
    yield "an array cut into ones", _one("States.ArrayPartition($.a, 1)"), {"a": [0] * 120_000}
    yield (
        "16,000 splits of a long text",
        _machine(
            _pass(Parameters={f"x{i}.$": "States.ArrayLength(States.StringSplit($.s, 'b'))" for i in range(16_000)})
        ),
        {"s": LONG},
    )
    yield (
        "16,000 hashes",
        _machine(_pass(Parameters={f"x{i}.$": "States.Hash($.s, 'SHA-512')" for i in range(16_000)})),
        {"s": LONG[:9_999]},
    )
    yield (
        "5,000 unique arrays",
        _machine(_pass(Parameters={f"x{i}.$": "States.ArrayLength(States.ArrayUnique($.a))" for i in range(5_000)})),
        {"a": [f"{i}{LONG[:1_000]}" for i in range(200)]},
    )
    yield (
        "5,000 merges",
        _machine(
            _pass(
                Parameters={f"x{i}.$": "States.JsonToString(States.JsonMerge($.a, $.a, false))" for i in range(5_000)}
            )
        ),
        {"a": {f"k{i}": i for i in range(15_000)}},
    )
    yield (
        "keys of one Java hash",
        _one("States.JsonMerge($, $, false)"),
        {"".join("Aa" if number >> bit & 1 else "BB" for bit in range(12)): 1 for number in range(4_096)},
    )
    yield (
        "ArrayUnique of texts of one Java hash",
        _one("States.ArrayUnique($.a)"),
        {"a": ["".join("Aa" if number >> bit & 1 else "BB" for bit in range(12)) for number in range(4_096)]},
    )
    yield (
        "5,000 searches in an array",
        _machine(_pass(Parameters={f"x{i}.$": "States.ArrayContains($.a, 'z')" for i in range(5_000)})),
        {"a": ["y"] * 50_000},
    )
    yield (
        "5,000 texts encoded",
        _machine(
            _pass(
                Parameters={f"x{i}.$": "States.ArrayLength(States.Array(States.JsonToString($)))" for i in range(5_000)}
            )
        ),
        {"s": LONG},
    )
    yield "a template of 30,000 places", _one("States.Format('" + "{}" * 21_000 + "', $.a)"), {"a": 1}
    # paths
    yield "descents within descents", _one("$" + "..*" * 12), _deep(200)
    yield "every value against every value", _one("$[?(@.v in $[*].v)]"), [{"v": i} for i in range(16_000)]
    yield "filters that search the whole", _one("$..[?($..[?($..[?($..a)])])]"), _deep(200)
    yield "an element named 1,000 times, three times over", _one("$" + ("[" + ",".join(["0"] * 600) + "]") * 3), [[[1]]]
    yield "equal values compared in full", _one("$[?(@.a == $[0].a)]"), [{"a": [0] * 1_000}] * 100
    yield (
        "10,000 descents in one template",
        _machine(_pass(Parameters={f"x{i}.$": "$..z" for i in range(10_000)})),
        {"a": [[0]] * 50_000},
    )
    yield (
        "10,000 descents in one Choice",
        _choice([{"Variable": "$.a[?(@.b == 2)]", "IsNull": True}] * 10_000),
        {"a": [{"b": 1}] * 20_000},
    )
    yield "a path of 2,000 names, not there", _one("$" + ".a" * 2_000), _deep(250)
    yield "a place 2,000 names down", _machine(_pass(Result=1, ResultPath="$" + ".a" * 2_000)), {}
    yield "each state a level deeper", _machine(*[_pass(Parameters={"a.$": "$"})] * 300), {}
    # regular expressions and patterns
    for pattern in (
        "(a+)+$",
        "(a|aa)+$",
        "(.*)*x",
        r"(\w+\s?)*!",
        "(a?){400}a{400}",
        "[ab]*a[ab]{900}",
        r"\p{L}+\p{N}",
    ):
        yield f"the pattern {pattern}", _one(f"$[?(@.v =~ /{pattern}/)]"), [{"v": "a" * 60_000 + "!"}] * 4
    yield (
        "11,000 patterns of many stars",
        _choice([{"Variable": "$.s", "StringMatches": "*ab" * 12 + "*abc*"}] * 11_000),
        {"s": LONG},
    )
    yield (
        "a pattern of a thousand stars",
        _choice([{"Variable": "$.s", "StringMatches": "*ab" * 1_000 + "*abc*"}]),
        {"s": LONG},
    )
    characters = "\U00010000" * 31_000
    yield (
        "20,000 comparisons of texts",
        _choice([{"Or": [{"Variable": "$.a", "StringGreaterThanPath": "$.b"}] * 20_000}]),
        {"a": characters + "a", "b": characters + "b"},
    )
    # numbers, characters, depth
    for text in ("1e999", "-1e999", "NaN", "Infinity", r'"\ud800"', "[" * 5_000, "9" * 20_000 + "x", '{"a":' * 2_000):
        yield f"StringToJson of {text[:12]}", _one("States.StringToJson($.s)"), {"s": text}
    yield "a number of 20,000 digits", _one("States.StringToJson($.s)"), {"s": "9" * 20_000}
    yield "MathAdd beyond its range", _one("States.MathAdd($.n, 1)"), {"n": 2147483647}
    yield "MathAdd of the largest double", _one("States.MathAdd($.n, $.n)"), {"n": 1.7976931348623157e308}
    yield "MathRandom without end", _one("States.MathRandom(-2147483648, 2147483647, 1)"), {}
    yield (
        "JSON in JSON, ten deep",
        _one(_nested(lambda x: f"States.StringToJson({x})", "$.s", 10)),
        {"s": "[" * 900 + "]" * 900},
    )


class MeasuredSandbox(ProcessSandbox):
    """`seconds`: what its processes have used for tasks. The time in which they start is the machine's, not an
    expression's; their memory is limited by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        asked = jsonata_sandbox._asked

        def measured(process: subprocess.Popen[bytes], line: bytes, *, until: float) -> bytes:
            before = jsonata_sandbox._used(process)
            try:
                return asked(process, line, until=until)
            finally:
                self.seconds += jsonata_sandbox._used(process) - before

        jsonata_sandbox._asked = measured


QUIET_SECONDS = 0.0040
"""The least that `paced` gave in these processes, on two cores, when one was idle."""


def paced() -> float:
    """Return the CPU seconds of a fixed piece of Python's work, the best of three: how fast the machine is now."""
    return min(_piece_of_work() for _ in range(3))


def _piece_of_work() -> float:
    before = time.process_time()
    made = [{str(number): [number]} for number in range(20_000)]
    sum(map(len, made))
    return time.process_time() - before


def run(definition: Json, value: Json) -> dict[str, Any]:
    """Run one to its end, and say how it ended."""
    sandbox = MeasuredSandbox()
    before = time.process_time()
    try:
        workflow = parse(definition, sandbox=sandbox)
    except InvalidDefinition as invalid:
        return {"status": "REFUSED", "cause": str(invalid)[:200], "seconds": time.process_time() - before}
    parsing = time.process_time() - before
    before = time.process_time()
    outcome: Outcome = start(workflow, value)
    while isinstance(outcome, Continued) and outcome.execution.runnable:
        outcome = resume(outcome.execution)
    seconds = time.process_time() - before
    sandbox.close()
    execution = outcome.execution
    assert execution is not None, outcome
    return {
        "status": execution.status,
        "error": execution.error,
        "cause": (execution.cause or "")[:200],
        "seconds": seconds + sandbox.seconds,
        "parsing_seconds": parsing,
    }


def run_apart(definition: Json, value: Json) -> dict[str, Any]:
    """Run one in a process of its own, under limits; `mebibytes` is the most that it had resident.

    `slowness`: how many times as long as on a quiet machine a fixed piece of work took, before it or after, whichever
    took longer.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            os.write(writing, json.dumps(_within_limits(definition, value)).encode())
        finally:
            os._exit(0)  # whatever happens: what called this goes on in the parent alone
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], 60)
    if not ready:
        os.kill(child, signal.SIGKILL)
    told = os.read(reading, 65_536)
    os.close(reading)
    _, code = os.waitpid(child, 0)
    return json.loads(told) if told else {"status": "ENDED", "cause": f"by the system: {code}"}


def _within_limits(definition: Json, value: Json) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    before = paced()
    try:
        said = run(definition, value)
    except BaseException as raised:
        said = {"status": "RAISED", "cause": repr(raised)[:500]}
    said["mebibytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    said["slowness"] = max(before, paced()) / QUIET_SECONDS
    return said


def main() -> int:
    for name, definition, value in cases():
        print(json.dumps({"name": name, **run_apart(definition, value)}), flush=True)
    for name, definition, value, error in hostile_jsonata.cases():
        expected = "SUCCEEDED" if error is None else error
        print(json.dumps({"name": name, "expected": expected, **run_apart(definition, value)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
