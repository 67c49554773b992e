"""What the entities of a subentry have in common: an identity and a device of their own."""

from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity

from .const import CONF_ENDPOINT, CONF_GATEWAY, CONF_SLUG, DOMAIN
from .coordinator import MlflowConfigEntry


class MlflowEntity(Entity):
    """An entity that is all of its subentry, and so has the subentry's name."""

    _attr_has_entity_name = True
    _attr_name = None

    def __init__(self, entry: MlflowConfigEntry, subentry: ConfigSubentry) -> None:
        self.entry = entry
        self.subentry = subentry
        self.runtime = entry.runtime_data
        self._attr_unique_id = subentry.subentry_id
        self._attr_device_info = subentry_device(entry, subentry)


def subentry_device(entry: MlflowConfigEntry, subentry: ConfigSubentry) -> DeviceInfo:
    """Return the device that stands for a subentry."""
    return DeviceInfo(
        identifiers={(DOMAIN, subentry.subentry_id)},
        name=subentry.title,
        manufacturer="MLflow",
        model=subentry.data[CONF_ENDPOINT],
        entry_type=DeviceEntryType.SERVICE,
        configuration_url=app_url(entry, CONF_GATEWAY),
    )


def app_url(entry: MlflowConfigEntry, app: str) -> str | None:
    """Return the address of an installed app's page in Home Assistant; None when it is elsewhere."""
    slug = entry.data.get(app, {}).get(CONF_SLUG)
    return f"homeassistant://app/{slug}" if slug else None
