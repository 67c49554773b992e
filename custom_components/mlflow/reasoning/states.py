"""All reasoned states of an entry, from set-up to unload; hands each event to those it concerns."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_call_later, async_track_state_change_event
from homeassistant.helpers.start import async_at_started

from ..prompts import PromptLibrary
from ..recorder import TraceRecorder
from .asking import Asker
from .budget import Budget
from .faults import FaultLog
from .memory import Memory
from .notice import Notice
from .reasoner import Means
from .recent import RecentPast
from .settings import SUBENTRY_REASONED, Settings
from .state import ReasonedState, RecordCorrection

if TYPE_CHECKING:
    from ..coordinator import GatewayCoordinator, MlflowConfigEntry

# Registries change in bursts: a device comes with all its entities.
_AFTER_BURST = timedelta(seconds=1)


class ReasonedStates(Mapping[str, ReasonedState]):
    """The states by the id of their subentry."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: MlflowConfigEntry,
        gateway: GatewayCoordinator,
        prompts: PromptLibrary,
        recorder: TraceRecorder,
    ) -> None:
        self._hass = hass
        self._gateway = gateway
        self._memory = Memory(hass, entry.entry_id)
        budget = Budget.of(hass, entry.options)
        asker = Asker(gateway)
        self._recent = RecentPast(hass)
        self.means = Means(
            hass, gateway, prompts, recorder, self._memory, budget, asker, self._recent
        )
        faults = FaultLog()
        self._states = {
            subentry.subentry_id: ReasonedState(
                entry,
                self.means,
                faults,
                subentry.subentry_id,
                Settings.of(subentry.title, subentry.data),
            )
            for subentry in entry.get_subentries_of_type(SUBENTRY_REASONED)
        }
        self._by_entity: dict[str, list[ReasonedState]] = {}
        self._attributes: dict[str, set[str]] = {}
        self._notice = Notice()
        self._stops: list[CALLBACK_TYPE] = []
        self._stop_listening: CALLBACK_TYPE | None = None
        self._stop_waiting: CALLBACK_TYPE | None = None

    def __getitem__(self, subentry_id: str) -> ReasonedState:
        return self._states[subentry_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    async def load(self) -> None:
        """Read what was known when Home Assistant last ran."""
        await self._memory.load()
        self.means.budget.restore(self._memory.budget)
        for state in self.values():
            state.restore()

    @callback
    def start(self, record_correction: RecordCorrection | None = None) -> None:
        """Begin to think, once Home Assistant has started."""
        budget = self.means.budget
        budget.on_count = self._counted
        self._select()  # who thinks by hand before the home has started has evidence, too
        self._stops = [
            self.means.note_start(),
            budget.start(self._new_day),
            self._gateway.async_add_listener(self._gateway_changed),
            async_at_started(self._hass, self._begin),
            self._hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, self._rest),
            *(
                self._hass.bus.async_listen(str(event), self._registry_changed)
                for event in (
                    er.EVENT_ENTITY_REGISTRY_UPDATED,
                    dr.EVENT_DEVICE_REGISTRY_UPDATED,
                    ar.EVENT_AREA_REGISTRY_UPDATED,
                )
            ),
        ]
        for state in self.values():
            state.record_correction = record_correction
            self._stops.append(state.reasoner.start())

    @callback
    def _rest(self, _: Event) -> None:
        """Begin no thought that Home Assistant, which stops, would break off."""
        for state in self.values():
            state.thinker.stop()

    async def stop(self) -> None:
        """Stop thinking, and put on disk what is only in memory."""
        for state in self.values():
            state.thinker.stop()
        for stop in (*self._stops, self._stop_listening, self._stop_waiting):
            if stop is not None:
                stop()
        self._stops.clear()
        self._stop_listening = self._stop_waiting = None
        await self._memory.flush()

    @callback
    def _begin(self, _: HomeAssistant) -> None:
        self._select()
        for state in self.values():
            state.start()

    @callback
    def _select(self, _: object = None) -> None:
        """Find the evidence of every state, and listen to all of it with one listener."""
        self._stop_waiting = None
        by_entity: dict[str, list[ReasonedState]] = {}
        attributes: dict[str, set[str]] = {}
        for state in self.values():
            state.reasoner.select()
            for entity_id, want in state.reasoner.wants.items():
                by_entity.setdefault(entity_id, []).append(state)
                if want.attributes:
                    attributes.setdefault(entity_id, set()).update(want.attributes)
        is_same = by_entity.keys() == self._by_entity.keys()
        self._by_entity, self._attributes = by_entity, attributes
        self._recent.keep(by_entity)
        if is_same and self._stop_listening is not None:
            return
        if self._stop_listening is not None:
            self._stop_listening()
        self._stop_listening = async_track_state_change_event(
            self._hass, by_entity, self._state_changed
        )

    @callback
    def _state_changed(self, event: Event[EventStateChangedData]) -> None:
        """Let the states that look at this entity know; this must cost next to nothing."""
        entity_id, new_state = event.data["entity_id"], event.data["new_state"]
        self._recent.note(entity_id, new_state)
        attributes = self._attributes.get(entity_id, ())
        if not self._notice.matters(event.data["old_state"], new_state, attributes):
            return
        now = event.time_fired_timestamp
        for state in self._by_entity.get(entity_id, ()):
            state.thinker.touch(now)

    @callback
    def _registry_changed(self, _: Event) -> None:
        if self._stop_listening is not None and self._stop_waiting is None:
            self._stop_waiting = async_call_later(self._hass, _AFTER_BURST, self._select_anew)

    @callback
    def _select_anew(self, _: object) -> None:
        before = {key: state.reasoner.wants for key, state in self.items()}
        self._select()
        for key, state in self.items():
            if state.reasoner.wants != before[key]:
                state.thinker.touch_now()

    @callback
    def _gateway_changed(self) -> None:
        if self._gateway.last_update_success:
            for state in self.values():
                if state.problem is not None:
                    state.thinker.retry()

    @callback
    def _counted(self) -> None:
        self._memory.note_budget(self.means.budget.stored())

    @callback
    def _new_day(self) -> None:
        for state in self.values():
            state.thinker.retry()
            state.notify()
