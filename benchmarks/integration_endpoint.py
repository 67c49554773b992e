"""A model that answers at once: an OpenAI-compatible server for the benchmark of the integration.

`python integration_endpoint.py PORT`. It stands in for the Gateway, for LiteLLM's proxy and for
OpenRouter alike, and takes traces as MLflow does (and keeps none).
"""

import json
import sys
import time
from typing import Any

from aiohttp import web

WORDS = ["The ", "kitchen ", "light ", "is ", "on."]
USAGE = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}


def _chunk(delta: dict[str, Any], **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": more.pop("finish_reason", None)}]
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "instant",
        "choices": choices,
        **more,
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer, streamed or whole."""
    body = await request.json()
    if not body.get("stream"):
        message = {"role": "assistant", "content": "".join(WORDS)}
        return web.json_response(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "instant",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": USAGE,
            }
        )
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(_chunk({"role": "assistant", "content": ""}))
    for word in WORDS:
        await response.write(_chunk({"content": word}))
    await response.write(_chunk({}, finish_reason="stop", usage=USAGE) + b"data: [DONE]\n\n")
    return response


async def endpoints(_: web.Request) -> web.Response:
    """List the one endpoint as MLflow's gateway does."""
    model = {"name": "instant", "provider": "openai"}
    return web.json_response(
        {"endpoints": [{"name": "instant", "endpoint_type": "llm/v1/chat", "model": model}]}
    )


async def usage(_: web.Request) -> web.Response:
    """Say what was counted today: nothing."""
    today = time.strftime("%Y-%m-%d")
    return web.json_response({"today": today, "currency": "USD", "rows": []})


async def models(_: web.Request) -> web.Response:
    """List the one model as OpenAI does."""
    model = {"id": "instant", "object": "model", "created": 1, "owned_by": "bench"}
    return web.json_response({"object": "list", "data": [model]})


async def anything(request: web.Request) -> web.Response:
    """Take what is meant for MLflow."""
    await request.read()
    return web.json_response({"experiment": {"experiment_id": "1", "lifecycle_stage": "active"}})


def main() -> None:
    """Serve until ended."""
    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/chat/completions", chat),
            web.get("/v1/models", models),
            web.get("/api/2.0/endpoints/", endpoints),
            web.get("/usage", usage),
            web.route("*", "/{path:.*}", anything),
        ]
    )
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
