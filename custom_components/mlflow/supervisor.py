"""The apps as the Supervisor has them: the way through its ingress, and which apps are installed.

Imports Home Assistant's own `hassio`, so it is itself imported only where a Supervisor is.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, override

from aiohasupervisor import SupervisorError, SupervisorNotFoundError
from aiohasupervisor.models import AddonState
from aiohttp import ClientResponse
from homeassistant.components.hassio import get_supervisor_client
from homeassistant.components.hassio.const import DATA_HASSIO_HOST
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from yarl import URL

from .const import CONF_GATEWAY, CONF_TRACKING
from .errors import AppError, AppMissingError, AppStoppedError, AppUnreachableError
from .transport import Transport

# An installed app's slug is its repository's hash and this: a hash is never known beforehand.
SLUGS = {CONF_GATEWAY: "_mlflow_gateway", CONF_TRACKING: "_mlflow_tracking"}


@dataclass(frozen=True, slots=True)
class _Entrance:
    """What ingress asks for: the app's token in the path and a session in the cookie."""

    token: str
    session: str


class IngressTransport(Transport):
    """An installed app through the Supervisor: no port is open and no token is kept.

    An ingress session ends 15 minutes after its last use, and an app that was installed anew has
    another ingress token. So both are got when they are needed, and again when they are refused.
    """

    def __init__(self, hass: HomeAssistant, app: str, slug: str) -> None:
        super().__init__(async_get_clientsession(hass), app)
        self._supervisor = get_supervisor_client(hass)
        self._host = hass.data[DATA_HASSIO_HOST]
        self._slug = slug
        self._entrance: _Entrance | None = None
        self._lock = asyncio.Lock()

    @override
    async def send(self, method: str, path: str, arguments: dict[str, Any]) -> ClientResponse:
        entrance = await self._enter()
        response = await self._request(entrance, method, path, arguments)
        if _from_supervisor(response):
            response.release()
            if self._entrance is entrance:
                self._entrance = None
            response = await self._request(await self._enter(), method, path, arguments)
        return response

    async def _request(
        self, entrance: _Entrance, method: str, path: str, arguments: dict[str, Any]
    ) -> ClientResponse:
        ingress_path = f"/api/hassio_ingress/{entrance.token}"
        return await self.session.request(
            method,
            URL(f"http://{self._host}/ingress/{entrance.token}/{path}"),
            cookies={"ingress_session": entrance.session},
            **(arguments | {"headers": {**arguments["headers"], "X-Ingress-Path": ingress_path}}),
        )

    async def _enter(self) -> _Entrance:
        """Return the way in; one caller gets it, the others wait for that."""
        async with self._lock:
            if self._entrance is None:
                try:
                    info = await self._supervisor.addons.addon_info(self._slug)
                    session = await self._supervisor.ingress.create_session()
                except SupervisorNotFoundError as error:
                    raise AppMissingError(self.app) from error
                except SupervisorError as error:
                    reason = f"the Supervisor said: {error}"
                    raise AppUnreachableError(self.app, reason=reason) from error
                token = (info.ingress_entry or "").rstrip("/").rpartition("/")[2]
                self._entrance = _Entrance(token, session)
            return self._entrance

    @override
    async def refusal(self, response: ClientResponse) -> AppError:
        if _from_supervisor(response):
            return AppStoppedError(self.app)
        return await super().refusal(response)


def _from_supervisor(response: ClientResponse) -> bool:
    """Tell the Supervisor's refusal (plain text: session over, app not running) from an app's."""
    return response.status in (401, 502, 503) and response.content_type != "application/json"


def repository_of(slug: str) -> str | None:
    """Return the part of an app's slug that it shares with its sibling; None for a stranger's."""
    for ending in SLUGS.values():
        if slug.endswith(ending):
            return slug.removesuffix(ending)
    return None


async def installed_apps(hass: HomeAssistant) -> dict[str, dict[str, str]]:
    """Return {repository: {app: slug}} of our installed apps; empty when there is no answer."""
    try:
        addons = await get_supervisor_client(hass).addons.list()
    except SupervisorError:
        return {}
    found: dict[str, dict[str, str]] = {}
    for addon in addons:
        for app, ending in SLUGS.items():
            if addon.slug.endswith(ending):
                found.setdefault(addon.slug.removesuffix(ending), {})[app] = addon.slug
    return found


async def is_stopped(hass: HomeAssistant, slug: str) -> bool:
    """Return whether an app stands still: somebody stopped it, or it failed to start.

    One that is starting is not, and nothing is known while the Supervisor itself is away.
    """
    try:
        info = await get_supervisor_client(hass).addons.addon_info(slug)
    except SupervisorError:
        return False
    return info.state in (AddonState.STOPPED, AddonState.ERROR)


async def start_app(hass: HomeAssistant, slug: str, app: str) -> None:
    """Start an app, `app` by its name. Raises AppUnreachableError with the Supervisor's reason."""
    try:
        await get_supervisor_client(hass).addons.start_addon(slug)
    except SupervisorError as error:
        raise AppUnreachableError(app, reason=str(error) or type(error).__name__) from error
