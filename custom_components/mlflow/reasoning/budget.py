"""Counts calls, tokens and cost of the day by state, and holds them to the day's budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Self

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_time_change
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from .problems import BudgetSpentError
from .settings import CONF_DAILY_CALLS, CONF_DAILY_COST, DEFAULT_DAILY_CALLS

ISSUE = "reasoned_budget_spent"


@dataclass(slots=True)
class Count:
    """What was used since midnight; `cost` in US dollars, None while no call's is known."""

    calls: int = 0
    tokens: int = 0
    cost: float | None = None

    def add(self, tokens: int, cost: float | None) -> None:
        """Add a call."""
        self.calls += 1
        self.tokens += tokens
        if cost is not None:
            self.cost = (self.cost or 0.0) + cost


@dataclass(slots=True)
class Budget:
    """The day's counts by subentry id ("" for previews) and the limits over all; 0 is no limit."""

    hass: HomeAssistant
    most_calls: int = DEFAULT_DAILY_CALLS
    most_cost: float = 0.0
    on_count: Callable[[], None] = lambda: None
    _day: date = field(default_factory=lambda: dt_util.now().date())
    _counts: dict[str, Count] = field(default_factory=dict)

    @classmethod
    def of(cls, hass: HomeAssistant, options: Mapping[str, Any]) -> Self:
        """Read the limits from the options of the entry."""
        return cls(
            hass,
            int(options.get(CONF_DAILY_CALLS, DEFAULT_DAILY_CALLS) or 0),
            float(options.get(CONF_DAILY_COST) or 0),
        )

    @callback
    def start(self, on_new_day: Callable[[], None]) -> CALLBACK_TYPE:
        """Begin each day anew, and tell so, until the result is called."""

        @callback
        def midnight(_: datetime) -> None:
            self._turn_page()
            on_new_day()

        @callback
        def stop() -> None:
            stop_clock()
            ir.async_delete_issue(self.hass, DOMAIN, ISSUE)

        self.report()
        stop_clock = async_track_time_change(self.hass, midnight, hour=0, minute=0, second=0)
        return stop

    def count(self, subentry_id: str) -> Count:
        """Return what a state has used today."""
        self._turn_page()
        return self._counts.get(subentry_id) or Count()

    @callback
    def add(self, subentry_id: str, tokens: int, cost: float | None) -> None:
        """Add a call of a state."""
        self._turn_page()
        self._counts.setdefault(subentry_id, Count()).add(tokens, cost)
        self.on_count()
        self.report()

    def check(self) -> None:
        """Raise BudgetSpentError when there is nothing left for another call today."""
        self._turn_page()
        if spent := self._spent():
            midnight = dt_util.start_of_local_day() + timedelta(days=1)
            raise BudgetSpentError(*spent, until=dt_util.as_utc(midnight))

    @callback
    def report(self) -> None:
        """Show in Repairs that the budget is spent, as long as it is."""
        if not (spent := self._spent()):
            ir.async_delete_issue(self.hass, DOMAIN, ISSUE)
            return
        ir.async_create_issue(
            self.hass,
            DOMAIN,
            ISSUE,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=spent[0],
            translation_placeholders={"limit": spent[1]},
        )

    def stored(self) -> dict[str, Any]:
        """Return what is kept on disk."""
        counts = {
            key: [count.calls, count.tokens, count.cost] for key, count in self._counts.items()
        }
        return {"day": self._day.isoformat(), "counts": counts}

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Go on with the counts of earlier, if they are of today."""
        if stored.get("day") == self._day.isoformat():
            self._counts = {key: Count(*values) for key, values in stored["counts"].items()}

    def _spent(self) -> tuple[str, str] | None:
        """Return the sentence's key and the limit that is reached."""
        counts = self._counts.values()
        if self.most_calls and sum(count.calls for count in counts) >= self.most_calls:
            return f"{ISSUE}_calls", str(self.most_calls)
        if self.most_cost and sum(count.cost or 0 for count in counts) >= self.most_cost:
            return f"{ISSUE}_cost", f"{self.most_cost:g}"
        return None

    def _turn_page(self) -> None:
        if (today := dt_util.now().date()) != self._day:
            self._day = today
            self._counts.clear()
            self.report()
