"""A stand-in for the sibling Gateway app: its endpoint list and one chat answer, nothing more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ENDPOINT = {
    "name": "chat",
    "endpoint_type": "llm/v1/chat",
    "model": {"name": "scripted", "provider": "openai"},
    "endpoint_url": "/gateway/chat/invocations",
    "limit": None,
}


@dataclass
class StandInGateway:
    port: int
    reply: str | None = None
    endpoints: list[dict[str, Any]] = field(default_factory=lambda: [ENDPOINT])
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _endpoints(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, dict(request.headers), None))
        return web.json_response({"endpoints": self.endpoints})

    async def _invocations(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append((request.path, dict(request.headers), body))
        said = body["messages"][-1]["content"]
        reply = f"you said: {said}" if self.reply is None else self.reply
        message = {"role": "assistant", "content": reply}
        return web.json_response(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "scripted",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            }
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[StandInGateway]:
        app = web.Application()
        app.router.add_get("/api/2.0/endpoints/", self._endpoints)
        app.router.add_post("/gateway/chat/invocations", self._invocations)
        app.router.add_post("/v1/chat/completions", self._invocations)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield self
        finally:
            await runner.cleanup()
