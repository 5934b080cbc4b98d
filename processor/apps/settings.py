"""Settings, read once: what is given on the command line, else `ASL_…` in the environment, else a TOML file.

The file is `--settings FILE`, else `ASL_SETTINGS`, else `asl.toml` in the working directory if there is one:

    log = "kafka:broker-1:9092,broker-2:9092"
    prefix = "asl."

    [kafka]                                  # librdkafka's own properties, handed on as they are
    security.protocol = "SASL_SSL"
    sasl.username = "asl"

In the environment a property is written with underscores: `ASL_KAFKA_SECURITY_PROTOCOL` is security.protocol.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from processor.engine.topics import DEFAULT_PREFIX, DEFAULT_RETENTION, TopicNames
from processor.errors import InvalidSettings

DEFAULT_FILE: Final = "asl.toml"
DEFAULT_SLOT: Final = "0"
KAFKA_ENVIRONMENT: Final = "ASL_KAFKA_"

_EXAMPLES: Final[dict[str, str]] = {
    "log": "--log sqlite:orders.db, or ASL_LOG=kafka:localhost:9092",
    "prefix": "ASL_PREFIX=asl.",
    "slot": "--slot 0, or ASL_SLOT=0",
    "workers": "--workers 4, or ASL_WORKERS=4",
    "health_host": "--health-host 0.0.0.0, or ASL_HEALTH_HOST=0.0.0.0",
    "health_port": "--health-port 9464, or ASL_HEALTH_PORT=9464",
    "write_format": "ASL_WRITE_FORMAT=1",
    "partitions": "ASL_PARTITIONS=24",
    "task_partitions": "ASL_TASK_PARTITIONS=24",
    "replication_factor": "ASL_REPLICATION_FACTOR=3",
    "grace_seconds": "ASL_GRACE_SECONDS=30",
    "retention": "ASL_RETENTION=30d",
    "kafka": 'ASL_KAFKA_SECURITY_PROTOCOL=SSL, or a [kafka] table with security.protocol = "SSL"',
}


_DURATION: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION_RULE: Final = "must be a whole number and s, m, h or d for its unit"

_RULES: Final[dict[str, str]] = {
    "log": "must be sqlite:PATH or kafka:HOST:PORT[,HOST:PORT…]",
    "retention": DURATION_RULE,
}
"""Where the pattern says less to its reader than words."""


def parse_duration(text: object) -> timedelta:
    """Return what 90s, 15m, 12h or 30d says. Raises ValueError."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(DURATION_RULE)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


class Settings(BaseSettings):
    """What the roles and commands are told. `log` None: not given anywhere. `health_port` None: nothing listens.
    `write_format` None: the release's default; open_log refuses one that the release does not write."""

    model_config = SettingsConfigDict(env_prefix="ASL_", frozen=True, extra="forbid", validate_default=False)

    log: str | None = Field(None, pattern=r"^(sqlite:.+|kafka:[^,\s]+:[0-9]+(,[^,\s]+:[0-9]+)*)$")
    prefix: str = Field(DEFAULT_PREFIX, pattern=r"^[A-Za-z0-9._-]{0,150}$")
    slot: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,100}$")
    workers: int | None = Field(None, ge=1, le=1_000)
    health_host: str = Field("127.0.0.1", min_length=1)
    health_port: int | None = Field(None, ge=0, le=65_535)
    write_format: int | None = Field(None, ge=1, le=1_000_000)
    partitions: int | None = Field(None, ge=1, le=10_000)
    task_partitions: int | None = Field(None, ge=1, le=10_000)
    replication_factor: int | None = Field(None, ge=1, le=100)
    grace_seconds: float = Field(30.0, ge=0)
    retention: Annotated[timedelta, BeforeValidator(parse_duration)] = DEFAULT_RETENTION
    kafka: dict[str, str] = Field(default_factory=dict)

    @property
    def names(self) -> TopicNames:
        return TopicNames(self.prefix)

    @property
    def own_slot(self) -> str:
        return self.slot or DEFAULT_SLOT

    @property
    def slots(self) -> tuple[str, ...]:
        """Those of the workers: 0, 1, … or, where this process was given a slot, that slot's own."""
        numbers = range(self.workers or 0)
        return tuple(str(n) if self.slot is None else f"{self.slot}-{n}" for n in numbers)

    def required_log(self) -> str:
        """Return the log's address. Raises InvalidSettings, with an example, where none was given."""
        if self.log is None:
            raise InvalidSettings(setting="log", rule="is not set", example=_EXAMPLES["log"])
        return self.log

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _KafkaEnvironment(settings_cls), env_settings, _File(settings_cls)


def load_settings(*, file: Path | None = None, **given: object) -> Settings:
    """Return the settings; `given` are those of the command line, None where an option was left out.

    Raises InvalidSettings for the first one that cannot be used, with an example of what can.
    """
    _File.path = file or _file_of_environment()
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type] # pydantic checks them
    except ValidationError as fault:
        error = fault.errors()[0]
        setting = ".".join(map(str, error["loc"]))
        if error["type"] == "extra_forbidden":
            rule, example = f"is no setting; these are: {', '.join(Settings.model_fields)}", _EXAMPLES["log"]
        else:
            rule = f"{_RULES.get(setting, error['msg'])}, got {error['input']!r}"
            example = _EXAMPLES[str(error["loc"][0])]
        raise InvalidSettings(setting=setting, rule=rule, example=example) from None


def _file_of_environment() -> Path | None:
    named = os.environ.get("ASL_SETTINGS")
    if named:
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.is_file() else None


class _Source(PydanticBaseSettingsSource):
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False  # never asked: __call__ gives all at once


class _KafkaEnvironment(_Source):
    """ASL_KAFKA_SASL_USERNAME is sasl.username; no property of librdkafka that text can set has an underscore."""

    def __call__(self) -> dict[str, Any]:
        properties = {
            name[len(KAFKA_ENVIRONMENT) :].strip("_").lower().replace("__", "_").replace("_", "."): value
            for name, value in os.environ.items()
            if name.startswith(KAFKA_ENVIRONMENT)
        }
        return {"kafka": properties} if properties else {}


class _File(_Source):
    """`path` is set by load_settings, which is the one way to make Settings."""

    path: Path | None = None

    def __call__(self) -> dict[str, Any]:
        if self.path is None:
            return {}
        try:
            content = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
            example = f"--settings {DEFAULT_FILE}"
            raise InvalidSettings(setting=str(self.path), rule=f"cannot be read: {fault}", example=example) from None
        if isinstance(content.get("kafka"), dict):
            content["kafka"] = _flattened(content["kafka"])
        return content


def _flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """TOML reads security.protocol = "SSL" as a table within a table; librdkafka wants text under dotted names."""
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flattened(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value).lower() if isinstance(value, bool) else str(value)
    return flat
