"""Use and cost: counted for every kind of call, shown, scraped, and kept across restarts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.gateway.process import Gateway, running
from tests.gateway.standin import ScriptedUpstream, chat_chunks, event, send_events

from mlflow_gateway.meter import UsageQuestion, tokens
from mlflow_gateway.prices import look_up
from mlflow_gateway.store import Store, StoreError
from mlflow_gateway.usage import Histogram, Usage

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 400},
}
ASK = {"messages": [{"role": "user", "content": "hi"}]}


def _options(address: str) -> dict[str, Any]:
    return {
        "providers": [
            {"name": "P", "type": "openai", "api_key": "k-123", "api_base": f"{address}/v1"},
            {"name": "H", "type": "ollama", "api_base": address},
        ],
        "endpoints": [
            {"name": "chat", "provider": "P", "model": "gpt-4o-mini", "retries": 1},
            {"name": "home", "provider": "H", "model": "llama3.2", "retries": 0},
            {"name": "odd", "provider": "P", "model": "no-such-model", "retries": 0},
        ],
    }


async def _post(gateway: Gateway, name: str, **more: Any) -> bytes:
    async with (
        gateway.client() as client,
        client.post("/v1/chat/completions", json={**ASK, "model": name, **more}) as response,
    ):
        return await response.read()


async def _usage(gateway: Gateway) -> dict[str, dict[str, Any]]:
    async with gateway.client() as client, client.get("/usage") as response:
        document = await response.json()
    assert document["currency"] == "USD"
    assert {row["day"] for row in document["rows"]} <= {document["today"]}
    return {row["endpoint"]: row for row in document["rows"]}


def _streams_usage_when_asked(upstream: ScriptedUpstream) -> None:
    """As OpenAI does: an event with the usage and no choice, before the end."""

    async def script(request: web.Request) -> web.StreamResponse:
        asked = upstream.calls[-1].json
        blocks = [event(chunk) for chunk in chat_chunks(asked)]
        if (asked.get("stream_options") or {}).get("include_usage"):
            blocks.append(event({"id": "x", "choices": [], "usage": USAGE}))
        return await send_events(request, *blocks, b"data: [DONE]\n\n")

    upstream.script = script


async def test_the_endpoints_are_listed_with_the_prices_they_are_counted_by(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    async with (
        running(tmp_path, _options(upstream.address)) as gateway,
        gateway.client() as client,
        client.get("/api/2.0/endpoints/") as response,
    ):
        listed = (await response.json())["endpoints"]
    prices = {each["name"]: each["usd_per_million_tokens"] for each in listed}
    assert prices["chat"] == pytest.approx({"input": 0.15, "cached": 0.075, "output": 0.60})
    assert prices["home"] == {"input": 0, "cached": 0, "output": 0}, "what runs at home is free"
    assert prices["odd"] is None, "no price is known"


async def test_a_stream_counts_though_the_client_did_not_ask_and_sees_nothing_of_it(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    _streams_usage_when_asked(upstream)
    async with running(tmp_path, _options(upstream.address)) as gateway:
        plain = await _post(gateway, "chat", stream=True)
        assert upstream.calls[0].json["stream_options"] == {"include_usage": True}
        assert b'"usage"' not in plain
        assert plain.endswith(b"data: [DONE]\n\n")
        asked = await _post(gateway, "chat", stream=True, stream_options={"include_usage": True})
        assert b'"usage"' in asked
        row = (await _usage(gateway))["chat"]
    assert (row["calls"], row["errors"]) == (2, 0)
    assert (row["input_tokens"], row["cached_tokens"], row["output_tokens"]) == (2000, 800, 200)
    # gpt-4o-mini: 0.15, 0.075 and 0.60 USD for a million
    assert row["money"] == pytest.approx(2 * (600 * 0.15 + 400 * 0.075 + 100 * 0.60) / 1e6)
    assert row["first_token_ms"]["p50"] > 0


async def test_a_server_that_knows_no_stream_options_is_asked_without(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    async def script(request: web.Request) -> web.StreamResponse:
        if "stream_options" in upstream.calls[-1].json:
            return web.json_response({"error": {"message": "unknown field"}}, status=400)
        return await send_events(request, event({"n": 0}), b"data: [DONE]\n\n")

    upstream.script = script
    async with running(tmp_path, _options(upstream.address)) as gateway:
        for _ in range(2):
            assert (await _post(gateway, "home", stream=True)).startswith(b'data: {"n"')
    assert ["stream_options" in call.json for call in upstream.calls] == [True, False, False]


async def test_plain_calls_errors_retries_and_prices_are_counted(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    async with running(tmp_path, _options(upstream.address)) as gateway:
        for name in ("chat", "home", "odd"):
            await _post(gateway, name)
        upstream.answers(b"{}", status=500)
        await _post(gateway, "chat")
        rows = await _usage(gateway)
        async with gateway.client() as client, client.get("/usage?days=0") as response:
            assert response.status == 400
    assert (rows["chat"]["calls"], rows["chat"]["errors"], rows["chat"]["retries"]) == (2, 1, 1)
    assert (rows["home"]["input_tokens"], rows["home"]["output_tokens"]) == (12, 9)
    assert rows["chat"]["money"] == pytest.approx((12 * 0.15 + 9 * 0.60) / 1e6)
    assert rows["home"]["money"] == 0, "what runs at home is free"
    assert rows["odd"]["money"] is None, "no price is known"
    assert rows["chat"]["latency_ms"]["p50"] > 0


async def test_prometheus_sees_totals_that_survive_a_restart(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    for _ in range(2):
        async with running(tmp_path, _options(upstream.address)) as gateway:
            await _post(gateway, "chat")
            async with gateway.client() as client, client.get("/metrics") as response:
                text = await response.text()
                assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = dict(
        line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")
    )
    assert samples['mlflow_gateway_calls_total{endpoint="chat"}'] == "2"
    assert samples['mlflow_gateway_input_tokens_total{endpoint="chat"}'] == "24"
    assert samples['mlflow_gateway_up{endpoint="chat"}'] == "1"
    assert float(samples['mlflow_gateway_latency_seconds{endpoint="chat",quantile="0.5"}']) > 0
    named = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert all(any(sample.startswith(name) for name in named) for sample in samples)


def test_tokens_of_providers_that_name_them_otherwise() -> None:
    assert tokens({"prompt_tokens": 5, "prompt_cache_hit_tokens": 3}).cached == 3
    assert tokens({"prompt_tokens": None, "completion_tokens": "x"}).sent == 0
    assert tokens(None).made == 0


def test_only_the_event_that_holds_nothing_but_usage_is_kept_from_the_client() -> None:
    mixed = b'data: {"choices": [{"index": 0}], "usage": {"prompt_tokens": 1}}\n\n'
    null = b'data: {"choices": [], "usage": null}\n\n'
    only = b'data: {"choices": [], "usage": {"prompt_tokens": 1}}\n\n'
    end = b"data: [DONE]\n\n"
    assert UsageQuestion.without_answer(mixed + only + null + end) == mixed + null + end
    crlf = only.replace(b"\n", b"\r\n")
    assert UsageQuestion.without_answer(crlf + end) == end


def test_quantiles_are_right_to_a_bucket() -> None:
    histogram = Histogram()
    for milliseconds in range(1, 1001):
        histogram.add(milliseconds / 1000)
    assert histogram.quantile(0.5) == pytest.approx(500, rel=0.13)
    assert histogram.quantile(0.99) == pytest.approx(990, rel=0.13)
    assert Histogram().quantile(0.5) is None


def test_a_new_day_begins_with_nothing_and_old_days_go(tmp_path: Path) -> None:
    now = time.time()
    store = Store(tmp_path / "usage.db")
    usage = Usage(store, lambda: now)
    usage.add("chat", calls=1)
    store.save(*usage.unsaved())
    first = usage.today()
    now += 86400
    assert usage.row("chat").calls == 0
    usage.add("chat", calls=2)
    store.save(*usage.unsaved())
    assert usage.row("chat", "total").calls == 3
    assert [row[2]["calls"] for row in store.days(first)] == [2, 1]
    store.save([("2001-01-01", "chat", {})], {})
    store.close()
    assert [row[0] for row in Store(tmp_path / "usage.db").days("")][-1] == first


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
async def test_a_broken_file_is_set_aside_and_the_app_starts(
    upstream: ScriptedUpstream, tmp_path: Path, damage: bytes | None
) -> None:
    file = tmp_path / "data/usage.db"
    async with running(tmp_path, _options(upstream.address)) as gateway:
        await _post(gateway, "chat")
    whole = file.read_bytes()
    file.write_bytes(damage or whole[:4096] + b"\xff" * 2048 + whole[6144:])
    async with running(tmp_path, _options(upstream.address)) as gateway:
        await _post(gateway, "chat")
        assert (await _usage(gateway))["chat"]["calls"] == 1
        assert "usage.db is broken" in gateway.log
    assert (tmp_path / "data/broken-usage.db").exists()


async def test_what_cannot_be_written_now_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "usage.db")
    usage = Usage(store)
    usage.add("chat", calls=1)
    with monkeypatch.context() as full:
        full.setattr(store, "save", _disk_full)
        await usage.flush()
    assert store.days("") == []
    await usage.flush()
    assert [row[2]["calls"] for row in store.days("")] == [1]
    store.close()


def _disk_full(*_: Any) -> None:
    raise StoreError("database or disk is full")


def test_prices_come_from_mlflows_catalogue() -> None:
    price = look_up("openai", "gpt-4o-mini")
    assert price
    assert (price.input, price.cached, price.output) == (0.15, 0.075, 0.6)
    assert look_up("openai-compatible", "gpt-4o-mini") is None
    assert look_up("anthropic", "claude-3-haiku-20240307")
