"""One POST over aiohttp's pooled connections and C parser, without what its session does besides.

A session prepares each request for cookies, redirects, proxies, forms and tracing. A gateway wants
none of that, and it took longer than all the rest of a call's way out (benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.http import HttpProcessingError

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy
    from yarl import URL

# An idle connection is kept for this long, in seconds.
_KEEP_ALIVE = 60

# Bytes that are read ahead of who takes them.
_READ_AHEAD = 2**18

# What a request and its answer raise; asyncio's timeouts are OSErrors.
FAULTS = (aiohttp.ClientError, HttpProcessingError, OSError)


class Response:
    """The head of an answer, and its body as a stream; `ends` is for the caller to note a deadline.

    The connection goes back to the pool at the end of the body. Who stops before that closes it.
    """

    __slots__ = ("_connection", "content", "ends", "headers", "status")

    def __init__(
        self,
        connection: aiohttp.connector.Connection,
        status: int,
        headers: CIMultiDictProxy[str],
        content: aiohttp.StreamReader,
    ) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        self.content = content
        self.ends = 0.0
        content.on_eof(self._release)

    @property
    def content_type(self) -> str:
        """The media type without its parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def length(self) -> int | None:
        """Bytes of the body, where the head tells."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() and "Content-Encoding" not in self.headers else None

    def close(self) -> None:
        """Give up the rest of the body, and with it the connection."""
        self._connection.close()

    def _release(self) -> None:
        transport = self._connection.transport
        # An answer can overtake the request that it refuses; what is left would spoil the next one.
        if transport is None or transport.get_write_buffer_size():
            self._connection.close()
        else:
            self._connection.release()


class Pool:
    """The connections to all providers."""

    def __init__(self) -> None:
        self._connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE)
        # aiohttp takes from a request where to connect to; nothing in it changes between two calls
        self._goals: dict[URL, aiohttp.ClientRequest] = {}

    async def close(self) -> None:
        """Close every connection."""
        await self._connector.close()

    async def post(
        self, url: URL, headers: Mapping[str, str], body: bytes, connect_timeout: float
    ) -> Response:
        """Send a request and wait for the head of the answer; raises one of FAULTS.

        `connect_timeout` is in seconds.
        """
        goal = self._goals.get(url)
        if goal is None:
            goal = self._goals[url] = aiohttp.ClientRequest("POST", url)
        head = _head(url, headers, len(body))
        waits = aiohttp.ClientTimeout(sock_connect=connect_timeout)
        connection = await self._connector.connect(goal, [], waits)
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            connection.close()
            raise aiohttp.ServerDisconnectedError
        try:
            protocol.set_response_params(read_until_eof=True, read_bufsize=_READ_AHEAD)
            transport.write(head + body)
            message, content = await protocol.read()
            while message.code < 200:  # such as 102: still at it
                message, content = await protocol.read()
        except BaseException:
            connection.close()
            raise
        return Response(connection, message.code, message.headers, content)


def _head(url: URL, headers: Mapping[str, str], length: int) -> bytes:
    lines = [
        f"POST {url.raw_path_qs} HTTP/1.1",
        f"Host: {url.host_port_subcomponent}",
        *[f"{name}: {value}" for name, value in headers.items()],
        f"Content-Length: {length}",
    ]
    text = "\r\n".join(lines)
    if text.count("\n") >= len(lines) or text.count("\r") >= len(lines):
        raise aiohttp.InvalidURL(url, "a line break in the head of a request")
    return f"{text}\r\n\r\n".encode()
