"""Watches the two apps: which endpoints the Gateway has, and whether MLflow answers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .const import LOGGER
from .errors import AppError, AppTokenRefusedError
from .gateway import CHAT, Endpoint, GatewayClient
from .prompts import PromptLibrary
from .recorder import TraceRecorder
from .spool import TraceSpool
from .tracking import TrackingClient
from .usage import Usage

if TYPE_CHECKING:
    from .reasoning.states import ReasonedStates

type MlflowConfigEntry = ConfigEntry[MlflowRuntime]

_GATEWAY_INTERVAL = timedelta(seconds=60)
# A new prompt version behind an alias shall be live within a minute.
_TRACKING_INTERVAL = timedelta(seconds=30)


@dataclass(slots=True)
class MlflowRuntime:
    """What a loaded entry has; `tracking` is None when the home has only the Gateway."""

    gateway: GatewayCoordinator
    tracking: TrackingCoordinator | None
    prompts: PromptLibrary
    traces: TraceSpool
    recorder: TraceRecorder
    usage: UsageCoordinator
    reasoned: ReasonedStates


class GatewayCoordinator(DataUpdateCoordinator[list[Endpoint]]):
    """The Gateway's endpoints, as they are now."""

    config_entry: MlflowConfigEntry

    def __init__(
        self, hass: HomeAssistant, entry: MlflowConfigEntry, client: GatewayClient
    ) -> None:
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name="MLflow Gateway",
            update_interval=_GATEWAY_INTERVAL,
            always_update=False,
        )
        self.client = client

    @property
    def chat_endpoints(self) -> list[Endpoint]:
        """The endpoints that can hold a conversation."""
        return [endpoint for endpoint in self.data if endpoint.type == CHAT]

    def endpoint(self, name: str) -> Endpoint | None:
        """Return an endpoint by its name."""
        return next((endpoint for endpoint in self.data if endpoint.name == name), None)

    @override
    async def _async_update_data(self) -> list[Endpoint]:
        try:
            return await self.client.endpoints()
        except AppTokenRefusedError as error:
            raise _as(ConfigEntryAuthFailed, error) from error
        except AppError as error:
            raise _as(UpdateFailed, error) from error


class UsageCoordinator(DataUpdateCoordinator[Usage | None]):
    """What the endpoints did today; None from a Gateway that does not count."""

    config_entry: MlflowConfigEntry

    def __init__(
        self, hass: HomeAssistant, entry: MlflowConfigEntry, client: GatewayClient
    ) -> None:
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name="MLflow Gateway's usage",
            update_interval=_GATEWAY_INTERVAL,
            always_update=False,
        )
        self._client = client

    @override
    async def _async_update_data(self) -> Usage | None:
        try:
            return await self._client.usage()
        except AppError as error:
            raise _as(UpdateFailed, error) from error


class TrackingCoordinator(DataUpdateCoordinator[None]):
    """Keeps the prompts fresh, and has the spool sent when MLflow is back."""

    config_entry: MlflowConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: MlflowConfigEntry,
        client: TrackingClient,
        prompts: PromptLibrary,
        traces: TraceSpool,
    ) -> None:
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name="MLflow Tracking",
            update_interval=_TRACKING_INTERVAL,
            always_update=False,
        )
        self.client = client
        self._prompts = prompts
        self._traces = traces

    @override
    async def _async_update_data(self) -> None:
        was_away = not self.last_update_success
        try:
            await self._prompts.refresh(self.client)
        except AppTokenRefusedError as error:
            raise _as(ConfigEntryAuthFailed, error) from error
        except AppError as error:
            raise _as(UpdateFailed, error) from error
        if was_away:
            self._traces.retry_now()


def _as[ErrorT: (ConfigEntryAuthFailed, UpdateFailed)](
    kind: type[ErrorT], error: AppError
) -> ErrorT:
    """Say the sentence of an app's error in the way that a coordinator wants."""
    return kind(
        translation_domain=error.translation_domain,
        translation_key=error.translation_key,
        translation_placeholders=error.translation_placeholders,
    )
