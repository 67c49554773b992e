"""The naive version of a reasoned state: it asks the same model at every change of the evidence.

Evidence and question are those of the integration. Nothing is waited for, nothing is compared, and
each answer is shown at once. So many calls cannot be made in a benchmark: the model is asked within
this process, and at changes that come less than `APART` seconds after one that was answered, it is
taken to answer the same; such a call counts like the others, with the tokens of the last.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from custom_components.mlflow.reasoning.history import MAX_ROWS, Past, sum_up
from custom_components.mlflow.reasoning.question import schema_format, word
from custom_components.mlflow.reasoning.recent import RecentPast
from custom_components.mlflow.reasoning.selection import Want
from custom_components.mlflow.reasoning.state import ReasonedState
from demo.model import tokens_of
from demo.reasoner import decide
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event

APART = 15.0


@dataclass
class Naive:
    """One state; `shown` has the answers, with their seconds since midnight."""

    hass: HomeAssistant
    state: ReasonedState
    log: Log
    now: Callable[[], float]
    shown: list[tuple[float, bool | None]] = field(default_factory=list)
    calls: int = 0
    sent: int = 0
    made: int = 0
    is_measured: bool = False
    _asked: float = -APART
    _tokens: tuple[int, int] = (0, 0)

    def start(self) -> None:
        """Listen to the evidence from now on."""
        async_track_state_change_event(self.hass, list(self.state.reasoner.wants), self._changed)

    @callback
    def _changed(self, event: Event[EventStateChangedData]) -> None:
        if self.now() < self._asked + APART:
            self._count()
        else:
            self._asked = self.now()
            self.hass.async_create_task(self._ask())

    def _count(self) -> None:
        self.calls += 1
        self.sent += self._tokens[0]
        self.made += self._tokens[1]

    async def _ask(self) -> None:
        with patch.object(RecentPast, "look_back", self.log.look_back):
            evidence = await self.state.reasoner.evidence()
        question = word(self.state.settings, evidence, [], None, "en")
        body = {
            "messages": list(question.messages),
            "response_format": schema_format(question),
        }
        decision = decide(body)
        assert decision is not None
        self._tokens = tokens_of(body, decision.content)
        self._count()
        self.shown.append((self.now(), decision.answer == "yes"))


class Log:
    """What the recorder would know, of the whole day: naive has none."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[datetime, str]]] = {}

    @callback
    def note(self, event: Event[EventStateChangedData]) -> None:
        """Note a change."""
        if (state := event.data["new_state"]) is not None:
            rows = self._rows.setdefault(state.entity_id, [])
            rows.append((state.last_changed, state.state))

    async def look_back(self, wants: Mapping[str, Want], now: datetime) -> dict[str, Past]:
        """Tell as much of the past as the integration does."""
        return {
            entity_id: self._past(self._rows[entity_id], want.look_back, now)
            for entity_id, want in wants.items()
            if want.look_back and self._rows.get(entity_id)
        }

    def _past(self, rows: list[tuple[datetime, str]], window: timedelta, now: datetime) -> Past:
        start = now - window
        first = max(bisect_left(rows, start, key=_when) - 1, 0)
        if len(rows) - first > MAX_ROWS:
            first = len(rows) - MAX_ROWS
            start = rows[first][0]
        return sum_up(rows[first:], start, now)


def _when(row: tuple[datetime, str]) -> Any:
    return row[0]
