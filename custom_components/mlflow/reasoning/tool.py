"""The tool with which an agent is asked why the home thinks what it thinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, override

import probatio
from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from .asking import Verdict
from .question import said
from .state import ReasonedState

if TYPE_CHECKING:
    from ..coordinator import MlflowConfigEntry

_NAME = f"{DOMAIN}__reasoned_state"
REASONED_PROMPT = (
    f" Ask {_NAME} what the home has concluded about itself from its sensors, and why: it answers "
    'questions such as "why do you think I am asleep?".'
)


class ReasonedStateTool(llm.Tool):
    """Tells what a reasoned state is, and why; only those that the assistant may see."""

    name = _NAME
    title = "Reasoned state"
    description = (
        "Tells what the home has concluded from its sensors (such as whether somebody is asleep or "
        "at home), how sure it is, and the reason. Without a name it lists all such states."
    )
    parameters = probatio.Schema(
        {probatio.Optional("name", description="Name of one state, as in the list"): str}
    )
    annotations = llm.ToolAnnotations(
        read_only=True, destructive=False, idempotent=True, open_world=False
    )
    integration = DOMAIN

    def __init__(self, entry: MlflowConfigEntry) -> None:
        self._entry = entry

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: llm.ToolInput, llm_context: llm.LLMContext
    ) -> llm.ToolResult:
        wanted = self.parameters(tool_input.tool_args).get("name", "").strip()
        states = self._visible(hass, llm_context.assistant)
        if not wanted:
            listed: list[Any] = [_outline(hass, *item) for item in states.items()]
            return llm.ToolResult({"states": listed})
        entity_id = _find(hass, states, wanted)
        if entity_id is None:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="reasoned_state_unknown",
                translation_placeholders={
                    "name": wanted,
                    "names": ", ".join(state.settings.name for state in states.values()) or "-",
                },
            )
        return llm.ToolResult(_detail(hass, entity_id, states[entity_id]))

    def _visible(self, hass: HomeAssistant, assistant: str) -> dict[str, ReasonedState]:
        """Return the states by the entity that shows them, where an assistant may see that."""
        registry = er.async_get(hass)
        reasoned = self._entry.runtime_data.reasoned
        shown = {
            entity.entity_id: reasoned[entity.unique_id]
            for entity in er.async_entries_for_config_entry(registry, self._entry.entry_id)
            if entity.unique_id in reasoned and entity.disabled_by is None
        }
        # of all that asks, only Assist has a list of what it may see
        if assistant != conversation.DOMAIN:
            return shown
        return {
            entity_id: state
            for entity_id, state in shown.items()
            if async_should_expose(hass, assistant, entity_id)
        }


def _find(hass: HomeAssistant, states: Mapping[str, ReasonedState], wanted: str) -> str | None:
    """Return the state that is called so, or the only one whose name has these words in it."""
    word = wanted.casefold()
    called = {
        entity_id: {name.casefold() for name in _names(hass, entity_id, state)}
        for entity_id, state in states.items()
    }
    for entity_id, names in called.items():
        if word in names:
            return entity_id
    alike = [
        entity_id for entity_id, names in called.items() if any(word in name for name in names)
    ]
    return alike[0] if len(alike) == 1 else None


def _names(hass: HomeAssistant, entity_id: str, state: ReasonedState) -> set[str]:
    names = {entity_id, state.settings.name, _friendly(hass, entity_id)}
    if entity := er.async_get(hass).async_get(entity_id):
        names |= {alias for alias in entity.aliases if isinstance(alias, str)}
    return names


def _outline(hass: HomeAssistant, entity_id: str, state: ReasonedState) -> dict[str, Any]:
    """Return what a state is, in short."""
    told: dict[str, Any] = {"name": state.settings.name, "question": state.settings.question}
    told["answer"] = "unknown" if state.value is None else said(state.value)
    if state.settings.unit:
        told["unit"] = state.settings.unit
    if current := hass.states.get(entity_id):
        told["since"] = dt_util.as_local(current.last_changed).isoformat(timespec="seconds")
    return told


def _detail(hass: HomeAssistant, entity_id: str, state: ReasonedState) -> dict[str, Any]:
    """Return what a state is, and all that says why; what is not so is left out."""
    shown, last, corrected = state.shown, state.verdict, state.corrected
    more: dict[str, Any] = {}
    if shown is not None:
        more |= _grounds(hass, shown)
    elif corrected is not None and state.value is not None:
        more |= {"corrected_by": corrected.source, "reason": corrected.comment}
    if last is not None and last is not shown and (shown is None or last.answer != shown.answer):
        more["not_followed_answer"] = {"answer": said(last.answer), **_grounds(hass, last)}
    more |= {
        "problem": state.problem,
        "paused": state.paused,
        "from_before_restart": state.restored,
    }
    return _outline(hass, entity_id, state) | {key: value for key, value in more.items() if value}


def _grounds(hass: HomeAssistant, verdict: Verdict) -> dict[str, Any]:
    return {
        "reason": verdict.reason,
        "confidence": f"{verdict.confidence:.0%}",
        "decided_by": [_friendly(hass, entity_id) for entity_id in verdict.decided_by],
        "decided_at": dt_util.as_local(verdict.decided_at).isoformat(timespec="seconds"),
    }


def _friendly(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    return state.name if state else entity_id
