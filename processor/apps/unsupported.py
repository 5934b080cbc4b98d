"""What a definition may ask for, as it may on AWS, and no part of this release does. Not the language's: another
executor of one's own may do it, so it is warned of where a definition is looked at, and refused nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from processor.errors import Diagnostic
from processor.interpreter.templates import pointer_to
from processor.interpreter.validation.walk import states_in
from processor.model.json import Json


def check_support(definition: Json) -> Iterator[Diagnostic]:
    """Yield a warning for each ItemReader whose InputType the reader behind `--s3` does not read; the definition is
    valid. An InputType that is computed is not looked at."""
    for state in states_in(definition) if isinstance(definition, dict) else ():
        match state.fields:
            case {"Type": "Map", "ItemReader": {"ReaderConfig": {"InputType": "PARQUET"}}}:
                yield Diagnostic(
                    pointer=pointer_to(state.pointer, "ItemReader", "ReaderConfig", "InputType"),
                    code="UNSUPPORTED_INPUT_TYPE",
                    message="PARQUET is not read by this release: with '--s3' the Map fails with "
                    "States.ItemReaderFailed. A worker of your own may read it.",
                    severity="WARNING",
                )
            case _:
                pass
