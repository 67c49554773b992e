"""Who may call which listener, and that no secret leaves by any door."""

from __future__ import annotations

import aiohttp
import pytest
from tests.gateway.conftest import EXTRA_TOKEN, KEY
from tests.gateway.process import SUPERVISOR, TRACKING, Gateway
from tests.gateway.standin import ScriptedUpstream

from mlflow_gateway.settings import sibling


async def _status(client: aiohttp.ClientSession, path: str = "/v1/models") -> int:
    async with client, client.get(path) as response:
        return response.status


async def test_the_supervisor_needs_no_token_on_the_ingress_listener(gateway: Gateway) -> None:
    assert await _status(gateway.ingress_client()) == 200
    assert await _status(gateway.ingress_client(), "/") == 200
    assert await _status(gateway.ingress_client(), "/health") == 200


@pytest.mark.parametrize("source", ["127.0.0.1", TRACKING])
@pytest.mark.parametrize("path", ["/v1/models", "/", "/health"])
async def test_nobody_else_may_call_the_ingress_listener(
    gateway: Gateway, source: str, path: str
) -> None:
    client = gateway.ingress_client(source)
    client.headers["Authorization"] = f"Bearer {gateway.token}"
    client.headers["X-Forwarded-For"] = SUPERVISOR
    assert await _status(client, path) == 403


async def test_the_api_listener_takes_the_generated_token_and_those_of_the_options(
    gateway: Gateway,
) -> None:
    assert await _status(gateway.client()) == 200
    assert await _status(gateway.client(token=EXTRA_TOKEN)) == 200


@pytest.mark.parametrize("token", [None, "wrong", "Bearer", "é" * 20, EXTRA_TOKEN[:-1]])
async def test_the_api_listener_refuses_other_tokens(gateway: Gateway, token: str | None) -> None:
    async with gateway.client(token=token) as client, client.get("/v1/models") as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert (await response.json())["error"]["type"] == "authentication_error"


async def test_the_supervisor_is_nobody_on_the_api_listener(gateway: Gateway) -> None:
    assert await _status(gateway.client(token=None, source=SUPERVISOR)) == 401


async def test_the_tracking_app_needs_no_token_on_the_api_listener(gateway: Gateway) -> None:
    assert await _status(gateway.client(token=None, source=TRACKING)) == 200


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("local-mlflow-gateway", "local-mlflow-tracking"),
        ("a1b2c3d4-mlflow-gateway", "a1b2c3d4-mlflow-tracking"),
        ("laptop", ""),
        ("mlflow-gateway", ""),
    ],
)
def test_the_sibling_is_known_by_the_own_host_name(own: str, other: str) -> None:
    assert sibling(own) == other


async def test_no_secret_leaves(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    """After calls that went well and calls that did not, at the log's finest level."""
    secrets = [KEY, gateway.token, EXTRA_TOKEN, "cookie-of-a-session"]
    seen = []
    async with gateway.client() as client:
        client.headers["Cookie"] = "ingress_session=cookie-of-a-session"
        for path in ("/", "/v1/models", "/api/2.0/endpoints/", "/health", "/nowhere"):
            async with client.get(path) as response:
                seen.append(await response.text())
        upstream.answers(f"wrong key {KEY}".encode(), status=500)
        for name in ("chat", "claude", "gemini", "none"):
            asked = {"model": name, "messages": [{"role": "user", "content": "x"}]}
            async with client.post("/v1/chat/completions", json=asked) as response:
                assert response.status >= 400
                seen.append(await response.text())
    assert "cookie-of-a-session" not in str(upstream.calls)
    assert gateway.token not in str(upstream.calls)
    seen.append(gateway.log)
    seen += gateway.command_lines()
    seen += gateway.run_files()
    assert "site-packages" not in gateway.log, "no path of the inside"
    for secret in secrets:
        assert not [text for text in seen if secret in text]


async def test_the_page_needs_nothing_from_outside(gateway: Gateway) -> None:
    async with gateway.ingress_client() as client, client.get("/") as response:
        text = await response.text()
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "llama3.2:3b" in text
    for outside in ("http://", "https://", 'src="/', 'href="/'):
        assert outside not in text
