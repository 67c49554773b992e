"""Looks back: what an entity's state did in the last while, from the recorder's database.

The recorder's own threads read, and a thread sums up; the event loop gets a few numbers per entity.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant

from .selection import Want

# When an entity changed to which state, the oldest first; the first may be older than the window.
type Rows = list[tuple[datetime, str]]

# So many changes of one entity are read at most; a busier one is looked back less far.
MAX_ROWS = 400
_SAFE = 0.75
_TRIES = 5
_NOTHING = (STATE_UNAVAILABLE, STATE_UNKNOWN, "")


@dataclass(frozen=True, slots=True)
class Stay:
    """How often a state was changed to, when last, and how long it was so in all."""

    state: str
    count: int
    last: datetime | None
    total: timedelta


@dataclass(frozen=True, slots=True)
class Past:
    """What an entity did within `window`.

    `since`: the present state's beginning (None: before the window). Of a quantity `low`, `high` and
    `first` are numbers, of everything else they are None and `stays` says it, the most frequent
    change first.
    """

    window: timedelta
    changes: int
    since: datetime | None = None
    stays: tuple[Stay, ...] = ()
    first: float | None = None
    low: float | None = None
    high: float | None = None


async def look_back(
    hass: HomeAssistant, wants: Mapping[str, Want], now: datetime
) -> Mapping[str, Past]:
    """Return the past of the entities that have one; nothing where the recorder does not run."""
    found: dict[str, tuple[Rows, timedelta]] = {}
    for entity_id, want in wants.items():
        if want.look_back and (read := await async_read(hass, entity_id, want.look_back, now)):
            found[entity_id] = read
    return await hass.async_add_executor_job(sum_up_all, found, now)


async def async_read(
    hass: HomeAssistant, entity_id: str, window: timedelta, now: datetime
) -> tuple[Rows, timedelta] | None:
    """Read the changes within the window, and say how far back they are complete.

    None where the recorder does not run.
    """
    if "recorder" not in hass.config.components:
        return None
    from homeassistant.helpers.recorder import get_instance  # noqa: PLC0415 - only if in use

    # one by one: others wait for the recorder's threads too
    return await get_instance(hass).async_add_executor_job(_read, hass, entity_id, window, now)


def _read(
    hass: HomeAssistant, entity_id: str, window: timedelta, now: datetime
) -> tuple[Rows, timedelta]:
    """Read in a thread of the recorder; a window too busy to be read is made shorter."""
    from homeassistant.components.recorder import history  # noqa: PLC0415 - only if in use

    for _ in range(_TRIES):
        states = history.state_changes_during_period(
            hass, now - window, now, entity_id, no_attributes=True, limit=MAX_ROWS
        ).get(entity_id, [])
        if len(states) < MAX_ROWS:
            break
        # what was read are the oldest changes: by their pace, so far back can be read whole
        pace = states[-1].last_changed - (now - window)
        window = min(pace * _SAFE, window / 2)
    return [(state.last_changed, state.state) for state in states], window


def sum_up_all(found: Mapping[str, tuple[Rows, timedelta]], now: datetime) -> Mapping[str, Past]:
    """Sum up each entity's rows in its window; one without rows has no past."""
    return {
        entity_id: sum_up(rows, now - window, now)
        for entity_id, (rows, window) in found.items()
        if rows
    }


def sum_up(rows: Sequence[tuple[datetime, str]], start: datetime, now: datetime) -> Past:
    """Sum up the states (when changed to, oldest first) of a window; the first may be older."""
    merged: list[tuple[datetime, str]] = []
    for when, state in rows:
        if state in _NOTHING:
            continue  # a gap: what was before it goes on
        if not merged or merged[-1][1] != state:
            merged.append((when, state))
    window = now - start
    if not merged:
        return Past(window, 0)
    inside = [row for row in merged if row[0] > start]
    since = merged[-1][0] if inside else None
    numbers = [_number(state) for _, state in merged]
    quantities = [number for number in numbers if number is not None]
    if quantities and len(quantities) == len(numbers):
        return Past(
            window,
            len(inside),
            since,
            first=quantities[0],
            low=min(quantities),
            high=max(quantities),
        )
    return Past(window, len(inside), since, stays=_stays(merged, start, now))


def _stays(
    rows: Sequence[tuple[datetime, str]], start: datetime, now: datetime
) -> tuple[Stay, ...]:
    ends = [when for when, _ in rows[1:]] + [now]
    stays: dict[str, Stay] = {}
    for (when, state), end in zip(rows, ends, strict=True):
        before = stays.get(state, Stay(state, 0, None, timedelta()))
        is_change = when > start
        stays[state] = Stay(
            state,
            before.count + is_change,
            when if is_change else before.last,
            before.total + (end - max(when, start)),
        )
    return tuple(sorted(stays.values(), key=lambda stay: (-stay.count, -stay.total)))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
