"""The Gateway's endpoints appear in MLflow's AI Gateway, follow it, and leave the user's own alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.tracking.process import App, free_port
from tests.tracking.standin import ENDPOINT, StandInGateway

API = "/api/3.0/mlflow/gateway"


def endpoint(name: str, kind: str = "chat") -> dict[str, Any]:
    return {**ENDPOINT, "name": name, "endpoint_type": f"llm/v1/{kind}"}


@pytest.fixture
async def linked(own_app: App) -> AsyncIterator[tuple[App, StandInGateway, aiohttp.ClientSession]]:
    """The app with a Gateway that is started later, and a client of the app."""
    standin = StandInGateway(free_port())
    own_app.gateway = standin.url
    # The rounds of the mirror come so fast that a test need not wait for them.
    own_app.environment = {"MLFLOW_TRACKING_MIRROR_SECONDS": "0.2"}
    with own_app.running() as app:
        async with app.api_client() as client:
            yield app, standin, client


async def names(client: aiohttp.ClientSession) -> set[str]:
    async with client.get(f"{API}/endpoints/list") as answer:
        assert answer.status == 200
        return {e["name"] for e in (await answer.json()).get("endpoints", [])}


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 30
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_endpoints_follow_the_gateway(
    linked: tuple[App, StandInGateway, aiohttp.ClientSession],
) -> None:
    _, standin, client = linked
    assert await names(client) == set()
    standin.endpoints = [endpoint("fast"), endpoint("vectors", "embeddings")]
    async with standin.running():

        async def shows(*expected: str) -> None:
            async def same() -> bool:
                return await names(client) == set(expected)

            await eventually(same)

        await shows("fast", "vectors")
        standin.endpoints = [endpoint("fast"), endpoint("clever")]
        await shows("fast", "clever")
        standin.endpoints = [endpoint("vectors", "embeddings"), endpoint("clever")]
        await shows("vectors", "clever")


async def test_what_the_user_made_stays(
    linked: tuple[App, StandInGateway, aiohttp.ClientSession],
) -> None:
    _, standin, client = linked

    async def call(path: str, **body: Any) -> dict[str, Any]:
        async with client.post(f"{API}/{path}", json=body) as answer:
            decoded: dict[str, Any] = await answer.json()
            assert answer.status == 200, decoded
            return decoded

    secret = await call(
        "secrets/create",
        secret_name="mine",
        secret_value={"api_key": "sk-mine"},
        provider="openai",
    )
    definition = await call(
        "model-definitions/create",
        name="my model",
        secret_id=secret["secret"]["secret_id"],
        provider="openai",
        model_name="gpt",
    )
    model = {
        "model_definition_id": definition["model_definition"]["model_definition_id"],
        "linkage_type": "PRIMARY",
        "weight": 1.0,
    }
    made = await call("endpoints/create", name="fast", model_configs=[model])
    standin.endpoints = [endpoint("fast"), endpoint("clever")]

    async def there() -> bool:
        return await names(client) == {"fast", "clever"}

    async def gone() -> bool:
        return await names(client) == {"fast"}

    async with standin.running():
        await eventually(there)
        standin.endpoints = []
        await eventually(gone)
    asked = {"endpoint_id": made["endpoint"]["endpoint_id"]}
    async with client.get(f"{API}/endpoints/get", params=asked) as answer:
        kept = (await answer.json())["endpoint"]
    assert kept["model_mappings"][0]["model_definition"]["name"] == "my model"


async def test_a_mirrored_endpoint_answers_through_the_gateway(
    linked: tuple[App, StandInGateway, aiohttp.ClientSession],
) -> None:
    app, standin, client = linked
    standin.endpoints = [endpoint("chat")]

    async def there() -> bool:
        return await names(client) == {"chat"}

    async with standin.running():
        await eventually(there)
        message = {"role": "user", "content": "hello"}
        async with app.ingress_client() as browser:
            playground = "/gateway/chat/mlflow/invocations"
            async with browser.post(playground, json={"messages": [message]}) as answer:
                body = await answer.json()
                assert answer.status == 200, body
        assert body["choices"][0]["message"]["content"] == "you said: hello"
    sent = [body for path, _, body in standin.requests if path == "/v1/chat/completions"]
    assert [body["model"] for body in sent] == ["chat"]


async def test_a_start_without_the_gateway_is_no_error(own_app: App, tmp_path: Path) -> None:
    own_app.gateway = f"http://127.0.0.1:{free_port()}"
    with own_app.running() as app:
        async with app.api_client() as client:
            assert await names(client) == set()
    assert "Traceback" not in own_app.log
    assert "ERROR" not in own_app.log
