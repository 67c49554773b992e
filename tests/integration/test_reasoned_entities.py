"""What a user sees of a reasoned state: its entities, what they show, and what the logbook says."""

from datetime import timedelta
from typing import Any

import pytest
from custom_components.mlflow.diagnostics import async_get_config_entry_diagnostics
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from .reasoned import ASLEEP, load, make_entry, says, settled
from .standins import StandInGateway

MAIN = "binary_sensor.asleep"
CHOICES = [{"choice": "Awake", "meaning": "up"}, {"choice": "In bed", "meaning": "lies down"}]


@pytest.fixture(autouse=True)
def evidence(home: HomeAssistant) -> None:
    home.states.async_set("binary_sensor.bed", "on", {"friendly_name": "Bed"})
    home.states.async_set("sensor.power", "3", {"friendly_name": "Power"})


def device_of(home: HomeAssistant, subentry_id: str) -> dr.DeviceEntry | None:
    entry = home.config_entries.async_entries("mlflow")[0]
    identifier = ("mlflow", subentry_id)
    return dr.async_get(home).async_get_device_by_identifier(identifier, entry.entry_id)


async def press(home: HomeAssistant, button: str) -> None:
    await home.services.async_call("button", "press", {"entity_id": button}, blocking=True)
    await settled(home)


def attribute(home: HomeAssistant, name: str, entity_id: str = MAIN) -> Any:
    state = home.states.get(entity_id)
    assert state is not None
    return state.attributes[name]


def shown(home: HomeAssistant, entity_id: str = MAIN) -> str:
    state = home.states.get(entity_id)
    assert state is not None
    return state.state


async def think(home: HomeAssistant, gateway: StandInGateway, *verdict: Any, **more: Any) -> None:
    gateway.script = [says(*verdict, **more)]
    await press(home, "button.asleep_think_now")


async def test_a_yes_no_state_is_a_device_with_all_its_entities(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    await load(home, gateway, {"device_class": "occupancy"})
    registry = er.async_get(home)
    entry = home.config_entries.async_entries("mlflow")[0]
    ours = er.async_entries_for_config_entry(registry, entry.entry_id)
    assert {entity.entity_id for entity in ours if entity.config_subentry_id == "state0"} == {
        MAIN,
        "button.asleep_think_now",
        "button.asleep_right",
        "button.asleep_wrong",
        "sensor.asleep_confidence",
        "sensor.asleep_calls_today",
        "sensor.asleep_cost_today",
        "switch.asleep_pause",
    }
    assert shown(home) == "unknown"
    assert attribute(home, "device_class") == "occupancy"
    assert attribute(home, "friendly_name") == "Asleep"
    device = device_of(home, "state0")
    assert device is not None
    assert (device.name, device.model) == ("Asleep", "home")


async def test_a_thought_is_shown_with_what_it_rests_on(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    [state] = await load(home, gateway, {})
    await think(home, gateway, "yes", 0.92, reason="The bed is occupied.")

    assert shown(home) == "on"
    assert attribute(home, "reason") == "The bed is occupied."
    assert attribute(home, "confidence") == 92
    assert attribute(home, "decided_by") == ["binary_sensor.bed"]
    assert attribute(home, "trace_id").startswith("tr-")
    decided_at = dt_util.parse_datetime(attribute(home, "decided_at"))
    assert decided_at is not None
    assert dt_util.utcnow() - decided_at < timedelta(minutes=1)
    assert attribute(home, "problem") is None
    assert attribute(home, "restored") is False
    assert attribute(home, "corrected_by") is None
    assert state.verdict is not None
    assert shown(home, "sensor.asleep_confidence") == "92"
    assert attribute(home, "answer", "sensor.asleep_confidence") is True
    assert shown(home, "sensor.asleep_calls_today") == "1"
    assert attribute(home, "tokens", "sensor.asleep_calls_today") == 107
    assert attribute(home, "last_reset", "sensor.asleep_calls_today") is not None


@pytest.mark.parametrize(
    ("settings", "answer", "expected", "attributes"),
    [
        (
            {"kind": "choice", "choices": CHOICES},
            "In bed",
            "In bed",
            {"device_class": "enum", "options": ["Awake", "In bed"]},
        ),
        (
            {"kind": "number", "minimum": 0, "maximum": 10, "unit": "people"},
            3,
            "3",
            {"unit_of_measurement": "people", "state_class": "measurement"},
        ),
        ({"kind": "number", "minimum": 0, "maximum": 10}, 2.5, "2.5", {}),
        ({"kind": "text"}, "Soup", "Soup", {}),
        ({"kind": "text"}, "x" * 300, "x" * 255, {}),
    ],
)
async def test_the_other_kinds_are_sensors(
    home: HomeAssistant,
    gateway: StandInGateway,
    settings: dict[str, Any],
    answer: Any,
    expected: str,
    attributes: dict[str, Any],
) -> None:
    await load(home, gateway, settings)
    assert home.states.get(MAIN) is None
    await think(home, gateway, answer)
    assert shown(home, "sensor.asleep") == expected
    seen = home.states.get("sensor.asleep")
    assert seen is not None
    assert attributes.items() <= seen.attributes.items()


async def test_the_last_answer_stays_while_the_gateway_is_away(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    await load(home, gateway, {})
    await think(home, gateway, "yes")
    await gateway.stop()
    with pytest.raises(HomeAssistantError, match="cannot be reached"):
        await press(home, "button.asleep_think_now")
    await settled(home)

    assert shown(home) == "on"
    assert "cannot be reached" in attribute(home, "problem")

    await gateway.start()
    await think(home, gateway, "no")
    assert shown(home) == "off"
    assert attribute(home, "problem") is None


async def test_the_switch_pauses_and_goes_on(home: HomeAssistant, gateway: StandInGateway) -> None:
    [state] = await load(home, gateway, {})
    switch = {"entity_id": "switch.asleep_pause"}
    assert shown(home, "switch.asleep_pause") == "off"
    await home.services.async_call("switch", "turn_on", switch, blocking=True)
    assert shown(home, "switch.asleep_pause") == "on"
    assert state.paused
    await home.services.async_call("switch", "turn_off", switch, blocking=True)
    assert shown(home, "switch.asleep_pause") == "off"
    assert not state.paused


async def test_a_flip_is_told_once_and_not_what_stays_the_same(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    flips: list[Event] = []
    home.bus.async_listen("mlflow_reasoned_state_changed", flips.append)
    changes: list[Event[Any]] = []
    await load(home, gateway, {})
    home.bus.async_listen(EVENT_STATE_CHANGED, changes.append)
    for answer in ("yes", "yes", "no"):
        await think(home, gateway, answer, 0.9, reason=f"It says {answer}.")

    assert [(flip.data["from"], flip.data["to"]) for flip in flips] == [(None, True), (True, False)]
    flip = flips[-1]
    assert flip.data["entity_id"] == MAIN
    assert flip.data["reason"] == "It says no."
    assert flip.data["confidence"] == 90
    assert flip.data["trace_id"] == attribute(home, "trace_id")
    new = [c.data["new_state"] for c in changes if c.data["entity_id"] == MAIN]
    assert flip.context.id in {state.context.id for state in new if state.state == "off"}


async def test_a_measure_does_not_flip(home: HomeAssistant, gateway: StandInGateway) -> None:
    flips: list[Event] = []
    home.bus.async_listen("mlflow_reasoned_state_changed", flips.append)
    await load(home, gateway, {"kind": "number", "minimum": 0, "maximum": 10})
    await think(home, gateway, 4)
    assert shown(home, "sensor.asleep") == "4"
    assert flips == []


async def test_a_state_of_another_kind_leaves_no_entity_behind(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    entry = make_entry(home, gateway, {})
    assert await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    registry = er.async_get(home)
    assert registry.async_get(MAIN)

    subentry = entry.subentries["state0"]
    home.config_entries.async_update_subentry(
        entry, subentry, data={**ASLEEP, "kind": "choice", "choices": CHOICES}
    )
    await home.async_block_till_done()
    assert registry.async_get(MAIN) is None
    assert registry.async_get("sensor.asleep")
    home.config_entries.async_update_subentry(entry, subentry, data=ASLEEP)
    await home.async_block_till_done()
    assert registry.async_get("sensor.asleep") is None
    assert registry.async_get(MAIN)

    assert home.config_entries.async_remove_subentry(entry, "state0")
    await home.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    left = [e for e in registry.entities.values() if e.config_subentry_id == "state0"]
    assert left == []
    assert device_of(home, "state0") is None
    assert home.states.get(MAIN) is None


async def test_diagnostics_tell_how_it_thinks_and_nothing_of_the_home(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    entry = make_entry(home, gateway, {"facts": "AK works nights.", "condition": "{{ true }}"})
    assert await home.config_entries.async_setup(entry.entry_id)
    await think(home, gateway, "yes", 0.92, reason="AK is in bed.")
    diagnostics = await async_get_config_entry_diagnostics(home, entry)

    [settings] = diagnostics["subentries"]
    assert settings["data"]["kind"] == "yes_no"
    assert settings["data"]["at_most_every"] == {"minutes": 5}
    [thinking] = diagnostics["reasoned_states"]
    assert thinking["calls_today"] == 1
    assert thinking["last_verdict"]["confidence"] == 0.92
    text = str(diagnostics)
    for private in ("AK", "Asleep", "binary_sensor.bed", "true }}", "nights"):
        assert private not in text
