"""Buttons of a reasoned state: think now, and whether what it shows is right or wrong."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import MlflowConfigEntry
from .feedback import async_user_name
from .reasoned_entity import ReasonedEntity, reasoned_states
from .reasoning.corrections import Corrections, confirm, reject
from .reasoning.state import ReasonedState

PARALLEL_UPDATES = 0


@dataclass(frozen=True, slots=True)
class _Press:
    """A press of a button, and by whom."""

    state: ReasonedState
    corrections: Corrections
    source: str


async def _think_now(press: _Press) -> None:
    await press.state.think_now()


async def _right(press: _Press) -> None:
    await confirm(press.state, press.source)


async def _wrong(press: _Press) -> None:
    await reject(press.state, press.corrections, press.source)


@dataclass(frozen=True, kw_only=True)
class ReasonedButtonDescription(ButtonEntityDescription):
    """A button, and what it does."""

    press: Callable[[_Press], Awaitable[None]]


DESCRIPTIONS = tuple(
    ReasonedButtonDescription(key=key, translation_key=key, press=press)
    for key, press in (("think_now", _think_now), ("right", _right), ("wrong", _wrong))
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: MlflowConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the buttons of each state."""
    for subentry, state in reasoned_states(entry):
        async_add_entities(
            [ReasonedButton(entry, subentry, state, description) for description in DESCRIPTIONS],
            config_subentry_id=subentry.subentry_id,
        )


class ReasonedButton(ReasonedEntity, ButtonEntity):
    """Does something with the state, in the name of the one who pressed it."""

    entity_description: ReasonedButtonDescription

    def __init__(
        self,
        entry: MlflowConfigEntry,
        subentry: ConfigSubentry,
        state: ReasonedState,
        description: ReasonedButtonDescription,
    ) -> None:
        super().__init__(entry, subentry, state, description.key)
        self.entity_description = description
        self._corrections = Corrections(entry)

    @override
    async def async_press(self) -> None:
        """Do it. Raises HomeAssistantError."""
        source = await async_user_name(self.hass, self._context)
        await self.entity_description.press(_Press(self.reasoned, self._corrections, source))
