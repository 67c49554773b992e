"""Circuit breakers: a dead provider costs one timeout, and not one for every call."""

from __future__ import annotations

import time
from collections.abc import Callable

# Seconds that a provider is left alone after its first failure.
_FIRST_PAUSE = 10.0


class CircuitBreaker:
    """Closed while calls go well; open, and so refusing, for a while after a call that failed.

    When the pause is over one call is let through to try. Each failed trial doubles the pause, up to
    `longest_pause` seconds.
    """

    def __init__(self, longest_pause: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest_pause = longest_pause
        self._clock = clock
        self._pause = 0.0
        self._until = 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether the last call failed."""
        return self._pause > 0

    def wait(self) -> float:
        """Seconds until a call may be tried; 0 when it may go now, and then this counts as it."""
        if not self._pause:
            return 0.0
        left = self._until - self._clock()
        if left > 0 or self._trying:
            return max(left, 1.0)
        self._trying = True
        return 0.0

    def succeeded(self) -> None:
        """The provider answered."""
        self._pause, self._trying = 0.0, False

    def failed(self) -> None:
        """The provider did not answer, or answered that it is broken.

        Calls that were on their way together count as one failure.
        """
        if self._pause and not self._trying:
            return
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, self._longest_pause)
        self._until = self._clock() + self._pause
        self._trying = False

    def abandoned(self) -> None:
        """The call ended without telling anything of the provider, as when its client hung up."""
        self._trying = False
