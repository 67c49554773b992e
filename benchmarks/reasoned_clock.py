"""A clock that runs the day of a Home Assistant faster than life, and stands while the world is asked.

Home Assistant plans everything by its event loop's time and by the time of day. Here both come from
one clock: when nothing is to be done, the loop does not sleep until the next timer but moves the
clock there, and never faster than `pace` times as fast as life. While a job of the executor, an
entry of the recorder's queue or a call of an app is under way, the clock stands, so that the day
does not depend on how fast this machine is.
"""

import asyncio
import contextlib
import functools
import selectors
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime, tzinfo
from typing import Any
from unittest.mock import patch

from homeassistant.helpers import event
from homeassistant.util import dt as dt_util

_real_time, _real_monotonic = time.time, time.monotonic


class DayClock:
    """The time of the day, in seconds since the epoch; `pace` may be changed while it runs."""

    def __init__(self, begin: datetime) -> None:
        self.begin = begin.timestamp()
        # apart from the epoch, whose seconds leave no room for the loop's nanoseconds
        self.gone = 0.0
        self.held = 0
        self.busy: Callable[[], bool] = lambda: False
        self._pace = 1.0
        self._anchor = self.gone, _real_monotonic()

    @property
    def now(self) -> float:
        return self.begin + self.gone

    @property
    def pace(self) -> float:
        return self._pace

    @pace.setter
    def pace(self, pace: float) -> None:
        self._pace = pace
        self._anchor = self.gone, _real_monotonic()

    @property
    def stands(self) -> bool:
        """Whether something is awaited that does not live by this clock."""
        return self._pace > 1 and (self.held > 0 or self.busy())

    def wait_for(self, moment: float) -> float:
        """Return the seconds of life until so many seconds may have gone on the clock."""
        day, life = self._anchor
        return life + (moment - day) / self._pace - _real_monotonic()

    def stood(self, seconds: float) -> None:
        """Take time out of the pace: the clock stood."""
        day, life = self._anchor
        self._anchor = day, life + seconds

    def run(self, until: float) -> None:
        """Show what the pace allows, but nothing later than `until`."""
        day, life = self._anchor
        allowed = day + (_real_monotonic() - life) * self._pace
        self.gone = max(self.gone, min(until, allowed))

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Let the clock stand until the block ends."""
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    def datetime(self, zone: tzinfo | None = None) -> datetime:
        return datetime.fromtimestamp(self.now, zone or UTC)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Let Home Assistant see this clock until the block ends."""

        def local(zone: tzinfo | None = None) -> datetime:
            return self.datetime(zone or dt_util.get_default_time_zone())

        def moment() -> float:
            return self.now

        with (
            patch.object(time, "time", moment),
            patch.object(dt_util, "utcnow", self.datetime),
            patch.object(dt_util, "now", local),
            patch.object(event, "time_tracker_utcnow", self.datetime),
            patch.object(event, "time_tracker_timestamp", moment),
        ):
            yield


class _Selector(selectors.DefaultSelector):
    """Waits for sockets as long as the day's clock says."""

    def __init__(self, clock: DayClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        clock = self._clock
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        until = clock.gone + (60.0 if timeout is None else timeout)
        if clock.stands:
            began = _real_monotonic()
            ready = super().select(0.002)
            clock.stood(_real_monotonic() - began)
            return ready
        ready = super().select(max(0.0, min(clock.wait_for(until), 60.0)))
        clock.run(until)
        return ready


class DayLoop(asyncio.SelectorEventLoop):
    """An event loop that lives by a day's clock."""

    def __init__(self, clock: DayClock) -> None:
        self._clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._clock.gone

    def run_in_executor[T, *Ts](
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Hold the clock while the job runs."""
        future = super().run_in_executor(executor, func, *args)
        self._clock.held += 1
        future.add_done_callback(self._done)
        return future

    def _done(self, _: object) -> None:
        self._clock.held -= 1


def held(clock: DayClock, opens: Any, latency: float) -> Any:
    """Wrap an async context manager's function: the clock stands within, and has moved on after.

    `latency` are the seconds of the day that a call is taken to last.
    """

    @contextlib.asynccontextmanager
    @functools.wraps(opens)
    async def opened(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with clock.hold():
            async with opens(*args, **kwargs) as inner:
                yield inner
        await asyncio.sleep(latency)

    return opened
