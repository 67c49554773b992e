"""What Home Assistant's system information says of MLflow."""

from typing import Any

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .coordinator import MlflowConfigEntry
from .errors import AppError
from .localize import async_localize


@callback
def async_register(hass: HomeAssistant, register: SystemHealthRegistration) -> None:
    """Register what is asked when the page is opened."""
    register.async_register_info(_info, "/config/integrations/integration/mlflow")


async def _info(hass: HomeAssistant) -> dict[str, Any]:
    """Return whether each app answers now, and how many traces wait; the page awaits coroutines."""
    entries: list[MlflowConfigEntry] = hass.config_entries.async_entries(DOMAIN)
    loaded = [entry for entry in entries if entry.state is ConfigEntryState.LOADED]
    if not loaded:
        return {"set_up": False}
    runtime = loaded[0].runtime_data
    info: dict[str, Any] = {
        "gateway": _answer(hass, runtime.gateway.client.endpoints),
        "endpoints": len(runtime.gateway.data),
    }
    if runtime.tracking is not None:
        info["tracking"] = _answer(hass, runtime.tracking.client.check)
        info["traces_waiting"] = runtime.traces.waiting
        info["traces_dropped"] = runtime.traces.dropped
    return info


async def _answer(hass: HomeAssistant, ask: Any) -> str | dict[str, str]:
    """Return "ok", or the failure in the form that the page shows in red."""
    try:
        await ask()
    except AppError as error:
        sentence = await async_localize(hass, hass.config.language, error)
        return {"type": "failed", "error": sentence}
    return "ok"
