"""Providers that misbehave: the client gets an error that it understands, in time and in shape."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from tests.gateway.bad_upstream import (
    ANSWER,
    BEHAVIOURS,
    FIRST_EVENT_ARRIVED,
    HUGE,
    bad_upstream,
)
from tests.gateway.process import Gateway, running
from tests.gateway.standin import event

# Only where the wait itself is the matter: a busy machine makes the others slow too.
WAITS = {
    "never": {"first_byte_timeout": 1},
    "drip": {"total_timeout": 3},
    "stalled_stream": {"idle_timeout": 2},
}
ASK = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with bad_upstream() as plain, bad_upstream(context) as secret:
        places = {name: f"{plain}/{name}/v1" for name in BEHAVIOURS}
        places |= {"untrusted": f"{secret}/zipped/v1", "refused": "http://127.0.0.1:9/v1"}
        options = {
            "providers": [
                {"name": name, "type": "openai-compatible", "api_base": place}
                for name, place in places.items()
            ],
            "endpoints": [
                {
                    "name": name + kind,
                    "provider": name,
                    "model": "m",
                    "retries": 0,
                    **WAITS.get(name, {}),
                }
                for name in places
                for kind in ("", "-streamed")  # a breaker for each
            ],
        }
        async with running(tmp_path_factory.mktemp("bad"), options) as process:
            yield process


async def _ask(gateway: Gateway, name: str, **more: Any) -> tuple[int, bytes]:
    async with (
        asyncio.timeout(60),
        gateway.client() as client,
        client.post("/v1/chat/completions", json={**ASK, "model": name, **more}) as response,
    ):
        return response.status, await response.read()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("refused", 502, "upstream_refused"),
        ("hang_up", 502, "upstream_broken"),
        ("reset_in_body", 502, "upstream_broken"),
        ("never", 504, "upstream_timeout"),
        ("broken_json", 502, "upstream_invalid_answer"),
        ("wrong_type", 502, "upstream_invalid_answer"),
        ("nonsense", 502, "upstream_broken"),
        ("redirect", 502, "upstream_redirect"),
        ("untrusted", 502, "upstream_tls"),
    ],
)
async def test_no_answer_is_an_error_in_openais_shape(
    gateway: Gateway, name: str, status: int, code: str, *, stream: bool
) -> None:
    answered, body = await _ask(gateway, name + "-streamed" * stream, stream=stream)
    assert answered == status
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["code"] == code
    assert "127.0.0.1" not in error["message"]


async def test_one_byte_a_second_ends_at_the_total_time(gateway: Gateway) -> None:
    status, body = await _ask(gateway, "drip")
    assert (status, json.loads(body)["error"]["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    ("name", "code"),
    [("reset_in_stream", "upstream_broken"), ("stalled_stream", "upstream_timeout")],
)
async def test_a_stream_that_breaks_or_stalls_ends_cleanly(
    gateway: Gateway, name: str, code: str
) -> None:
    asked = {**ASK, "model": name, "stream": True}
    async with (
        asyncio.timeout(60),
        gateway.client() as client,
        client.post("/v1/chat/completions", json=asked) as response,
    ):
        assert response.status == 200
        assert (await response.content.readuntil(b"\n\n")).startswith(b"data: {")
        FIRST_EVENT_ARRIVED.set()
        error, done, end = (await response.read()).split(b"\n\n")
    assert json.loads(error.removeprefix(b"data: "))["error"]["code"] == code
    assert (done, end) == (b"data: [DONE]", b"")


async def test_compressed_answers_arrive_plain(gateway: Gateway) -> None:
    assert await _ask(gateway, "zipped") == (200, ANSWER)
    assert await _ask(gateway, "zipped_stream", stream=True) == (
        200,
        event({"n": 0}) + b"data: [DONE]\n\n",
    )


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_refusal_that_overtakes_its_request_does_not_spoil_the_next(
    gateway: Gateway,
) -> None:
    status, body = await _ask(gateway, "zealous", padding="x" * 30_000_000)
    assert (status, json.loads(body)["error"]["message"]) == (413, "too large for me")
    assert await _ask(gateway, "zealous") == (200, ANSWER)


async def test_fifty_megabytes_pass_whole_and_are_not_kept(gateway: Gateway) -> None:
    before = gateway.memory()
    status, body = await _ask(gateway, "huge")
    assert status == 200
    assert body == HUGE
    assert gateway.memory() - before < 25_000_000


async def test_after_all_that_it_still_works_and_logged_no_traceback(gateway: Gateway) -> None:
    assert await _ask(gateway, "zipped") == (200, ANSWER)
    assert "Traceback" not in gateway.log
