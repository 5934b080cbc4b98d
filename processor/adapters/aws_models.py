"""The models of AWS's services, out of botocore: what each operation answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

from processor.errors import InvalidSettings
from processor.interpreter.trial_shapes import Shape


class AwsModels:
    """ServiceModels of the installed botocore. Reads its files only; nothing is asked of AWS.

    Raises InvalidSettings where botocore is not installed (`asl-processor[aws]`).
    """

    def __init__(self) -> None:
        try:
            from botocore.session import Session
        except ImportError:
            raise InvalidSettings(
                setting="the models of AWS's services",
                rule="botocore is not installed",
                example="pip install 'asl-processor[aws]'",
            ) from None
        self._session = Session()
        self._names = {_folded(name): name for name in self._session.get_available_services()}

    def output(self, service: str, operation: str) -> Shape | None:
        folded = _folded(service.removeprefix("aws-sdk:"))
        name = self._names.get(_folded(_OTHER_NAMES.get(folded, folded)))
        if name is None:
            return None
        model = self._session.get_service_model(name)
        asked = _folded(operation)
        found = next((known for known in model.operation_names if _folded(known) == asked), None)
        if found is None or (shape := model.operation_model(found).output_shape) is None:
            return None
        return _shape(shape)


class _BotocoreShape:
    """A Shape; what lies within is made when asked for, for models refer to themselves."""

    def __init__(self, shape: Any) -> None:  # botocore ships no types
        self._shape = shape

    @property
    def kind(self) -> str:
        if getattr(self._shape, "is_document_type", False):
            return "document"
        return str(self._shape.type_name)

    @cached_property
    def fields(self) -> Mapping[str, Shape]:
        return {name: _shape(member) for name, member in self._shape.members.items()}

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(self._shape.required_members)

    @property
    def element(self) -> Shape:
        return _shape(self._shape.member if self.kind == "list" else self._shape.value)

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(getattr(self._shape, "enum", ()))

    @property
    def least(self) -> float | None:
        return _bound(self._shape.metadata.get("min"))

    @property
    def most(self) -> float | None:
        return _bound(self._shape.metadata.get("max"))


@lru_cache(maxsize=4_096)
def _shape(shape: Any) -> _BotocoreShape:
    return _BotocoreShape(shape)


def _bound(written: Any) -> float | None:
    return None if written is None else float(written)


def _folded(name: str) -> str:
    return name.replace("-", "").replace(" ", "").lower()


_OTHER_NAMES = {
    # The service integrations that are called otherwise than botocore's services,
    "elasticmapreduce": "emr",
    "states": "stepfunctions",
    # and of the AWS SDK integrations, whose names are those of the SDK for Java: made of the models' serviceId.
    "applicationdiscoveryservice": "discovery",
    "cloudwatchlogs": "logs",
    "cognitoidentityprovider": "cognito-idp",
    "configservice": "config",
    "costandusagereportservice": "cur",
    "costexplorer": "ce",
    "databasemigrationservice": "dms",
    "directoryservice": "ds",
    "directoryservicedata": "ds-data",
    "elasticloadbalancing": "elb",
    "elasticloadbalancingv2": "elbv2",
    "elasticsearchservice": "es",
    "eventbridge": "events",
    "iotdataplane": "iot-data",
    "iotjobsdataplane": "iot-jobs-data",
    "lexmodelbuildingservice": "lex-models",
    "lexmodelsv2": "lexv2-models",
    "lexruntimeservice": "lex-runtime",
    "lexruntimev2": "lexv2-runtime",
    "marketplaceentitlementservice": "marketplace-entitlement",
    "marketplacemetering": "meteringmarketplace",
    "migrationhub": "mgh",
    "pinpointsmsvoice": "sms-voice",
    "serverlessapplicationrepository": "serverlessrepo",
    "sfn": "stepfunctions",
    "simpledb": "sdb",
}
