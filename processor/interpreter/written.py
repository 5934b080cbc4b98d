"""A definition as written: the fields that each kind of object may have, their types and their ranges.

Only shapes are checked here, one object at a time; what fields mean together, and where states lead, is `parse.py`'s
and `transitions.py`'s, the query language `validation/query_language.py`'s. Numbers are AWS's limits as its developer
guide gives them; that it takes IntervalSeconds and the machine's TimeoutSeconds of 0, and MaxDelaySeconds of 31622400,
was measured by cdk-preflight (pf-sfn-asl-numeric-ranges).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from processor.model.events import StateType

Seconds = Annotated[int, Field(ge=0, le=99_999_999)]
PositiveSeconds = Annotated[int, Field(ge=1, le=99_999_999)]
Name = Annotated[str, Field(min_length=1)]
Anything = object
"""JSON of any shape: what it must be depends on more than its type, and is checked where it is compiled."""


class Written(BaseModel):
    """An object of a definition. Fields are ASL's, in its spelling; no other is accepted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_pascal)

    comment: str | None = None


class WrittenScope(Written):
    """What a whole machine, a Parallel's branch and a Map's processor have in common."""

    states: Annotated[dict[str, Anything], Field(min_length=1)]
    start_at: Name


class WrittenMachine(WrittenScope):
    version: Literal["1.0"] = "1.0"
    timeout_seconds: Seconds | None = None
    query_language: Anything = "JSONPath"


class WrittenProcessorConfig(Written):
    mode: Literal["INLINE", "DISTRIBUTED"] = "INLINE"
    execution_type: Literal["STANDARD", "EXPRESS"] | None = None


class WrittenProcessor(WrittenScope):
    processor_config: WrittenProcessorConfig = WrittenProcessorConfig()


class WrittenRetrier(Written):
    error_equals: Annotated[list[Name], Field(min_length=1)]
    interval_seconds: Seconds = 1
    max_attempts: Annotated[int, Field(ge=0, le=99_999_999)] = 3
    backoff_rate: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = 2.0
    max_delay_seconds: Annotated[int, Field(ge=1, le=31_622_400)] | None = None
    jitter_strategy: Literal["NONE", "FULL"] = "NONE"


class WrittenCatcher(Written):
    error_equals: Annotated[list[Name], Field(min_length=1)]
    next: Name
    result_path: str | None = None
    assign: dict[str, Anything] | None = None


class WrittenState(Written):
    type: str
    query_language: Anything = "JSONPath"


class _Passing(WrittenState):
    """A state that hands a payload on."""

    input_path: str | None = None
    output_path: str | None = None


class _Leading(_Passing):
    """A state that leads somewhere, or ends its scope."""

    next: Name | None = None
    end: bool = False
    assign: dict[str, Anything] | None = None


class _Placing(_Leading):
    """A state with a result of its own to place."""

    result_path: str | None = None
    parameters: dict[str, Anything] | None = None


class _Failing(_Placing):
    """A state whose result comes from elsewhere, and may fail to."""

    result_selector: dict[str, Anything] | None = None
    retry: Annotated[list[WrittenRetrier], Field(default_factory=list)]
    catch: Annotated[list[WrittenCatcher], Field(default_factory=list)]


class WrittenPass(_Placing):
    result: Anything = None


class WrittenTask(_Failing):
    resource: str
    timeout_seconds: PositiveSeconds | None = None
    timeout_seconds_path: str | None = None
    heartbeat_seconds: PositiveSeconds | None = None
    heartbeat_seconds_path: str | None = None
    credentials: dict[str, Anything] | None = None


class WrittenChoice(_Passing):
    choices: Annotated[list[Anything], Field(min_length=1)]
    default: Name | None = None
    assign: dict[str, Anything] | None = None


class WrittenWait(_Leading):
    seconds: Seconds | None = None
    seconds_path: str | None = None
    timestamp: str | None = None
    timestamp_path: str | None = None


class WrittenSucceed(_Passing):
    pass


class WrittenFail(WrittenState):
    error: str | None = None
    error_path: str | None = None
    cause: str | None = None
    cause_path: str | None = None


class WrittenParallel(_Failing):
    branches: Annotated[list[Anything], Field(min_length=1)]


class _ReaderConfig(Written):
    """What both query languages have of it."""

    input_type: str | None = None
    transformation: Literal["NONE", "LOAD_AND_FLATTEN"] | None = None
    manifest_type: Literal["ATHENA_DATA", "S3_INVENTORY"] | None = None
    csv_delimiter: Literal["COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"] | None = Field(None, alias="CSVDelimiter")
    csv_header_location: Literal["FIRST_ROW", "GIVEN"] | None = Field(None, alias="CSVHeaderLocation")
    csv_headers: Annotated[list[str], Field(min_length=1)] | None = Field(None, alias="CSVHeaders")
    items_pointer: str | None = None


class WrittenReaderConfig(_ReaderConfig):
    max_items: int | None = None
    max_items_path: str | None = None


class WrittenItemReader(Written):
    resource: str
    parameters: dict[str, Anything] | None = None
    reader_config: WrittenReaderConfig | None = None


class WrittenItemBatcher(Written):
    max_items_per_batch: int | None = None
    max_items_per_batch_path: str | None = None
    max_input_bytes_per_batch: int | None = None
    max_input_bytes_per_batch_path: str | None = None
    batch_input: Anything = None


class WrittenWriterConfig(Written):
    transformation: Literal["NONE", "COMPACT", "FLATTEN"] | None = None
    output_type: Literal["JSON", "JSONL"] | None = None


class WrittenResultWriter(Written):
    resource: str | None = None
    parameters: dict[str, Anything] | None = None
    writer_config: WrittenWriterConfig | None = None


class WrittenMap(_Failing):
    items_path: str | None = None
    item_processor: Anything = None
    iterator: Anything = None
    item_selector: dict[str, Anything] | None = None
    max_concurrency: Annotated[int, Field(ge=0)] = 0
    max_concurrency_path: str | None = None
    tolerated_failure_count: int | None = None
    tolerated_failure_count_path: str | None = None
    tolerated_failure_percentage: float | None = None
    tolerated_failure_percentage_path: str | None = None
    item_reader: WrittenItemReader | None = None
    item_batcher: WrittenItemBatcher | None = None
    result_writer: WrittenResultWriter | None = None
    label: str | None = None


STATES: dict[StateType, type[WrittenState]] = {
    "Task": WrittenTask,
    "Pass": WrittenPass,
    "Choice": WrittenChoice,
    "Wait": WrittenWait,
    "Succeed": WrittenSucceed,
    "Fail": WrittenFail,
    "Parallel": WrittenParallel,
    "Map": WrittenMap,
}


# ---- the query language JSONata


class WrittenJsonataCatcher(Written):
    error_equals: Annotated[list[Name], Field(min_length=1)]
    next: Name
    output: Anything = None
    assign: dict[str, Anything] | None = None


class _Giving(WrittenState):
    """A state that shapes its output."""

    output: Anything = None


class _JsonataLeading(_Giving):
    next: Name | None = None
    end: bool = False
    assign: dict[str, Anything] | None = None


class _JsonataFailing(_JsonataLeading):
    retry: Annotated[list[WrittenRetrier], Field(default_factory=list)]
    catch: Annotated[list[WrittenJsonataCatcher], Field(default_factory=list)]


class WrittenJsonataPass(_JsonataLeading):
    pass


class WrittenJsonataTask(_JsonataFailing):
    resource: str
    arguments: Anything = None
    timeout_seconds: Anything = None
    heartbeat_seconds: Anything = None
    credentials: dict[str, Anything] | None = None


class WrittenJsonataChoice(_Giving):
    choices: Annotated[list[Anything], Field(min_length=1)]
    default: Name | None = None
    assign: dict[str, Anything] | None = None


class WrittenJsonataWait(_JsonataLeading):
    seconds: Anything = None
    timestamp: Anything = None


class WrittenJsonataSucceed(_Giving):
    pass


class WrittenJsonataFail(WrittenState):
    error: Anything = None
    cause: Anything = None


class WrittenJsonataParallel(_JsonataFailing):
    branches: Annotated[list[Anything], Field(min_length=1)]
    arguments: Anything = None


class WrittenJsonataReaderConfig(_ReaderConfig):
    max_items: Anything = None


class WrittenJsonataItemReader(Written):
    resource: str
    arguments: Anything = None
    reader_config: WrittenJsonataReaderConfig | None = None


class WrittenJsonataItemBatcher(Written):
    max_items_per_batch: Anything = None
    max_input_bytes_per_batch: Anything = None
    batch_input: Anything = None


class WrittenJsonataResultWriter(Written):
    resource: str | None = None
    arguments: Anything = None
    writer_config: WrittenWriterConfig | None = None


class WrittenJsonataMap(_JsonataFailing):
    items: Anything = None
    item_processor: Anything = None
    iterator: Anything = None
    item_selector: Anything = None
    max_concurrency: Anything = None
    tolerated_failure_count: Anything = None
    tolerated_failure_percentage: Anything = None
    item_reader: WrittenJsonataItemReader | None = None
    item_batcher: WrittenJsonataItemBatcher | None = None
    result_writer: WrittenJsonataResultWriter | None = None
    label: str | None = None


JSONATA_STATES: dict[StateType, type[WrittenState]] = {
    "Task": WrittenJsonataTask,
    "Pass": WrittenJsonataPass,
    "Choice": WrittenJsonataChoice,
    "Wait": WrittenJsonataWait,
    "Succeed": WrittenJsonataSucceed,
    "Fail": WrittenJsonataFail,
    "Parallel": WrittenJsonataParallel,
    "Map": WrittenJsonataMap,
}
