"""Where and when something was said: what the model is told beside the words.

It stands at the end, with the words, and never in the system message: so a conversation's beginning
stays the same from turn to turn, byte for byte, and a provider's prefix cache holds.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import llm
from homeassistant.util import dt as dt_util

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The device that heard the user, and the area it stands in."""

    device: str | None = None
    area: str | None = None

    def note(self, said: datetime) -> str:
        """Return the line that follows what was said at a time."""
        local = dt_util.as_local(said)
        parts = [f"{_WEEKDAYS[local.weekday()]} {local:%Y-%m-%d %H:%M}"]
        if self.device:
            parts.append(f"device: {self.device}")
        if self.area:
            parts.append(f"area: {self.area}")
        return f"[{'; '.join(parts)}]"


def circumstances_of(hass: HomeAssistant, device_id: str | None) -> Circumstances:
    """Return what the registries know of a device."""
    if not device_id or not (device := dr.async_get(hass).async_get(device_id)):
        return Circumstances()
    area = ar.async_get(hass).async_get_area(device.area_id) if device.area_id else None
    return Circumstances(device.name_by_user or device.name, area.name if area else None)


def without_clock(system: str) -> str:
    """Remove the time that Home Assistant puts into the system message when no tool tells it."""
    return _CLOCK.sub("", system)


def _clock_pattern() -> re.Pattern[str]:
    """Make a pattern of Home Assistant's own template, in which only numbers change."""
    literals = re.split(r"\{\{.*?\}\}", llm.DATE_TIME_PROMPT.strip())
    return re.compile(r"\n?" + r"[\d:-]+".join(re.escape(literal) for literal in literals))


_CLOCK = _clock_pattern()
