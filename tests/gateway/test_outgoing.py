"""Nobody is called but the providers that the user configured: every connection of the process is noted."""

from __future__ import annotations

import asyncio
import json
from ast import literal_eval
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.gateway.every_provider import options_of_every_type
from tests.gateway.formats import answer
from tests.gateway.process import ROOT, TRACKING, Gateway, running
from tests.gateway.standin import ScriptedUpstream

CHAT = {"messages": [{"role": "user", "content": "hi"}]}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "completions": ("/v1/completions", {"prompt": "hi"}),
    "embeddings": ("/v1/embeddings", {"input": "hi"}),
}
OWN_PAGES = ("/", "/health", "/usage", "/metrics", "/v1/models", "/api/2.0/endpoints/")


class Stranger:
    """Listens where nobody configured a provider, and counts who comes."""

    def __init__(self) -> None:
        self.visitors = 0
        self.address = ""

    async def __aenter__(self) -> Stranger:
        self._server = await asyncio.start_server(self._greet, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def _greet(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visitors += 1
        writer.close()


async def _use_everything(gateway: Gateway, names: list[str]) -> list[int]:
    """Call every endpoint in every way, and every page; gives the statuses of the calls."""
    statuses = []
    async with gateway.client() as client:
        for name in names:
            path, members = ASKED[name.rpartition("-")[2]]
            for stream in (False, True) if path != "/v1/embeddings" else (False,):
                for place in (path, f"/gateway/{name}/invocations"):
                    asked = {**members, "model": name, "stream": stream}
                    async with client.post(place, json=asked) as response:
                        await response.read()
                        statuses.append(response.status)
        for page in OWN_PAGES:
            async with client.get(page) as response:
                assert response.status == 200
    # the only caller whose address is looked up
    async with gateway.client(token=None, source=TRACKING) as client, client.get("/v1/models"):
        pass
    return statuses


def _noted(file: Path) -> dict[str, set[object]]:
    """The places of each event."""
    events: dict[str, set[object]] = {}
    for line in file.read_text().splitlines():
        event, _, place = line.partition("\t")
        events.setdefault(event, set()).add(literal_eval(place))
    return events


@pytest.mark.parametrize("redirected", [False, True])
async def test_only_the_configured_providers_are_called(
    upstream: ScriptedUpstream, tmp_path: Path, *, redirected: bool
) -> None:
    options = options_of_every_type(upstream.address)
    audit = tmp_path / "audit"
    audit.touch()
    async with Stranger() as stranger:

        async def script(request: web.Request) -> web.StreamResponse:
            if redirected and request.path != "/token":
                raise web.HTTPTemporaryRedirect(f"{stranger.address}{request.path}")
            body = upstream.calls[-1].body
            return await answer(request, json.loads(body) if body[:1] == b"{" else {})

        upstream.script = script
        environ = {"PYTHONPATH": str(ROOT / "tests/gateway/audit"), "AUDIT_FILE": str(audit)}
        async with running(tmp_path, options, **environ) as gateway:
            statuses = await _use_everything(gateway, [e["name"] for e in options["endpoints"]])
        assert set(statuses) == ({502} if redirected else {200})
        assert stranger.visitors == 0

    noted = _noted(audit)
    host, port = upstream.address.removeprefix("http://").split(":")
    assert noted.pop("socket.connect") == {(host, int(port))}
    assert noted.pop("socket.getaddrinfo") <= {host, TRACKING}
    # Python's own `platform` asks `uname` for the processor
    assert noted.pop("subprocess.Popen", set()) <= {"uname"}
    assert noted == {}, "nothing else is sent, looked up or started"
