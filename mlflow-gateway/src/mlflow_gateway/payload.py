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

# What every client writes, and what is quickly found.
_PLAIN_MODEL = re.compile(rb'"model"[ \t\n\r]*:[ \t\n\r]*("[^"\\]*")')


class Payload:
    """A request's JSON object: its members to read, and its text to pass on.

    Numbers, key order, duplicate keys and spacing stay as the client wrote them, since only the
    text of a member that `with_members` names is cut out and written anew.
    """

    def __init__(self, body: bytes) -> None:
        """Parse `body`; GatewayError 400 when it is not a JSON object in UTF-8."""
        self._body = body
        try:
            members = json.loads(body)
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, dict):
            raise GatewayError(
                400,
                "The request's body is not a JSON object; send one in UTF-8.",
                code="invalid_json",
            )
        self.members: dict[str, Any] = members

    def get(self, name: str) -> Any:
        """The value of a member, or None."""
        return self.members.get(name)

    def with_model(self, model: str) -> bytes:
        """The body with another model."""
        body = self._body
        # One mention, and no letter of it written as an escape, can only be the member itself.
        if body.count(b'"model"') == 1 and "model" in self.members and b"\\u006" not in body:
            found = _PLAIN_MODEL.search(body)
            if found:
                new = json.dumps(model, ensure_ascii=False).encode()
                return body[: found.start(1)] + new + body[found.end(1) :]
        return self.with_members({"model": model})

    def with_members(self, values: Mapping[str, Any]) -> bytes:
        """The body with these members set, added in front where they were missing."""
        text = self._body.decode(json.detect_encoding(self._body), "surrogatepass")
        spans, start = _scan(text)
        cuts: list[tuple[int, int, str]] = []
        added = ""
        for name, value in values.items():
            new = json.dumps(value, ensure_ascii=False)
            if name in spans:
                cuts += [(begin, end, new) for begin, end in spans[name]]
            else:
                comma = ", " if self.members or added else ""
                added = f"{json.dumps(name)}: {new}{comma}{added}"
        for begin, end, new in sorted(cuts, reverse=True):
            text = text[:begin] + new + text[end:]
        return (text[:start] + added + text[start:]).encode("utf-8", "surrogatepass")


def _scan(text: str) -> tuple[dict[str, list[tuple[int, int]]], int]:
    """Where the values of each member of a JSON object stand, and where its first member begins."""
    spans: dict[str, list[tuple[int, int]]] = {}
    start = _space(text, 0) + 1
    at = _space(text, start)
    while text[at] != "}":
        name, at = scanstring(text, at + 1, True)
        at = _space(text, _space(text, at) + 1)
        _, end = _decode(text, at)
        spans.setdefault(name, []).append((at, end))
        at = _space(text, end)
        if text[at] == ",":
            at = _space(text, at + 1)
    return spans, start


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
