"""Says states, changes, times and durations in words that a model reads as a person would."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from homeassistant.core import State
from homeassistant.util import dt as dt_util

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Word:
    """A state as it is said, and the change to it."""

    state: str
    change: str


def _pair(on: str, off: str, turned_on: str = "", turned_off: str = "") -> dict[str, Word]:
    return {
        "on": Word(on, turned_on or f"became {on}"),
        "off": Word(off, turned_off or f"became {off}"),
    }


_SWITCHED = _pair("on", "off", "turned on", "turned off")
_OPENED = _pair("open", "closed", "opened", "closed")
_DETECTED = _pair("detected", "clear", "detected", "cleared")

# By device class; the meaning of on and off is Home Assistant's:
# https://www.home-assistant.io/integrations/binary_sensor/#device-class
_BINARY: Final[Mapping[str, dict[str, Word]]] = {
    **dict.fromkeys(("door", "garage_door", "opening", "window"), _OPENED),
    **dict.fromkeys(
        ("carbon_monoxide", "gas", "motion", "occupancy", "smoke", "sound", "tamper", "vibration"),
        _DETECTED,
    ),
    "battery": _pair("low", "normal"),
    "battery_charging": _pair("charging", "not charging"),
    "cold": _pair("cold", "normal"),
    "connectivity": _pair("connected", "disconnected", "connected", "disconnected"),
    "heat": _pair("hot", "normal"),
    "light": _pair("light", "dark"),
    "lock": _pair("unlocked", "locked", "unlocked", "locked"),
    "moisture": _pair("wet", "dry"),
    "moving": _pair("moving", "not moving", "began to move", "stopped"),
    "plug": _pair("plugged in", "unplugged", "plugged in", "unplugged"),
    "power": _pair("power", "no power"),
    "presence": _pair("at home", "away", "came home", "left"),
    "problem": _pair("problem", "no problem"),
    "running": _pair("running", "not running", "began to run", "stopped"),
    "safety": _pair("unsafe", "safe"),
    "update": _pair("update available", "up to date"),
}
_PRESENCE = {"home": Word("at home", "came home"), "not_home": Word("away", "left")}
_LOCK = {"locked": Word("locked", "locked"), "unlocked": Word("unlocked", "unlocked")}
_COVER = {"open": Word("open", "opened"), "closed": Word("closed", "closed")}
_BY_DOMAIN: Final[Mapping[str, dict[str, Word]]] = {
    **dict.fromkeys(("person", "device_tracker"), _PRESENCE),
    **dict.fromkeys(("cover", "valve"), _COVER),
    "lock": _LOCK,
}


def word_of(state: State, value: str) -> Word:
    """Return how a value of this entity's state is said."""
    if state.domain == "binary_sensor":
        known = _BINARY.get(str(state.attributes.get("device_class")), _SWITCHED)
    else:
        known = _BY_DOMAIN.get(state.domain, _SWITCHED)
    said = value.replace("_", " ")
    return known.get(value) or Word(said, f'became "{said}"')


def clock(moment: datetime, now: datetime) -> str:
    """Return a moment in the home's local time, no longer than it must be."""
    local, today = dt_util.as_local(moment), dt_util.as_local(now)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    if abs(today - local) < timedelta(days=6):
        return f"{_WEEKDAYS[local.weekday()]} {local:%H:%M}"
    return f"{local:%Y-%m-%d}"


def now_words(now: datetime) -> str:
    """Return the present moment whole: day of the week, date and time."""
    local = dt_util.as_local(now)
    return f"{local:%A %Y-%m-%d %H:%M}"


def duration(length: timedelta) -> str:
    """Return a duration in steps that grow with it, so that it says the same for a while."""
    seconds = max(int(length.total_seconds()), 0)
    if seconds < _MINUTE:
        return "less than 1 min"
    if seconds < _HOUR:
        minutes = seconds // _MINUTE
        return f"{minutes if minutes < 10 else minutes // 5 * 5} min"
    hours, rest = divmod(seconds, _HOUR)
    if hours < 6 and rest >= 10 * _MINUTE:
        return f"{hours} h {rest // (10 * _MINUTE) * 10} min"
    if seconds < _DAY:
        return f"{hours} h"
    days = seconds // _DAY
    return "1 day" if days == 1 else f"{days} days"


def span(length: timedelta) -> str:
    """Return a length of time that somebody has set, exactly."""
    minutes = round(length.total_seconds() / 60)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if n]
    return " ".join(parts) or f"{length.total_seconds():.0f} s"


def times(count: int) -> str:
    """Return how often, in words."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
