"""Notices which changes of an entity matter: what a meter says every few seconds is mostly noise.

This is asked for every event of the evidence, so it costs a comparison or two.
"""

from collections.abc import Collection

from homeassistant.core import State

from .rounding import number_of, step_of


class Notice:
    """Knows of each number what it was when it last mattered."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, float]] = {}

    def matters(self, old: State | None, new: State | None, attributes: Collection[str]) -> bool:
        """Whether a change does: of the state, a number's by its step, or of one of `attributes`."""
        if old is None or new is None:
            return True
        if any(old.attributes.get(name) != new.attributes.get(name) for name in attributes):
            return True
        if old.state == new.state:
            return False
        number = number_of(new)
        if number is None:
            self._last.pop(new.entity_id, None)
            return True
        if (last := self._last.get(new.entity_id)) is not None:
            value, step = last
            if abs(number - value) < step:
                return False
        self._last[new.entity_id] = number, step_of(new, number)
        return True
