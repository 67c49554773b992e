"""Which changes of the evidence are noticed at all: a meter's noise keeps no state from thinking."""

from typing import Any

from custom_components.mlflow.reasoning.notice import Notice
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant, State

from .reasoned import always, load, pass_time, says
from .standins import StandInGateway

METER = {"unit_of_measurement": "W", "device_class": "power"}


def power(watts: float, **more: Any) -> State:
    return State("sensor.house_power", str(watts), {**METER, **more})


def test_a_number_matters_once_it_has_moved_by_a_step() -> None:
    notice = Notice()
    assert notice.matters(power(200), power(201), ()), "the first that is seen"
    assert not notice.matters(power(201), power(215), ())
    assert notice.matters(power(215), power(225), ()), "far enough from where it last mattered"
    assert not notice.matters(power(225), power(210), ())


def test_a_state_in_words_matters_and_so_does_coming_and_going() -> None:
    notice = Notice()
    on, off = State("light.bed", "on"), State("light.bed", "off")
    assert notice.matters(off, on, ())
    assert not notice.matters(on, on, ())
    assert notice.matters(None, on, ())
    assert notice.matters(on, None, ())
    gone = State("sensor.house_power", "unavailable")
    assert notice.matters(power(200), gone, ())
    assert notice.matters(gone, power(200), ())


def test_an_attribute_matters_only_where_it_is_asked_for() -> None:
    notice = Notice()
    notice.matters(power(200), power(200.1), ())
    assert not notice.matters(power(200), power(200, source="A"), ())
    assert notice.matters(power(200), power(200, source="A"), ("source",))


async def test_a_chatty_meter_does_not_put_thinking_off(
    home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
) -> None:
    gateway.script = always(says("yes"))
    home.states.async_set("sensor.house_power", "200", METER)
    home.states.async_set("light.bed", "on")
    ids = ["sensor.house_power", "light.bed"]
    evidence = {"evidence": [{"target": {"entity_id": ids}}], "quiet": {"seconds": 30}}
    await load(home, gateway, evidence)
    await pass_time(home, freezer, seconds=31)
    await pass_time(home, freezer, minutes=6)
    assert len(gateway.requests) == 1
    home.states.async_set("light.bed", "off")
    for second in range(31):
        home.states.async_set("sensor.house_power", str(200 + second % 3), METER)
        await pass_time(home, freezer, seconds=1)
    assert len(gateway.requests) == 2, "thirty seconds after the light"
