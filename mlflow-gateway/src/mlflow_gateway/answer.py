"""What a provider answers, in the one form that the app passes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Answer:
    """Either a whole body, or the events of a stream (bytes of whole server-sent events).

    The stream raises GatewayError when it breaks. Whoever takes it closes it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    events: AsyncGenerator[bytes, None] | None = field(default=None)
