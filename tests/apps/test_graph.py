"""The graph of a definition, and what an execution came to in each state, as whole values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from processor import (
    ZERO,
    AnyEvent,
    CompleteTask,
    ExecutionRedriven,
    FailTask,
    Millis,
    RedriveExecution,
    StartExecution,
    StateExited,
    StopExecution,
    SubmitTask,
    TaskScheduled,
    TaskSucceeded,
    parse,
    resume,
)
from processor.apps.render.graph import MAX_LABEL, Edge, Scope, State, graph_of, rule_in_words, shorten
from processor.apps.render.graph_visits import Iterations, Visit, Visits, visits_of
from processor.apps.virtual import VirtualExecution, start_virtual
from processor.model.commands import AnyCommand
from processor.model.json import Json

REPOSITORY = Path(__file__).parents[2]
Answer = Callable[[TaskScheduled], Sequence[AnyCommand]]


def machine(**states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def task(**fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": "work", "End": True} | fields


# ---- the graph


def test_each_kind_of_state_says_in_short_what_it_does() -> None:
    account = "us-east-1:111111111111"
    written = machine(
        Lambda={"Type": "Task", "Resource": f"arn:aws:lambda:{account}:function:charge", "Next": "Invoke"},
        Invoke={
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": f"arn:aws:lambda:{account}:function:ship"},
            "Next": "Queue",
        },
        Queue={"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {}, "Next": "Poll"},
        Poll={"Type": "Task", "Resource": f"arn:aws:states:{account}:activity:look", "Next": "Plain"},
        Plain={"Type": "Task", "Resource": "plain", "Next": "Hold"},
        Hold={"Type": "Wait", "Seconds": 10, "Next": "Until"},
        Until={"Type": "Wait", "TimestampPath": "$.due", "Next": "Pass"},
        Pass={"Type": "Pass", "Next": "Broken"},
        Broken={"Type": "Fail", "Error": "Broken"},
    )
    names = list(written["States"])
    graph = graph_of(parse(written))
    assert graph == Scope(
        label="",
        first="Lambda",
        states=(
            State(name="Lambda", type="Task", detail="charge"),
            State(name="Invoke", type="Task", detail="ship"),
            State(name="Queue", type="Task", detail="sqs:sendMessage"),
            State(name="Poll", type="Task", detail="look"),
            State(name="Plain", type="Task", detail="plain"),
            State(name="Hold", type="Wait", detail="10 s"),
            State(name="Until", type="Wait", detail="$.due"),
            State(name="Pass", type="Pass"),
            State(name="Broken", type="Fail", detail="Broken", ends=True),
        ),
        edges=tuple(Edge(source=a, target=b, kind="Next") for a, b in pairwise(names)),
    )


def test_scopes_lie_within_their_states_and_edges_within_their_scope() -> None:
    body = machine(Work=task(Catch=[{"ErrorEquals": ["E", "F"], "Next": "Saved"}]), Saved={"Type": "Succeed"})
    branches = [machine(Each={"Type": "Map", "Iterator": body, "End": True}), machine(Done={"Type": "Succeed"})]
    choices = [{"Variable": "$.a", "NumericEquals": 1, "Next": "All"}]
    written = machine(
        Which={"Type": "Choice", "Choices": choices, "Default": "All"},
        All={"Type": "Parallel", "Branches": branches, "End": True},
    )
    graph = graph_of(parse(written))
    each_item = Scope(
        label="each item",
        first="Work",
        states=(
            State(name="Work", type="Task", detail="work", ends=True),
            State(name="Saved", type="Succeed", ends=True),
        ),
        edges=(Edge(source="Work", target="Saved", kind="Catch", label="Catch E, F", index=0),),
    )
    first = Scope(
        label="branch 0", first="Each", states=(State(name="Each", type="Map", ends=True, scopes=(each_item,)),)
    )
    second = Scope(label="branch 1", first="Done", states=(State(name="Done", type="Succeed", ends=True),))
    assert graph == Scope(
        label="",
        first="Which",
        states=(
            State(name="Which", type="Choice"),
            State(name="All", type="Parallel", ends=True, scopes=(first, second)),
        ),
        edges=(
            Edge(source="Which", target="All", kind="Choice", label="$.a = 1", index=0),
            Edge(source="Which", target="All", kind="Default", label="Default"),
        ),
    )
    assert [state.name for state in graph.walk()] == ["Which", "All", "Each", "Work", "Saved", "Done"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"Variable": "$.a", "NumericGreaterThanEquals": 10}, "$.a ≥ 10"),
        ({"Variable": "$.a", "StringLessThan": "x"}, '$.a < "x"'),
        ({"Variable": "$.a", "TimestampEqualsPath": "$.b"}, "$.a = $.b"),
        ({"Variable": "$.a", "BooleanEquals": True}, "$.a = true"),
        ({"Variable": "$.a", "StringMatches": "x*"}, '$.a matches "x*"'),
        ({"Variable": "$.a", "IsPresent": True}, "$.a is present"),
        ({"Variable": "$.a", "IsNumeric": False}, "$.a is not a number"),
        ({"Not": {"Variable": "$.a", "IsNull": True}}, "not $.a is null"),
        (
            {"And": [{"Variable": "$.a", "IsNull": True}, {"Or": [{"Variable": "$.b", "NumericEquals": 1},
                                                                   {"Variable": "$.c", "NumericLessThanEquals": 2}]}]},
            "$.a is null and ($.b = 1 or $.c ≤ 2)",
        ),
        ({"Not": {"And": [{"Variable": "$.a", "IsNull": True}]}}, "not ($.a is null)"),
        ({"And": [{"And": [{"Variable": "$.a", "IsNull": True}]}]}, "$.a is null"),
        ({"Condition": "{% $states.input.a > 1 %}"}, "$states.input.a > 1"),
        ({"Condition": True}, "true"),
        ({"Variable": "$.a"}, "$.a"),
        (7, "7"),
    ],
)  # fmt: skip
def test_a_choice_rule_is_said_in_short_words(rule: Any, words: str) -> None:
    assert rule_in_words(rule) == words


def test_a_long_label_is_cut() -> None:
    assert shorten("x" * MAX_LABEL) == "x" * MAX_LABEL
    assert shorten("a \n b" + "x" * MAX_LABEL) == "a b" + "x" * (MAX_LABEL - 4) + "…"


def test_every_state_and_transition_of_the_order_example_is_in_its_graph() -> None:
    graph = graph_of(parse(json.loads((REPOSITORY / "examples/order/order.asl.json").read_text())))
    assert (len(list(graph.walk())), len(graph.edges)) == (24, 22)


# ---- what was visited


def run(definition: Any, *, input: Any = None, answer: Answer = lambda _: ()) -> list[AnyEvent]:
    command = StartExecution(execution_id="m:1", input=input)
    execution = start_virtual(parse(definition), command, now=Millis(0), seed=ZERO, answer=answer)
    assert isinstance(execution, VirtualExecution)
    return [event for batch in execution.run() for event in batch]


def failing(*states: str) -> Answer:
    def answer(asked: TaskScheduled) -> Sequence[AnyCommand]:
        return (FailTask.of(asked, error="E") if asked.state in states else CompleteTask.of(asked, 1),)

    return answer


SUCCEEDED = Visit(entered=1, succeeded=1)
FAILED = Visit(entered=1, failed=1)
CAUGHT = Visit(entered=1, caught=1)
ABORTED = Visit(entered=1, aborted=1)
ACTIVE = Visit(entered=1)


def test_states_that_succeed_fail_and_are_caught() -> None:
    catch = [{"ErrorEquals": ["Never"], "Next": "End"}, {"ErrorEquals": ["E"], "Next": "Saved"}]
    definition = machine(
        First=task(End=False, Next="Try"), Try=task(Catch=catch), Saved=task(), End={"Type": "Succeed"}
    )
    assert visits_of(run(definition, answer=failing("Try", "Saved"))) == Visits(
        states={"First": SUCCEEDED, "Try": CAUGHT, "Saved": FAILED},
        ways={("First", "Try", None): 1, ("Try", "Saved", 1): 1},
    )


def test_a_retry_is_counted_and_the_state_is_entered_once() -> None:
    retry = [{"ErrorEquals": ["E"], "MaxAttempts": 2}]
    assert visits_of(run(machine(Try=task(Retry=retry)), answer=failing("Try"))) == Visits(
        states={"Try": Visit(entered=1, failed=1, retried=2)}
    )


def parallel(*branches: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": list(branches), "End": True} | fields


def wait(seconds: int = 100, **fields: Any) -> dict[str, Any]:
    return {"Type": "Wait", "Seconds": seconds} | (fields or {"End": True})


SAVED: dict[str, Any] = {
    "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Saved"}], "End": False, "Next": "Saved",
}  # fmt: skip


def test_a_branch_that_fails_cuts_its_siblings() -> None:
    definition = machine(
        All=parallel(machine(Slow=wait()), machine(Soon=wait(1, Next="Boom"), Boom={"Type": "Fail"}), **SAVED),
        Saved={"Type": "Succeed"},
    )
    assert visits_of(run(definition)).states == {
        "All": CAUGHT, "Slow": ABORTED, "Soon": SUCCEEDED, "Boom": FAILED, "Saved": SUCCEEDED,
    }  # fmt: skip


def test_a_parallel_that_nobody_catches_fails_with_its_branch() -> None:
    inner = machine(Inner=parallel(machine(Bad=task()), machine(Slow=wait())))
    definition = machine(Outer=parallel(inner, machine(Other=wait())))
    assert visits_of(run(definition, answer=failing("Bad"))).states == {
        "Outer": FAILED, "Inner": FAILED, "Bad": FAILED, "Slow": ABORTED, "Other": ABORTED,
    }  # fmt: skip


def test_a_state_without_an_event_of_its_failure_is_found_by_what_was_not_cut() -> None:
    # A path that is not there fails a Pass, of which AWS has no event but its entry.
    no_path = {"Type": "Pass", "Parameters": {"a.$": "$.absent"}, "End": True}
    definition = machine(All=parallel(machine(Slow=wait()), machine(Soon=wait(1, Next="Bad"), Bad=no_path)))
    assert visits_of(run(definition, input={})).states == {
        "All": FAILED, "Slow": ABORTED, "Soon": SUCCEEDED, "Bad": FAILED,
    }  # fmt: skip


def test_a_parallel_that_is_retried_counts_what_its_attempts_left() -> None:
    retry = [{"ErrorEquals": ["E"], "MaxAttempts": 1}]
    definition = machine(All=parallel(machine(Bad=task()), machine(Slow=wait()), Retry=retry))
    assert visits_of(run(definition, answer=failing("Bad"))).states == {
        "All": Visit(entered=1, failed=1, retried=1),
        "Bad": Visit(entered=2, failed=2),
        "Slow": Visit(entered=2, aborted=2),
    }


def test_iterations_are_counted() -> None:
    body = machine(Work=task())
    definition = machine(Each={"Type": "Map", "ItemProcessor": body, "MaxConcurrency": 2, "End": True})

    def answer(asked: TaskScheduled) -> Sequence[AnyCommand]:
        if asked.arguments == "bad":
            return (FailTask.of(asked, error="E"),)
        return () if asked.arguments == "slow" else (CompleteTask.of(asked, 1),)

    assert visits_of(run(definition, input=["ok", "slow", "bad", "never"], answer=answer)).states == {
        "Each": Visit(
            entered=1, failed=1, iterations=Iterations(length=4, started=3, succeeded=1, failed=1, aborted=1)
        ),
        "Work": Visit(entered=3, succeeded=1, failed=1, aborted=1),
    }


DISTRIBUTED: dict[str, Any] = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}


READER = {
    "Resource": "arn:aws:states:::s3:getObject",
    "ReaderConfig": {"InputType": "JSON"},
    "Parameters": {"Bucket": "b", "Key": "k"},
}


def test_items_are_counted_in_batches_too_and_so_are_those_that_a_reader_brings() -> None:
    batched = {
        "Type": "Map",
        "ItemBatcher": {"MaxItemsPerBatch": 2},
        "ItemProcessor": machine(Work=task()) | DISTRIBUTED,
    }

    def answer(asked: TaskScheduled) -> Sequence[AnyCommand]:
        return (CompleteTask.of(asked, [1, 2, 3] if asked.kind == "ITEM_READER" else "done"),)

    for more in ({}, {"ItemReader": READER}):
        definition = machine(Each={**batched, **more, "End": True})
        assert visits_of(run(definition, input=[1, 2, 3], answer=answer)).of("Each") == Visit(
            entered=1, succeeded=1, iterations=Iterations(length=3, started=3, succeeded=3)
        )


def test_what_a_reader_brings_in_pages_is_counted_once_it_has_all_and_anew_where_it_is_asked_again() -> None:
    retry = [{"ErrorEquals": ["States.ItemReaderFailed"], "MaxAttempts": 1}]
    each = {"Type": "Map", "ItemReader": READER, "ItemProcessor": machine(Hold=wait(1)) | DISTRIBUTED, "Retry": retry}

    def answer(asked: TaskScheduled) -> Sequence[AnyCommand]:
        last: Json = {"Page": 1, "Items": {"c": 3}}
        page = SubmitTask.of(asked, {"Page": 0, "Items": {"a": 1, "b": 2}})
        return page, FailTask.of(asked) if asked.attempt == 0 else CompleteTask.of(asked, last)

    events = run(machine(Each={**each, "End": True}), answer=answer)
    done = Iterations(length=3, started=3, succeeded=3)
    assert visits_of(events).of("Each") == Visit(entered=1, succeeded=1, retried=1, iterations=done)
    read = next(number for number, event in enumerate(events) if isinstance(event, TaskSucceeded))
    unread = Visit(entered=1, retried=1, iterations=Iterations(length=None))
    assert visits_of(events[:read]).of("Each") == unread


def test_a_reader_that_fails_brings_nothing_and_the_task_behind_it_is_no_page() -> None:
    catch = [{"ErrorEquals": ["States.ItemReaderFailed"], "Next": "Then"}]
    each = {"Type": "Map", "ItemReader": READER, "ItemProcessor": machine(Hold=wait(1)) | DISTRIBUTED, "Catch": catch}

    def answer(asked: TaskScheduled) -> Sequence[AnyCommand]:
        return (FailTask.of(asked) if asked.kind == "ITEM_READER" else CompleteTask.of(asked, [1, 2]),)

    assert visits_of(run(machine(Each={**each, "Next": "Then"}, Then=task()), answer=answer)).states == {
        "Each": Visit(entered=1, caught=1, iterations=Iterations(length=None)),
        "Then": SUCCEEDED,
    }


def test_a_loop_counts_how_often_it_went_round() -> None:
    counting = {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "Enough"}
    choices = [{"Variable": "$.n", "NumericLessThan": 3, "Next": "Count"}]
    definition = machine(
        Count=counting, Enough={"Type": "Choice", "Choices": choices, "Default": "End"}, End={"Type": "Succeed"}
    )
    assert visits_of(run(definition, input={"n": 0})) == Visits(
        states={
            "Count": Visit(entered=3, succeeded=3), "Enough": Visit(entered=3, succeeded=3), "End": SUCCEEDED
        },
        ways={("Count", "Enough", None): 3, ("Enough", "Count", None): 2, ("Enough", "End", None): 1},
    )  # fmt: skip


def test_what_is_stopped_or_times_out_is_aborted_and_what_goes_on_is_in_progress() -> None:
    definition = machine(All=parallel(machine(Slow=wait()), machine(Ended={"Type": "Succeed"})))
    command = StartExecution(execution_id="m:1", input=None)
    execution = start_virtual(parse(definition), command, now=Millis(0), seed=ZERO, answer=lambda _: ())
    assert isinstance(execution, VirtualExecution)
    begun = next(execution.run())
    assert visits_of(begun).states == {"All": ACTIVE, "Slow": ACTIVE, "Ended": SUCCEEDED}
    stopped = resume(execution.execution, StopExecution(execution_id="m:1"))
    told = {"All": ABORTED, "Slow": ABORTED, "Ended": SUCCEEDED}
    assert visits_of([*begun, *stopped.events]).states == told
    assert visits_of(run(definition | {"TimeoutSeconds": 10})).states == told


def test_a_state_that_a_redrive_opens_again_is_counted_anew() -> None:
    definition = machine(Try=task())
    events = run(definition, answer=failing("Try"))
    last = events[-1]
    envelope: dict[str, Any] = {"execution_id": "m:1", "time": last.time, "caused_by": last.caused_by}
    redriven = ExecutionRedriven(
        **envelope, sequence=last.sequence + 1, redrive_count=1, revision="", definition_hash=b""
    )
    exited = StateExited(**envelope, sequence=last.sequence + 2, state="Try", output_of="INPUT")
    opened = Visit(entered=2, failed=1)
    assert visits_of([*events, redriven]).states == {"Try": opened}
    assert visits_of([*events, redriven, exited]).states == {"Try": MENDED}


MENDED = Visit(entered=2, failed=1, succeeded=1, last="SUCCEEDED")


def redriven(definition: Any, *, input: Any = None, failing: Answer, then: Answer) -> list[list[AnyEvent]]:
    """Return what happened up to the redrive, the redrive itself, and what it came to, each with all before it."""
    command = StartExecution(execution_id="m:1", input=input)
    execution = start_virtual(parse(definition), command, now=Millis(0), seed=ZERO, answer=failing)
    assert isinstance(execution, VirtualExecution)
    events = [event for batch in execution.run() for event in batch]
    told = [list(events)]
    outcome = resume(execution.execution, RedriveExecution(execution_id="m:1"))
    told.append([*events, *outcome.events])
    asked = [event for event in outcome.events if isinstance(event, TaskScheduled)]
    events += outcome.events
    while asked:
        for answer in then(asked.pop(0)):
            assert outcome.execution is not None
            outcome = resume(outcome.execution, answer)
            events += outcome.events
            asked += [event for event in outcome.events if isinstance(event, TaskScheduled)]
    return [*told, events]


def by_item(**answers: str) -> Answer:
    def answer(asked: TaskScheduled) -> Sequence[AnyCommand]:
        match answers.get(str(asked.arguments), "succeeds"):
            case "fails":
                return (FailTask.of(asked, error="E"),)
            case "waits":
                return ()
            case _:
                return (CompleteTask.of(asked, 1),)

    return answer


EACH = machine(Each={"Type": "Map", "ItemProcessor": machine(Work=task()), "MaxConcurrency": 2, "End": True})


def test_an_item_that_a_redrive_brings_to_its_end_is_one_that_succeeded() -> None:
    items = ["ok", "slow", "bad", "never"]
    failing, then = by_item(bad="fails", slow="waits"), by_item()
    failed, opened, ended = redriven(EACH, input=items, failing=failing, then=then)
    assert visits_of(failed).states == {
        "Each": Visit(
            entered=1, failed=1, iterations=Iterations(length=4, started=3, succeeded=1, failed=1, aborted=1)
        ),
        "Work": Visit(entered=3, succeeded=1, failed=1, aborted=1),
    }
    assert visits_of(opened).states == {
        "Each": Visit(entered=2, failed=1, iterations=Iterations(length=4, started=3, succeeded=1)),
        "Work": Visit(entered=5, succeeded=1, failed=1, aborted=1),
    }
    assert visits_of(ended).states == {
        "Each": Visit(
            entered=2, failed=1, succeeded=1, iterations=Iterations(length=4, started=4, succeeded=4), last="SUCCEEDED"
        ),
        "Work": Visit(entered=6, succeeded=4, failed=1, aborted=1, last="SUCCEEDED"),
    }


def test_an_item_that_fails_again_after_a_redrive_is_one_that_failed() -> None:
    failing = by_item(bad="fails")
    _, _, ended = redriven(EACH, input=["ok", "bad"], failing=failing, then=failing)
    assert visits_of(ended).states == {
        "Each": Visit(entered=2, failed=2, iterations=Iterations(length=2, started=2, succeeded=1, failed=1)),
        "Work": Visit(entered=3, succeeded=1, failed=2),
    }


def test_a_parallel_that_is_redriven_goes_on_in_the_branches_that_had_not_ended() -> None:
    definition = machine(
        All=parallel(machine(Good=task()), machine(Bad=task()), machine(Slow=task(Resource="slow"))),
    )

    def failing(asked: TaskScheduled) -> Sequence[AnyCommand]:
        if asked.state == "Slow":
            return ()
        return (FailTask.of(asked, error="E") if asked.state == "Bad" else CompleteTask.of(asked, 1),)

    _, opened, ended = redriven(definition, failing=failing, then=by_item())
    assert visits_of(opened).states == {
        "All": Visit(entered=2, failed=1),
        "Good": SUCCEEDED,
        "Bad": Visit(entered=2, failed=1),
        "Slow": Visit(entered=2, aborted=1),
    }
    assert visits_of(ended).states == {
        "All": MENDED,
        "Good": SUCCEEDED,
        "Bad": MENDED,
        "Slow": Visit(entered=2, aborted=1, succeeded=1, last="SUCCEEDED"),
    }


def test_the_last_round_of_a_loop_decides_and_so_does_the_last_attempt_of_a_container() -> None:
    def once(asked: TaskScheduled) -> Sequence[AnyCommand]:
        seen.append(asked.state)
        return (FailTask.of(asked, error="E") if seen.count(asked.state) == 1 else CompleteTask.of(asked, 1),)

    seen: list[str] = []
    catch = [{"ErrorEquals": ["E"], "ResultPath": None, "Next": "Again"}]
    looping = machine(Try=task(Catch=catch), Again={"Type": "Pass", "Next": "Try"})
    assert visits_of(run(looping, answer=once)).of("Try") == Visit(entered=2, caught=1, succeeded=1, last="SUCCEEDED")
    retry = [{"ErrorEquals": ["E"], "MaxAttempts": 1}]
    seen.clear()
    retried = visits_of(run(machine(All=parallel(machine(Bad=task()), Retry=retry)), answer=once))
    assert retried.states == {"All": Visit(entered=1, succeeded=1, retried=1), "Bad": MENDED}


def test_of_several_items_the_worst_is_shown_and_an_earlier_round_of_their_map_counts_no_longer() -> None:
    tolerant = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ResultPath": None,
        "ToleratedFailureCount": 9,
        "ItemProcessor": machine(Work=task()) | DISTRIBUTED,
    }
    first = visits_of(
        run(machine(Each={**tolerant, "End": True}), input={"items": ["bad", "ok"]}, answer=by_item(bad="fails"))
    )
    assert first.of("Work") == Visit(entered=2, failed=1, succeeded=1)
    fewer = {"Type": "Pass", "Result": {"items": ["ok"], "again": False}, "Next": "Each"}
    choices = [{"Variable": "$.again", "BooleanEquals": True, "Next": "Fewer"}]
    looping = machine(
        Each={**tolerant, "Next": "More"},
        More={"Type": "Choice", "Choices": choices, "Default": "End"},
        Fewer=fewer,
        End={"Type": "Succeed"},
    )
    events = run(looping, input={"items": ["ok", "bad"], "again": True}, answer=by_item(bad="fails"))
    assert visits_of(events).of("Work") == Visit(entered=3, failed=1, succeeded=2, last="SUCCEEDED")


@pytest.mark.parametrize(
    ("visit", "outcome"),
    [
        (Visit(), "NOT_ENTERED"),
        (SUCCEEDED, "SUCCEEDED"),
        (Visit(entered=4, succeeded=1, failed=1, caught=1), "IN_PROGRESS"),
        (Visit(entered=3, succeeded=1, failed=1, caught=1), "FAILED"),
        (Visit(entered=3, succeeded=1, caught=1, aborted=1), "CAUGHT"),
        (Visit(entered=2, succeeded=1, aborted=1), "ABORTED"),
        (Visit(entered=2, succeeded=1, failed=1, last="SUCCEEDED"), "SUCCEEDED"),
    ],
)
def test_of_several_outcomes_the_one_that_says_most_is_shown(visit: Visit, outcome: str) -> None:
    assert visit.outcome == outcome
