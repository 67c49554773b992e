"""What the Gateway counted today, endpoint by endpoint: its `GET /usage`, read.

The format is that of the Gateway's DOCS.md ("Use and cost"): {"today", "currency", "rows"}, where an
endpoint without a call today has no row. Durations are in milliseconds.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self

_COUNTERS = (
    "calls",
    "errors",
    "retries",
    "fallbacks",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
)


@dataclass(frozen=True, slots=True)
class EndpointUsage:
    """The counters of a day; `cost` is None where calls were made for which no price is known."""

    calls: int = 0
    errors: int = 0
    retries: int = 0
    fallbacks: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0
    latency_p50: float | None = None
    latency_p95: float | None = None
    first_token_p50: float | None = None
    first_token_p95: float | None = None

    @property
    def error_rate(self) -> float | None:
        """How many of a hundred calls failed; None while there was no call."""
        return 100 * self.errors / self.calls if self.calls else None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Read a row. Raises KeyError and TypeError when it is none."""
        latency, first_token = row["latency_ms"], row["first_token_ms"]
        return cls(
            **{name: int(row[name]) for name in _COUNTERS},
            cost=row["money"] if row["calls"] else 0.0,
            latency_p50=latency["p50"],
            latency_p95=latency["p95"],
            first_token_p50=first_token["p50"],
            first_token_p95=first_token["p95"],
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """The use of all endpoints on `day` (where the home is); `currency` by ISO 4217."""

    day: date
    currency: str
    endpoints: dict[str, EndpointUsage] = field(default_factory=dict)

    def of_endpoint(self, name: str) -> EndpointUsage:
        """Return the use of an endpoint, which may not have been called yet."""
        return self.endpoints.get(name, EndpointUsage())

    @property
    def total(self) -> EndpointUsage:
        """The use of all endpoints together; quantiles cannot be added up, so there are none."""
        rows = self.endpoints.values()
        costs = [row.cost for row in rows if row.cost is not None]
        counters = {name: sum(getattr(row, name) for row in rows) for name in _COUNTERS}
        return EndpointUsage(**counters, cost=sum(costs, 0.0) if costs or not rows else None)

    @classmethod
    def parse(cls, answer: Any) -> Self:
        """Read an answer. Raises KeyError, TypeError and ValueError when it is none."""
        today = answer["today"]
        return cls(
            day=date.fromisoformat(today),
            currency=answer["currency"],
            endpoints={
                row["endpoint"]: EndpointUsage.of(row)
                for row in answer["rows"]
                if row["day"] == today
            },
        )
