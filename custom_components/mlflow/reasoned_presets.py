"""Presets of a reasoned state: what they ask, and which evidence this home has for it.

Evidence is found by what the registries and states tell of an entity (its domain, its device class,
its room, its name), and a room is known by its name in the languages of our translations.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from homeassistant.const import ATTR_DEVICE_CLASS, CONF_ENTITY_ID, CONF_NAME
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN
from .reasoning.settings import (
    CONF_AGREEING,
    CONF_AT_LEAST_EVERY,
    CONF_AT_MOST_EVERY,
    CONF_ATTRIBUTES,
    CONF_DEVICE_CLASS,
    CONF_EVIDENCE,
    CONF_FACTS,
    CONF_KIND,
    CONF_LOOK_BACK,
    CONF_QUESTION,
    CONF_QUIET,
    CONF_TARGET,
    CONF_THRESHOLD,
    Kind,
)

# More of one sort than this is no evidence that anybody reads; the user may add what is missing.
_MOST_OF_ONE_SORT = 8


def _words(text: str) -> re.Pattern[str]:
    return re.compile("|".join(text.split()), re.IGNORECASE)


_BEDROOM: Final = _words("bed.?room schlaf slaap chambre dormitorio habitaci camera.da.letto")
_KITCHEN: Final = _words(
    "kitchen küche keuken cuisine cocina cucina cook hob oven stove herd fornel"
)
_LAUNDRY: Final = _words("laundr wash wasch wäsche wasmachine lave.linge buanderie lavad lavat")
_OFFICE: Final = _words(
    "office büro arbeitszimmer kantoor werkkamer bureau oficina despacho ufficio"
)


@dataclass(frozen=True, slots=True)
class _Sort:
    """A sort of evidence: entities of `domain`, of one of these device classes if any are named.

    `near`: those whose name or room matches, if there are such; else all, or none with `strict`.
    """

    domain: str
    classes: frozenset[str] = frozenset()
    hours: float = 0
    near: re.Pattern[str] | None = None
    strict: bool = False
    attributes: tuple[str, ...] = ()


def _motion(hours: float, near: re.Pattern[str] | None = None) -> _Sort:
    return _Sort(
        "binary_sensor", frozenset({"motion", "occupancy", "presence", "moving"}), hours, near
    )


def _doors(hours: float) -> _Sort:
    return _Sort("binary_sensor", frozenset({"door", "garage_door", "opening", "lock"}), hours)


def _power(hours: float, near: re.Pattern[str], *, strict: bool = False) -> _Sort:
    return _Sort("sensor", frozenset({"power"}), hours, near, strict)


_PEOPLE: Final = _Sort("person", hours=4)
_MEDIA: Final = _Sort("media_player", hours=2, attributes=("source", "app_name"))


@dataclass(frozen=True, slots=True)
class Preset:
    """What a preset fills the form with, beside its texts in the translations."""

    sorts: tuple[_Sort, ...]
    device_class: str | None = None
    people: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)


PRESETS: Final[Mapping[str, Preset]] = {
    "asleep": Preset(
        (
            _motion(2, _BEDROOM),
            _Sort("light", hours=2, near=_BEDROOM),
            _Sort("binary_sensor", frozenset({"door"}), 2, _BEDROOM, strict=True),
            _Sort("binary_sensor", frozenset({"battery_charging", "plug"}), 2),
            _MEDIA,
            _PEOPLE,
        ),
        settings={CONF_QUIET: {"minutes": 2}, CONF_AT_MOST_EVERY: {"minutes": 10}},
    ),
    "home": Preset(
        (_PEOPLE, _Sort("device_tracker", hours=4), _motion(1), _doors(1), _MEDIA),
        device_class="presence",
    ),
    "guests": Preset(
        (_PEOPLE, _motion(2), _doors(3), _MEDIA),
        device_class="occupancy",
        settings={CONF_AT_MOST_EVERY: {"minutes": 15}, CONF_THRESHOLD: 80},
    ),
    "cooking": Preset(
        (
            _motion(1, _KITCHEN),
            _power(1, _KITCHEN, strict=True),
            _Sort("sensor", frozenset({"temperature", "humidity"}), 1, _KITCHEN, strict=True),
            _Sort("light", hours=1, near=_KITCHEN, strict=True),
            _Sort("switch", hours=1, near=_KITCHEN, strict=True),
        ),
        device_class="running",
        people=False,
    ),
    "laundry": Preset(
        (
            _power(3, _LAUNDRY),
            _Sort("switch", hours=3, near=_LAUNDRY, strict=True),
            _Sort("binary_sensor", frozenset({"vibration", "running"}), 3, _LAUNDRY),
            _Sort("binary_sensor", frozenset({"door", "opening"}), 3, _LAUNDRY, strict=True),
        ),
        people=False,
        settings={CONF_QUIET: {"minutes": 1}, CONF_AGREEING: 1},
    ),
    "away": Preset(
        (
            _Sort("person", hours=12),
            _Sort("calendar", attributes=("message",)),
            _doors(6),
            _motion(6),
        ),
        settings={CONF_AT_MOST_EVERY: {"minutes": 30}, CONF_AT_LEAST_EVERY: {"hours": 2}},
    ),
    "working": Preset(
        (
            _PEOPLE,
            _motion(2, _OFFICE),
            _power(2, _OFFICE, strict=True),
            _Sort("light", hours=2, near=_OFFICE, strict=True),
            _Sort("switch", hours=2, near=_OFFICE, strict=True),
            _Sort("calendar", attributes=("message",)),
        ),
        settings={CONF_AT_MOST_EVERY: {"minutes": 15}},
    ),
}


@callback
def fill(hass: HomeAssistant, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return what a preset fills the form with; `texts` are our common ones by key."""
    preset = PRESETS[name]
    data: dict[str, Any] = {
        CONF_KIND: Kind.YES_NO.value,
        CONF_NAME: texts[f"preset_{name}_name"],
        CONF_QUESTION: texts[f"preset_{name}_question"],
        CONF_EVIDENCE: _evidence(hass, preset.sorts),
        **preset.settings,
    }
    if preset.device_class:
        data[CONF_DEVICE_CLASS] = preset.device_class
    if preset.people and (people := [state.name for state in hass.states.async_all("person")]):
        data[CONF_FACTS] = texts["fact_people"].format(people=", ".join(people))
    return data


@callback
def _evidence(hass: HomeAssistant, sorts: Iterable[_Sort]) -> list[dict[str, Any]]:
    """Find the entities of each sort, each entity once; a sort that the home lacks is left out."""
    texts_of = _texts(hass)
    taken: set[str] = set()
    evidence = []
    for sort in sorts:
        found = [state for state in _of_sort(hass, sort) if state.entity_id not in taken]
        if sort.near is not None:
            near = [state for state in found if sort.near.search(texts_of(state))]
            found = near if near or sort.strict else found
        ids = sorted(state.entity_id for state in found)[:_MOST_OF_ONE_SORT]
        taken.update(ids)
        if ids:
            item: dict[str, Any] = {CONF_TARGET: {CONF_ENTITY_ID: ids}}
            if sort.attributes:
                item[CONF_ATTRIBUTES] = list(sort.attributes)
            if sort.hours:
                item[CONF_LOOK_BACK] = {"hours": sort.hours}
            evidence.append(item)
    return evidence


def _of_sort(hass: HomeAssistant, sort: _Sort) -> list[State]:
    registry = er.async_get(hass)
    found = []
    for state in hass.states.async_all(sort.domain):
        if sort.classes and state.attributes.get(ATTR_DEVICE_CLASS) not in sort.classes:
            continue
        entry = registry.async_get(state.entity_id)
        if entry and (entry.hidden or entry.platform == DOMAIN):
            continue
        found.append(state)
    return found


def _texts(hass: HomeAssistant) -> Callable[[State], str]:
    """Return what tells of an entity's room and purpose: its name, and those of device and area."""
    entities, devices, areas = er.async_get(hass), dr.async_get(hass), ar.async_get(hass)

    def texts_of(state: State) -> str:
        entry = entities.async_get(state.entity_id)
        device = devices.async_get(entry.device_id) if entry and entry.device_id else None
        area_id = (entry and entry.area_id) or (device and device.area_id)
        area = areas.async_get_area(area_id) if area_id else None
        texts = [state.name, state.entity_id]
        if device:
            texts.append(device.name_by_user or device.name or "")
        if area:
            texts += [area.name, *area.aliases]
        return "\n".join(texts)

    return texts_of
