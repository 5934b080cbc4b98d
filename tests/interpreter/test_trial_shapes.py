"""A mocked result against the model of the API that would have given it. The models here are small ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from processor.errors import RequestRefused
from processor.interpreter.trial import test_state as try_state  # pytest takes what is called test_… for a test
from processor.interpreter.trial_request import MockedResult, ValidationMode
from processor.interpreter.trial_shapes import Shape, check_shape, sdk_name
from processor.model.json import Json
from tests.interpreter.test_trial import task


@dataclass(frozen=True)
class Model:
    """A Shape as plain data."""

    kind: str
    fields: Mapping[str, Model] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    inner: Model | None = None
    values: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None

    @property
    def element(self) -> Model:
        assert self.inner is not None
        return self.inner


TEXT = Model("string", least=1, most=3)
ANSWER = Model(
    "structure",
    fields={
        "name": TEXT,
        "KMSKeyId": Model("string"),
        "date": Model("timestamp"),
        "blob": Model("blob", least=1),
        "class": Model("string", values=("HOT", "COLD")),
        "size": Model("integer", least=128, most=1024),
        "rate": Model("double"),
        "flag": Model("boolean"),
        "list": Model("list", inner=TEXT, least=1),
        "map": Model("map", inner=Model("long")),
        "inner": Model("structure", fields={"id": TEXT}, required=("id",)),
        "any": Model("document"),
    },
    required=("name",),
)


def fault(value: Json, *, mode: ValidationMode = "PRESENT") -> str | None:
    try:
        check_shape(value, ANSWER, mode=mode)
    except RequestRefused as refused:
        assert refused.code == "ValidationException"
        return refused.message.removeprefix("Mock result schema validation error: ")
    return None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "Mock result must be an object"),
        ({"Name": 1}, "Field 'Name' must be a string"),
        ({"Name": None}, "Field 'Name' must be a string"),
        ({"Name": ""}, "Field 'Name' is smaller than the minimum length"),
        ({"Name": "long"}, "Field 'Name' exceeds the maximum length"),
        ({"KmsKeyId": []}, "Field 'KmsKeyId' must be a string"),
        ({"Date": 1764103483}, "Field 'Date' must be a string"),
        ({"Blob": 123}, "Field 'Blob' must be a string"),
        ({"Blob": ""}, "Field 'Blob' is smaller than the minimum length"),
        ({"Class": "LUKEWARM"}, "Field 'Class' is not an expected value"),
        ({"Size": "128"}, "Field 'Size' must be a number"),
        ({"Size": True}, "Field 'Size' must be a number"),
        ({"Size": 127}, "Field 'Size' is less than the minimum value"),
        ({"Size": 1025}, "Field 'Size' exceeds the maximum value"),
        ({"Rate": "0.5"}, "Field 'Rate' must be a number"),
        ({"Flag": "true"}, "Field 'Flag' must be a boolean"),
        ({"List": {}}, "Field 'List' must be an array"),
        ({"List": []}, "Field 'List' is smaller than the minimum length"),
        ({"List": ["a", 1]}, "Field 'List' must be a string"),
        ({"Map": []}, "Field 'Map' must be an object"),
        ({"Map": {"a": 1, "b": "2"}}, "Field 'Map' must be a number"),
        ({"Inner": "x"}, "Field 'Inner' must be an object"),
        ({"Inner": {"Id": 1}}, "Field 'Id' must be a string"),
    ],
)
def test_a_field_that_is_not_as_the_model_has_it_is_refused_by_its_own_name(value: Json, message: str) -> None:
    assert fault(value) == message
    if isinstance(value, dict):
        assert fault({"Name": "abc", **value}, mode="STRICT") == message


def test_a_result_as_the_model_has_it_is_accepted() -> None:
    result: Json = {
        "Name": "abc", "KmsKeyId": "k", "Date": "2025-12-03T00:34:15", "Blob": "eA==", "Class": "HOT",
        "Size": 128, "Rate": 1, "Flag": False, "List": ["a"], "Map": {"a": 1},
        "Inner": {"Id": "i"}, "Any": [{"x": None}],
    }  # fmt: skip
    assert fault(result, mode="STRICT") is None


def test_only_strict_asks_for_what_is_missing_at_every_depth() -> None:
    assert fault({}, mode="STRICT") == "Required field 'Name' is missing"
    assert fault({"name": "abc"}, mode="STRICT") == "Required field 'Name' is missing"
    assert fault({"Name": "abc", "Inner": {}}, mode="STRICT") == "Required field 'Id' is missing"
    assert fault({"Inner": {}}) is None


def test_fields_that_the_model_does_not_know_are_accepted() -> None:
    unknown: dict[str, Json] = {"SdkHttpMetadata": {"HttpStatusCode": 200}, "size": "x", "KMSKeyId": 7}
    assert fault({"Name": "abc", **unknown}, mode="STRICT") is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("executionArn", "ExecutionArn"),
        ("MessageId", "MessageId"),
        ("ETag", "ETag"),
        ("MD5OfMessageBody", "Md5OfMessageBody"),
        ("SSEKMSKeyId", "SsekmsKeyId"),
        ("DBInstanceIdentifier", "DbInstanceIdentifier"),
        ("S3BucketName", "S3BucketName"),
        ("x509Data", "X509Data"),
        ("IPv6Address", "IpV6Address"),
        ("Ipv6Address", "Ipv6Address"),
        ("content-type", "ContentType"),
        ("BOOL", "Bool"),
        ("2d", "2D"),
    ],
)
def test_every_word_of_a_name_has_one_capital(name: str, known: str) -> None:
    assert sdk_name(name) == known


class Models:
    """Knows one operation, and is told what it was asked for."""

    def __init__(self, shape: Shape | None) -> None:
        self.shape = shape
        self.asked: list[tuple[str, str]] = []

    def output(self, service: str, operation: str) -> Shape | None:
        self.asked.append((service, operation))
        return self.shape


@pytest.mark.parametrize(
    ("resource", "asked"),
    [
        ("arn:aws:states:::aws-sdk:s3:getObject", ("aws-sdk:s3", "getObject")),
        ("arn:aws:states:::states:startExecution", ("states", "startExecution")),
    ],
)
def test_the_model_is_that_of_the_operation_whose_answer_is_the_result(resource: str, asked: tuple[str, str]) -> None:
    models = Models(ANSWER)
    with pytest.raises(RequestRefused, match="Required field 'Name' is missing"):
        try_state(task(Resource=resource), mock=MockedResult(result={}), models=models)
    assert models.asked == [asked]


def test_where_there_is_no_model_nothing_is_checked() -> None:
    state = task(Resource="arn:aws:states:::http:invoke")
    assert try_state(state, mock=MockedResult(result=7), models=Models(None)).output == 7
