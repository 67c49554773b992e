"""Tokens: asking providers to count those of a stream, and reading what they counted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .providers import EMBEDDINGS

if TYPE_CHECKING:
    from .payload import Payload
    from .routes import Route

_DATA = re.compile(rb"^data:[ ]?(.*?)\r?$", re.MULTILINE)
_EVENT = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tokens:
    """How much one call took. `cached` are part of `sent`."""

    sent: int = 0
    cached: int = 0
    made: int = 0


def tokens(usage: Any) -> Tokens:
    """The counts in the `usage` of OpenAI's API; 0 for what is missing.

    DeepSeek names its cached tokens in a way of its own.
    """
    if not isinstance(usage, dict):
        return Tokens()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Tokens(
        sent=_count(usage.get("prompt_tokens")),
        cached=_count(cached) or _count(usage.get("prompt_cache_hit_tokens")),
        made=_count(usage.get("completion_tokens")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def usage_in_events(events: bytes) -> Any:
    """The last `usage` in these server-sent events, or None."""
    found = None
    if b'"usage"' in events:
        for document in map(_parsed, _DATA.findall(events)):
            if isinstance(document, dict) and document.get("usage"):
                found = document["usage"]
    return found


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


class UsageQuestion:
    """Asks for the usage of a stream where the client did not, and keeps the answer from it.

    OpenAI's API sends it, when `stream_options.include_usage` is set, in an event of its own before
    the last (https://platform.openai.com/docs/api-reference/chat/create).
    """

    def __init__(self) -> None:
        self._refused: set[str] = set()

    def is_added(self, route: Route, payload: Payload) -> bool:
        """Whether the gateway is to ask, and not the client."""
        if not payload.get("stream") or not route.provider_type.asks_usage:
            return False
        if route.endpoint_type == EMBEDDINGS or route.name in self._refused:
            return False
        options = payload.get("stream_options")
        return options is None or (isinstance(options, dict) and "include_usage" not in options)

    def was_refused(self, route: Route) -> None:
        """The provider answered a request that asked with 400; it is not asked again."""
        self._refused.add(route.name)

    @staticmethod
    def without_answer(events: bytes) -> bytes:
        """The events but for one that holds nothing besides the usage."""
        return _EVENT.sub(lambda found: b"" if _is_usage_only(found[0]) else found[0], events)


def _is_usage_only(event: bytes) -> bool:
    if b'"usage"' not in event:
        return False
    document = _parsed(b"\n".join(_DATA.findall(event)))
    return (
        isinstance(document, dict)
        and document.get("choices") == []
        and document.get("usage") is not None
    )
