"""Streams pass event by event, and end cleanly when the provider's does not."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from tests.gateway.process import Gateway
from tests.gateway.standin import ScriptedUpstream, event, send_events

from mlflow_gateway.sse import EventSplitter

ASK = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], "stream": True}


async def test_each_event_arrives_while_the_next_is_awaited(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    go_on = asyncio.Semaphore(0)

    async def script(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(3):
            await response.write(event({"n": number}))
            await go_on.acquire()
        return response

    upstream.script = script
    async with (
        asyncio.timeout(60),
        gateway.client() as client,
        client.post("/v1/chat/completions", json=ASK) as response,
    ):
        assert response.content_type == "text/event-stream"
        for number in range(3):
            assert await response.content.readuntil(b"\n\n") == event({"n": number})
            go_on.release()
        assert await response.content.read() == b""


async def test_a_stream_passes_byte_for_byte(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    blocks = [
        b": a comment\n\n",
        b'data:{"no": "space"}\n\n',
        b'event: x\r\nid: 7\r\ndata: {"crlf": 1}\r\n\r\n',
        b'data: {"caf\xc3\xa9',
        b'": 1}\n\ndata: [DONE]\n\n',
        b'data: {"no": "empty line at the end"}',
    ]
    upstream.script = lambda request: send_events(request, *blocks)
    async with (
        gateway.client() as client,
        client.post("/v1/chat/completions", json=ASK) as response,
    ):
        assert await response.read() == b"".join(blocks)


async def test_a_stream_that_breaks_ends_with_an_error_event(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    async def script(request: web.Request) -> web.StreamResponse:
        response = await send_events(request, event({"n": 0}), b'data: {"half')
        assert request.transport
        request.transport.abort()
        return response

    upstream.script = script
    async with (
        gateway.client() as client,
        client.post("/v1/chat/completions", json=ASK) as response,
    ):
        events = (await response.read()).split(b"\n\n")
    assert events[0] == event({"n": 0}).strip()
    error = json.loads(events[1].removeprefix(b"data: "))["error"]
    assert error["code"] == "upstream_broken"
    assert events[2:] == [b"data: [DONE]", b""]


async def test_an_error_before_the_first_event_has_its_status(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.answers(b'{"error": {"message": "slow down"}}', status=429)
    async with (
        gateway.client() as client,
        client.post("/v1/chat/completions", json=ASK) as response,
    ):
        assert response.status == 429
        assert (await response.json())["error"]["message"] == "slow down"


async def test_a_client_that_hangs_up_ends_the_call_to_the_provider(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def script(request: web.Request) -> web.StreamResponse:
        response = await send_events(request, event({"n": 0}))
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return response

    upstream.script = script
    async with asyncio.timeout(60):
        async with gateway.client() as client:
            response = await client.post("/v1/chat/completions", json=ASK)
            await begun.wait()
            response.close()
        await ended.wait()


async def test_a_translated_stream(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    blocks = [
        {
            "type": "message_start",
            "message": {"id": "m", "model": "c", "usage": {"input_tokens": 3}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    ]
    upstream.script = lambda request: send_events(request, *map(event, blocks))
    async with (
        gateway.client() as client,
        client.post("/v1/chat/completions", json={**ASK, "model": "claude"}) as response,
    ):
        events = (await response.read()).decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(each.removeprefix("data: ")) for each in events[:-2]]
    assert (
        "".join(c["choices"][0]["delta"]["content"] or "" for c in chunks if c["choices"]) == "Hi"
    )


@pytest.mark.parametrize("ending", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_events_are_cut_at_their_ends_wherever_the_bytes_are_cut(ending: bytes) -> None:
    stream = b"data: one" + ending + b"data: two" + ending + b"data: thr"
    for cut in range(len(stream)):
        splitter = EventSplitter()
        passed = splitter.feed(stream[:cut]) + splitter.feed(stream[cut:])
        assert passed + splitter.rest() == stream
        assert passed.endswith(b"data: two" + ending)


async def test_many_streams_do_not_starve_a_plain_call(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    async def script(request: web.Request) -> web.StreamResponse:
        response = await send_events(request, event({"n": 0}))
        await asyncio.Event().wait()
        return response

    upstream.script = script
    async with asyncio.timeout(60), gateway.client() as client:
        streams: list[aiohttp.ClientResponse] = [
            await client.post("/v1/chat/completions", json=ASK) for _ in range(50)
        ]
        upstream.script = None
        async with client.post("/v1/chat/completions", json={**ASK, "stream": False}) as response:
            assert response.status == 200
        for stream in streams:
            stream.close()


async def test_slow_clients_do_not_starve_a_plain_call(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    """Requests that never end, and an answer that its client does not read."""
    upstream.answers(b'{"padding": "' + b"x" * 30_000_000 + b'"}')
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {gateway.token}\r\nContent-Type: application/json\r\n"
    )
    body = json.dumps({**ASK, "stream": False})
    whole = f"{head}Content-Length: {len(body)}\r\n\r\n{body}"
    host, port = gateway.api.removeprefix("http://").split(":")
    writers = []
    async with asyncio.timeout(60):
        for text in [f'{head}Content-Length: 999\r\n\r\n{{"mod'] * 50 + [whole] * 3:
            _, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.write(text.encode())
            await writer.drain()
            writers.append(writer)
        while len(upstream.calls) < 3:  # noqa: ASYNC110 -- counts what another task appends
            await asyncio.sleep(0.02)
        upstream.script = None
        async with (
            gateway.client() as client,
            client.post("/v1/chat/completions", json={**ASK, "stream": False}) as response,
        ):
            assert response.status == 200
    for writer in writers:
        writer.close()
