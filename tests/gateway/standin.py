"""A stand-in for the LLM providers: a scripted server that notes what it is asked.

It answers each call with what a test scripted, else with a plausible answer in the format of the
path that was called: OpenAI's, Anthropic's or Gemini's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Script = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Call:
    """One request as it arrived."""

    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        document = json.loads(self.body)
        assert isinstance(document, dict)
        return document


@dataclass
class ScriptedUpstream:
    address: str = ""
    calls: list[Call] = field(default_factory=list)
    script: Script | None = None

    def forget(self) -> None:
        self.calls.clear()
        self.script = None

    def answers(self, body: bytes, **options: Any) -> None:
        """Answer every call with this body, `status`, `content_type` and `headers`."""

        async def script(_: web.Request) -> web.StreamResponse:
            return web.Response(body=body, **{"content_type": "application/json", **options})

        self.script = script

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.calls.append(
            Call(request.path, request.query_string, dict(request.headers), body),
        )
        if self.script:
            return await self.script(request)
        return await default_answer(request, json.loads(body))


@asynccontextmanager
async def scripted_upstream() -> AsyncIterator[ScriptedUpstream]:
    upstream = ScriptedUpstream()
    application = web.Application(client_max_size=2**27)
    application.router.add_route("*", "/{path:.*}", upstream.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield upstream
    finally:
        await runner.cleanup()


async def send_events(request: web.Request, *events: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for event in events:
        await response.write(event)
    return response


def event(document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


async def default_answer(request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
    path = request.path
    if path.endswith("/chat/completions") and asked.get("stream"):
        return await send_events(request, *map(event, chat_chunks(asked)), b"data: [DONE]\n\n")
    if path.endswith("/chat/completions"):
        return web.json_response(chat_answer(asked))
    if path.endswith("/completions"):
        return web.json_response(
            {
                "id": "cmpl-1",
                "object": "text_completion",
                "created": 1,
                "model": asked.get("model"),
                "choices": [{"index": 0, "text": "scripted text", "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            }
        )
    if path.endswith("/embeddings"):
        return web.json_response(
            {
                "object": "list",
                "model": asked.get("model"),
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
                "usage": {"prompt_tokens": 3, "total_tokens": 3},
            }
        )
    if path.endswith("/messages"):
        return web.json_response(anthropic_answer(asked))
    if path.endswith(":generateContent"):
        return web.json_response(gemini_answer())
    raise web.HTTPNotFound


def chat_answer(asked: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "scripted answer", "refusal": None}
    if asked.get("tools"):
        call = {"name": asked["tools"][0]["function"]["name"], "arguments": '{"area": "kitchen"}'}
        message["content"] = None
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": asked.get("model"),
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if asked.get("tools") else "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21},
    }


def chat_chunks(asked: dict[str, Any]) -> list[dict[str, Any]]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": asked.get("model"),
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }

    words = [chunk({"content": word}) for word in ("scripted ", "streamed ", "answer")]
    return [chunk({"role": "assistant", "content": ""}), *words, chunk({}, "stop")]


def anthropic_answer(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked.get("model"),
        "content": [{"type": "text", "text": "scripted anthropic answer"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 9},
    }


def gemini_answer() -> dict[str, Any]:
    return {
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": "scripted gemini answer"}]},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 12,
            "candidatesTokenCount": 9,
            "totalTokenCount": 21,
        },
    }
