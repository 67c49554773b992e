"""A reasoned state on a real Home Assistant: it thinks when it should, and shows what it decided."""

from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant

from .reasoned import always, load, pass_time, says, settled
from .standins import StandInGateway


@pytest.fixture(autouse=True)
def evidence(home: HomeAssistant) -> None:
    home.states.async_set("binary_sensor.bed", "on", {"device_class": "occupancy"})
    home.states.async_set(
        "sensor.power", "41.3", {"device_class": "power", "unit_of_measurement": "W"}
    )


async def test_it_thinks_when_the_home_has_started_and_is_quiet(
    home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
) -> None:
    gateway.script = always(says("yes", 0.93))
    [state] = await load(home, gateway, {})
    assert (state.value, state.verdict, gateway.requests) == (None, None, [])

    await pass_time(home, freezer, seconds=31)

    assert state.value is True
    assert state.shown is state.verdict is not None
    assert state.verdict.reason == "The bed is occupied."
    assert state.verdict.confidence == 0.93
    assert state.verdict.measured is False
    assert state.verdict.decided_by == ("binary_sensor.bed",)
    assert state.verdict.tokens == 107
    assert (state.calls_today, state.tokens_today) == (1, 107)
