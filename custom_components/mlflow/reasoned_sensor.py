"""The sensors of reasoned states: what is not yes or no, how sure it is, and what it took today."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import MAX_LENGTH_STATE_STATE, PERCENTAGE, EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.event import async_track_time_change
from homeassistant.util import dt as dt_util

from .coordinator import MlflowConfigEntry
from .reasoned_entity import ReasonedEntity, ShownEntity, percent
from .reasoning.settings import Kind
from .reasoning.state import ReasonedState

_CURRENCY = "USD"


@dataclass(frozen=True, kw_only=True)
class DetailDescription(SensorEntityDescription):
    """A figure beside a state, and what explains it."""

    value: Callable[[ReasonedState], float | None]
    more: Callable[[ReasonedState], dict[str, Any]] = lambda _: {}


def _confidence(state: ReasonedState) -> int | None:
    return percent(state.verdict.confidence) if state.verdict else None


def _last_answer(state: ReasonedState) -> dict[str, Any]:
    """Return what the confidence is about: the last answer may not be the one that is shown."""
    if state.verdict is None:
        return {}
    return {"answer": state.verdict.answer, "measured": state.verdict.measured}


DETAILS = (
    DetailDescription(
        key="confidence",
        translation_key="confidence",
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=PERCENTAGE,
        value=_confidence,
        more=_last_answer,
    ),
    DetailDescription(
        key="calls_today",
        translation_key="calls",
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.TOTAL,
        suggested_display_precision=0,
        value=lambda state: state.calls_today,
        more=lambda state: {"tokens": state.tokens_today},
    ),
    DetailDescription(
        key="cost_today",
        translation_key="cost",
        entity_category=EntityCategory.DIAGNOSTIC,
        device_class=SensorDeviceClass.MONETARY,
        state_class=SensorStateClass.TOTAL,
        native_unit_of_measurement=_CURRENCY,
        suggested_display_precision=4,
        value=lambda state: state.cost_today,
    ),
)


def reasoned_sensors(
    entry: MlflowConfigEntry, subentry: ConfigSubentry, state: ReasonedState
) -> list[SensorEntity]:
    """Return the sensors of one reasoned state."""
    details = [DetailSensor(entry, subentry, state, description) for description in DETAILS]
    if state.settings.kind is Kind.YES_NO:
        return [*details]
    return [ReasonedSensor(entry, subentry, state), *details]


class ReasonedSensor(ShownEntity, SensorEntity):
    """Shows a choice, a number or a text."""

    def __init__(
        self, entry: MlflowConfigEntry, subentry: ConfigSubentry, state: ReasonedState
    ) -> None:
        super().__init__(entry, subentry, state)
        if state.settings.kind is Kind.CHOICE:
            self._attr_device_class = SensorDeviceClass.ENUM
            self._attr_options = [choice.name for choice in state.settings.choices]
        elif state.settings.kind is Kind.NUMBER:
            self._attr_native_unit_of_measurement = state.settings.unit
            self._attr_state_class = SensorStateClass.MEASUREMENT

    @property
    @override
    def native_value(self) -> str | float | None:
        value = self.reasoned.value
        if value is None:
            return None
        match self.reasoned.settings.kind:
            case Kind.NUMBER:
                return int(value) if float(value).is_integer() else float(value)
            case Kind.CHOICE:
                # what was the answer before the choices were changed is none of them
                return str(value) if value in (self.options or ()) else None
            case _:
                return str(value)[:MAX_LENGTH_STATE_STATE]


class DetailSensor(ReasonedEntity, SensorEntity):
    """A figure beside the state."""

    entity_description: DetailDescription

    def __init__(
        self,
        entry: MlflowConfigEntry,
        subentry: ConfigSubentry,
        state: ReasonedState,
        description: DetailDescription,
    ) -> None:
        super().__init__(entry, subentry, state, description.key)
        self._attr_translation_key = description.translation_key
        self.entity_description = description

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the state, and begin anew at midnight even when nothing happens then."""
        await super().async_added_to_hass()
        if self.state_class is SensorStateClass.TOTAL:
            self.async_on_remove(
                async_track_time_change(self.hass, self._day_began, hour=0, minute=0, second=0)
            )

    @callback
    def _day_began(self, _: datetime) -> None:
        self.async_write_ha_state()

    @property
    @override
    def native_value(self) -> float | None:
        return self.entity_description.value(self.reasoned)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        return self.entity_description.more(self.reasoned)

    @property
    @override
    def last_reset(self) -> datetime | None:
        if self.state_class is not SensorStateClass.TOTAL:
            return None
        return dt_util.start_of_local_day()
