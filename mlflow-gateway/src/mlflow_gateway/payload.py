"""A JSON request body, looked into and changed in one place without touching another byte."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from .errors import GatewayError

_SPACE = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode


class Payload:
    """A request's JSON object: its members to read, and its text to pass on.

    Numbers, key order, duplicate keys and spacing stay as the client wrote them, since only the
    text of a member that `with_members` names is cut out and written anew.
    """

    def __init__(self, body: bytes) -> None:
        """Parse `body`; GatewayError 400 when it is not a JSON object in UTF-8."""
        try:
            self._text = body.decode("utf-8-sig")
            self.members, self._spans, self._start = _scan(self._text)
        except (ValueError, IndexError, RecursionError) as error:
            raise GatewayError(
                400,
                "The request's body is not a JSON object; send one in UTF-8.",
                code="invalid_json",
            ) from error

    def get(self, name: str) -> Any:
        """The value of a member, or None."""
        return self.members.get(name)

    def with_members(self, values: Mapping[str, Any]) -> bytes:
        """The body with these members set, added in front where they were missing."""
        cuts: list[tuple[int, int, str]] = []
        added = ""
        for name, value in values.items():
            new = json.dumps(value, ensure_ascii=False)
            if name in self._spans:
                cuts += [(start, end, new) for start, end in self._spans[name]]
            else:
                comma = ", " if self.members or added else ""
                added = f"{json.dumps(name)}: {new}{comma}{added}"
        text = self._text
        for start, end, new in sorted(cuts, reverse=True):
            text = text[:start] + new + text[end:]
        return (text[: self._start] + added + text[self._start :]).encode()


def _scan(text: str) -> tuple[dict[str, Any], dict[str, list[tuple[int, int]]], int]:
    """The members of an object, where each value stands, and where the first member would begin.

    Raises ValueError or IndexError for anything but one JSON object.
    """
    members: dict[str, Any] = {}
    spans: dict[str, list[tuple[int, int]]] = {}
    at = _space(text, 0)
    if text[at] != "{":
        raise ValueError("not an object")
    start = at + 1
    at = _space(text, start)
    while text[at] != "}":
        if text[at] != '"':
            raise ValueError("a member's name is expected")
        name, at = scanstring(text, at + 1, True)
        at = _space(text, at)
        if text[at] != ":":
            raise ValueError("a colon is expected")
        at = _space(text, at + 1)
        value, end = _decode(text, at)
        members[name] = value
        spans.setdefault(name, []).append((at, end))
        at = _space(text, end)
        if text[at] == ",":
            at = _space(text, at + 1)
            if text[at] == "}":
                raise ValueError("a member is expected")
        elif text[at] != "}":
            raise ValueError("a comma is expected")
    if _space(text, at + 1) != len(text):
        raise ValueError("text after the object")
    return members, spans, start


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
