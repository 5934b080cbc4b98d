"""Is a mocked result one that the AWS service could have given? Told by the model of its API.

The models are not here: whoever has them implements ServiceModels (`adapters/aws_models.py`). Texts are recorded, but
for those marked by analogy. Fields that the model does not know are accepted, recorded for PRESENT and, with
SdkHttpMetadata, for STRICT.

A `blob` is a text, so what an execution has as an object, the Payload of Lambda's Invoke, is to be mocked as one, or
with mode NONE. So is the Output of a nested execution on AWS: reported of both (boto3 issues 4682 and 4683).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn, Protocol

from processor.interpreter.trial_request import ValidationMode, refuse
from processor.model.definition import Resource
from processor.model.json import Json


class Shape(Protocol):
    """What a value of an API is like. `kind` is one of the Smithy language's simple types, or structure, list, map.

    `least` and `most` bound a number, or the length of a string, blob or list.
    """

    @property
    def kind(self) -> str: ...

    @property
    def fields(self) -> Mapping[str, Shape]:
        """A structure's, by the API's own names."""

    @property
    def required(self) -> tuple[str, ...]: ...

    @property
    def element(self) -> Shape:
        """Of a list, or a map's values."""

    @property
    def values(self) -> tuple[str, ...]:
        """Of an enumeration; empty where any text will do."""

    @property
    def least(self) -> float | None: ...

    @property
    def most(self) -> float | None: ...


class ServiceModels(Protocol):
    """The models of AWS's services."""

    def output(self, service: str, operation: str) -> Shape | None:
        """Return what an operation answers, by the names of a Resource: `aws-sdk:s3` or `s3`, `getObject`. None where
        there is no such operation, or where it answers nothing."""


def answering_operation(resource: Resource) -> tuple[str, str] | None:
    """Return the service and operation whose answer is the task's result; None where that is no API's answer as it is.

    What a `.waitForTaskToken` gives is its caller's, what a `.sync` gives is put together from other calls; nothing is
    known of how AWS checks these.
    """
    if resource.kind != "SERVICE" or resource.pattern != "REQUEST_RESPONSE" or resource.resource_type is None:
        return None
    return resource.resource_type, resource.resource


def check_shape(value: Json, shape: Shape, *, mode: ValidationMode) -> None:
    """Raise RequestRefused for the first field that the model does not allow; names are Step Functions'."""
    if not isinstance(value, dict):
        _refuse("Mock result must be an object")  # by analogy
    _check(value, shape, field="", strict=mode == "STRICT")


def _check(value: Json, shape: Shape, *, field: str, strict: bool) -> None:
    match shape.kind:
        case "structure":
            _check_structure(value, shape, field=field, strict=strict)
        case "list":
            if not isinstance(value, list):
                _refuse(f"Field '{field}' must be an array")
            _check_bounds(len(value), shape, field, _LENGTH)
            for element in value:
                _check(element, shape.element, field=field, strict=strict)
        case "map":
            if not isinstance(value, dict):
                _refuse(f"Field '{field}' must be an object")
            for element in value.values():
                _check(element, shape.element, field=field, strict=strict)
        case "string" | "timestamp" | "blob":
            _check_text(value, shape, field)
        case "integer" | "long" | "float" | "double":
            if not isinstance(value, int | float) or isinstance(value, bool):
                _refuse(f"Field '{field}' must be a number")
            _check_bounds(value, shape, field, _VALUE)
        case "boolean":
            if not isinstance(value, bool):
                _refuse(f"Field '{field}' must be a boolean")
        case _:
            pass  # a document: any JSON


def _check_structure(value: Json, shape: Shape, *, field: str, strict: bool) -> None:
    if not isinstance(value, dict):
        _refuse(f"Field '{field}' must be an object")
    if strict:
        for name in map(sdk_name, shape.required):
            if name not in value:
                _refuse(f"Required field '{name}' is missing")
    known = {sdk_name(name): member for name, member in shape.fields.items()}
    for name, held in value.items():
        if name in known:
            _check(held, known[name], field=name, strict=strict)


def sdk_name(name: str) -> str:
    """Return what Step Functions calls a field of an API: each word, acronyms too, with one capital letter.

    ExecutionArn of executionArn, KmsKeyId of KMSKeyId. Source: Developer Guide, "Integrating services", on PascalCase;
    words are told apart as by the AWS SDK for Java, whose names those are. Md5OfMessageBody is checked and the API's
    own MD5OfMessageBody is not, as LocalStack's developers have seen on AWS.
    """
    return "".join(word[:1].upper() + word[1:].lower() for word in _WORD.findall(name))


_WORD = re.compile(r"(?:[A-Z]{2,}(?=v[0-9])|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+)[0-9]*|[0-9]+")


def _check_text(value: Json, shape: Shape, field: str) -> None:
    if not isinstance(value, str):
        _refuse(f"Field '{field}' must be a string")
    if shape.values and value not in shape.values:
        _refuse(f"Field '{field}' is not an expected value")
    _check_bounds(len(value), shape, field, _LENGTH)


_LENGTH = ("is smaller than the minimum length", "exceeds the maximum length")  # the second by analogy
_VALUE = ("is less than the minimum value", "exceeds the maximum value")


def _check_bounds(measure: float, shape: Shape, field: str, words: tuple[str, str]) -> None:
    too_small, too_large = words
    if shape.least is not None and measure < shape.least:
        _refuse(f"Field '{field}' {too_small}")
    if shape.most is not None and measure > shape.most:
        _refuse(f"Field '{field}' {too_large}")


def _refuse(fault: str) -> NoReturn:
    refuse(f"Mock result schema validation error: {fault}")
