"""What the tests of reasoned states share: an entry with states, and what the model says."""

import asyncio
import json
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentryDataWithId
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.mlflow.coordinator import MlflowRuntime
from custom_components.mlflow.reasoning.state import ReasonedState

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


def always(*replies: Reply) -> "Script":
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
        if "reasoned state" in task.get_name()
    ]:
        await asyncio.wait(thoughts)
        await hass.async_block_till_done()
