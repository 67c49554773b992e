"""Answers in a given form: strict JSON schemas for the model, and what it answers read back."""

from copy import deepcopy
from typing import Any

import probatio
from homeassistant.helpers import llm
from homeassistant.util import slugify
from homeassistant.util.json import json_loads

# Where a JSON schema holds others: by name, in a list, or one.
_BY_NAME = ("properties", "$defs")
_IN_LIST = ("anyOf", "oneOf", "allOf", "prefixItems")


class WrongAnswerError(ValueError):
    """What the model answered does not have the form that was asked for."""


def response_format(
    name: str, structure: probatio.Schema, api: llm.APIInstance | None
) -> dict[str, Any]:
    """Return the `response_format` of a request for an answer of this structure."""
    serializer = api.custom_serializer if api else llm.selector_serializer
    schema = probatio.to_openapi(structure, custom_serializer=serializer, openapi_version="3.1.0")
    return json_schema_format(slugify(name)[:64] or "answer", schema)


def json_schema_format(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the `response_format` for a JSON schema."""
    strict = strict_schema(schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": True, "schema": strict},
    }


def strict_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema as strict providers want it: no more properties, and each one required.

    What may be left out may be null instead. After
    https://platform.openai.com/docs/guides/structured-outputs, "Supported schemas".
    """
    schema = deepcopy(schema)
    for key in _BY_NAME:
        for name, part in schema.get(key, {}).items():
            schema[key][name] = strict_schema(part)
    for key in _IN_LIST:
        if key in schema:
            schema[key] = [strict_schema(part) for part in schema[key]]
    if isinstance(schema.get("items"), dict):
        schema["items"] = strict_schema(schema["items"])
    if "properties" in schema:
        needed = schema.get("required", [])
        for name, part in schema["properties"].items():
            if name not in needed:
                schema["properties"][name] = {"anyOf": [part, {"type": "null"}]}
        schema["required"] = list(schema["properties"])
        schema["additionalProperties"] = False
    return schema


def read_answer(text: str, structure: probatio.Schema) -> Any:
    """Return what the model answered as validated data; raises WrongAnswerError that says why not."""
    text = text.strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    try:
        data = json_loads(text)
    except ValueError as error:
        raise WrongAnswerError(f"it is not JSON: {error}") from error
    try:
        return structure(_without_nulls(data))
    except probatio.Invalid as error:
        raise WrongAnswerError(str(error)) from error


def _without_nulls(data: Any) -> Any:
    """Leave out what is null: it was optional."""
    match data:
        case dict():
            return {key: _without_nulls(value) for key, value in data.items() if value is not None}
        case list():
            return [_without_nulls(value) for value in data]
    return data
