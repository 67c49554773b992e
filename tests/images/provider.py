"""A stand-in for a paid model: an OpenAI-compatible server in the apps' network that says one sentence.

Asked to stream, it says the sentence again and again until the caller hangs up.
"""

import asyncio
import json
from contextlib import suppress
from typing import Any

from aiohttp import web
from tests.images.network import CORE

SENTENCE = "The kitchen light is on."


class Provider:
    """Listens on the host's address; `keys` are the API keys that it was shown."""

    address = f"http://{CORE}:8000/v1"

    def __init__(self) -> None:
        """Have been shown no key."""
        self.keys: list[str] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, CORE, 8000).start()

    async def stop(self) -> None:
        """Close the listener."""
        if self._runner:
            await self._runner.cleanup()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.keys.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        asked = await request.json()
        if asked.get("stream"):
            return await self._stream(request, asked["model"])
        message: dict[str, Any] = {"role": "assistant", "content": SENTENCE}
        return web.json_response(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1_700_000_000,
                "model": asked["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15},
            }
        )

    async def _stream(self, request: web.Request, model: str) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        choice = {"index": 0, "delta": {"content": SENTENCE}, "finish_reason": None}
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000}
        line = f"data: {json.dumps({**chunk, 'model': model, 'choices': [choice]})}\n\n".encode()
        with suppress(ConnectionResetError):
            while True:
                await answer.write(line)
                await asyncio.sleep(0.2)
        return answer
