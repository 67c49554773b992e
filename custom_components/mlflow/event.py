"""An event entity per agent: when it last finished a conversation, and how that went."""

from typing import Any

from homeassistant.components.event import EventEntity
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN, SUBENTRY_CONVERSATION
from .coordinator import MlflowConfigEntry
from .finished import signal_of

PARALLEL_UPDATES = 0

_ANSWERED, _FAILED = "answered", "failed"


async def async_setup_entry(
    hass: HomeAssistant,
    entry: MlflowConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the event entity of each agent."""
    for subentry in entry.get_subentries_of_type(SUBENTRY_CONVERSATION):
        async_add_entities(
            [ConversationFinishedEvent(subentry)], config_subentry_id=subentry.subentry_id
        )


class ConversationFinishedEvent(EventEntity):
    """Happens with each finished conversation; its attributes hold no text."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    _attr_translation_key = "conversation_finished"
    _attr_event_types = [_ANSWERED, _FAILED]  # noqa: RUF012 - as Home Assistant has it

    def __init__(self, subentry: ConfigSubentry) -> None:
        self._subentry_id = subentry.subentry_id
        self._attr_unique_id = f"{subentry.subentry_id}_conversation_finished"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, subentry.subentry_id)})

    async def async_added_to_hass(self) -> None:
        """Listen to the agent."""
        await super().async_added_to_hass()
        self.async_on_remove(
            async_dispatcher_connect(self.hass, signal_of(self._subentry_id), self._happened)
        )

    @callback
    def _happened(self, figures: dict[str, Any]) -> None:
        """Take the figures of a finished conversation."""
        attributes = {key: value for key, value in figures.items() if key != "failed"}
        self._trigger_event(_FAILED if figures["failed"] else _ANSWERED, attributes)
        self.async_write_ha_state()
