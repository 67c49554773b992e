"""Tells in the logbook why a reasoned state flipped."""

from collections.abc import Callable, Mapping
from typing import Any

from homeassistant.components.logbook import (
    LOGBOOK_ENTRY_ENTITY_ID,
    LOGBOOK_ENTRY_MESSAGE,
    LOGBOOK_ENTRY_NAME,
    LazyEventPartialState,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN
from .reasoned_entity import EVENT_REASONED_STATE_CHANGED, REASONED_STATE

_CORRECTED_BY = (
    f"component.{DOMAIN}.entity.sensor.{REASONED_STATE}.state_attributes.corrected_by.name"
)


@callback
def async_describe_events(
    hass: HomeAssistant,
    async_describe_event: Callable[
        [str, str, Callable[[LazyEventPartialState], dict[str, Any]]], None
    ],
) -> None:
    """Say what the event of a flip means; the new state itself has a line of its own."""

    @callback
    def describe(event: LazyEventPartialState) -> dict[str, Any]:
        return {
            LOGBOOK_ENTRY_NAME: event.data.get("name"),
            LOGBOOK_ENTRY_MESSAGE: _message(hass, event.data),
            LOGBOOK_ENTRY_ENTITY_ID: event.data.get("entity_id"),
        }

    async_describe_event(DOMAIN, EVENT_REASONED_STATE_CHANGED, describe)


def _message(hass: HomeAssistant, flip: Mapping[str, Any]) -> str:
    """Return the reason in the words of the model, or of the one who corrected it."""
    reason = flip.get("reason") or ""
    if source := flip.get("corrected_by"):
        sentences = async_get_cached_translations(hass, hass.config.language, "entity", DOMAIN)
        by = f"{sentences.get(_CORRECTED_BY, 'Corrected by')}: {source}"
        return f"{reason} ({by})" if reason else by
    confidence = flip.get("confidence")
    return reason if confidence is None else f"{reason} ({confidence} %)"
