"""A scripted upstream that answers at once, over plain HTTP and TLS: what is measured is in between.

`python upstream.py PORT [CERTIFICATE]`. Answers any POST in OpenAI's format, streamed when asked.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

_CHAT = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "The kitchen lights are on."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21},
    }
).encode()


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(document).encode() + b"\n\n"


_EVENTS = [
    _chunk({"role": "assistant", "content": "The"}),
    *(_chunk({"content": f" {word}"}) for word in ("kitchen", "lights", "are", "on.")),
    _chunk({}, "stop"),
    b"data: [DONE]\n\n",
]


def _head(kind: str, more: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}\r\n\r\n".encode()


_PLAIN = _head("application/json", f"Content-Length: {len(_CHAT)}") + _CHAT
_STREAM_HEAD = _head("text/event-stream", "Transfer-Encoding: chunked")
_STREAM_BODY = b"".join(b"%x\r\n%s\r\n" % (len(e), e) for e in _EVENTS) + b"0\r\n\r\n"


class _Answering(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            whole = end + 4 + length
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            streamed = b'"stream": true' in body or b'"stream":true' in body
            self._transport.write(_STREAM_HEAD + _STREAM_BODY if streamed else _PLAIN)


async def _main(port: int, certificate: str | None) -> None:
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, "127.0.0.1", port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
