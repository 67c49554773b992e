"""MLflow's PromptLab works on this gateway: what it sends is taken, what it needs is answered."""

from __future__ import annotations

from typing import Any

import pytest
from tests.gateway.process import TRACKING, Gateway
from tests.gateway.standin import ScriptedUpstream


async def _invoke(gateway: Gateway, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """As mlflow/server/handlers.py, gateway_proxy_handler, calls: from the tracking app."""
    async with (
        gateway.client(token=None, source=TRACKING) as client,
        client.post(f"/gateway/{name}/invocations", json=body) as response,
    ):
        assert response.status == 200, await response.text()
        document = await response.json()
        assert isinstance(document, dict)
        return document


@pytest.mark.parametrize("path", ["/api/2.0/endpoints/", "/api/2.0/endpoints"])
async def test_the_endpoints_are_listed_in_mlflows_shape(gateway: Gateway, path: str) -> None:
    async with gateway.client() as client, client.get(path) as response:
        listed = (await response.json())["endpoints"]
    assert listed[0] == {
        "name": "chat",
        "endpoint_type": "llm/v1/chat",
        "model": {"name": "gpt-x", "provider": "openai"},
        "endpoint_url": "/gateway/chat/invocations",
        "limit": None,
        "usd_per_million_tokens": None,
    }
    assert [each["endpoint_type"] for each in listed[1:3]] == [
        "llm/v1/completions",
        "llm/v1/embeddings",
    ]


async def test_a_chat_endpoint(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    asked = {
        "messages": [{"role": "user", "content": "An advertisement for books"}],
        "temperature": 0.01,
        "max_tokens": 100,
        "stop": [],
    }
    document = await _invoke(gateway, "chat", asked)
    assert document["choices"][0]["message"]["content"] == "scripted answer"
    assert document["usage"]["total_tokens"] == 21
    assert upstream.calls[0].json == {**asked, "model": "gpt-x", "stop": None}


async def test_a_completions_endpoint(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    document = await _invoke(gateway, "text", {"prompt": "hello", "stop": ["END"]})
    assert document["choices"][0]["text"] == "scripted text"
    assert document["usage"]["total_tokens"] == 5
    assert upstream.calls[0].json == {"prompt": "hello", "stop": ["END"], "model": "gpt-text"}


async def test_a_translated_endpoint(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    asked = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10, "stop": []}
    document = await _invoke(gateway, "claude", asked)
    assert document["choices"][0]["message"]["content"] == "scripted anthropic answer"
    assert document["usage"]["total_tokens"] == 21


async def test_what_a_local_server_leaves_out_is_filled_in(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.answers(b'{"choices": [{"message": {"role": "assistant", "content": "hi"}}]}')
    document = await _invoke(gateway, "local", {"messages": []})
    assert document["choices"][0]["message"]["content"] == "hi"
    assert document["object"] == "chat.completion"
    assert document["usage"] == {
        "prompt_tokens": None,
        "completion_tokens": None,
        "total_tokens": None,
    }
