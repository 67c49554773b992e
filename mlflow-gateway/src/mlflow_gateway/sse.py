"""Server-sent events: whole events are passed on, so that a broken stream ends between two."""

from __future__ import annotations

import json
import re

# An empty line ends an event; lines end in LF, CR LF or CR
# (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r(?!\n)|\n\r\n|\r\n\n")

DONE = b"data: [DONE]\n\n"


def error_event(body: bytes) -> bytes:
    """An error in the middle of a stream, as OpenAI's clients understand it."""
    return b"data: " + body + b"\n\n"


def is_torn(rest: bytes) -> bool:
    """Whether a stream that ended with `rest` was cut off in the middle of an event.

    Some servers leave out the empty line after the last event, which is no harm.
    """
    data = rest.rpartition(b"data:")[2].strip()
    if not data or data == b"[DONE]":
        return False
    try:
        json.loads(data)
    except ValueError:
        return True
    return False


class EventSplitter:
    """Cuts a byte stream after the last whole event that has arrived."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The events that are whole now, unchanged; what follows them waits for more."""
        # Most often a chunk ends with an event, and nothing need be looked for.
        if not self._rest and data.endswith((b"\n\n", b"\r\n\r\n")):
            return data
        data = self._rest + data
        end = 0
        for found in _END.finditer(data):
            end = found.end()
        self._rest = data[end:]
        return data[:end]

    def rest(self) -> bytes:
        """What came after the last whole event."""
        return self._rest
