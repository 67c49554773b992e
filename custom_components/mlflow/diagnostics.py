"""What a user can hand to a stranger who helps: how things stand, and nothing private."""

from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import CONF_PROMPT, CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from .const import CONF_GATEWAY, CONF_SLUG, CONF_TRACKING, DOMAIN
from .coordinator import MlflowConfigEntry

_REDACT = {CONF_TOKEN, CONF_URL, CONF_PROMPT}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: MlflowConfigEntry
) -> dict[str, Any]:
    """Return the settings without tokens, addresses and texts, and the state of both apps."""
    runtime = entry.runtime_data
    return {
        "entry": async_redact_data(dict(entry.data), _REDACT),
        "options": dict(entry.options),
        "subentries": [
            {
                "type": subentry.subentry_type,
                "title": subentry.title,
                "data": async_redact_data(dict(subentry.data), _REDACT),
            }
            for subentry in entry.subentries.values()
        ],
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
