"""A home that lives a recorded day: a real Home Assistant with the integration, by the day's clock."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from unittest.mock import patch

from benchmarks.contenders import TOKEN
from benchmarks.home import entry_of, home
from benchmarks.reasoned_clock import DayClock, DayLoop, held
from benchmarks.reasoned_servers import Servers
from demo.day.people import DAY
from demo.day.record import TIME_ZONE, Change, Day
from homeassistant.components.recorder import get_instance
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

# While the clock moves; with the times when it stands, a day still goes 1,000 times faster than life.
PACE = 1500.0
# The seconds of the day that a call of a model, or of MLflow, is taken to last.
LATENCY = 2.0
_CONFIGURATION = f"""\
homeassistant:
  name: Bench
  time_zone: {TIME_ZONE}
logger:
  default: warning
"""
_RECORDER = """\
recorder:
  commit_interval: 10
  auto_purge: false
"""


def entry(there: Servers, states: list[dict[str, Any]]) -> ConfigEntry:
    """Make the integration's entry with these reasoned states, without a limit for the day."""
    data = {
        "gateway": {"url": there.gateway, "token": TOKEN},
        "tracking": {"url": there.tracking, "token": "t"},
        "default_agent_made": True,
    }
    options = {"record": "all", "reasoned_daily_calls": 0}
    return entry_of("mlflow", data, states, unique_id="home", options=options)


class Replay:
    """A home that lives from midnight `until` a time of the day (in seconds).

    `seconds` are those of life that the day took, when it is over.
    """

    def __init__(self, day: Day, until: float = DAY, *, has_recorder: bool = True) -> None:
        self.day = day
        self.until = until
        self._has_recorder = has_recorder
        # set-up takes a few seconds of life, before midnight
        self.clock = DayClock(day.when(-60))
        self.seconds = 0.0

    @property
    def now(self) -> float:
        """Seconds since midnight."""
        return self.clock.now - self.day.when(0).timestamp()

    def run[T](self, live: Callable[[HomeAssistant], AbstractAsyncContextManager[T]]) -> T:
        """Live the day; returns what the block of `live` gave, when the day is over."""

        async def whole() -> T:
            async with home(_CONFIGURATION + _RECORDER * self._has_recorder) as hass:
                for change in self.day.changes:
                    if change.at == 0:
                        _show(hass, change)
                async with live(hass) as result:
                    await self._pass(hass)
                self.clock.pace = 1
            return result

        with self.clock.shown(), self._standing():
            return asyncio.Runner(loop_factory=lambda: DayLoop(self.clock)).run(whole())

    @contextlib.contextmanager
    def _standing(self) -> Iterator[None]:
        """Let the clock stand during calls of the apps."""
        from custom_components.mlflow.transport import Transport  # noqa: PLC0415 - once it is there

        with patch.object(Transport, "open", held(self.clock, Transport.open, LATENCY)):
            yield

    async def _pass(self, hass: HomeAssistant) -> None:
        if self._has_recorder:
            recorder = get_instance(hass)
            self.clock.busy = lambda: recorder.backlog > 50
        began = time.perf_counter()
        self.clock.pace = PACE
        for change in self.day.changes:
            if change.at >= self.until:
                break
            if change.at > 0:
                if (early := change.at - self.now) > 0:
                    await asyncio.sleep(early)
                _show(hass, change)
        await asyncio.sleep(self.until - 1 - self.now)
        self.seconds = time.perf_counter() - began


def _show(hass: HomeAssistant, change: Change) -> None:
    hass.states.async_set(change.entity_id, change.state, change.attributes)
