"""A stand-in for the Supervisor: what bashio asks for in the apps' scripts, a record of what it was told, and its DNS.

Replies of the API have the Supervisor's form: `{"result": "ok", "data": ...}` or `{"result": "error", "message": ...}`.
"""

import asyncio
from typing import Any, cast

from aiohttp import web
from tests.images.network import NAME_SERVER, SUPERVISOR

_CALLER: web.RequestKey[dict[str, Any]] = web.RequestKey("caller", dict)


class Supervisor:
    """Knows apps by their token; `discovered` has the messages of each app by its slug."""

    def __init__(self) -> None:
        """Know no app yet, and refuse nothing."""
        self.apps: dict[str, dict[str, Any]] = {}
        self.discovered: dict[str, list[dict[str, Any]]] = {}
        self.refuses_discovery = False
        self._runner: web.AppRunner | None = None
        self._names: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """Listen where apps expect the Supervisor: port 80 of 172.30.32.2, and port 53 of 172.30.32.3."""
        app = web.Application(middlewares=[self._known])
        app.router.add_get("/addons/self/info", self._info)
        app.router.add_post("/discovery", self._discovery)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, SUPERVISOR, 80).start()
        loop = asyncio.get_running_loop()
        self._names, _ = await loop.create_datagram_endpoint(_NameServer, (NAME_SERVER, 53))

    async def stop(self) -> None:
        """Close the listeners."""
        if self._names:
            self._names.close()
        if self._runner:
            await self._runner.cleanup()

    @web.middleware
    async def _known(self, request: web.Request, handler: Any) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.apps:
            return web.json_response({"result": "error", "message": "unauthorized"}, status=401)
        request[_CALLER] = self.apps[token]
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _info(self, request: web.Request) -> web.Response:
        return web.json_response({"result": "ok", "data": request[_CALLER]})

    async def _discovery(self, request: web.Request) -> web.Response:
        if self.refuses_discovery:
            message = "The app does not declare this service"
            return web.json_response({"result": "error", "message": message}, status=400)
        messages = self.discovered.setdefault(request[_CALLER]["slug"], [])
        messages.append(await request.json())
        return web.json_response({"result": "ok", "data": {"uuid": f"{len(messages):032x}"}})


class _NameServer(asyncio.DatagramProtocol):
    """Knows no name: those of containers are answered by Docker, and there is nothing else in this network."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        # RFC 1035, 4.1.1: the question again, as a response (QR, RD, RA) with RCODE 3 and without records
        question = data[:2] + b"\x81\x83" + data[4:6] + bytes(6) + data[12:]
        self._transport.sendto(question, addr)
