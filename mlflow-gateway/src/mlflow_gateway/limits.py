"""Rate limits and daily budgets: whether an endpoint may take one more call."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING

from .errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .routes import Route
    from .usage import Row, Usage

_MINUTE = 60.0


class Limits:
    """Counts the calls of the last minute, and compares today's use with the budgets."""

    def __init__(self, usage: Usage, clock: Callable[[], float] = time.time) -> None:
        self._usage = usage
        self._clock = clock

    def take(self, route: Route) -> None:
        """Let one call through and count it; EndpointError 429 when there is no room for it."""
        policy = route.policy
        if policy.tokens_per_day or policy.money_per_day:
            self._check_budget(route, self._usage.row(route.name))
        if policy.calls_per_minute:
            self._take_call(route)

    def _take_call(self, route: Route) -> None:
        now, most = self._clock(), route.policy.calls_per_minute
        times = self._usage.recent.setdefault(route.name, deque())
        while times and times[0] <= now - _MINUTE:
            times.popleft()
        if len(times) >= most:
            raise _too_much(
                f'Endpoint "{route.name}" takes {most} calls a minute; try again later, '
                "or raise its calls_per_minute.",
                "rate_limit_exceeded",
                times[0] + _MINUTE - now,
            )
        times.append(now)

    def _check_budget(self, route: Route, used: Row) -> None:
        policy = route.policy
        if (
            policy.tokens_per_day
            and used.input_tokens + used.output_tokens >= policy.tokens_per_day
        ):
            name, amount = "tokens_per_day", f"{policy.tokens_per_day} tokens"
        elif policy.money_per_day and (used.money or 0.0) >= policy.money_per_day:
            name, amount = "money_per_day", f"{policy.money_per_day:g} USD"
        else:
            return
        raise _too_much(
            f'Endpoint "{route.name}" has used its {amount} of today; '
            f"try again tomorrow, or raise its {name}.",
            "insufficient_quota",
            _until_midnight(self._clock()),
        )


def _too_much(message: str, code: str, seconds: float) -> EndpointError:
    return EndpointError(
        429, message, code=code, headers={"Retry-After": str(max(1, math.ceil(seconds)))}
    )


def _until_midnight(now: float) -> float:
    local = time.localtime(now)
    # mktime mends the 32nd of a month, and the day that summer time makes shorter
    midnight = (local.tm_year, local.tm_mon, local.tm_mday + 1, 0, 0, 0, 0, 0, -1)
    return time.mktime(midnight) - now
