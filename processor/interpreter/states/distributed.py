"""A distributed Map around its iterations: its run, what an ItemReader reads, batches, what a ResultWriter writes.

Its children run inside the execution, and what happens in them has no AWS events. Whoever reads and writes for it is an
executor outside, asked by TaskScheduled of kind ITEM_READER or RESULT_WRITER:

    ITEM_READER    {"Parameters": …, "ReaderConfig": …}; pages of items come as SubmitTask, the last as CompleteTask,
                   each {"Page": 0, 1 …, "Items": an array, or an object whose members are the items}; all of them
                   at once may come as an array. MaxItems 0: all.
    RESULT_WRITER  {"Parameters": …, "WriterConfig": …, "MapRunArn": …, "Results": …}; CompleteTask with the state's
                   result, {"MapRunArn": …, "ResultWriterDetails": {"Bucket": …, "Key": …}}.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from processor.interpreter.children import success_record
from processor.interpreter.context import ARN_PREFIX
from processor.interpreter.entropy import NAMING, draw, uuid_of
from processor.interpreter.evolve_containers import joined
from processor.interpreter.fields import MAX_ITEMS
from processor.interpreter.states.tolerance import check_tolerance
from processor.interpreter.turn import MAX_PAYLOAD_BYTES, BareFailure, DataLimitExceeded, Turn, envelope_of
from processor.model import events as e
from processor.model.definition import Evaluate, ItemBatcher, ItemReader, MapState, ResultWriter
from processor.model.execution import Execution, Iterations, MapRun, Scope
from processor.model.ids import ScopeKey
from processor.model.json import Json, json_bytes

ITEM_READER_FAILED = "States.ItemReaderFailed"


def run_event(turn: Turn, state: MapState, children: Iterations) -> e.AnyEvent | None:
    """Return what comes before the first iteration, or after the last: None where it is the iterations' turn, or the
    Map's end."""
    run = children.run
    if run is None:
        return _start_run(turn, state)
    if state.reader is not None and not run.read:
        return _ask_to_read(turn, state.reader)
    if children.next_item < len(children.items) or run.ended:
        return None
    if state.writer is not None and state.writer.resource is not None and not run.written:
        return _ask_to_write(turn, state.writer, run, children)
    return e.MapRunSucceeded(**turn.envelope())


def has_open_run(scope: Scope) -> bool:
    """Whether the scope is in a distributed Map whose run has started and not ended."""
    children = scope.children
    return isinstance(children, Iterations) and children.run is not None and not children.run.ended


def end_of_child(execution: Execution, key: ScopeKey) -> e.MapIterationSucceeded:
    """Return the end of the child in scope `key`; where the results are to be records, with its own."""
    parent = execution.scopes[key[:-1]]
    state = execution.workflow.states[parent.state]
    assert isinstance(state, MapState)
    envelope = envelope_of(execution, key, parent.state)
    if state.writer is not None and state.writer.transformation == "NONE":
        return e.MapIterationSucceeded(**envelope, has_output=True, output=success_record(execution, key))
    return e.MapIterationSucceeded(**envelope)


# ---- before the first iteration


def _start_run(turn: Turn, state: MapState) -> e.MapRunStarted:
    """Recorded: what is tolerated and MaxItems are found to be no numbers after MapStateStarted and before
    MapRunStarted, a MaxItems below 0 only after that. The other fields that are evaluated once: by analogy."""
    check_tolerance(turn, state)
    if state.reader is not None:
        turn.bounded(state.reader.parameters(turn.prepared(), turn))
        _number(turn, state.reader.max_items)
    if state.batcher is not None:
        _number(turn, state.batcher.max_items)
        _number(turn, state.batcher.max_bytes)
    execution, scope = turn.execution, turn.scope
    drawn = draw(execution.started.seed, scope=turn.key, visit=scope.visit, attempt=scope.retry_count, number=NAMING)
    label = state.label or _made_label(turn)
    return e.MapRunStarted(**turn.envelope(), map_run=f"{execution.started.state_machine}/{label}:{uuid_of(drawn)}")


def _made_label(turn: Turn) -> str:
    """Where none is written AWS makes one, the same in all runs of a definition."""
    key = turn.execution.workflow.definition_hash
    return uuid_of(blake2b(turn.state.name.encode(), key=key, digest_size=16).digest())


def _ask_to_read(turn: Turn, reader: ItemReader) -> e.TaskScheduled:
    max_items = _number(turn, reader.max_items) or 0
    if max_items < 0:
        raise BareFailure(ITEM_READER_FAILED, "field MaxItems must be positive")  # recorded, as is 0: all of them
    arguments: Json = {
        "Parameters": reader.parameters(turn.prepared(), turn),
        "ReaderConfig": {**reader.config, "MaxItems": min(max_items, MAX_ITEMS)},
    }
    return e.TaskScheduled(
        **turn.envelope(),
        kind="ITEM_READER",
        resource_type=reader.resource.resource_type,
        resource=reader.resource.resource,
        attempt=turn.scope.retry_count,
        arguments=turn.bounded(arguments),
    )


def _number(turn: Turn, written: int | Evaluate | None) -> int | None:
    if callable(written):
        evaluated = written(turn.prepared(), turn)
        assert isinstance(evaluated, int)
        return evaluated
    return written


# ---- batches


def batch(turn: Turn, batcher: ItemBatcher, select: Callable[[int], Json], iterations: Iterations) -> tuple[int, Json]:
    """Return how many items the next child takes, and its input.

    As many as MaxItemsPerBatch says, as long as their text and BatchInput's stay within MaxInputBytesPerBatch, and
    within what a state may hold; at least one. Source: AWS Developer Guide, "ItemBatcher"; what becomes of an item that
    is larger than that by itself is by analogy, as is that 0 sets no limit: with MaxItems, where it is recorded.
    """
    most = _number(turn, batcher.max_items) or len(iterations.items)
    limit = min(_number(turn, batcher.max_bytes) or MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES)
    made: dict[str, Json] = {}
    if batcher.batch_input is not None:
        made["BatchInput"] = turn.bounded(batcher.batch_input(turn.prepared(), turn))
    items: list[Json] = []
    size = len(json_bytes({**made, "Items": items}))
    first = iterations.next_item
    for index in range(first, min(first + most, len(iterations.items))):
        item = select(index)
        size += len(json_bytes(item)) + (1 if items else 0)
        if items and size > limit:
            break
        items.append(item)
    return len(items), turn.bounded({**made, "Items": items})


# ---- after the last iteration


def _ask_to_write(turn: Turn, writer: ResultWriter, run: MapRun, children: Iterations) -> e.TaskScheduled:
    """The results are in the request, so together they may be as large as any task's arguments. On AWS an exported
    result has no limit; that comes with child executions, which can be read one by one."""
    assert writer.resource is not None and writer.parameters is not None
    parameters = writer.parameters(turn.prepared(), turn)
    _check_kept(turn, children)
    arguments: Json = {
        "Parameters": parameters,
        "WriterConfig": {"Transformation": writer.transformation, "OutputType": writer.output_type},
        "MapRunArn": f"{ARN_PREFIX}:mapRun:{run.id}",
        "Results": {
            "SUCCEEDED": _transformed(writer, [children.results[i] for i in sorted(children.results)]),
            "FAILED": [children.failures[i] for i in sorted(children.failures)],
        },
    }
    return e.TaskScheduled(
        **turn.envelope(),
        kind="RESULT_WRITER",
        resource_type=writer.resource.resource_type,
        resource=writer.resource.resource,
        attempt=turn.scope.retry_count,
        arguments=turn.bounded(arguments),
    )


def map_result(turn: Turn, writer: ResultWriter, children: Iterations) -> e.MapSucceeded:
    """Return the end of a Map that has a ResultWriter."""
    run = children.run
    assert run is not None
    if writer.resource is not None:
        result = run.output
    else:
        _check_kept(turn, children)
        result = _transformed(writer, joined(children))
    return e.MapSucceeded(**turn.envelope(), has_output=True, output=turn.bounded(result))


def _check_kept(turn: Turn, children: Iterations) -> None:
    """Raise StateFailure where the results were dropped: they are too large however they are transformed."""
    if children.dropped:
        raise DataLimitExceeded(turn.scope.state)


def _transformed(writer: ResultWriter, results: Json) -> Json:
    """FLATTEN: the elements of those results that are arrays stand for them. NONE has made its records one by one."""
    assert isinstance(results, list)
    if writer.transformation != "FLATTEN":
        return results
    flat: list[Json] = []
    for result in results:
        if isinstance(result, list):
            flat += result
        else:
            flat.append(result)
    return flat
