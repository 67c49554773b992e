"""Use and cost: what each endpoint did on each day, and in all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import log
from typing import TYPE_CHECKING, Any

from .store import StoreError

if TYPE_CHECKING:
    from .meter import Tokens
    from .prices import Price
    from .store import Store

_LOG = logging.getLogger(__name__)

# The row that holds the sum of all days, of which Prometheus counters are made.
TOTAL = "total"

_GROWTH = log(1.25)
_NUMBERS = (
    "calls",
    "errors",
    "retries",
    "fallbacks",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "money",
)


class Histogram:
    """Durations in buckets that grow by a quarter, so that a quantile is right to about 12 %."""

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        self.counts = {int(bucket): count for bucket, count in (counts or {}).items()}

    def add(self, seconds: float) -> None:
        """Count one duration; what is below a millisecond counts as one."""
        bucket = round(log(max(seconds * 1000, 1.0)) / _GROWTH)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def quantile(self, share: float) -> float | None:
        """The duration in milliseconds that `share` of all stay below, or None without any."""
        wanted = share * sum(self.counts.values())
        for bucket in sorted(self.counts):
            wanted -= self.counts[bucket]
            if wanted <= 0:
                return round(float(1.25**bucket), 1)
        return None


@dataclass(slots=True)
class Row:
    """The counters of one endpoint on one day. `money` is None while no price is known."""

    calls: int = 0
    errors: int = 0
    retries: int = 0
    fallbacks: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    money: float | None = None
    latency: Histogram = field(default_factory=Histogram)
    first_token: Histogram = field(default_factory=Histogram)

    def stored(self) -> dict[str, Any]:
        """This row as the store keeps it; `restored` reads it back."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return {
            **numbers,
            "latency": self.latency.counts,
            "first_token": self.first_token.counts,
        }

    def shown(self) -> dict[str, Any]:
        """This row as `/usage` shows it, durations in milliseconds."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return {
            **numbers,
            "latency_ms": _quantiles(self.latency),
            "first_token_ms": _quantiles(self.first_token),
        }


def restored(stored: dict[str, Any]) -> Row:
    """A row out of what `Row.stored` made."""
    row = Row(**{name: stored[name] for name in _NUMBERS if name in stored})
    row.latency = Histogram(stored.get("latency"))
    row.first_token = Histogram(stored.get("first_token"))
    return row


def _quantiles(histogram: Histogram) -> dict[str, float | None]:
    return {f"p{share}": histogram.quantile(share / 100) for share in (50, 95, 99)}


class Usage:
    """The counters of today and of all days, in memory; `flush` takes them to the store.

    `recent` holds the times of the calls of the last minute, for endpoints with a rate limit.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._rows: dict[tuple[str, str], Row] = {}
        self._dirty: set[tuple[str, str]] = set()
        self._day = ("", 0.0)
        self._flushing = asyncio.Lock()
        self.recent: dict[str, deque[float]] = {
            name: deque(times) for name, times in store.recent().items()
        }

    def today(self) -> str:
        """The date where the home is, as `YYYY-MM-DD`."""
        now = self._clock()
        if now >= self._day[1]:
            local = time.localtime(now)
            # looked up again at the next full minute, and so right at midnight in every time zone
            self._day = (time.strftime("%Y-%m-%d", local), now - local.tm_sec + 60)
        return self._day[0]

    def row(self, endpoint: str, day: str | None = None) -> Row:
        """The counters of an endpoint, of today unless another day is named."""
        key = (day or self.today(), endpoint)
        if key not in self._rows:
            stored = self._store.row(*key)
            self._rows[key] = restored(stored) if stored else Row()
        return self._rows[key]

    def add(
        self,
        endpoint: str,
        *,
        errors: int = 0,
        retries: int = 0,
        fallbacks: int = 0,
        calls: int = 0,
    ) -> None:
        """Count events of an endpoint."""
        for row in self._both(endpoint):
            row.calls += calls
            row.errors += errors
            row.retries += retries
            row.fallbacks += fallbacks

    def add_answer(
        self,
        endpoint: str,
        tokens: Tokens,
        price: Price | None,
        *,
        seconds: float,
        first_token: float | None,
    ) -> None:
        """Count a call that was answered; `first_token` is None for one that was not streamed."""
        money = price.of(tokens.sent, tokens.cached, tokens.made) if price else None
        for row in self._both(endpoint):
            row.input_tokens += tokens.sent
            row.cached_tokens += tokens.cached
            row.output_tokens += tokens.made
            if money is not None:
                row.money = (row.money or 0.0) + money
            row.latency.add(seconds)
            if first_token is not None:
                row.first_token.add(first_token)

    def _both(self, endpoint: str) -> Iterable[Row]:
        for day in (self.today(), TOTAL):
            self._dirty.add((day, endpoint))
            yield self.row(endpoint, day)

    async def flush(self) -> None:
        """Take what changed to the store; what cannot be written now is kept for the next time."""
        async with self._flushing:
            if self._dirty:
                changed = self.unsaved()
                try:
                    await asyncio.to_thread(self._store.save, *changed)
                except StoreError as error:
                    self._dirty.update((day, endpoint) for day, endpoint, _ in changed[0])
                    _LOG.warning("The counters cannot be written to /data now: %s", error)

    def unsaved(self) -> tuple[list[tuple[str, str, dict[str, Any]]], dict[str, list[float]]]:
        """What Store.save takes: the rows that changed since the last call, and `recent`.

        The memory of days gone by is let go.
        """
        changed = [(*key, self._rows[key].stored()) for key in self._dirty]
        self._dirty.clear()
        today = self.today()
        self._rows = {key: row for key, row in self._rows.items() if key[0] in (today, TOTAL)}
        return changed, {name: list(times) for name, times in self.recent.items()}
