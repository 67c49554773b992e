"""When to look at the evidence next: pure arithmetic of times, in seconds since 1970."""

from dataclasses import dataclass
from typing import Self

from .settings import Settings

# Changes without a pause do not put thinking off for longer than so many quiet periods.
_PATIENCE = 4
# However short the quiet period: to look is cheap, but not free.
_SHORTEST = 1.0
_UNTIL_CONDITION = 30.0
# What is only to be confirmed does not wait for the whole interval.
_CONFIRMING = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 30.0, 900.0


@dataclass(slots=True)
class Schedule:
    """The times of one state.

    `first_change` and `last_change` are those of the evidence since it was last looked at;
    `called` is the last call of the model, `timed` when time itself was last taken into account.
    """

    quiet: float
    at_most_every: float
    at_least_every: float
    first_change: float | None = None
    last_change: float = 0.0
    called: float | None = None
    looked: float | None = None
    timed: float = 0.0
    is_confirming: bool = False
    is_unsure: bool = False
    blocked_until: float = 0.0
    waits_until: float = 0.0
    _pause: float = 0.0

    @classmethod
    def of(cls, settings: Settings, now: float) -> Self:
        """Return the schedule of a state that begins now."""
        return cls(
            settings.quiet.total_seconds(),
            settings.at_most_every.total_seconds(),
            settings.at_least_every.total_seconds(),
            timed=now,
        )

    @property
    def earliest(self) -> float:
        """The time before which there is no thought."""
        share = _CONFIRMING if self.is_confirming else 1
        called = 0.0 if self.called is None else self.called + share * self.at_most_every
        return max(called, self.blocked_until)

    def due(self) -> float | None:
        """Return when to look next; None: not before something changes."""
        times = []
        if self.first_change is not None:
            patience = max(_PATIENCE * self.quiet, self.at_most_every)
            times.append(min(self.last_change + self.quiet, self.first_change + patience))
        if self.is_confirming:
            times.append(0.0)
        if self.at_least_every:
            times.append(self.timed + self._until_time)
        if not times:
            return None
        looked = 0.0 if self.looked is None else self.looked + _SHORTEST
        return max(min(times), self.earliest, self.waits_until, looked)

    def is_time(self, now: float) -> bool:
        """Whether time itself counts as evidence now."""
        return bool(self.at_least_every) and now >= self.timed + self._until_time

    @property
    def _until_time(self) -> float:
        """After how long time counts: what is unsure ripens, what is sure stays so for long."""
        if self.is_unsure:
            return min(self.at_most_every, self.at_least_every)
        return self.at_least_every

    def begin(self, now: float) -> None:
        """Look at the evidence after a quiet period, whatever was before."""
        self.timed = self.first_change = self.last_change = now

    def change(self, now: float) -> bool:
        """Note a change of the evidence; return whether it is the first since the last look."""
        self.last_change = now
        if self.first_change is not None:
            return False
        self.first_change = now
        return True

    def look(self, now: float) -> None:
        """Note a look at the evidence, with all changes until now."""
        self.looked = now
        self.first_change = None

    def call(self, now: float) -> None:
        """Note a call of the model."""
        self.called = now

    def succeed(self, now: float) -> None:
        """Note that a call gave a verdict, or that none is needed."""
        self.timed = now
        self.unblock()

    def fail(self, now: float, retry_after: float | None = None) -> None:
        """Note a failure: the same is tried again after a pause, which grows."""
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        self.block(now, now + max(self._pause, retry_after or 0))

    def block(self, now: float, until: float) -> None:
        """Try again as soon as a time has come."""
        self._go_on(now)
        self.blocked_until = until

    def wait_for_condition(self, now: float) -> None:
        """Try again soon: nothing tells when the condition holds again."""
        self._go_on(now)
        self.waits_until = now + _UNTIL_CONDITION

    def unblock(self) -> None:
        """Try again now: what was in the way is gone."""
        self.blocked_until = 0.0
        self._pause = 0.0

    def _go_on(self, now: float) -> None:
        """Take the change that was looked at as one that is still to be looked at."""
        if self.first_change is None:
            self.first_change = self.last_change = now - self.quiet
