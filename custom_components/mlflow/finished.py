"""Tells the home of each finished conversation of our agents: an event for automations to act on.

What was said is in it only while the option "what is recorded" allows content. Home Assistant's own
recorder keeps events, so a text is cut where it is no use to an automation any more.
"""

from typing import Any, Final

from homeassistant.components.conversation.const import DOMAIN as CONVERSATION_DOMAIN
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_send

from .const import CONF_RECORD, DOMAIN, RECORD_ALL
from .coordinator import MlflowConfigEntry
from .tracing import Trace

EVENT_CONVERSATION_FINISHED: Final = f"{DOMAIN}_conversation_finished"
_MAX_TEXT = 1000


def signal_of(subentry_id: str) -> str:
    """Return the dispatcher's signal for the finished conversations of an agent."""
    return f"{EVENT_CONVERSATION_FINISHED}_{subentry_id}"


class FinishedTurns:
    """Announces the turns of one entry's agents."""

    def __init__(self, hass: HomeAssistant, entry: MlflowConfigEntry) -> None:
        self._hass = hass
        self._entry = entry

    @callback
    def announce(self, trace: Trace) -> None:
        """Fire the event of a turn that one of our agents has finished."""
        agent = er.async_get(self._hass).async_get(trace.found_by.get("agent", ""))
        if agent is None or (agent.domain, agent.platform) != (CONVERSATION_DOMAIN, DOMAIN):
            return
        figures = _figures_of(trace, agent.entity_id)
        has_content = self._entry.options.get(CONF_RECORD, RECORD_ALL) == RECORD_ALL
        content = _content_of(trace) if has_content else {}
        self._hass.bus.async_fire(EVENT_CONVERSATION_FINISHED, figures | content)
        async_dispatcher_send(self._hass, signal_of(agent.unique_id), figures)


def _figures_of(trace: Trace, agent_id: str) -> dict[str, Any]:
    """Return what is no secret: ids, tokens, names of tools, seconds, US dollars."""
    return {
        "agent_id": agent_id,
        "conversation_id": trace.session,
        "device_id": trace.found_by.get("device_id") or None,
        "trace_id": trace.mlflow_id,
        "failed": trace.root.error is not None,
        "duration": round(((trace.root.ended or trace.root.started) - trace.root.started) / 1e9, 3),
        "tools": trace.tools,
        **trace.tokens,
        "cost": trace.cost,
    }


def _content_of(trace: Trace) -> dict[str, Any]:
    return {
        "question": _text_of(trace.root.inputs),
        "answer": _text_of(trace.root.outputs),
        "error": trace.root.error,
    }


def _text_of(said: Any) -> str | None:
    """Return the words of what the agent's span holds: {"messages": [{"content"}]}."""
    messages = said.get("messages") if isinstance(said, dict) else None
    return str(messages[-1]["content"])[:_MAX_TEXT] if messages else None
