"""Tells the evidence in a compact text: a line per entity, the most stable first, the clock last.

What has not changed for long stands first and says the same for long, so that a provider's prefix
cache holds as far as possible.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from .history import Past
from .rounding import number_of, three_digits, told
from .selection import Want
from .words import clock, duration, now_words, span, times, word_of

MAX_TEXT = 12_000
_LONGEST_STATE, _LONGEST_ATTRIBUTE = 200, 160
_MOST_STAYS = 4
# A quantity that keeps still for shorter says nothing by it.
_STILL = timedelta(minutes=15)
# What is of these domains has the time of its last use as its state.
_MOMENTS: Final = ("button", "event", "input_button", "scene")


class Teller:
    """Tells the evidence as it is `now`.

    `started` is when Home Assistant has started, if that is known: a state "since" then may be older.
    """

    def __init__(self, hass: HomeAssistant, now: datetime, started: datetime | None) -> None:
        self._hass = hass
        self._now = now
        self._started = started
        self._entities = er.async_get(hass)
        self._devices = dr.async_get(hass)
        self._areas = ar.async_get(hass)

    def tell(self, wants: Mapping[str, Want], pasts: Mapping[str, Past]) -> str:
        """Return the text; where it would be too long, what has not changed for longest is cut."""
        lines: list[tuple[datetime, str]] = []
        missing: list[str] = []
        for entity_id, want in wants.items():
            state = self._hass.states.get(entity_id)
            if state is None:
                missing.append(entity_id)
                continue
            line = self._line(state, want, pasts.get(entity_id))
            lines.append((state.last_changed, f"- {line}"))
        lines.sort(key=lambda line: line[0])
        told_lines = [f"- {entity_id}: does not exist, or is not loaded" for entity_id in missing]
        told_lines += [line for _, line in lines]
        return "\n".join((*_fitting(told_lines), f"It is now {now_words(self._now)}."))

    def _line(self, state: State, want: Want, past: Past | None) -> str:
        parts = [f"{state.entity_id} {self._name(state)}: {self._state(state, past)}"]
        parts += [
            f"{name} {_attribute(state.attributes[name])}"
            for name in want.attributes
            if state.attributes.get(name) is not None
        ]
        if past is not None and (looked_back := self._past(state, past)):
            parts.append(looked_back)
        elif want.look_back and past is not None:
            parts.append(f"last {span(past.window)}: no change")
        return "; ".join(parts)

    def _name(self, state: State) -> str:
        entry = self._entities.async_get(state.entity_id)
        area_id = entry.area_id if entry else None
        if entry and not area_id and entry.device_id:
            device = self._devices.async_get(entry.device_id)
            area_id = device.area_id if device else None
        area = self._areas.async_get_area(area_id) if area_id else None
        return f'"{state.name}" ({area.name})' if area else f'"{state.name}"'

    def _state(self, state: State, past: Past | None) -> str:
        if state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
            return f"{state.state} {self._since(state.last_changed)}"
        if state.domain in _MOMENTS or state.attributes.get("device_class") == "timestamp":
            return self._moment(state)
        number = number_of(state)
        if number is not None:
            unit = state.attributes.get("unit_of_measurement")
            value = told(self._hass, state, number)
            still = self._now - state.last_changed
            unchanged = f", unchanged for {duration(still)}" if still >= _STILL else ""
            return f"{value} {unit}{unchanged}" if unit else f"{value}{unchanged}"
        value = word_of(state, state.state).state[:_LONGEST_STATE]
        return f"{value} {self._whole_since(state, past)}"

    def _moment(self, state: State) -> str:
        moment = dt_util.parse_datetime(state.state)
        if moment is None:
            return state.state[:_LONGEST_STATE]
        if moment > self._now:
            return f"{clock(moment, self._now)}, in {duration(moment - self._now)}"
        return f"{clock(moment, self._now)}, {duration(self._now - moment)} ago"

    def _whole_since(self, state: State, past: Past | None) -> str:
        """Say since when: the recorder knows better than a state set anew by a restart."""
        if past is not None and past.since is None and past.stays:
            if state.last_changed > self._now - past.window:
                return f"for more than {duration(past.window)}"
        elif past is not None and past.since is not None:
            return self._since(min(past.since, state.last_changed))
        if self._started is not None and state.last_changed <= self._started:
            return f"{self._since(state.last_changed)} or longer (Home Assistant started then)"
        return self._since(state.last_changed)

    def _since(self, moment: datetime) -> str:
        return f"since {clock(moment, self._now)}, for {duration(self._now - moment)}"

    def _past(self, state: State, past: Past) -> str:
        if not past.changes:
            return ""
        window = f"last {span(past.window)}"
        if past.low is not None and past.high is not None and past.first is not None:
            low, high = (told(self._hass, state, value) for value in (past.low, past.high))
            first = told(self._hass, state, past.first)
            return f"{window}: between {low} and {high}, {first} at its beginning"
        changed = [stay for stay in past.stays if stay.last is not None]
        if {stay.state for stay in changed} == {STATE_ON, STATE_OFF}:
            # who knows when it was turned on knows the rest
            changed = [stay for stay in changed if stay.state == STATE_ON]
        said = [
            f"{word_of(state, stay.state).change} {times(stay.count)}, last "
            f"{clock(stay.last, self._now)}, {word_of(state, stay.state).state} for "
            f"{duration(stay.total)} in all"
            for stay in islice(changed, _MOST_STAYS)
            if stay.last is not None
        ]
        if len(changed) > _MOST_STAYS:
            said.append(f"and {len(changed) - _MOST_STAYS} other states")
        return f"{window}: {'; '.join(said)}"


def _attribute(value: Any) -> str:
    match value:
        case bool():
            text = "yes" if value else "no"
        case int() | float():
            text = three_digits(value) if isinstance(value, float) else str(value)
        case str():
            text = json.dumps(value, ensure_ascii=False)
        case _:
            text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > _LONGEST_ATTRIBUTE:
        return f"{text[:_LONGEST_ATTRIBUTE]}... [cut]"
    return text


def _fitting(lines: list[str]) -> list[str]:
    """Return the last lines that fit, and say how many do not."""
    room = MAX_TEXT
    for kept, line in enumerate(reversed(lines)):
        room -= len(line) + 1
        if room < 0:
            cut = len(lines) - kept
            note = f"- [cut here: {cut} entities, unchanged for longest, are left out]"
            return [note, *lines[cut:]]
    return lines
