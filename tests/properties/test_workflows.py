"""What is generated is cheap: the properties hold it in this process, some thousand times a minute."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from processor.interpreter.jsonata_syntax import scan
from processor.interpreter.jsonata_template import expression_in, is_expression
from processor.model.json import Json
from tests.properties.budget import half
from tests.properties.place import Mood
from tests.properties.workflows import definitions


@half()
@given(mood=st.sampled_from(["any", "stormy", "contained", "calm"]), data=st.data())
def test_no_generated_expression_needs_a_process_of_its_own(mood: Mood, data: st.DataObject) -> None:
    texts = list(expressions_in(data.draw(definitions(mood=mood))))
    assert [text for text in texts if not scan(text).tame] == []


def expressions_in(value: Json) -> Iterator[str]:
    match value:
        case str() if is_expression(value):
            yield expression_in(value) or ""
        case dict():
            for member in value.values():
                yield from expressions_in(member)
        case list():
            for element in value:
                yield from expressions_in(element)
        case _:
            pass
