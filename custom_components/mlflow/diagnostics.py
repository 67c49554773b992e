"""What a user can hand to a stranger who helps: how things stand, and nothing private."""

from typing import Any

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_PROMPT, CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from .const import CONF_GATEWAY, CONF_SLUG, CONF_TRACKING, DOMAIN
from .coordinator import MlflowConfigEntry
from .reasoning.settings import (
    CONF_CHOICES,
    CONF_CONDITION,
    CONF_FACTS,
    CONF_QUESTION,
    CONF_TARGET,
    SUBENTRY_REASONED,
)
from .reasoning.state import ReasonedState

# what a reasoned state is about tells who lives in the home, and how
_REDACT = {
    CONF_TOKEN,
    CONF_URL,
    CONF_PROMPT,
    CONF_QUESTION,
    CONF_FACTS,
    CONF_CHOICES,
    CONF_CONDITION,
    CONF_TARGET,
}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: MlflowConfigEntry
) -> dict[str, Any]:
    """Return the settings without tokens, addresses and texts, and the state of both apps."""
    runtime = entry.runtime_data
    return {
        "entry": async_redact_data(dict(entry.data), _REDACT),
        "options": dict(entry.options),
        "subentries": [_settings_of(subentry) for subentry in entry.subentries.values()],
        "reasoned_states": [_thinking_of(state) for state in runtime.reasoned.values()],
        "gateway": {
            "answers": runtime.gateway.last_update_success,
            "endpoints": [
                {"name": e.name, "type": e.type, "model": e.model, "provider": e.provider}
                for e in runtime.gateway.data
            ],
            "through_supervisor": CONF_SLUG in entry.data[CONF_GATEWAY],
            "counts_usage": runtime.usage.data is not None,
            "usage_today": runtime.usage.data.endpoints if runtime.usage.data else {},
        },
        "tracking": {
            "used": runtime.tracking is not None,
            "through_supervisor": CONF_SLUG in entry.data.get(CONF_TRACKING, {}),
            "answers": runtime.tracking is not None and runtime.tracking.last_update_success,
        },
        "prompts": runtime.prompts.versions,
        "traces": {
            "waiting": runtime.traces.waiting,
            "sent": runtime.traces.sent,
            "dropped": runtime.traces.dropped,
            "refusal": runtime.traces.refusal.status if runtime.traces.refusal else None,
        },
        "missing_prompts": sorted(str(reference) for reference in runtime.prompts.missing),
        "issues": sorted(
            issue.issue_id
            for (domain, _), issue in ir.async_get(hass).issues.items()
            if domain == DOMAIN and issue.active
        ),
    }


def _settings_of(subentry: ConfigSubentry) -> dict[str, Any]:
    is_reasoned = subentry.subentry_type == SUBENTRY_REASONED
    return {
        "id": subentry.subentry_id,
        "type": subentry.subentry_type,
        "title": REDACTED if is_reasoned else subentry.title,
        "data": async_redact_data(dict(subentry.data), _REDACT),
    }


def _thinking_of(state: ReasonedState) -> dict[str, Any]:
    """Return how a reasoned state does, without what it says of the home."""
    verdict = state.verdict
    return {
        "id": state.subentry_id,
        "is_known": state.value is not None,
        "is_corrected": state.corrected is not None,
        "restored": state.restored,
        "paused": state.paused,
        "has_problem": state.problem is not None,  # its sentence may hold an address
        "next_thought_not_before": state.next_thought_not_before,
        "calls_today": state.calls_today,
        "tokens_today": state.tokens_today,
        "cost_today": state.cost_today,
        "corrections_shown_to_the_model": len(state.examples()),
        "last_verdict": verdict
        and {
            "is_shown": verdict is state.shown,
            "confidence": verdict.confidence,
            "measured": verdict.measured,
            "deciding_entities": len(verdict.decided_by),
            "decided_at": verdict.decided_at,
            "trace_id": verdict.trace_id,
            "prompt_version": verdict.prompt_version,
            "tokens": verdict.tokens,
            "cost": verdict.cost,
            "model": verdict.model,
        },
    }
