"""What an endpoint answers, in the one form that the app passes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Answer:
    """Either a whole body, or a stream of chunks.

    `is_events`: the chunks are whole server-sent events, so that an error can follow any of them.
    The stream raises GatewayError when it breaks. Whoever takes it closes it. `usage` is the member
    of that name as the provider wrote it; in a stream it comes with one of the last chunks.
    """

    headers: dict[str, str]
    body: bytes = b""
    chunks: AsyncGenerator[bytes, None] | None = field(default=None)
    is_events: bool = False
    usage: Any = None
