"""What of the evidence matters: marks by which unchanged evidence is known, without telling it.

A mark holds a state or an attribute and no time. A number is as it was until it has moved by a step
that matters, so that one on the edge between two rounded values does not change with every flicker.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .rounding import number_of, step_of, step_of_attribute
from .selection import Want
from .words import duration

type Mark = str | float

_LONGEST = 200


@dataclass(slots=True)
class Marks:
    """The evidence in short; `steps` has the smallest change that matters of each number."""

    values: dict[str, Mark] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)

    def differ_from(self, earlier: Mapping[str, Mark]) -> bool:
        """Whether something that matters is not as it was then."""
        if self.values.keys() != earlier.keys():
            return True
        return any(self._differs(key, value, earlier[key]) for key, value in self.values.items())

    def _differs(self, key: str, value: Mark, earlier: Mark) -> bool:
        if isinstance(value, str) or isinstance(earlier, str):
            return value != earlier
        step = self.steps.get(key, 0)
        return abs(value - earlier) >= step if step else value != earlier


def take_marks(hass: HomeAssistant, wants: Mapping[str, Want], basis: str) -> Marks:
    """Take the marks of the evidence as it is now; `basis` is what the answer rests on besides."""
    marks = Marks({"": basis})
    for entity_id, want in wants.items():
        state = hass.states.get(entity_id)
        if state is None:
            marks.values[entity_id] = ""
            continue
        number = number_of(state)
        if number is None:
            marks.values[entity_id] = state.state
        else:
            marks.values[entity_id] = number
            marks.steps[entity_id] = step_of(state, number)
        for name in want.attributes:
            _mark_attribute(marks, f"{entity_id}.{name}", state.attributes.get(name))
    return marks


def take_times(hass: HomeAssistant, wants: Mapping[str, Want], now: datetime) -> dict[str, Mark]:
    """Return what time itself changes: the hour, and in coarse steps how long each state lasts."""
    times: dict[str, Mark] = {"": f"{dt_util.as_local(now):%Y-%m-%d %H}"}
    for entity_id in wants:
        if state := hass.states.get(entity_id):
            times[entity_id] = duration(now - state.last_changed)
    return times


def _mark_attribute(marks: Marks, key: str, value: Any) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        marks.values[key] = float(value)
        marks.steps[key] = step_of_attribute(value)
    else:
        marks.values[key] = str(value)[:_LONGEST]
