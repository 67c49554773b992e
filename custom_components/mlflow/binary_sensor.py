"""Reasoned states whose answer is yes or no."""

from typing import override

from homeassistant.components.binary_sensor import BinarySensorDeviceClass, BinarySensorEntity
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util.enum import try_parse_enum

from .coordinator import MlflowConfigEntry
from .reasoned_entity import ShownEntity, forget_other_kind, reasoned_states
from .reasoning.settings import Kind
from .reasoning.state import ReasonedState

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: MlflowConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the entity of each state of this kind."""
    for subentry, state in reasoned_states(entry):
        forget_other_kind(hass, state)
        if state.settings.kind is Kind.YES_NO:
            async_add_entities(
                [ReasonedBinarySensor(entry, subentry, state)],
                config_subentry_id=subentry.subentry_id,
            )


class ReasonedBinarySensor(ShownEntity, BinarySensorEntity):
    """On for yes, off for no."""

    def __init__(
        self, entry: MlflowConfigEntry, subentry: ConfigSubentry, state: ReasonedState
    ) -> None:
        super().__init__(entry, subentry, state)
        self._attr_device_class = try_parse_enum(
            BinarySensorDeviceClass, state.settings.device_class
        )

    @property
    @override
    def is_on(self) -> bool | None:
        value = self.reasoned.value
        return value if isinstance(value, bool) else None
