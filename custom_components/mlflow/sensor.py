"""What each endpoint of the Gateway did today, and all of them together; and reasoned states."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity
from homeassistant.util import dt as dt_util

from .const import CONF_GATEWAY, DOMAIN
from .coordinator import MlflowConfigEntry, UsageCoordinator
from .entity import app_url
from .gateway import Endpoint
from .reasoned_entity import reasoned_states
from .reasoned_sensor import reasoned_sensors
from .transport import APP_NAMES
from .usage import EndpointUsage

PARALLEL_UPDATES = 0

_ENDPOINT = "endpoint"
_MANUFACTURER = "MLflow"


@dataclass(frozen=True, kw_only=True)
class UsageDescription(SensorEntityDescription):
    """A figure of the day; `in_total` says whether it exists for all endpoints together."""

    value: Callable[[EndpointUsage], float | None]
    in_total: bool = False


def _count(
    key: str, value: Callable[[EndpointUsage], float | None], *, is_detail: bool = False
) -> UsageDescription:
    """Describe a counter that begins anew each day; its unit is in the translations."""
    return UsageDescription(
        key=key,
        translation_key=key,
        state_class=SensorStateClass.TOTAL,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC if is_detail else None,
        entity_registry_enabled_default=not is_detail,
        in_total=not is_detail,
        value=value,
    )


def _duration(
    key: str, value: Callable[[EndpointUsage], float | None], *, is_detail: bool = False
) -> UsageDescription:
    return UsageDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTime.MILLISECONDS,
        suggested_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_display_precision=2,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=not is_detail,
        value=value,
    )


DESCRIPTIONS = (
    _count("calls", lambda use: use.calls),
    _count("input_tokens", lambda use: use.input_tokens),
    _count("output_tokens", lambda use: use.output_tokens),
    UsageDescription(
        key="cost",
        translation_key="cost",
        device_class=SensorDeviceClass.MONETARY,
        state_class=SensorStateClass.TOTAL,
        suggested_display_precision=4,
        in_total=True,
        value=lambda use: use.cost,
    ),
    UsageDescription(
        key="error_rate",
        translation_key="error_rate",
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        in_total=True,
        value=lambda use: use.error_rate,
    ),
    _duration("latency", lambda use: use.latency_p50),
    _duration("first_token", lambda use: use.first_token_p50),
    _duration("latency_p95", lambda use: use.latency_p95, is_detail=True),
    _duration("first_token_p95", lambda use: use.first_token_p95, is_detail=True),
    _count("cached_tokens", lambda use: use.cached_tokens, is_detail=True),
    _count("errors", lambda use: use.errors, is_detail=True),
    _count("retries", lambda use: use.retries, is_detail=True),
    _count("fallbacks", lambda use: use.fallbacks, is_detail=True),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: MlflowConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make those of reasoned states; nobody waits at start for those of the Gateway's counters."""
    for subentry, state in reasoned_states(entry):
        async_add_entities(
            reasoned_sensors(entry, subentry, state), config_subentry_id=subentry.subentry_id
        )
    devices = _Devices(hass, entry, async_add_entities)
    entry.async_create_background_task(hass, devices.follow(), "mlflow first usage")


class _Devices:
    """Has a device for the Gateway and one per endpoint, for as long as the Gateway has them."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: MlflowConfigEntry,
        async_add_entities: AddConfigEntryEntitiesCallback,
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._add = async_add_entities
        self._known: set[str | None] = set()

    async def follow(self) -> None:
        """Take the first look, and then one whenever endpoints or counters have changed."""
        runtime = self._entry.runtime_data
        await runtime.usage.async_refresh()
        self._update()
        for coordinator in (runtime.gateway, runtime.usage):
            self._entry.async_on_unload(coordinator.async_add_listener(self._update))

    @callback
    def _update(self) -> None:
        runtime = self._entry.runtime_data
        if not (runtime.gateway.last_update_success and runtime.usage.last_update_success):
            return
        present: set[str | None] = set()
        if runtime.usage.data is not None:
            present = {None, *(endpoint.name for endpoint in runtime.gateway.data)}
        self._remove_all_but(present)
        new, self._known = present - self._known, present
        self._add(UsageSensor(*sensor) for sensor in self._sensors(new))

    def _sensors(
        self, new: set[str | None]
    ) -> Iterator[tuple[MlflowConfigEntry, DeviceInfo, str | None, UsageDescription]]:
        """Yield what the sensors of new devices are made of."""
        if not new:
            return
        device = _gateway_device(self._entry)
        gateway = dr.async_get(self._hass).async_get_or_create(
            config_entry_id=self._entry.entry_id, **device
        )
        if None in new:
            for description in DESCRIPTIONS:
                if description.in_total:
                    yield self._entry, device, None, description
        for endpoint in self._entry.runtime_data.gateway.data:
            if endpoint.name in new:
                device = _endpoint_device(self._entry, endpoint, gateway.id)
                for description in DESCRIPTIONS:
                    yield self._entry, device, endpoint.name, description

    def _remove_all_but(self, present: set[str | None]) -> None:
        """Remove the devices of endpoints that are gone, those of earlier runs as well."""
        registry = dr.async_get(self._hass)
        stays = {_identifier(self._entry, name) for name in present}
        prefix = _identifier(self._entry, None)[1]
        for device in dr.async_entries_for_config_entry(registry, self._entry.entry_id):
            ours = {i for i in device.identifiers if i[0] == DOMAIN and i[1].startswith(prefix)}
            if ours and not ours & stays:
                registry.async_remove_device(device.id)


class UsageSensor(CoordinatorEntity[UsageCoordinator], SensorEntity):
    """A figure of today, of one endpoint or (without a name) of all."""

    entity_description: UsageDescription
    _attr_has_entity_name = True

    def __init__(
        self,
        entry: MlflowConfigEntry,
        device: DeviceInfo,
        endpoint: str | None,
        description: UsageDescription,
    ) -> None:
        super().__init__(entry.runtime_data.usage)
        self._endpoint = endpoint
        self.entity_description = description
        self._attr_unique_id = f"{_identifier(entry, endpoint)[1]}_{description.key}"
        self._attr_device_info = device

    @property
    @override
    def native_value(self) -> float | None:
        usage = self.coordinator.data
        if usage is None:
            return None
        row = usage.total if self._endpoint is None else usage.of_endpoint(self._endpoint)
        return self.entity_description.value(row)

    @property
    @override
    def native_unit_of_measurement(self) -> str | None:
        if self.device_class is SensorDeviceClass.MONETARY and self.coordinator.data:
            return self.coordinator.data.currency
        return super().native_unit_of_measurement

    @property
    @override
    def last_reset(self) -> datetime | None:
        if self.state_class is not SensorStateClass.TOTAL or not self.coordinator.data:
            return None
        return dt_util.start_of_local_day(self.coordinator.data.day)


def _identifier(entry: MlflowConfigEntry, endpoint: str | None) -> tuple[str, str]:
    suffix = "" if endpoint is None else f"_{_ENDPOINT}_{endpoint}"
    return DOMAIN, f"{entry.entry_id}_{CONF_GATEWAY}{suffix}"


def _gateway_device(entry: MlflowConfigEntry) -> DeviceInfo:
    return DeviceInfo(
        identifiers={_identifier(entry, None)},
        name=APP_NAMES[CONF_GATEWAY],
        manufacturer=_MANUFACTURER,
        entry_type=DeviceEntryType.SERVICE,
        configuration_url=app_url(entry, CONF_GATEWAY),
    )


def _endpoint_device(entry: MlflowConfigEntry, endpoint: Endpoint, gateway_id: str) -> DeviceInfo:
    return DeviceInfo(
        identifiers={_identifier(entry, endpoint.name)},
        translation_key=_ENDPOINT,
        translation_placeholders={_ENDPOINT: endpoint.name},
        manufacturer=_MANUFACTURER,
        model=f"{endpoint.provider} {endpoint.model}",
        entry_type=DeviceEntryType.SERVICE,
        configuration_url=app_url(entry, CONF_GATEWAY),
        via_device_id=gateway_id,
    )
