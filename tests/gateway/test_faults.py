"""The server itself: what a crash costs, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from tests.gateway.process import Gateway, running
from tests.gateway.standin import ScriptedUpstream, event, send_events

# A minute of it is in benchmarks/; this many crashes show the same.
CRASHES = 6
CLIENTS = 8

ASK = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


def _options(address: str) -> dict[str, Any]:
    return {
        "providers": [
            {"name": "P", "type": "openai", "api_key": "k-1", "api_base": f"{address}/v1"}
        ],
        "endpoints": [{"name": "chat", "provider": "P", "model": "m"}],
    }


async def _calls_until(
    gateway: Gateway, end: asyncio.Event, answered: list[float], failed: list[float]
) -> None:
    """Call without a pause, each time on a connection of its own, and note when."""
    while not end.is_set():
        try:
            async with (
                gateway.client() as client,
                client.post("/v1/chat/completions", json=ASK) as response,
            ):
                assert response.status == 200
                await response.read()
                answered.append(time.monotonic())
        except aiohttp.ClientError:
            failed.append(time.monotonic())
            await asyncio.sleep(0.01)


async def test_a_killed_worker_is_replaced_and_what_was_saved_is_kept(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    async with running(tmp_path, _options(upstream.address)) as gateway:
        answered: list[float] = []
        failed: list[float] = []
        at_risk = 0
        end = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(_calls_until(gateway, end, answered, failed))
            for _ in range(CRASHES):
                await _some_answers(answered)
                before = len(answered)
                await _all_is_saved(tmp_path)
                os.kill(await _worker(gateway), signal.SIGKILL)
                # answered since, or on the way to one of the clients
                at_risk += len(answered) - before + CLIENTS
            await _some_answers(answered)
            end.set()
        assert failed, "the kills were noticed"
        async with gateway.client() as client, client.get("/usage") as response:
            (row,) = (await response.json())["rows"]
    assert len(answered) - row["calls"] <= at_risk


async def _all_is_saved(folder: Path) -> None:
    """Wait until what has been answered by now is in the file: the second save from now began later."""
    async with asyncio.timeout(60):
        for _ in range(2):
            before = _rows(folder)
            while _rows(folder) == before:  # noqa: ASYNC110 -- another process writes it
                await asyncio.sleep(0.05)


async def _worker(gateway: Gateway) -> int:
    """The worker's process id, once there is one."""
    async with asyncio.timeout(60):
        while len(pids := gateway.pids()) < 2:  # noqa: ASYNC110 -- the master starts it
            await asyncio.sleep(0.01)
    return pids[1]


async def _some_answers(answered: list[float]) -> None:
    """Wait until calls are answered again."""
    before = len(answered)
    async with asyncio.timeout(60):
        while len(answered) < before + CLIENTS:  # noqa: ASYNC110 -- counts what tasks append
            await asyncio.sleep(0.01)


async def test_at_the_end_open_streams_may_finish(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    go_on = asyncio.Event()

    async def script(request: web.Request) -> web.StreamResponse:
        response = await send_events(request, event({"n": 0}))
        await go_on.wait()
        await response.write(event({"n": 1}) + b"data: [DONE]\n\n")
        return response

    upstream.script = script
    async with running(tmp_path, _options(upstream.address)) as gateway, asyncio.timeout(60):
        async with (
            gateway.client() as client,
            client.post("/v1/chat/completions", json={**ASK, "stream": True}) as response,
        ):
            assert await response.content.readuntil(b"\n\n") == event({"n": 0})
            gateway.process.terminate()
            await _refuses(gateway)
            go_on.set()
            assert await response.content.read() == event({"n": 1}) + b"data: [DONE]\n\n"
        await asyncio.to_thread(gateway.process.wait, 60)
    assert gateway.process.returncode == 0
    rows = json.loads(_rows(tmp_path))
    assert rows["calls"] == 1


async def test_a_stream_without_end_does_not_keep_it_alive(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    async def script(request: web.Request) -> web.StreamResponse:
        response = await send_events(request, event({"n": 0}))
        await asyncio.Event().wait()
        return response

    upstream.script = script
    async with (
        running(tmp_path, _options(upstream.address)) as gateway,
        gateway.client() as client,
        client.post("/v1/chat/completions", json={**ASK, "stream": True}) as response,
    ):
        await response.content.readuntil(b"\n\n")
        gateway.process.terminate()
        begun = time.monotonic()
        await asyncio.to_thread(gateway.process.wait, 60)
        assert time.monotonic() - begun > 8, "it may go on for a while"


async def _refuses(gateway: Gateway) -> None:
    """Wait until the gateway takes no new connection."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with gateway.client(token=None) as client, client.get("/health"):
                    await asyncio.sleep(0.05)
            except aiohttp.ClientError:
                return


def _rows(folder: Path) -> str:
    """The counters in the gateway's file; empty before the first call."""
    with sqlite3.connect(folder / "data/usage.db", timeout=60) as database:
        found = database.execute("SELECT counters FROM usage WHERE day = 'total'").fetchone()
    return str(found[0]) if found else ""
