"""A reasoned state as entities, buttons, actions and tools use it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback

from .asking import Answer, Verdict
from .settings import Settings

if TYPE_CHECKING:
    from ..coordinator import MlflowRuntime


@dataclass(frozen=True, slots=True)
class Correction:
    """What somebody says was right; `verdict` and `evidence` are what it corrects."""

    answer: Answer
    since: datetime | None
    comment: str | None
    source: str
    verdict: Verdict | None
    evidence: str
    question: str


@dataclass(frozen=True, slots=True)
class Example:
    """A correction as the model is shown it."""

    evidence: str
    answer: Answer
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What one call with unsaved settings gave; `seconds` is how long it took."""

    verdict: Verdict
    evidence: str
    seconds: float


type RecordCorrection = Callable[["ReasonedState", Correction], Awaitable[None]]


class ReasonedState:
    """One state that a model decides.

    `value` is what is shown (None: unknown), `verdict` the last answer, `shown` the answer on which
    `value` rests (None after a correction, which is then in `corrected`). `restored`: these come
    from before the restart. `problem` says in a sentence why it could not think.
    """

    def __init__(self, subentry_id: str, settings: Settings) -> None:
        self.subentry_id = subentry_id
        self.settings = settings
        self.value: Answer | None = None
        self.verdict: Verdict | None = None
        self.shown: Verdict | None = None
        self.corrected: Correction | None = None
        self.restored = False
        self.problem: str | None = None
        self.paused = False
        self.evidence = ""
        self._listeners: list[Callable[[], None]] = []

    @property
    def next_thought_not_before(self) -> datetime | None:
        """When the next thought may come, if that is not now."""
        return None

    @property
    def calls_today(self) -> int:
        """Calls of the model since midnight."""
        return 0

    @property
    def tokens_today(self) -> int:
        """Tokens of these calls, in and out."""
        return 0

    @property
    def cost_today(self) -> float | None:
        """US dollars of these calls; None when no call's cost is known."""
        return None

    @callback
    def listen(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Tell a listener whenever something of the state has changed."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def think_now(self) -> Verdict:
        """Think at once, whatever the intervals say. Raises HomeAssistantError."""
        raise NotImplementedError("thinking is not built yet")

    async def set_paused(self, paused: bool) -> None:
        """Stop thinking, or go on with it; it is remembered over a restart."""
        raise NotImplementedError("thinking is not built yet")

    async def correct(
        self, answer: Answer, *, since: datetime | None, comment: str | None, source: str
    ) -> None:
        """Show the right answer, have the correction recorded, and learn from it."""
        raise NotImplementedError("thinking is not built yet")

    def examples(self) -> list[Example]:
        """Return the last corrections, as the model is shown them."""
        return []


async def preview(hass: HomeAssistant, runtime: MlflowRuntime, settings: Settings) -> Preview:
    """Make one real call with settings that are not saved yet. Raises HomeAssistantError."""
    raise NotImplementedError("thinking is not built yet")
