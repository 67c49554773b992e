"""A storm of changes on the evidence of many states: cheap, bounded, and the model is not flooded."""

import time
from typing import Any
from unittest.mock import Mock

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_fire_time_changed,
)

from .reasoned import always, load, pass_time, says
from .standins import StandInGateway

STATES, ENTITIES = 20, 20
EVIDENCE = {
    "evidence": [{"target": {"entity_id": [f"sensor.storm_{n}" for n in range(ENTITIES)]}}],
    "quiet": {"seconds": 5},
    "at_most_every": {"minutes": 1},
}


def blow(hass: HomeAssistant, changes: int, begin: int) -> None:
    for number in range(begin, begin + changes):
        hass.states.async_set(
            f"sensor.storm_{number % ENTITIES}",
            str(number * 7 % 997),
            {"unit_of_measurement": "W", "device_class": "power"},
        )


async def test_no_more_calls_than_the_intervals_allow(
    home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
) -> None:
    gateway.script = always(says("yes"))
    states = await load(home, gateway, *[EVIDENCE] * STATES)
    blow(home, ENTITIES, 0)
    for second in range(180):
        blow(home, 100, second * 100)
        await pass_time(home, freezer, seconds=1)
    # without a quiet moment: at the latest after four quiet periods or the interval, whichever is longer
    calls = [state.calls_today for state in states]
    assert all(2 <= count <= 4 for count in calls), calls


async def test_an_event_sets_no_timer_and_starts_no_task(
    home: HomeAssistant, gateway: StandInGateway, monkeypatch: Any
) -> None:
    await load(home, gateway, *[EVIDENCE] * STATES)
    blow(home, ENTITIES, 0)
    await home.async_block_till_done()
    set_timer = Mock(wraps=home.loop.call_at)
    monkeypatch.setattr(home.loop, "call_at", set_timer)
    blow(home, 2000, ENTITIES)
    set_timer.assert_not_called()


async def test_an_event_costs_next_to_nothing(home: HomeAssistant, gateway: StandInGateway) -> None:
    def cost() -> float:
        """Seconds of this thread for 3000 changes; the least of five, as the machine is shared."""
        costs = []
        for turn in range(5):
            begun = time.thread_time()
            blow(home, 3000, turn * 3000)
            costs.append(time.thread_time() - begun)
        return min(costs)

    before = cost()
    await load(home, gateway, *[EVIDENCE] * STATES)
    added = (cost() - before) / 3000
    assert added < 50e-6, f"{added * 1e6:.1f} microseconds for {STATES} states"


async def test_a_flickering_sensor_costs_no_call(
    home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
) -> None:
    gateway.script = always(says("yes"))
    home.states.async_set("binary_sensor.bed", "on")
    [state] = await load(home, gateway, {})
    await pass_time(home, freezer, seconds=31)
    for _ in range(120):
        home.states.async_set("binary_sensor.bed", "off")
        freezer.tick(1)
        home.states.async_set("binary_sensor.bed", "on")
        freezer.tick(29)
        async_fire_time_changed(home)
    await pass_time(home, freezer, minutes=6)
    assert (len(gateway.requests), state.value) == (1, True)
