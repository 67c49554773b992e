"""Retries, fallbacks, the circuit breaker, limits and budgets, as a client meets them."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.gateway.process import Gateway, running
from tests.gateway.standin import ScriptedUpstream, chat_answer, event, send_events

from mlflow_gateway.breaker import CircuitBreaker
from mlflow_gateway.errors import EndpointError

DEAD = "http://127.0.0.1:9"


def _options(address: str) -> dict[str, Any]:
    def endpoint(name: str, provider: str = "Good", **policy: Any) -> dict[str, Any]:
        return {"name": name, "provider": provider, "model": "gpt-4o-mini", "retries": 0, **policy}

    return {
        "providers": [
            {"name": "Good", "type": "openai", "api_key": "k-good", "api_base": f"{address}/v1"},
            {"name": "Home", "type": "ollama", "api_base": f"{address}/home/v1"},
            {"name": "Dead", "type": "ollama", "api_base": DEAD},
        ],
        "endpoints": [
            endpoint("retrying", retries=2),
            endpoint("once"),
            endpoint("backup", "Home"),
            endpoint("falling", "Dead", fallback="dead-too, backup"),
            endpoint("dead-too", "Dead"),
            endpoint("breaking", fallback="backup"),
            endpoint("cared-for", fallback="backup"),
            endpoint("slow", first_byte_timeout=0.4, fallback="backup"),
            endpoint("limited", calls_per_minute=2),
            endpoint("limited-falling", calls_per_minute=1, fallback="backup"),
            endpoint("tokens", tokens_per_day=20),
            endpoint("money", money_per_day=0.000005),
        ],
    }


@pytest.fixture(scope="module")
async def gateway(
    shared_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("policy")
    async with running(folder, _options(shared_upstream.address)) as process:
        yield process


async def _ask(
    gateway: Gateway, name: str, **more: Any
) -> tuple[aiohttp.ClientResponse, dict[str, Any]]:
    asked = {"model": name, "messages": [{"role": "user", "content": "hi"}], **more}
    async with (
        gateway.client() as client,
        client.post("/v1/chat/completions", json=asked) as response,
    ):
        text = await response.text()
        return response, {} if more.get("stream") else json.loads(text)


def _fails(
    upstream: ScriptedUpstream, times: int, status: int, headers: dict[str, str] | None = None
) -> None:
    """Answer with an error so many times, and then well."""

    async def script(request: web.Request) -> web.StreamResponse:
        if len(upstream.calls) <= times:
            return web.json_response({"error": {"message": "busy"}}, status=status, headers=headers)
        return web.json_response(chat_answer({"model": "m"}))

    upstream.script = script


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_passing_failure_is_tried_again(
    gateway: Gateway, upstream: ScriptedUpstream, status: int
) -> None:
    _fails(upstream, 2, status)
    response, _ = await _ask(gateway, "retrying")
    assert response.status == 200
    assert response.headers["X-Gateway-Endpoint"] == "retrying"
    assert response.headers["X-Gateway-Attempts"] == "3"
    assert len(upstream.calls) == 3


async def test_the_same_request_is_sent_each_time(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    _fails(upstream, 1, 500)
    await _ask(gateway, "retrying", seed=7)
    assert upstream.calls[0].body == upstream.calls[1].body


async def test_when_retries_are_used_up_the_last_error_is_told(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    _fails(upstream, 99, 500)
    response, document = await _ask(gateway, "retrying")
    assert (response.status, document["error"]["message"]) == (500, "busy")
    assert response.headers["X-Gateway-Attempts"] == "3"


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_lasting_refusal_is_not_tried_again(
    gateway: Gateway, upstream: ScriptedUpstream, status: int
) -> None:
    _fails(upstream, 99, status)
    response, _ = await _ask(gateway, "retrying")
    assert response.status == status
    assert len(upstream.calls) == 1


async def test_retry_after_is_honoured(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    _fails(upstream, 1, 429, {"Retry-After": "2"})
    begun = time.monotonic()
    response, _ = await _ask(gateway, "retrying")
    assert response.status == 200
    assert time.monotonic() - begun >= 2


async def test_a_long_retry_after_is_the_clients_to_wait(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    _fails(upstream, 99, 429, {"Retry-After": "3600"})
    response, _ = await _ask(gateway, "retrying")
    assert (response.status, response.headers["Retry-After"]) == (429, "3600")
    assert len(upstream.calls) == 1


async def test_nothing_is_tried_again_after_the_first_byte(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.script = _breaks_in_the_middle
    response, _ = await _ask(gateway, "retrying", stream=True)
    assert response.status == 200
    assert len(upstream.calls) == 1


async def test_a_stream_that_breaks_before_its_first_event_is_tried_again(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    async def script(request: web.Request) -> web.StreamResponse:
        response = await send_events(request)
        if len(upstream.calls) == 1:
            assert request.transport
            request.transport.abort()
        else:
            await response.write(event({"n": 0}))
        return response

    upstream.script = script
    response, _ = await _ask(gateway, "retrying", stream=True)
    assert response.headers["X-Gateway-Attempts"] == "2"


async def _breaks_in_the_middle(request: web.Request) -> web.StreamResponse:
    response = await send_events(request, event({"n": 0}))
    assert request.transport
    request.transport.abort()
    return response


async def _is_shown_as_reachable(gateway: Gateway, name: str) -> bool:
    async with gateway.client() as client, client.get("/metrics") as response:
        return f'mlflow_gateway_up{{endpoint="{name}"}} 1' in await response.text()


async def test_a_provider_whose_streams_break_off_is_not_shown_as_reachable(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.script = _breaks_in_the_middle
    async with asyncio.timeout(60):
        await _ask(gateway, "once", stream=True)
        # the minute's look, that may fall in between, finds it reachable
        while await _is_shown_as_reachable(gateway, "once"):
            await _ask(gateway, "once", stream=True)
    upstream.script = None
    await _ask(gateway, "once", stream=True)
    assert await _is_shown_as_reachable(gateway, "once")


async def test_after_a_stream_that_broke_off_the_fallback_answers(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.script = _breaks_in_the_middle
    await _ask(gateway, "breaking", stream=True)
    upstream.script = None
    response, _ = await _ask(gateway, "breaking", stream=True)
    assert response.headers["X-Gateway-Endpoint"] == "backup"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_dead_provider_is_replaced_by_the_next_that_answers(
    gateway: Gateway, upstream: ScriptedUpstream, *, stream: bool
) -> None:
    response, _ = await _ask(gateway, "falling", stream=stream)
    assert response.status == 200
    assert response.headers["X-Gateway-Endpoint"] == "backup"
    assert upstream.calls[0].path == "/home/v1/chat/completions"


async def test_a_fault_of_the_request_does_not_fall_back(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    _fails(upstream, 99, 400)
    response, _ = await _ask(gateway, "cared-for")
    assert response.status == 400
    assert len(upstream.calls) == 1


async def test_a_slow_provider_costs_one_timeout_and_not_one_per_call(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    async def script(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/home"):
            return web.json_response(chat_answer({"model": "m"}))
        await asyncio.Event().wait()
        raise AssertionError

    upstream.script = script
    for _ in range(10):
        response, _document = await _ask(gateway, "slow")
        assert response.headers["X-Gateway-Endpoint"] == "backup"
    assert len([call for call in upstream.calls if call.path.startswith("/v1")]) == 1


async def test_a_rate_limit_is_429_with_retry_after(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    statuses = []
    for _ in range(3):
        response, document = await _ask(gateway, "limited")
        statuses.append(response.status)
    assert statuses == [200, 200, 429]
    assert document["error"]["code"] == "rate_limit_exceeded"
    assert document["error"]["type"] == "rate_limit_error"
    assert 50 <= int(response.headers["Retry-After"]) <= 60
    assert len(upstream.calls) == 2


async def test_the_rate_limit_holds_on_mlflows_path_too(gateway: Gateway) -> None:
    async with (
        gateway.client() as client,
        client.post("/gateway/limited/invocations", json={"messages": []}) as response,
    ):
        assert response.status == 429


async def test_a_full_endpoint_falls_back(gateway: Gateway) -> None:
    names = [
        (await _ask(gateway, "limited-falling"))[0].headers["X-Gateway-Endpoint"] for _ in range(2)
    ]
    assert names == ["limited-falling", "backup"]


@pytest.mark.parametrize("name", ["tokens", "money"])
async def test_a_budget_ends_for_today(gateway: Gateway, name: str) -> None:
    # one answer is 12 tokens sent and 9 made: 0.0000072 USD with gpt-4o-mini
    first, _ = await _ask(gateway, name)
    assert first.status == 200
    second, document = await _ask(gateway, name)
    assert (second.status, document["error"]["code"]) == (429, "insufficient_quota")
    assert 0 < int(second.headers["Retry-After"]) <= 25 * 3600


async def test_limits_and_budgets_survive_a_restart(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    for _ in range(2):
        async with running(tmp_path, _options(upstream.address)) as gateway:
            statuses = [
                (await _ask(gateway, name))[0].status
                for name in ("limited", "limited", "tokens", "money")
            ]
    assert statuses == [429, 429, 429, 429]


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("0.5", 0.5), ("-1", 0), ("soon", None), ("", None)]
)
def test_retry_after_in_seconds(text: str, seconds: float | None) -> None:
    error = EndpointError(429, "busy", code="x", headers={"retry-after": text})
    assert error.retry_after == seconds


def test_retry_after_as_a_date() -> None:
    text = email.utils.formatdate(time.time() + 30, usegmt=True)
    error = EndpointError(429, "busy", code="x", headers={"Retry-After": text})
    assert error.retry_after == pytest.approx(30, abs=2)


def test_calls_that_fail_together_count_once() -> None:
    breaker = CircuitBreaker(100.0, lambda: 0.0)
    for _ in range(8):
        breaker.failed()
    assert breaker.wait() == 10


def test_a_breaker_lets_one_call_try_and_rests_longer_each_time() -> None:
    now = 0.0
    breaker = CircuitBreaker(100.0, lambda: now)
    assert breaker.wait() == 0
    breaker.failed()
    assert breaker.wait() == 10
    now = 10
    assert breaker.wait() == 0
    assert breaker.wait() > 0, "only one call tries"
    breaker.failed()
    assert breaker.wait() == 20
    now = 30
    assert breaker.wait() == 0
    breaker.succeeded()
    assert breaker.wait() == 0
    assert breaker.wait() == 0
