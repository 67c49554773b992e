"""What the entities of a reasoned state have in common; the one that shows it tells of its flips."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, override

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import Platform
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity

from .const import DOMAIN
from .coordinator import MlflowConfigEntry
from .entity import subentry_device
from .reasoning.question import Answer
from .reasoning.settings import SUBENTRY_REASONED, Kind
from .reasoning.state import ReasonedState

EVENT_REASONED_STATE_CHANGED: Final = f"{DOMAIN}_reasoned_state_changed"
REASONED_STATE: Final = "reasoned_state"


def reasoned_states(
    entry: MlflowConfigEntry,
) -> Iterator[tuple[ConfigSubentry, ReasonedState]]:
    """Yield each reasoned state of an entry with the subentry that it was made from."""
    for subentry in entry.get_subentries_of_type(SUBENTRY_REASONED):
        if state := entry.runtime_data.reasoned.get(subentry.subentry_id):
            yield subentry, state


@callback
def forget_other_kind(hass: HomeAssistant, state: ReasonedState) -> None:
    """Remove the entity that showed the state while it was of another kind."""
    is_yes_no = state.settings.kind is Kind.YES_NO
    domain = Platform.SENSOR if is_yes_no else Platform.BINARY_SENSOR
    registry = er.async_get(hass)
    if entity_id := registry.async_get_entity_id(domain, DOMAIN, state.subentry_id):
        registry.async_remove(entity_id)


def percent(share: float) -> int:
    """Return a probability from 0 to 1 as it is shown."""
    return round(share * 100)


class ReasonedEntity(Entity):
    """An entity on the device of a reasoned state, named by its `key` in the translations."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self, entry: MlflowConfigEntry, subentry: ConfigSubentry, state: ReasonedState, key: str
    ) -> None:
        self.reasoned = state
        self._attr_unique_id = f"{subentry.subentry_id}_{key}"
        self._attr_translation_key = key
        self._attr_device_info = subentry_device(entry, subentry)

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the state."""
        await super().async_added_to_hass()
        self.async_on_remove(self.reasoned.listen(self._changed))

    @callback
    def _changed(self) -> None:
        self.async_write_ha_state()


class ShownEntity(ReasonedEntity):
    """The entity that shows the state: what it rests on is in its attributes.

    It is there also while the Gateway is not: the last answer counts, and `problem` says why there
    is no newer one.
    """

    _attr_name = None
    # what changes with every thought without being worth a look back
    _unrecorded_attributes = frozenset(
        {"decided_by", "next_thought_not_before", "problem", "prompt_version", "restored"}
    )

    def __init__(
        self, entry: MlflowConfigEntry, subentry: ConfigSubentry, state: ReasonedState
    ) -> None:
        super().__init__(entry, subentry, state, REASONED_STATE)
        self._attr_unique_id = subentry.subentry_id
        self._title = subentry.title
        self._last = state.value

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        state = self.reasoned
        shown, corrected = state.shown, state.corrected
        attributes: dict[str, Any] = {
            "reason": None,
            "confidence": None,
            "decided_by": [],
            "decided_at": None,
            "prompt_version": None,
            "trace_id": None,
            "corrected_by": None,
        }
        if shown is not None:
            attributes |= {
                "reason": shown.reason,
                "confidence": percent(shown.confidence),
                "decided_by": list(shown.decided_by),
                "decided_at": shown.decided_at.isoformat(),
                "prompt_version": shown.prompt_version,
                "trace_id": shown.trace_id,
            }
        elif corrected is not None and state.value is not None:
            attributes |= {"reason": corrected.comment, "corrected_by": corrected.source}
        return attributes | {
            "next_thought_not_before": _iso(state.next_thought_not_before),
            "problem": state.problem,
            "restored": state.restored,
        }

    @callback
    @override
    def _changed(self) -> None:
        """Show what has changed; of a flip the home is told, in the context of the new state."""
        last, self._last = self._last, self.reasoned.value
        # a measure does not flip: its every step would be told
        if self._last != last and self.reasoned.settings.kind is not Kind.NUMBER:
            context = Context()
            self.async_set_context(context)
            self.hass.bus.async_fire(
                EVENT_REASONED_STATE_CHANGED, self._flip(last), context=context
            )
        self.async_write_ha_state()

    def _flip(self, last: Answer | None) -> dict[str, Any]:
        """Return the event of a flip; from an unknown state, or to it, is null."""
        state, attributes = self.reasoned, self.extra_state_attributes
        flip: dict[str, Any] = {
            "entity_id": self.entity_id,
            "name": self._title,
            "from": last,
            "to": state.value,
        }
        keys = ("reason", "confidence", "trace_id", "corrected_by")
        flip |= {key: attributes[key] for key in keys}
        if state.value is None and state.verdict is not None:
            # the answer that was not sure enough says why nothing is known any more
            flip["reason"] = state.verdict.reason
            flip["confidence"] = percent(state.verdict.confidence)
            flip["trace_id"] = state.verdict.trace_id
        return flip


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
