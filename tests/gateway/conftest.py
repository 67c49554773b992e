"""A scripted upstream and the real app in front of it, shared by the tests of the Gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.gateway.process import Gateway, running
from tests.gateway.standin import ScriptedUpstream, scripted_upstream

KEY = "sk-only-the-upstream-may-see-this"
EXTRA_TOKEN = "a-token-of-the-options"


@pytest.fixture(scope="session")
async def shared_upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(shared_upstream: ScriptedUpstream) -> ScriptedUpstream:
    shared_upstream.forget()
    return shared_upstream


ENDPOINTS = [
    ("chat", "Cloud", "gpt-x", "chat"),
    ("text", "Cloud", "gpt-text", "completions"),
    ("vectors", "Cloud", "embed-x", "embeddings"),
    ("local", "Local", "llama3.2:3b", "chat"),
    ("office", "Office", "my deployment", "chat"),
    ("claude", "Claude", "claude-x", "chat"),
    ("gemini", "Google", "gemini-x", "chat"),
]


def options_for(address: str) -> dict[str, Any]:
    return {
        "providers": [
            {
                "name": "Cloud",
                "type": "openai",
                "api_key": KEY,
                "api_base": f"{address}/v1",
                "organization": "home",
            },
            {"name": "Local", "type": "ollama", "api_base": address},
            {
                "name": "Office",
                "type": "azure",
                "api_key": KEY,
                "api_base": address,
                "api_version": "2025-01-01",
            },
            {
                "name": "Claude",
                "type": "anthropic",
                "api_key": KEY,
                "api_base": f"{address}/anthropic/v1",
            },
            {
                "name": "Google",
                "type": "gemini",
                "api_key": KEY,
                "api_base": f"{address}/gemini/v1beta/models",
            },
        ],
        "endpoints": [
            {"name": name, "provider": provider, "model": model, "type": kind, "retries": 0}
            for name, provider, model, kind in ENDPOINTS
        ],
        "api_tokens": [{"name": "script", "token": EXTRA_TOKEN}],
        "log_level": "debug",
    }


@pytest.fixture(scope="session")
async def gateway(
    shared_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    async with running(folder, options_for(shared_upstream.address)) as process:
        yield process
