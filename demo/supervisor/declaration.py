"""An app's declaration (`config.yaml`) and its options: the form the frontend shows, and what the form may save.

Formats: the Supervisor's own, as read from supervisor/apps/options.py and validate.py (2026.08).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

_TYPE = re.compile(
    r"^(?P<kind>bool|email|url|port|match\((?P<match>.*)\)|list\((?P<list>.+)\)"
    r"|(?P<ranged>str|password|int|float)(?:\((?P<min>-?[\d.]+)?,(?P<max>-?[\d.]+)?\))?)(?P<optional>\?)?$"
)
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")


class InvalidOptionError(Exception):
    """Options that the schema refuses; the sentence is what the frontend shows."""


@dataclass(frozen=True)
class Declaration:
    """One app of the repository: its folder and the content of its `config.yaml`."""

    folder: Path
    content: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Declaration:
        """Read the declaration of the app in `folder`."""
        return cls(folder, yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the options, by name."""
        return self.content.get("schema") or {}

    @property
    def translations(self) -> dict[str, Any]:
        """The names and descriptions of the options, by language."""
        return {
            path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
            for path in sorted((self.folder / "translations").glob("*.yaml"))
        }

    def text(self, name: str) -> str:
        """Give one of the texts of the store (README.md, DOCS.md, CHANGELOG.md), empty when there is none."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""


def form(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the nodes from which the frontend builds an app's configuration page."""
    return [_node(name, value) for name, value in schema.items()]


def _node(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        inner = _node(name, value[0])
        return {**inner, "multiple": True}
    if isinstance(value, dict):
        return {
            "name": name,
            "type": "schema",
            "optional": True,
            "multiple": False,
            "schema": form(value),
        }
    found = _parsed(value)
    node: dict[str, Any] = {"name": name}
    kind = found["ranged"] or found["kind"].split("(")[0]
    if kind in ("str", "password", "email", "url", "match"):
        node["type"] = "string"
        if kind in ("password", "email", "url"):
            node["format"] = kind
    elif kind == "list":
        node["type"] = "select"
        node["options"] = found["list"].split("|")
    else:
        node["type"] = {"int": "integer", "port": "integer", "float": "float", "bool": "boolean"}[
            kind
        ]
    for key, limit in (("lengthMin", found["min"]), ("lengthMax", found["max"])):
        if limit is not None:
            node[key] = float(limit) if kind == "float" else int(limit)
    node["optional" if found["optional"] else "required"] = True
    return node


def validated(
    options: dict[str, Any], schema: dict[str, Any], where: str = "root"
) -> dict[str, Any]:
    """Give the options as an app gets them: checked, numbers converted, unknown keys dropped.

    Raises InvalidOptionError with the Supervisor's kind of sentence.
    """
    result = {
        name: _value(value, schema[name], name, where)
        for name, value in options.items()
        if name in schema
    }
    for name, kind in schema.items():
        optional = isinstance(kind, str) and kind.endswith("?")
        if name not in result and not optional:
            raise InvalidOptionError(f"Missing option '{name}' in {where}")
    return result


def _value(value: Any, kind: Any, name: str, where: str) -> Any:
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise InvalidOptionError(f"Expected a list for '{name}' in {where}")
        return [_value(item, kind[0], name, where) for item in value]
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise InvalidOptionError(f"Expected a dictionary for '{name}' in {where}")
        return validated(value, kind, name)
    found = _parsed(kind)
    if value is None:
        raise InvalidOptionError(f"Missing option '{name}' in {where}")
    try:
        return _scalar(value, found)
    except (TypeError, ValueError) as fault:
        raise InvalidOptionError(f"Invalid value for '{name}' in {where}: {fault}") from fault


def _parsed(kind: str) -> re.Match[str]:
    found = _TYPE.match(kind)
    if found is None:
        raise InvalidOptionError(f"The declaration names an unknown type '{kind}'")
    return found


def _scalar(value: Any, found: re.Match[str]) -> Any:
    kind = found["ranged"] or found["kind"].split("(")[0]
    if kind == "bool":
        if not isinstance(value, bool):
            raise ValueError("expected true or false")
        return value
    if kind in ("int", "port", "float"):
        number: float = float(value) if kind == "float" else int(value)
        _in_range(number, found)
        if kind == "port" and not 0 < number < 65536:
            raise ValueError("expected a port from 1 to 65535")
        return number
    text = str(value)
    if kind in ("str", "password"):
        _in_range(len(text), found)
    elif kind == "url" and not (urlsplit(text).scheme and urlsplit(text).netloc):
        raise ValueError("expected a URL")
    elif kind == "email" and not _EMAIL.match(text):
        raise ValueError("expected an e-mail address")
    elif kind == "match" and not re.match(found["match"], text):
        raise ValueError(f"does not match {found['match']}")
    elif kind == "list" and text not in found["list"].split("|"):
        raise ValueError(f"expected one of {found['list'].replace('|', ', ')}")
    return text


def _in_range(number: float, found: re.Match[str]) -> None:
    if found["min"] is not None and number < float(found["min"]):
        raise ValueError(f"less than {found['min']}")
    if found["max"] is not None and number > float(found["max"]):
        raise ValueError(f"more than {found['max']}")
