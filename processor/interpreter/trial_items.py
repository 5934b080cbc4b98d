"""What a distributed Map's ItemReader would make of the data that lies in its source: what an executor of it does.

A reader without an InputType reads JSON here. The refusals are this project's own: nothing about such data is recorded
but that a JSON array gives its elements.
"""

from __future__ import annotations

from collections.abc import Mapping

from processor.interpreter.item_reader import ItemReaderFailed, decode_items, limited
from processor.interpreter.trial_request import refuse
from processor.model.json import Json


def has_pointer(reader: Mapping[str, Json]) -> bool:
    return "ItemsPointer" in _config(reader)


def read_items(data: str, reader: Mapping[str, Json]) -> list[Json]:
    """Return the items, of an object its members as Key and Value.

    Raises RequestRefused where the data is not what the reader's configuration says it is.
    """
    config = {"InputType": "JSON", **_config(reader)}
    try:
        items = limited(decode_items(data.encode(), config), config)
    except ItemReaderFailed as failure:
        refuse(f"mapItemReaderData cannot be read: {failure.cause}")
    return [{"Key": key, "Value": value} for key, value in items.items()] if isinstance(items, dict) else items


def _config(reader: Mapping[str, Json]) -> Mapping[str, Json]:
    config = reader.get("ReaderConfig")
    return config if isinstance(config, dict) else {}
