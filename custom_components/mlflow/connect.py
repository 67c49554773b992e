"""Chooses the way to an app by what the entry knows of it."""

from collections.abc import Mapping
from typing import Any

from homeassistant.const import CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.hassio import is_hassio

from .const import CONF_GATEWAY, CONF_SLUG
from .errors import AppError, NoSupervisorError
from .gateway import GatewayClient
from .tracking import TrackingClient
from .transport import APP_NAMES, Transport, UrlTransport


def create_transport(hass: HomeAssistant, app: str, place: Mapping[str, Any]) -> Transport:
    """Return the way to `app`; `place` has its `slug` at the Supervisor, or `url` and `token`.

    Raises NoSupervisorError for a slug where Home Assistant runs without a Supervisor, as it does
    when the backup of one that had it is restored.
    """
    if slug := place.get(CONF_SLUG):
        if not is_hassio(hass):
            raise NoSupervisorError(APP_NAMES[app])
        from .supervisor import IngressTransport  # noqa: PLC0415 - only where a Supervisor is

        return IngressTransport(hass, app, slug)
    return UrlTransport(async_get_clientsession(hass), app, place[CONF_URL], place.get(CONF_TOKEN))


async def async_check(hass: HomeAssistant, app: str, place: Mapping[str, Any]) -> AppError | None:
    """Return what is wrong with an app at a place, or None."""
    transport = create_transport(hass, app, place)
    try:
        if app == CONF_GATEWAY:
            await GatewayClient(transport).endpoints()
        else:
            await TrackingClient(transport).check()
    except AppError as error:
        return error
    return None
