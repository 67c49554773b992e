"""Pauses a reasoned state: its last answer stays, and no call is made."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import MlflowConfigEntry
from .reasoned_entity import ReasonedEntity, reasoned_states

PARALLEL_UPDATES = 0

_KEY = "pause"


async def async_setup_entry(
    hass: HomeAssistant,
    entry: MlflowConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the switch of each state."""
    for subentry, state in reasoned_states(entry):
        async_add_entities(
            [PauseSwitch(entry, subentry, state, _KEY)], config_subentry_id=subentry.subentry_id
        )


class PauseSwitch(ReasonedEntity, SwitchEntity):
    """On while the state does not think by itself."""

    _attr_entity_category = EntityCategory.CONFIG

    @property
    @override
    def is_on(self) -> bool:
        return self.reasoned.paused

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Stop thinking."""
        await self.reasoned.set_paused(True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Go on with it."""
        await self.reasoned.set_paused(False)
