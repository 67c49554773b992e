"""Which entities are the evidence: targets as actions have them, without the state's own entities."""

from datetime import timedelta
from typing import Any

from custom_components.mlflow.reasoning import selection as selection_room
from custom_components.mlflow.reasoning.selection import Want, select
from custom_components.mlflow.reasoning.settings import Source
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import label_registry as lr
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
)

from .reasoned import always, load, make_entry, says
from .standins import StandInGateway


def chosen(hass: HomeAssistant, *targets: dict[str, list[str]]) -> list[str]:
    return list(select(hass, [Source(target) for target in targets], None))


async def test_by_entity_device_area_and_label(home: HomeAssistant) -> None:
    registry = er.async_get(home)
    owner = MockConfigEntry()
    owner.add_to_hass(home)
    device = dr.async_get(home).async_get_or_create(
        config_entry_id=owner.entry_id, identifiers={("test", "lamp")}
    )
    area = ar.async_get(home).async_create("Bedroom")
    label = lr.async_get(home).async_create("Sleep")
    for name in ("by_device", "by_area", "by_label", "hidden", "diagnostic"):
        registry.async_get_or_create("light", "test", name, suggested_object_id=name)
    registry.async_update_entity("light.by_device", device_id=device.id)
    registry.async_update_entity("light.by_area", area_id=area.id)
    registry.async_update_entity("light.by_label", labels={label.label_id})
    registry.async_update_entity(
        "light.hidden", area_id=area.id, hidden_by=er.RegistryEntryHider.USER
    )
    registry.async_update_entity(
        "light.diagnostic", area_id=area.id, entity_category=EntityCategory.DIAGNOSTIC
    )
    targets: list[dict[str, list[str]]] = [
        {"label_id": [label.label_id]},
        {"area_id": [area.id]},
        {"device_id": [device.id]},
        {"entity_id": ["light.named"]},
    ]
    found = ["light.named", "light.by_area", "light.by_device", "light.by_label"]
    assert chosen(home, *targets) == found


async def test_a_group_is_asked_for_its_own_state(home: HomeAssistant) -> None:
    home.states.async_set("group.lights", "on", {"entity_id": ["light.a", "light.b"]})
    assert chosen(home, {"entity_id": ["group.lights"]}) == ["group.lights"]


async def test_what_several_sources_want_of_an_entity_is_put_together(
    home: HomeAssistant,
) -> None:
    one = Source({"entity_id": ["light.a"]}, ("brightness",), timedelta(hours=2))
    other = Source({"entity_id": ["light.a"]}, ("color", "brightness"), timedelta(hours=1))
    wanted = Want(("brightness", "color"), timedelta(hours=2))
    assert select(home, [one, other], None) == {"light.a": wanted}


async def test_a_whole_home_is_cut(home: HomeAssistant, monkeypatch: Any) -> None:
    monkeypatch.setattr(selection_room, "MAX_ENTITIES", 3)
    area = ar.async_get(home).async_create("Bedroom")
    registry = er.async_get(home)
    for number in range(9):
        entry = registry.async_get_or_create("light", "test", str(number))
        registry.async_update_entity(entry.entity_id, area_id=area.id)
    found = chosen(home, {"area_id": [area.id]}, {"entity_id": ["light.named"]})
    assert found[0] == "light.named"
    assert len(found) == 3


async def test_an_answer_is_no_evidence_for_itself(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    entry = make_entry(home, gateway, {}, {})
    area = ar.async_get(home).async_create("Bedroom")
    registry = er.async_get(home)
    for number in (0, 1):
        own = registry.async_get_or_create(
            *("binary_sensor", "mlflow", f"of_{number}"),
            config_entry=entry,
            config_subentry_id=f"state{number}",
            suggested_object_id=f"state{number}",
        )
        registry.async_update_entity(own.entity_id, area_id=area.id)
    sources = [Source({"area_id": [area.id]})]
    assert list(select(home, sources, "state0")) == ["binary_sensor.state1"]


async def test_one_listener_serves_all_states(home: HomeAssistant, gateway: StandInGateway) -> None:
    gateway.script = always(says("yes"))
    before = home.bus.async_listeners().get("state_changed", 0)
    await load(home, gateway, *[{}] * 20)
    assert home.bus.async_listeners()["state_changed"] - before <= 1
