"""The folded state as bytes: every field, what is shared, how large it is, and which format it is called.

That executions reached by workflows survive it: tests/properties/test_snapshots.py.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from processor import CompleteTask, Workflow, parse, resume, start
from processor.engine.encoding import STATE_FORMAT, decode_execution, encode_execution, execution_header
from processor.errors import DecodingFailed
from processor.model import events as e
from processor.model import execution as s
from processor.model.execution import Execution, Iterations, Scope
from processor.model.ids import Millis, task_token
from processor.model.json import Json, json_bytes
from processor.model.records import Status
from processor.model.runnable import Runnable
from tests.engine.encoding_values import floats, jsons, texts
from tests.properties.test_snapshots import exact, reread

Fields: TypeAlias = dict[str, Any]
"""A definition, or a part of one, as tests write it."""

TASK: Fields = {"Type": "Task", "Resource": "work", "End": True}


def machine(**states: Fields) -> Workflow:
    """The states follow each other in the order given."""
    linked = {name: states[name] | {"Next": following} for name, following in pairwise(states)}
    definition: Fields = {"StartAt": next(iter(states)), "States": states | linked}
    return parse(definition)


def started(workflow: Workflow, input: Json = None) -> Execution:
    execution = start(workflow, input).execution
    assert execution is not None
    return execution


WORKFLOW = machine(T=TASK)

# ---- any state there can be, reached or not

ints = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300)
millis = ints.map(Millis)
keys = st.lists(st.integers(0, 2**40), max_size=3).map(tuple)


def structs(struct: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    assert set(struct.__struct_fields__) == set(fields), "a field is new: draw it here"
    return st.builds(struct, **fields)


def maybe(some: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | some


def symbols(alias: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(get_args(alias))


goes_on = st.builds(s.Next, texts) | st.just(s.ENDED)
timed = {"sequence": ints, "due": millis}
phases = st.one_of(
    goes_on,
    *map(st.just, (s.ENTERED, s.FILLING, s.RUNNING)),
    structs(s.Succeeded, result=jsons),
    structs(
        s.Failed, error=maybe(texts), cause=maybe(texts), reported=st.booleans(), heartbeat=st.booleans(),
        cutting=st.booleans(), final=st.booleans(),
    ),
    structs(s.Waiting, **timed),
    structs(s.Retrying, **timed),
    structs(
        s.Pending, sequence=ints, kind=symbols(e.TaskKind), timeout_at=maybe(millis), heartbeat_seconds=maybe(ints),
        heartbeat_at=maybe(millis), last_heartbeat=maybe(millis), started=st.booleans(), submitted=st.booleans(),
    ),
    structs(s.Cut, before=maybe(goes_on)),
)  # fmt: skip
results = st.dictionaries(st.integers(0, 9), jsons, max_size=3).map(Map)
runs = structs(
    s.MapRun, id=texts, pages=st.lists(jsons, max_size=2).map(tuple), read=st.booleans(), written=st.booleans(),
    output=jsons, ended=st.booleans(),
)  # fmt: skip
children = structs(
    s.Branches, count=ints, ended=ints, results=results, result_bytes=ints, dropped=st.booleans()
) | structs(
    s.Iterations, items=st.lists(jsons, max_size=3), keys=maybe(st.lists(texts, max_size=3)), source=texts,
    mode=symbols(e.MapMode), first=texts, max_concurrency=ints, tolerated_count=maybe(ints),
    tolerated_percentage=maybe(floats), next_index=ints, next_item=ints, running=ints, ended=ints,
    results=results, result_bytes=ints, failures=results, failure_bytes=ints, failed=ints, dropped=st.booleans(),
    run=maybe(runs), prepared=st.builds(s.Prepared),
)  # fmt: skip
scopes = structs(
    Scope, value=jsons, phase=phases, state=texts, type=maybe(symbols(e.StateType)), visit=ints, entered_id=ints,
    entered_time=millis, attempts=st.lists(ints, max_size=3).map(tuple), retry_count=ints, children=maybe(children),
    cut_from=maybe(ints), aborted=st.booleans(), variables=st.dictionaries(texts, jsons, max_size=3).map(Map),
    variable_bytes=ints, silent=st.booleans(),
    child=maybe(structs(s.Child, input=jsons, started=millis, items=ints)),
)  # fmt: skip
causes = structs(e.Cause, command_id=texts, type=texts, issuer=texts, offset=maybe(ints))
starts = structs(
    e.ExecutionStarted, execution_id=texts, sequence=ints, time=millis, caused_by=causes, scope=keys, state=texts,
    state_machine=texts, revision=texts, definition_hash=st.binary(max_size=32), version=maybe(ints),
    reply_to=maybe(texts), correlation_id=maybe(texts), type=symbols(e.MachineType), input=jsons, context=jsons,
    seed=st.binary(max_size=16), first=texts, role=maybe(texts), alias=maybe(texts), trace=maybe(texts),
    timeout_at=maybe(millis), synchronous=st.booleans(),
    parent=maybe(
        structs(e.Parent, execution_id=texts, scope=keys, sequence=ints, map_run=maybe(texts), index=maybe(ints))
    ),
)  # fmt: skip
SCOPE_KEYS = ((), (0,), (1,), (0, 0), (0, 2**40), (1, 3))
executions = structs(
    Execution, workflow=st.just(WORKFLOW), started=starts, status=symbols(Status), sequence=ints, aws_events=ints,
    time=millis, caused_by=causes, runnable=st.lists(keys, max_size=4, unique=True).map(Runnable),
    scopes=st.integers(0, 6).flatmap(
        lambda count: st.tuples(*[scopes] * count).map(lambda some: Map(zip(SCOPE_KEYS, some, strict=False)))
    ),
    timeout_at=maybe(millis), timer_sequence=ints, redrive_count=ints, redrive_time=maybe(millis),
    quarantined=maybe(texts), variable_bytes=ints, output=jsons, error=maybe(texts), cause=maybe(texts),
)  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(execution=executions)
def test_every_field_of_every_class_survives(execution: Execution) -> None:
    read = reread(execution)

    assert read == execution
    assert exact(read) == exact(execution)


@pytest.mark.parametrize(
    "value",
    [2**64 - 1, -(2**63), 1e300, -0.0, 5e-324, "\x00", "ü" * 40, {"": {"": []}}, [[[]]], "\U0001f600" * 33],
    ids=repr,
)
def test_every_json_value_survives(value: Json) -> None:
    execution = replace(started(WORKFLOW), output=value, error="E")

    assert exact(reread(execution)) == exact(execution)


def test_json_as_deep_as_can_be_written_survives() -> None:
    deep: Json = "bottom"
    for level in range(250):
        deep = [deep] if level % 2 else {"k": deep}
    json_bytes(deep)  # a level or two more, and it could not
    execution = replace(started(WORKFLOW), output=deep)

    assert json_bytes(reread(execution).output) == json_bytes(deep)


# ---- what is known without decoding it


def test_the_header_tells_what_to_decode_it_with() -> None:
    execution = started(WORKFLOW)
    header = execution_header(encode_execution(execution))

    assert (header.state_machine, header.revision) == (execution.started.state_machine, WORKFLOW.revision)
    assert (header.sequence, header.at_rest) == (execution.sequence, True)


def test_the_header_names_the_revision_that_a_redrive_went_on_with() -> None:
    other = machine(T=TASK | {"Comment": "mended"})
    execution = replace(started(WORKFLOW), workflow=other)

    header = execution_header(encode_execution(execution))
    assert (header.revision, other.revision == WORKFLOW.revision) == (other.revision, False)


# ---- sharing


def map_over(*, before: Fields | None = None, then: Fields | None = None, **fields: Json) -> Workflow:
    """A Map whose iterations end in a task; `before`: a state before it; `then`: one before the task."""
    states = {"P": then | {"Next": "T"}, "T": TASK} if then else {"T": TASK}
    processor: Fields = {"StartAt": next(iter(states)), "States": states}
    mapped: Fields = {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}
    return machine(V=before, M=mapped) if before else machine(M=mapped)


def items_of(execution: Execution) -> list[Json]:
    container = execution.scopes[()].children
    assert isinstance(container, Iterations)
    return container.items


def test_iterations_share_their_maps_items() -> None:
    items: list[Json] = [{"n": n, "text": "x" * 100} for n in range(1_000)]
    read = reread(started(map_over(), items))

    assert len(read.scopes) == 41  # AWS runs at most 40 at once
    assert all(read.scopes[(n,)].value is items_of(read)[n] for n in range(40))
    assert read.started.input is read.scopes[()].value is items_of(read)


def test_children_of_a_distributed_map_share_its_items_with_their_inputs() -> None:
    workflow = map_over(ItemProcessor={
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "T", "States": {"T": TASK},
    })  # fmt: skip
    items: list[Json] = [{"n": n, "text": "x" * 10} for n in range(1_000)]
    execution = started(workflow, items)
    assert len(execution.scopes) == 1_001
    read = reread(execution)

    assert read == execution
    for n in range(1_000):
        child = read.scopes[(n,)]
        assert child.child is not None
        assert child.value is child.child.input is items_of(read)[n]
    assert len(encode_execution(execution)) < len(json_bytes(items)) + 1_000 * 70


def test_iterations_of_iterations_share_the_outer_maps_items() -> None:
    inner: Json = {
        "Type": "Map", "ItemsPath": "$", "ItemProcessor": {"StartAt": "T", "States": {"T": TASK}}, "End": True,
    }  # fmt: skip
    workflow = map_over(ItemProcessor={"StartAt": "I", "States": {"I": inner}})
    row: Json = [{"cell": "x" * 1_000}] * 3
    execution = started(workflow, [[{"cell": "x" * 1_000} for _ in range(3)] for _ in range(4)])
    read = reread(execution)

    outer = items_of(read)
    assert outer == [row] * 4
    for i in range(4):
        of_row = read.scopes[(i,)].children
        assert isinstance(of_row, Iterations)
        assert of_row.items is read.scopes[(i,)].value is outer[i]
        for j in range(3):
            assert read.scopes[(i, j)].value is of_row.items[j]


def test_variables_are_shared_by_all_that_see_them() -> None:
    """The lone string too, though each iteration has a set of its own as soon as it has assigned something."""
    large: Fields = {"Type": "Pass", "Assign": {"text": "x" * 100_000, "array": ["y"] * 10_000, "n": 1}}
    small: Fields = {"Type": "Pass", "Assign": {"own": 1}}
    execution = started(map_over(before=large, then=small), list(range(40)))
    data = encode_execution(execution)
    read = decode_execution(data, execution.workflow)

    assert read == execution
    outer = read.scopes[()].variables
    for n in range(40):
        seen = read.scopes[(n,)].variables
        assert seen["own"] == 1
        assert seen["text"] is outer["text"]
        assert seen["array"] is outer["array"]
    assert len(data) < 200_000


def test_a_set_of_variables_that_nobody_changed_is_one() -> None:
    large: Fields = {"Type": "Pass", "Assign": {"text": "x" * 100}}
    read = reread(started(map_over(before=large), [1, 2]))

    assert read.scopes[()].variables is read.scopes[(0,)].variables is read.scopes[(1,)].variables


def test_what_was_read_back_stays_as_small_as_it_goes_on() -> None:
    """Sharing is not lost by being idle again and again."""
    large: Fields = {"Type": "Pass", "Assign": {"text": "x" * 100_000}}
    execution = started(map_over(before=large), [{"n": n} for n in range(100)])
    first = len(encode_execution(execution))
    for n in range(50):
        phase = execution.scopes[(n,)].phase
        assert isinstance(phase, s.Pending)
        token = task_token(execution.execution_id, (n,), phase.sequence)
        answer = CompleteTask(execution_id=execution.execution_id, token=token, output=n)
        outcome = resume(reread(execution), answer)
        assert outcome.execution is not None
        execution = outcome.execution

    assert len(execution.scopes) == 41
    assert len(encode_execution(execution)) < first + 1_000


# ---- size


@pytest.mark.parametrize("size", [0, 1_000, 10_000])
def test_a_waiting_execution_takes_little_more_than_its_variables(size: int) -> None:
    execution = started(machine(V={"Type": "Pass", "Assign": {"v": {"k": "x" * size}}}, T=TASK), {})

    assert len(encode_execution(execution)) < size + 300


def test_results_past_the_limit_take_nothing() -> None:
    execution = started(map_over(), list(range(40)))
    for n in range(30):
        phase = execution.scopes[(n,)].phase
        assert isinstance(phase, s.Pending)
        token = task_token(execution.execution_id, (n,), phase.sequence)
        answer = CompleteTask(execution_id=execution.execution_id, token=token, output="x" * 200_000)
        outcome = resume(execution, answer)
        assert outcome.execution is not None
        execution = reread(outcome.execution)
        assert len(encode_execution(execution)) < 210_000

    assert len(encode_execution(execution)) < 2_000


# ---- the format

PINNED = "488e237b8dc4ac5a"
GOLDEN = (
    "95a56c6f63616cb06532346139616164323937323366386405c3c4f693dc001300c0dc001802a76c6f63616c3a3100009503a0ae"
    "5374617274457865637574696f6ea0c090a0a56c6f63616cb065323461396161643239373233663864c420e24a9aad29723f8d23"
    "13556af5cf14e0c3bb6df59fe2b9f783720ff9af717cbcc0c0c0a85354414e444152449100c0c410000000000000000000000000"
    "00000000a156c0c0c0c0c0c2a752554e4e494e470506009503a0ae5374617274457865637574696f6ea0c09290dc001101910099"
    "0d04a64c414d424441c0c0c0c0c2c2a154a45461736b0204009000c0c0c20005c2c090c00000c0c005c0c0c09281a161cb3ff800"
    "000000000091a1789192a1769101"
)


def test_the_format_is_the_pinned_one() -> None:
    """A change of the state's classes changes it by itself, and a processor that meets snapshots of before reads the
    events from their beginning: say so in the CHANGELOG, and pin the new one."""
    assert STATE_FORMAT == PINNED


def test_the_layout_is_the_pinned_one() -> None:
    """Where this fails and the format is the pinned one, the layout changed under its name: _LAYOUT must grow."""
    execution = started(machine(V={"Type": "Pass", "Assign": {"v": ["x"]}}, T=TASK), {"a": 1.5})

    assert encode_execution(execution).hex() == GOLDEN


# ---- damage


def test_damaged_bytes_are_refused_or_read_and_nothing_else() -> None:
    execution = started(map_over(before={"Type": "Pass", "Assign": {"v": ["x"]}}), [{"n": 1}, "y" * 40])
    data = encode_execution(execution)
    refused = 0
    for place in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            damaged = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
            try:
                assert isinstance(decode_execution(damaged, execution.workflow), Execution)
            except DecodingFailed:
                refused += 1
    assert refused > len(data)
    for end in range(len(data)):
        with pytest.raises(DecodingFailed):
            decode_execution(data[:end], execution.workflow)
