"""Shapes: what the language's own models do not ask for is worded too."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from processor.interpreter.validation.shapes import check_shape, schema_fault


class Patterned(BaseModel):
    a: Annotated[str, Field(pattern="^x$")]


def test_a_limit_of_another_kind_is_told_in_the_words_of_the_model() -> None:
    assert list(check_shape(Patterned, {"a": "y"}, "/S")) == [
        schema_fault("/S/a", "String should match pattern '^x$'", found='"y"')
    ]


def test_what_is_found_is_cut_to_a_line() -> None:
    assert list(check_shape(Patterned, {"a": ["y" * 100]}, "/S")) == [
        schema_fault("/S/a", "Expected value of type [STRING]", found=f'["{"y" * 77}…')
    ]
