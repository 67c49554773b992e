"""When a state thinks: after a change and a quiet period, not too often, and only if it is new.

An event of the evidence costs a comparison: the one timer is not set anew by it, but looks at the
clock when it rings.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, TemplateError
from homeassistant.helpers.template import Template, result_as_boolean
from homeassistant.util import dt as dt_util

from ..const import DOMAIN, LOGGER
from .asking import Verdict
from .problems import BudgetSpentError, ReasoningError
from .schedule import Schedule
from .settings import Settings


class Mind(Protocol):
    """What thinks, at the times that a Thinker finds."""

    def is_new(self, *, with_time: bool) -> bool:
        """Whether the evidence, or time where it counts, is not that of the last answer."""

    async def think(self, begin: Callable[[], None]) -> tuple[Verdict, bool]:
        """Think; return the verdict, and whether it is to be confirmed. Raises HomeAssistantError.

        `begin` is called when the model is about to be called.
        """

    async def note_problem(self, error: HomeAssistantError) -> None:
        """Note why there is no thought."""

    def note_nothing_new(self) -> None:
        """Note that no thought is needed: what is shown rests on the evidence as it is."""


class Thinker:
    """The clock of one state."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        settings: Settings,
        mind: Mind,
        looking: asyncio.Lock,
        check_budget: Callable[[], None],
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._name = settings.name
        self._threshold = settings.threshold
        self._mind = mind
        self._looking = looking
        self._check_budget = check_budget
        self._condition = Template(settings.condition, hass) if settings.condition else None
        self._schedule = Schedule.of(settings, time.time())
        self._timer: asyncio.TimerHandle | None = None
        self._flight: asyncio.Task[Verdict | None] | None = None
        self._is_running = False
        self._is_forced = False

    @property
    def not_before(self) -> datetime | None:
        """The time before which there is no thought, if that is yet to come."""
        earliest = self._schedule.earliest
        return dt_util.utc_from_timestamp(earliest) if earliest > time.time() else None

    @callback
    def start(self, called: datetime | None) -> None:
        """Begin, or go on after a pause, with a look at the evidence; `called` is the last call."""
        if called is not None:
            self._schedule.called = called.timestamp()
        self._is_running = True
        self._schedule.begin(time.time())
        self._arm()

    @callback
    def pause(self) -> None:
        """Think no more; a thought in flight comes to its end."""
        self._is_running = False
        self._disarm()

    @callback
    def stop(self) -> None:
        """Think no more; a thought in flight is dropped."""
        self.pause()
        if self._flight is not None:
            self._flight.cancel()

    @callback
    def touch(self, now: float) -> None:
        """Take note of a change of the evidence; called for every event, so it does next to nothing."""
        if self._schedule.change(now) and self._is_running and self._flight is None:
            self._arm()

    @callback
    def touch_now(self) -> None:
        """Take note that other evidence is to be looked at from now on."""
        self.touch(time.time())

    @callback
    def settle(self) -> None:
        """Confirm nothing any more: somebody has said what is right."""
        self._schedule.is_confirming = False

    @callback
    def retry(self) -> None:
        """Do not wait any longer: what was in the way is gone."""
        if self._schedule.blocked_until:
            self._schedule.unblock()
            if self._is_running and self._flight is None:
                self._arm()

    async def think_now(self) -> Verdict:
        """Think at once, also while paused; a thought in flight is the one. Raises HomeAssistantError."""
        self._is_forced = True
        flight = self._flight
        if flight is None or flight.done():
            flight = self._take_off()
        # whoever asked may go away, the thought goes on
        await asyncio.wait((flight,))
        verdict = None if flight.cancelled() else flight.result()
        if verdict is None:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="not_loaded")
        return verdict

    @callback
    def _arm(self) -> None:
        """Set the one timer for when there is next something to do."""
        self._disarm()
        due = self._schedule.due()
        if due is not None:
            delay = max(due - time.time(), 0)
            self._timer = self._hass.loop.call_later(delay, self._ring)

    @callback
    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @callback
    def _ring(self) -> None:
        self._timer = None
        due = self._schedule.due()
        if due is not None and due <= time.time():
            self._take_off()
        else:
            self._arm()

    @callback
    def _take_off(self) -> asyncio.Task[Verdict | None]:
        self._disarm()
        self._flight = flight = self._entry.async_create_background_task(
            self._hass, self._fly(), f"mlflow reasoned state {self._name}", eager_start=False
        )
        flight.add_done_callback(self._land)
        return flight

    @callback
    def _land(self, flight: asyncio.Task[Verdict | None]) -> None:
        if self._flight is flight:
            self._flight = None
            if self._is_running:
                self._arm()
        error = None if flight.cancelled() else flight.exception()
        if error is not None and not isinstance(error, HomeAssistantError):
            LOGGER.error("The reasoned state %s failed", self._name, exc_info=error)

    async def _fly(self) -> Verdict | None:
        """Look whether a thought is due, and think it."""
        try:
            async with self._looking:
                is_due = self._is_due()
            if not is_due:
                return None
            self._check_budget()
            return await self._think()
        except BudgetSpentError as error:
            self._schedule.block(time.time(), error.until.timestamp())
            await self._mind.note_problem(error)
            raise
        except HomeAssistantError as error:
            self._schedule.fail(time.time(), getattr(error, "retry_after", None))
            await self._mind.note_problem(error)
            raise
        except Exception:
            self._schedule.fail(time.time())
            raise
        finally:
            self._is_forced = False

    def _is_due(self) -> bool:
        now = time.time()
        is_time = self._schedule.is_time(now)
        self._schedule.look(now)
        if self._is_forced:
            return True
        if not self._condition_holds():
            self._schedule.wait_for_condition(now)
            return False
        if self._schedule.is_confirming or self._mind.is_new(with_time=is_time):
            return True
        self._schedule.unblock()
        if is_time:
            self._schedule.timed = now
        self._mind.note_nothing_new()
        return False

    def _condition_holds(self) -> bool:
        if self._condition is None:
            return True
        try:
            return result_as_boolean(self._condition.async_render(parse_result=False))
        except TemplateError as error:
            raise ReasoningError("reasoned_condition", error=str(error)) from error

    async def _think(self) -> Verdict:
        verdict, self._schedule.is_confirming = await self._mind.think(
            lambda: self._schedule.call(time.time())
        )
        self._schedule.is_unsure = verdict.confidence < self._threshold
        self._schedule.succeed(time.time())
        return verdict
