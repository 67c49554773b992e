"""Two forwarders to hold the Gateway against: one passes bytes on, one of aiohttp looks at nothing.

`python forwarders.py relay|aiohttp PORT UPSTREAM_PORT`. What the first takes is the kernel's and the
event loop's; what the second takes besides is reading and writing HTTP with sessions and routes.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from aiohttp import web


class _Relay(asyncio.Protocol):
    """One side of a connection that is passed on to the other as it comes."""

    def __init__(self, upstream: int | None) -> None:
        self._upstream = upstream
        self._waiting = b""
        self.transport: asyncio.Transport
        self.other: _Relay | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._upstream:
            self._connecting = asyncio.create_task(self._connect(self._upstream))

    async def _connect(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        _, other = await loop.create_connection(lambda: _Relay(None), "127.0.0.1", port)
        self.other, other.other = other, self
        other.transport.write(self._waiting)

    def data_received(self, data: bytes) -> None:
        if self.other:
            self.other.transport.write(data)
        else:
            self._waiting += data

    def connection_lost(self, _: Exception | None) -> None:
        if self.other:
            self.other.transport.close()


async def _relay(port: int, upstream: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Relay(upstream), "127.0.0.1", port)
    await server.serve_forever()


async def _aiohttp(port: int, upstream: int) -> None:
    url = f"http://127.0.0.1:{upstream}/v1/chat/completions"
    sent = {"Content-Type": "application/json", "Authorization": "Bearer sk-upstream"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def forward(request: web.Request) -> web.Response:
            body = await request.read()
            async with session.post(url, data=body, headers=sent) as response:
                kind = {"Content-Type": response.headers["Content-Type"]}
                return web.Response(body=await response.read(), headers=kind)

        application = web.Application()
        application.router.add_post("/v1/chat/completions", forward)
        application.router.add_get("/health", lambda _: asyncio.sleep(0, web.Response()))
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    kind, port, upstream = sys.argv[1:]
    run = {"relay": _relay, "aiohttp": _aiohttp}[kind]
    asyncio.run(run(int(port), int(upstream)))
