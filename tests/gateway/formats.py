"""Stand-in answers in the formats of the providers that MLflow's classes translate for.

Written from the providers' API references. Each answers with a tool call when it is given tools.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from tests.gateway.standin import chat_answer, default_answer, event, send_events

WORDS = ("scripted ", "answer")
ARGUMENTS = {"area": "kitchen"}
TOKEN = "token-of-google"


async def answer(request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
    path, streamed = request.path, bool(asked.get("stream"))
    if streamed and path.endswith("/chat/completions") and asked.get("tools"):
        return await _openai_tool_stream(request, asked)
    if streamed and path.endswith(("/messages", ":streamRawPredict")):
        return await send_events(request, *map(event, _anthropic_events(asked)))
    if path.endswith(":streamGenerateContent"):
        parts = WORDS if not asked.get("tools") else ("",)
        return await send_events(request, *(event(_gemini(asked, word)) for word in parts))
    for ending, made in _PLAIN.items():
        if path.endswith(ending):
            return web.json_response(made(asked))
    return await default_answer(request, asked)


async def _openai_tool_stream(request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
    whole = chat_answer(asked)
    choice = whole["choices"][0]
    delta = {
        **choice["message"],
        "tool_calls": [{"index": 0, **choice["message"]["tool_calls"][0]}],
    }
    chunk = {"index": 0, "delta": delta, "finish_reason": "tool_calls"}
    return await send_events(request, event({**whole, "choices": [chunk]}), b"data: [DONE]\n\n")


def _anthropic(asked: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "text", "text": "".join(WORDS)}
    if asked.get("tools"):
        name = asked["tools"][0]["name"]
        content = {"type": "tool_use", "id": "toolu_1", "name": name, "input": ARGUMENTS}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [content],
        "stop_reason": "tool_use" if asked.get("tools") else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 9},
    }


def _anthropic_events(asked: dict[str, Any]) -> list[dict[str, Any]]:
    message = _anthropic(asked)
    block = message["content"][0]
    begin: dict[str, Any]
    if block["type"] == "text":
        begin = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": word} for word in WORDS]
    else:
        begin = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(ARGUMENTS)}]
    return [
        {"type": "message_start", "message": {**message, "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": begin},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": message["stop_reason"]},
            "usage": {"output_tokens": 9},
        },
        {"type": "message_stop"},
    ]


def _gemini(asked: dict[str, Any], text: str) -> dict[str, Any]:
    part: dict[str, Any] = {"text": text}
    if asked.get("tools"):
        name = asked["tools"][0]["functionDeclarations"][0]["name"]
        part = {"functionCall": {"name": name, "args": ARGUMENTS}}
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {
            "promptTokenCount": 12,
            "candidatesTokenCount": 9,
            "totalTokenCount": 21,
        },
    }


def _bedrock(asked: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"text": "".join(WORDS)}
    if asked.get("toolConfig"):
        name = asked["toolConfig"]["tools"][0]["toolSpec"]["name"]
        content = {"toolUse": {"toolUseId": "t1", "name": name, "input": ARGUMENTS}}
    return {
        "output": {"message": {"role": "assistant", "content": [content]}},
        "stopReason": "tool_use" if asked.get("toolConfig") else "end_turn",
        "usage": {"inputTokens": 12, "outputTokens": 9, "totalTokens": 21},
    }


_PLAIN: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "/token": lambda _: {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"},
    "/messages": _anthropic,
    ":rawPredict": _anthropic,
    ":generateContent": lambda asked: _gemini(asked, "".join(WORDS)),
    ":embedContent": lambda _: {"embedding": {"values": [0.5, -0.25]}},
    "/converse": _bedrock,
}
