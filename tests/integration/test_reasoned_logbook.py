"""The logbook says why a reasoned state flipped; from the recorder's real database."""

from pathlib import Path
from typing import Any

import pytest
from homeassistant.components.logbook.processor import EventProcessor
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import async_initialize_recorder, get_instance
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from .reasoned import load, says, settled
from .standins import StandInGateway

MAIN = "binary_sensor.asleep"


@pytest.fixture(autouse=True)
async def home(
    socket_enabled: None, enable_custom_integrations: None, hass: HomeAssistant, tmp_path: Path
) -> HomeAssistant:
    """A home whose recorder was there first, as in life, and which has a logbook."""
    hass.config.config_dir = str(tmp_path)
    async_initialize_recorder(hass)
    assert await async_setup_component(hass, "recorder", {"recorder": {"commit_interval": 0}})
    assert await async_setup_component(hass, "homeassistant", {})
    assert await async_setup_component(hass, "http", {})
    hass.config.components.add(
        "frontend"
    )  # the logbook is a page too, and nobody looks at one here
    assert await async_setup_component(hass, "logbook", {})
    await hass.async_block_till_done()
    hass.states.async_set("binary_sensor.bed", "on", {"friendly_name": "Bed"})
    return hass


async def lines_of(home: HomeAssistant, entity_id: str) -> list[dict[str, Any]]:
    """Return what the logbook has of an entity."""
    await home.async_block_till_done()
    await get_instance(home).async_block_till_done()
    day = dt_util.start_of_local_day()
    processor = EventProcessor(home, ("mlflow_reasoned_state_changed",), entity_ids=[entity_id])
    lines: list[dict[str, Any]] = await get_instance(home).async_add_executor_job(
        processor.get_events, day, dt_util.utcnow()
    )
    return lines


async def test_a_flip_is_a_line_with_its_reason(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    await load(home, gateway, {})
    gateway.script = [says("yes", 0.92, reason="The bed is occupied.")]
    button = {"entity_id": "button.asleep_think_now"}
    await home.services.async_call("button", "press", button, blocking=True)
    await settled(home)
    for answer, comment in (("no", {"comment": "Only the cat."}), ("yes", {})):
        data = {"entity_id": MAIN, "answer": answer, **comment}
        await home.services.async_call("mlflow", "correct_state", data, blocking=True)

    lines = await lines_of(home, MAIN)

    told = [(line["name"], line["message"]) for line in lines if "message" in line]
    assert told == [
        ("Asleep", "The bed is occupied. (92 %)"),
        ("Asleep", "Only the cat. (Corrected by: home)"),
        ("Asleep", "Corrected by: home"),
    ]
    states = [line for line in lines if line.get("state") in ("on", "off")]
    assert [line["state"] for line in states] == ["on", "off", "on"]
