"""Fields that tests of other things do not use: each in a definition that runs, in both query languages.

The language of each state is its own; comments stand everywhere. Source: ASL specification, "Comment"; AWS Developer
Guide, "ItemReader (Map)", "Transforming data with JSONata"; the rest is said where it is.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from processor import AnyEvent, CompleteTask, RetryScheduled
from processor.interpreter.item_reader import pages, read_items
from processor.interpreter.trial_api import answer_test_state
from processor.model.json import Json
from tests.interpreter.scenario import Run, machine, scope_of, task, told
from tests.interpreter.test_item_reader import Bucket

LANGUAGES = ["JSONPath", "JSONata"]
languages = pytest.mark.parametrize("language", LANGUAGES)
NOTE = {"Comment": "why it is so"}


# ---- Comment, QueryLanguage, Version


def of_all_kinds(language: str, *, ends: str) -> dict[str, Any]:
    """Return a machine of every type of state, each with the language named, and with a Comment wherever one may be."""
    said = {**NOTE, "QueryLanguage": language}
    jsonata = language == "JSONata"
    is_it = (
        {"Condition": f"{{% $states.input.to = '{ends}' %}}"} if jsonata else {"Variable": "$.to", "StringEquals": ends}
    )
    place = {"Bucket": "b", "Key": "k"}
    reader = {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {**NOTE, "InputType": "JSON"}}
    writer = {"WriterConfig": {**NOTE, "Transformation": "NONE"}}
    inner = {**NOTE, **scope_of("I", {"Type": "Pass", **said, "End": True})}
    handlers = {
        "Retry": [{**NOTE, "ErrorEquals": ["E"], "MaxAttempts": 0}],
        "Catch": [{**NOTE, "ErrorEquals": ["E"], "Next": "Parallel"}],
    }
    branch = {**NOTE, **scope_of("B", {"Type": "Pass", **said, "End": True})}
    states: dict[str, dict[str, Any]] = {
        "Pass": {"Type": "Pass", **said, "Next": "Wait"},
        "Wait": {"Type": "Wait", **said, "Seconds": 1, "Next": "Choice"},
        "Choice": {"Type": "Choice", **said, "Choices": [{**NOTE, **is_it, "Next": "Fail"}], "Default": "Task"},
        "Fail": {"Type": "Fail", **said, "Error": "E"},
        "Task": task("Task", "Parallel", **said, **handlers),
        "Parallel": {"Type": "Parallel", **said, "Branches": [branch], "Next": "Map"},
        "Map": {
            "Type": "Map",
            **said,
            "ItemReader": {**NOTE, **reader, "Arguments" if jsonata else "Parameters": place},
            "ItemBatcher": {**NOTE, "MaxItemsPerBatch": 2},
            "ItemProcessor": {**inner, "ProcessorConfig": {**NOTE, "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}},
            "ResultWriter": {**NOTE, **writer},
            "Label": "L",
            "Next": "Succeed",
        },
        "Succeed": {"Type": "Succeed", **said},
    }  # fmt: skip
    return machine("Pass", states, **NOTE, Version="1.0")


def without(value: Any, *names: str) -> Any:
    if isinstance(value, list):
        return [without(element, *names) for element in value]
    if isinstance(value, dict):
        return {name: without(member, *names) for name, member in value.items() if name not in names}
    return value


def gone_through(definition: dict[str, Any]) -> tuple[Run, list[tuple[str, tuple[int, ...], str]]]:
    run = Run(definition, {"to": "end"})
    run.fire("wait", "Wait")
    if run.status == "RUNNING":
        run.fail("Task", "E")
        answer_reader(run, {"k": "[1, 2, 3]"})
    return run, told(run.events)


def answer_reader(run: Run, objects: dict[str, str]) -> tuple[AnyEvent, ...]:
    """Read what the Map's ItemReader asks for, as an executor does, and give it as one page."""
    asked = run.task("Map")
    assert asked.kind == "ITEM_READER"
    [page] = pages(read_items(asked.resource, asked.arguments, Bucket(objects)))
    return run.give(CompleteTask.of(asked, page))


@languages
@pytest.mark.parametrize("ends", ["end", "elsewhere"])
def test_comments_and_version_change_nothing(language: str, ends: str) -> None:
    definition = of_all_kinds(language, ends=ends)
    commented, events = gone_through(definition)
    plain, as_before = gone_through(without(definition, "Comment", "Version"))
    assert events == as_before
    assert commented.execution.output == plain.execution.output
    assert commented.status == plain.status == ("FAILED" if ends == "end" else "SUCCEEDED")


@languages
def test_a_language_said_of_every_state_is_that_of_a_machine_that_says_it_once(language: str) -> None:
    definition = of_all_kinds(language, ends="elsewhere")
    _, events = gone_through(definition)
    _, of_the_machine = gone_through({**without(definition, "QueryLanguage"), "QueryLanguage": language})
    assert events == of_the_machine


# ---- ItemReader


ROWS = {"CSVHeaderLocation": "GIVEN", "CSVHeaders": ["n", "s"], "CSVDelimiter": "PIPE"}


@languages
@pytest.mark.parametrize(
    ("action", "config", "objects", "items"),
    [
        ("getObject", {"InputType": "CSV", **ROWS}, {"k": "1|a\n2|b"}, [{"n": "1", "s": "a"}, {"n": "2", "s": "b"}]),
        ("getObject", {"InputType": "JSON", "ItemsPointer": "/a/1"}, {"k": '{"a": [0, [5, 6]]}'}, [5, 6]),
        ("getObject", {"InputType": "JSONL", "ManifestType": "ATHENA_DATA"}, {"k": "s3://b/o", "o": "7\n8"}, [7, 8]),
        (
            "listObjectsV2",
            {"InputType": "JSON", "Transformation": "LOAD_AND_FLATTEN"},
            {"1": "[1, 2]", "2": "[3]"},
            [1, 2, 3],
        ),
    ],
)
def test_what_a_reader_is_told_is_what_its_executor_reads_by(
    language: str, action: str, config: dict[str, Any], objects: dict[str, str], items: list[Json]
) -> None:
    place = {"Bucket": "b", **({"Key": "k"} if action == "getObject" else {})}
    reader = {"Resource": f"arn:aws:states:::s3:{action}", "ReaderConfig": config}
    state = {
        "Type": "Map",
        "QueryLanguage": language,
        "ItemReader": {**reader, "Arguments" if language == "JSONata" else "Parameters": place},
        "ItemProcessor": {
            **scope_of("I", {"Type": "Pass", "End": True}),
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        },
        "Label": "L",
        "End": True,
    }
    run = Run(scope_of("Map", state), {})
    answer_reader(run, objects)
    assert (run.status, run.execution.output) == ("SUCCEEDED", items)


# ---- Retry, Iterator


@languages
def test_retriers_are_read_alike_in_both_languages(language: str) -> None:
    retrier = {
        "ErrorEquals": ["E"],
        "IntervalSeconds": 3,
        "BackoffRate": 10,
        "MaxDelaySeconds": 8,
        "MaxAttempts": 3,
    }
    run = Run(scope_of("A", task("A", QueryLanguage=language, Retry=[retrier])))
    waits = []
    for _ in range(3):
        [_, scheduled] = run.fail("A", "E")
        assert isinstance(scheduled, RetryScheduled)
        waits.append(scheduled.due - scheduled.time)
        run.fire("retry", "A")
    assert waits == [3_000, 8_000, 8_000]


def test_jitter_is_drawn_alike_in_both_languages() -> None:
    retrier = {"ErrorEquals": ["E"], "IntervalSeconds": 100, "JitterStrategy": "FULL"}
    due = set()
    for language in LANGUAGES:
        run = Run(scope_of("A", task("A", QueryLanguage=language, Retry=[retrier])))
        [_, scheduled] = run.fail("A", "E")
        assert isinstance(scheduled, RetryScheduled)
        due.add(scheduled.due)
    [drawn] = due
    assert 0 <= drawn < 100_000 and drawn != 0


@languages
def test_iterator_is_an_older_word_for_item_processor(language: str) -> None:
    def mapped(word: str) -> tuple[list[tuple[str, tuple[int, ...], str]], Json]:
        state = {"Type": "Map", "QueryLanguage": language, word: scope_of("I", task("I")), "End": True}
        run = Run(scope_of("M", state), [1, 2])
        for index in (1, 0):
            run.complete("I", index, scope=(index,))
        return told(run.events), run.execution.output

    assert mapped("Iterator") == mapped("ItemProcessor")
    assert mapped("Iterator")[1] == [0, 1]


# ---- TestState


def test_a_trial_tells_what_a_pointer_and_a_selector_make_of_the_items() -> None:
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "Parameters": {"Bucket": "b", "Key": "k"},
        "ReaderConfig": {"InputType": "JSON", "ItemsPointer": "/a"},
    }
    state = {
        "Type": "Map",
        "ItemReader": reader,
        "ItemSelector": {"v.$": "$$.Map.Item.Value"},
        "ItemProcessor": {
            **scope_of("I", {"Type": "Pass", "End": True}),
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        },
        "End": True,
    }
    answer = answer_test_state({
        "definition": json.dumps(state),
        "input": "{}",
        "mock": {"result": "[1, 2]"},
        "stateConfiguration": {"mapItemReaderData": '{"a": [7, 8]}'},
        "inspectionLevel": "DEBUG",
    })  # fmt: skip
    data = answer["inspectionData"]
    assert isinstance(data, dict)
    assert (data["afterItemsPointer"], data["afterItemSelector"]) == ("[7, 8]", '[{"v": 7}, {"v": 8}]')
