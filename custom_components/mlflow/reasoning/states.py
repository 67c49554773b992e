"""All reasoned states of an entry, from set-up to unload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant, callback

from .settings import SUBENTRY_REASONED, Settings
from .state import ReasonedState, RecordCorrection

if TYPE_CHECKING:
    from ..coordinator import MlflowConfigEntry


class ReasonedStates(Mapping[str, ReasonedState]):
    """The states by the id of their subentry.

    `record_correction` is called with each correction before it is shown.
    """

    def __init__(self, hass: HomeAssistant, entry: MlflowConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self.record_correction: RecordCorrection | None = None
        self._states = {
            subentry.subentry_id: ReasonedState(
                subentry.subentry_id, Settings.of(subentry.title, subentry.data)
            )
            for subentry in entry.get_subentries_of_type(SUBENTRY_REASONED)
        }

    def __getitem__(self, subentry_id: str) -> ReasonedState:
        return self._states[subentry_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    async def load(self) -> None:
        """Read what was known when Home Assistant last ran."""

    @callback
    def start(self) -> None:
        """Begin to think, once Home Assistant has started."""

    async def stop(self) -> None:
        """Stop thinking, and put on disk what is only in memory."""

    async def forget(self) -> None:
        """Remove what is on disk."""
