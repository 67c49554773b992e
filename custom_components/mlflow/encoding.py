"""Writes as JSON whatever tools, tasks and models hand over; nothing of it makes a turn fail."""

import json
from typing import Any

from homeassistant.helpers.json import ExtendedJSONEncoder, json_bytes
from homeassistant.util.json import JSON_ENCODE_EXCEPTIONS


def to_json(value: Any) -> str:
    """Return JSON as Home Assistant's encoder makes it, with a description of what it cannot hold."""
    try:
        return json_bytes(value).decode()
    except JSON_ENCODE_EXCEPTIONS:
        pass
    try:
        return json.dumps(value, cls=ExtendedJSONEncoder)
    except TypeError, ValueError:  # keys that are no text, or a thing that holds itself
        return json.dumps(repr(value))
