"""The recorded day: all state changes of the forty things in their order, and the truth beside them.

`python -m demo.day.record [SEED]` says what is in it.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from demo.day import meters, reports
from demo.day.people import DAY, MINUTE, People, Report, Span, clock, merged
from demo.day.reports import FLICKERING, FLICKERS
from demo.day.things import THINGS

TIME_ZONE: Final = "Europe/Amsterdam"
MIDNIGHT: Final = datetime(2026, 11, 18, tzinfo=ZoneInfo(TIME_ZONE))
# The radio of the home is restarted: all of its sensors are away for a while.
_RADIO_AWAY: Final[Span] = (clock("05:10"), clock("05:10") + 100)
_WIRELESS: Final = ("binary_sensor.", "sensor.bedroom", "sensor.kitchen", "sensor.bathroom")
_DROPOUTS: Final = 14
_REPORTERS: Final = {**reports.REPORTERS, **meters.REPORTERS}


@dataclass(frozen=True, slots=True)
class Change:
    """A state change; `at` is in seconds from midnight."""

    at: float
    entity_id: str
    state: str

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that the entity has in Home Assistant."""
        return THINGS[self.entity_id]


@dataclass(frozen=True, slots=True)
class Day:
    """A whole day. `changes` begins with the states at midnight, one for each entity.

    `truth` says for each question about the day when its answer is yes, in seconds from midnight.
    """

    changes: list[Change]
    truth: dict[str, list[Span]]

    def when(self, at: float) -> datetime:
        """Return a point of the day as a time."""
        return MIDNIGHT + timedelta(seconds=at)


def record(seed: int = 1) -> Day:
    """Make the day of a seed."""
    people = People(seed)
    dropouts = _dropouts(Random(f"dropouts {seed}"))
    changes = [
        Change(at, entity_id, state)
        for entity_id in THINGS
        for at, state in _changes(
            sorted(_REPORTERS[entity_id](people, Random(f"{entity_id} {seed}")), key=_time),
            dropouts.get(entity_id, []),
        )
    ]
    changes.sort(key=lambda change: (change.at, change.entity_id))
    return Day(changes, people.truth())


def _time(report: Report) -> float:
    return report[0]


def _dropouts(random: Random) -> dict[str, list[Span]]:
    """Choose what is unavailable when, between one and eight minutes long."""
    wireless = [entity_id for entity_id in THINGS if entity_id.startswith(_WIRELESS)]
    away: dict[str, list[Span]] = {entity_id: [_RADIO_AWAY] for entity_id in wireless}
    for _ in range(_DROPOUTS):
        start = random.uniform(0, DAY - 10 * MINUTE)
        span = start, start + random.uniform(1, 8) * MINUTE
        away[random.choice(wireless)].append(span)
    return {entity_id: merged(spans) for entity_id, spans in away.items()}


def _changes(reports: list[Report], away: list[Span]) -> Iterator[Report]:
    """Leave out what changes nothing and what is said while away; say that it is away."""
    points = [(at, state, False) for at, state in reports]
    points += [(start, "unavailable", True) for start, _ in away]
    points += [(end, "", True) for _, end in away]
    shown, known, gone = "", "", False
    for at, state, of_dropout in sorted(points, key=lambda point: (point[0], point[2])):
        if of_dropout:
            gone = bool(state)
        else:
            known = state
        says = "unavailable" if gone else known
        if says != shown and 0 <= at < DAY:
            shown = says
            yield round(at, 3), says


def _describe(seed: int) -> None:
    day = record(seed)
    print(f"seed {seed}: {len(day.changes)} state changes of {len(THINGS)} entities")
    for entity_id, count in Counter(change.entity_id for change in day.changes).most_common():
        print(f"  {entity_id:40} {count:6}")
    for question, spans in day.truth.items():
        said = ", ".join(
            f"{day.when(a):%H:%M} to {day.when(min(b, DAY - 1)):%H:%M}" for a, b in spans
        )
        print(f"  {question:16} {said}")
    for start, end in FLICKERS:
        print(f"  {FLICKERING} flickers from {day.when(start):%H:%M} to {day.when(end):%H:%M}")


if __name__ == "__main__":
    _describe(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
