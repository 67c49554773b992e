"""Home Assistant's ingress in front of servers that run already: Core's own view and the stand-in Supervisor's.

`python -m benchmarks.tracking_page_ingress NAME=PORT ...` with the environment of the demo's home; prints one
JSON line, `{"cookie": SESSION, "NAME": ADDRESS, ...}`, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, cast

import aiohttp
import aiohttp_fast_zlib
from aiohttp import web
from demo.supervisor.app import App
from demo.supervisor.ingress import Ingress
from homeassistant.components.hassio.ingress import HassIOIngress

HOST = "127.0.0.1"


@dataclass
class Listening:
    """As much of an app as ingress asks about."""

    ingress_port: int
    address: str = HOST
    pid: int = 1


async def listen(application: web.Application) -> int:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    return int(runner.addresses[0][1])


def supervisor(ports: dict[str, int], told: Connection) -> None:
    """The hop from the Supervisor to the servers, in a process of its own as in a home."""

    async def serve() -> None:
        apps = {name: cast(App, Listening(port)) for name, port in ports.items()}
        ingress = Ingress(apps.get, HOST)
        application = web.Application(client_max_size=16 * 2**20)
        application.router.add_route("*", "/ingress/{token}/{path:.*}", ingress.handle)
        told.send((await listen(application), ingress.create_session(None)))
        await asyncio.Event().wait()

    asyncio.run(serve())


async def core(ports: dict[str, int], supervisor_port: int, session: str) -> None:
    """The hop from the browser to the Supervisor: the view that Home Assistant registers."""
    aiohttp_fast_zlib.enable()  # as Home Assistant does at its start
    async with aiohttp.ClientSession() as client:
        view: Any = HassIOIngress(f"{HOST}:{supervisor_port}", client)

        async def handle(request: web.Request) -> web.StreamResponse:
            answer: web.StreamResponse = await view.get(request, **request.match_info)
            return answer

        application = web.Application()
        application.router.add_route("*", view.url, handle)
        base = f"http://{HOST}:{await listen(application)}/api/hassio_ingress"
        addresses = {name: f"{base}/{name}/" for name in ports}
        print(json.dumps({"cookie": session, **addresses}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main(*servers: str) -> None:
    ports = {name: int(port) for name, _, port in (each.partition("=") for each in servers)}
    told, teller = multiprocessing.Pipe()
    process = multiprocessing.Process(target=supervisor, args=(ports, teller), daemon=True)
    process.start()
    asyncio.run(core(ports, *told.recv()))


if __name__ == "__main__":
    main(*sys.argv[1:])
