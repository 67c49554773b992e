"""What the tests of reasoned states share: an entry with states, and what the model says."""

import asyncio
import json
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web
from custom_components.mlflow.coordinator import MlflowRuntime
from custom_components.mlflow.reasoning.state import ReasonedState
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentryDataWithId
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    async_fire_time_changed,
)

from .standins import Reply, StandInGateway

ASLEEP: dict[str, Any] = {
    "endpoint": "home",
    "question": "Is AK asleep?",
    "kind": "yes_no",
    "evidence": [{"target": {"entity_id": ["binary_sensor.bed", "sensor.power"]}}],
    "quiet": {"seconds": 30},
    "at_most_every": {"minutes": 5},
    "at_least_every": {},
    "agreeing": 1,
}


def subentry(title: str, data: dict[str, Any], subentry_id: str) -> ConfigSubentryDataWithId:
    return ConfigSubentryDataWithId(
        data=data,
        subentry_id=subentry_id,
        subentry_type="reasoned_state",
        title=title,
        unique_id=None,
    )


def make_entry(
    hass: HomeAssistant,
    gateway: StandInGateway,
    *states: dict[str, Any],
    options: dict[str, Any] | None = None,
    tracking: dict[str, Any] | None = None,
) -> MockConfigEntry:
    """An entry with a reasoned state per mapping, each laid over `ASLEEP`."""
    data: dict[str, Any] = {
        "gateway": {"url": gateway.url, "token": gateway.token},
        "default_agent_made": True,
    }
    if tracking is not None:
        data["tracking"] = tracking
    entry = MockConfigEntry(
        domain="mlflow",
        title="MLflow",
        unique_id="home",
        data=data,
        options=options or {},
        subentries_data=[
            subentry(f"Asleep {number}" if number else "Asleep", ASLEEP | state, f"state{number}")
            for number, state in enumerate(states)
        ],
    )
    entry.add_to_hass(hass)
    return entry


async def load(
    hass: HomeAssistant, gateway: StandInGateway, *states: dict[str, Any], **more: Any
) -> list[ReasonedState]:
    """Set an entry up, and return its states."""
    entry = make_entry(hass, gateway, *states, **more)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return list(runtime_of(entry).reasoned.values())


def runtime_of(entry: MockConfigEntry) -> MlflowRuntime:
    runtime: MlflowRuntime = entry.runtime_data
    return runtime


def says(
    answer: Any,
    confidence: float = 0.9,
    *,
    reason: str = "The bed is occupied.",
    decided_by: Sequence[str] = ("binary_sensor.bed",),
    logprobs: Any = None,
) -> Reply:
    """The model gives this verdict; `logprobs` as OpenAI's API gives them."""
    verdict = {
        "answer": answer,
        "confidence": confidence,
        "reason": reason,
        "decided_by": list(decided_by),
    }
    delta: dict[str, Any] = {"content": json.dumps(verdict)}
    if logprobs is not None:
        delta["logprobs"] = logprobs
    return lambda request: [delta]


def always(*replies: Reply) -> Script:
    """A script that never ends: its last reply is repeated."""
    return Script(replies)


class Script(list[Reply]):
    """The replies of a model; the last one is given again and again."""

    def pop(self, index: Any = 0) -> Reply:
        return super().pop(0) if len(self) > 1 else self[0]


def tokens(*items: tuple[str, dict[str, float]]) -> dict[str, Any]:
    """Log probabilities of tokens: each with the likely ones in its place, itself among them."""
    return {
        "content": [
            {
                "token": token,
                "logprob": math.log(likely[token]),
                "top_logprobs": [
                    {"token": other, "logprob": math.log(share)} for other, share in likely.items()
                ],
            }
            for token, likely in items
        ]
    }


def shows(state: ReasonedState) -> tuple[Any, str | None]:
    """What a state shows, and what keeps it from thinking."""
    return state.value, state.problem


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, **length: float) -> None:
    """Let time pass for all timers, and everything that they start come to its end."""
    freezer.tick(timedelta(**length))
    async_fire_time_changed(hass)
    await settled(hass)


async def settled(hass: HomeAssistant) -> None:
    """Wait until nothing is thought any more."""
    await hass.async_block_till_done()
    while thoughts := [
        task
        for entry in hass.config_entries.async_entries("mlflow")
        for task in entry._background_tasks
        if isinstance(task, asyncio.Task) and "reasoned state" in task.get_name()
    ]:
        await asyncio.wait(thoughts)
        await hass.async_block_till_done()


class FaultyGateway(StandInGateway):
    """A stand-in that may hold its answers back, refuse features, or say when to come again.

    `refuses` has the members of a request that are refused, with what is said of them; a value of
    `response_format`'s type stands for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.arrived = 0
        self.held: asyncio.Event | None = None
        self.refuses: dict[str, str] = {}
        self.retry_after: int | None = None
        self.raw: bytes | None = None

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.arrived += 1
        if self.held is not None:
            await self.held.wait()
        if self.raw is not None:
            return web.Response(body=self.raw, content_type="application/json")
        body = await request.json()
        wanted = [*body, body.get("response_format", {}).get("type")]
        for feature, message in self.refuses.items():
            if feature in wanted:
                self.requests.append(body)
                return web.json_response({"error": {"message": message}}, status=400)
        response = await super()._chat(request)
        if self.retry_after is not None and response.status == 429:
            response.headers["Retry-After"] = str(self.retry_after)
        return response
