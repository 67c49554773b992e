"""Measures the integration in a real Home Assistant, beside core's LiteLLM and OpenRouter agents.

All three talk with the same local server that answers at once. Prints the figures as JSON.
Run by `./scripts/bench integration` with an environment that has Home Assistant, `openai` and
`python-open-router`.
"""

import asyncio
import contextlib
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
from benchmarks.contenders import ROOT, free_port
from benchmarks.home import entry_of, figure, home, resident_mb, set_up
from homeassistant.components import conversation
from homeassistant.components.conversation import chat_log as chat_logs
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import chat_session

TURNS = int(os.environ.get("BENCH_TURNS", "300"))
AWAY_TURNS = int(os.environ.get("BENCH_AWAY_TURNS", "1000"))
PROMPT = {"prompt": "Be brief.", "llm_hass_api": ["assist"]}
AGENTS = {
    "ours": "conversation.bench_mlflow",
    "litellm": "conversation.bench_litellm",
    "open_router": "conversation.bench_open_router",
}


class Tracking:
    """The real Tracking app, which was started once (and so has a token) and is away now."""

    def __init__(self, folder: Path, gateway: str) -> None:
        self.folder = folder
        self.gateway = gateway
        self._ports = (free_port(), free_port())
        self.url = f"http://127.0.0.1:{self._ports[1]}"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "options.json").write_text("{}")
        subprocess.run(self._command("prepare"), check=True, stdout=sys.stderr)

    @property
    def token(self) -> str:
        return (self.folder / "token").read_text().strip()

    def _command(self, verb: str) -> list[str]:
        python = os.environ.get(
            "TRACKING_PYTHON", str(ROOT / "mlflow-tracking" / ".venv" / "bin" / "python")
        )
        return [
            *(python, "-m", "mlflow_tracking", verb),
            *("--options", str(self.folder / "options.json"), "--data", str(self.folder)),
            *("--host", "127.0.0.1", "--ingress-from", "127.0.0.1"),
            *("--ingress-port", str(self._ports[0]), "--api-port", str(self._ports[1])),
        ]

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(self._command("serve"), stdout=sys.stderr)
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/health", timeout=1).close()
                return
            time.sleep(0.1)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


@contextlib.asynccontextmanager
async def _home() -> AsyncIterator[HomeAssistant]:
    """A Home Assistant of its own, without the integrations that are compared."""
    configuration = (
        "homeassistant:\n  name: Bench\nlogger:\n  default: warning\nconversation:\n"
        "input_boolean:\n" + "".join(f"  lamp_{n}: {{name: Lamp {n}}}\n" for n in range(30))
    )
    async with home(configuration) as hass:
        for number in range(30):
            async_expose_entity(hass, conversation.DOMAIN, f"input_boolean.lamp_{number}", True)
        yield hass


def _entry(domain: str, data: dict[str, Any], agent: dict[str, Any], **more: Any) -> ConfigEntry:
    agents = [{"subentry_type": "conversation", "title": f"Bench {domain}", "data": agent}]
    return entry_of(domain, data, agents, **more)


def _ours(url: str, tracking: dict[str, str] | None, record: str) -> ConfigEntry:
    data: dict[str, Any] = {"gateway": {"url": url, "token": "t"}, "default_agent_made": True}
    if tracking:
        data["tracking"] = tracking
    agent = {"endpoint": "instant", **PROMPT, "history_turns": 20}
    options = {"record": record}
    return _entry("mlflow", data, agent, unique_id="home", options=options)


async def _turn(
    hass: HomeAssistant, agent: str, text: str = "is the light on"
) -> tuple[float, float]:
    """Return the milliseconds of a turn: all of it, and until its first words."""
    first: list[float] = []
    began = time.perf_counter()

    def hear(_: Any, delta: dict[str, Any]) -> None:
        if delta.get("content") and not first:
            first.append(time.perf_counter())

    context = Context()
    with (
        chat_session.async_get_chat_session(hass, context=context) as session,
        chat_logs.async_get_chat_log(hass, session, chat_log_delta_listener=hear),
    ):
        result = await conversation.async_converse(
            hass, text, session.conversation_id, context, agent_id=agent
        )
    ended = time.perf_counter()
    spoken = result.response.speech["plain"]["speech"]
    assert spoken == "The kitchen light is on.", spoken
    return (ended - began) * 1000, (first[0] - began) * 1000


async def _bare(session: aiohttp.ClientSession, url: str) -> tuple[float, float]:
    """Return the same of the model itself, asked without Home Assistant."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "is the light on"},
    ]
    body = {"model": "instant", "messages": messages, "stream": True}
    began = time.perf_counter()
    first = 0.0
    async with session.post(f"{url}/v1/chat/completions", json=body) as response:
        async for piece in response.content.iter_any():
            if not first and b"The " in piece:
                first = time.perf_counter()
    return (time.perf_counter() - began) * 1000, (first - began) * 1000


async def _compare(hass: HomeAssistant, url: str) -> dict[str, tuple[float, float]]:
    """Return the medians of all three and of the model itself, their turns taken by turns."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in [*AGENTS, "model"]}
    async with aiohttp.ClientSession() as session:
        for number in range(TURNS + 20):
            for name, agent in AGENTS.items():
                taken[name].append(await _turn(hass, agent))
            taken["model"].append(await _bare(session, url))
            if number == 20:  # until here all were warming up
                taken = {name: [] for name in taken}
    return {
        name: (statistics.median(t for t, _ in turns), statistics.median(f for _, f in turns))
        for name, turns in taken.items()
    }


async def _recording(hass: HomeAssistant, entry: ConfigEntry) -> float:
    """Return the milliseconds of work that recording a turn costs the event loop's thread.

    Turns with and without it take turns: a turn costs more the more conversations are open.
    """
    recorder = entry.runtime_data.recorder
    costs: dict[str, list[float]] = {"all": [], "off": []}
    for number in range(2 * TURNS):
        record = "all" if number % 2 else "off"
        recorder._record = record  # noqa: SLF001 - a change of the option would reload the entry
        before = time.thread_time()
        await _turn(hass, AGENTS["ours"])
        await asyncio.sleep(0.02)  # the spool's part of the work
        costs[record].append((time.thread_time() - before) * 1000)
    return statistics.median(costs["all"]) - statistics.median(costs["off"])


async def _away(hass: HomeAssistant, tracking: Tracking, turns: int) -> int:
    """Let MLflow be away for some turns; return how many traces it has of them afterwards."""
    entry = _ours(tracking.gateway, {"url": tracking.url, "token": tracking.token}, "all")
    await set_up(hass, entry)
    for _ in range(turns):
        await _turn(hass, AGENTS["ours"])
    spool = entry.runtime_data.traces
    while spool.waiting < turns:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.1)
    await hass.async_add_executor_job(tracking.start)
    await entry.runtime_data.tracking.async_refresh()
    deadline = time.monotonic() + 300
    while spool.waiting and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.2)
    database = tracking.folder / "mlflow.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM trace_info").fetchone()[0])


def _pointed_at(url: str) -> Callable[..., Any]:
    """Let OpenRouter's client, whose address is fixed, talk with our server."""
    from openai import AsyncOpenAI  # noqa: PLC0415

    def client(**arguments: Any) -> Any:
        return AsyncOpenAI(**{**arguments, "base_url": f"{url}/v1"})

    return client


async def _measure(url: str) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    tracking = {"url": url, "token": "t"}
    async with _home() as hass:
        before = resident_mb()
        ours = _ours(url, tracking, "all")
        taken = await set_up(hass, ours)
        memory = resident_mb() - before
        before = resident_mb()
        key = {"url": f"{url}/v1", "api_key": "k"}
        litellm = await set_up(hass, _entry("litellm", key, {"model": "instant", **PROMPT}))
        litellm_memory = resident_mb() - before
        from homeassistant.components import open_router  # noqa: F401, PLC0415

        with patch("homeassistant.components.open_router.AsyncOpenAI", _pointed_at(url)):
            await set_up(
                hass,
                _entry(
                    "open_router",
                    {"api_key": "k"},
                    {"model": "instant", **PROMPT, "web_search": "off"},
                    minor_version=4,
                ),
            )
        medians = await _compare(hass, url)
        model_turn, model_first = medians.pop("model")
        turn, first = medians.pop("ours")
        peers = {name: total - model_turn for name, (total, _) in medians.items()}
        words = {name: early - model_first for name, (_, early) in medians.items()}
        figures["added per turn, p50"] = figure(
            "ms", turn - model_turn, min(5.0, *peers.values()), peers
        )
        figures["added before the first word, p50"] = figure(
            "ms", first - model_first, min(words.values()), words
        )
        figures["set-up"] = figure("ms", taken, 150, {"litellm": litellm})
        figures["memory of the set-up"] = figure("MB", memory, 10, {"litellm": litellm_memory})
        recording = await _recording(hass, ours)
        figures["recording, on the event loop, per turn"] = figure("ms", recording, 1.0)
        await hass.config_entries.async_remove(ours.entry_id)
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            real = Tracking(Path(folder), url)
            stack.callback(real.stop)
            there = await _away(hass, real, AWAY_TURNS)
        figures["turns without MLflow, there afterwards, once"] = figure(
            f"of {AWAY_TURNS}", there, AWAY_TURNS, higher_is_better=True
        )
    return figures


def main() -> None:
    """Start the server, measure, print."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("integration_endpoint.py")), str(port)]
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        print(json.dumps(asyncio.run(_measure(f"http://127.0.0.1:{port}"))))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
