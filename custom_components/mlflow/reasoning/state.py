"""A reasoned state as entities, buttons, actions and tools use it."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..localize import async_localize
from .asking import Verdict
from .faults import FaultLog
from .judgement import Judgement, judge
from .memory import MAX_EXAMPLES, Corrected, Remembered
from .question import Answer, Example
from .reasoner import Means, Reasoner, form_of
from .settings import Settings
from .thinker import Thinker

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
class Preview:
    """What one call with unsaved settings gave; `seconds` is how long it took."""

    verdict: Verdict
    evidence: str
    seconds: float


type RecordCorrection = Callable[[ReasonedState, Correction], Awaitable[None]]


class ReasonedState:
    """One state that a model decides.

    `restored`: value and verdict come from before the restart. `problem` says in a sentence why it
    could not think.
    """

    def __init__(
        self,
        entry: ConfigEntry,
        means: Means,
        faults: FaultLog,
        subentry_id: str,
        settings: Settings,
    ) -> None:
        self.subentry_id = subentry_id
        self.settings = settings
        self.restored = False
        self.problem: str | None = None
        self.record_correction: RecordCorrection | None = None
        self._means = means
        self._faults = faults
        self._known = Remembered(form=form_of(settings))
        self._listeners: list[Callable[[], None]] = []
        self.reasoner = Reasoner(means, subentry_id, settings)
        self.thinker = Thinker(means.hass, entry, settings, self, means.looking, means.budget.check)

    @property
    def value(self) -> Answer | None:
        """What is shown, after threshold and hysteresis; None: unknown."""
        return self._known.judgement.value

    @property
    def verdict(self) -> Verdict | None:
        """The last answer, also one that did not, or not yet, flip the state."""
        return self._known.verdict

    @property
    def shown(self) -> Verdict | None:
        """The answer on which `value` rests; None after a correction to another, and before any."""
        return self._known.shown

    @property
    def corrected(self) -> Corrected | None:
        """Who said that what is shown is right, and why; None where it rests on a verdict."""
        return self._known.corrected

    @property
    def evidence(self) -> str:
        """The evidence on which the last verdict rests."""
        return self._known.evidence

    @property
    def paused(self) -> bool:
        """Whether it only thinks when it is told to."""
        return self._known.paused

    @property
    def next_thought_not_before(self) -> datetime | None:
        """When the next thought may come, if that is not now."""
        return None if self.paused else self.thinker.not_before

    @property
    def calls_today(self) -> int:
        """Calls of the model since midnight."""
        return self._means.budget.count(self.subentry_id).calls

    @property
    def tokens_today(self) -> int:
        """Tokens of these calls, in and out."""
        return self._means.budget.count(self.subentry_id).tokens

    @property
    def cost_today(self) -> float | None:
        """US dollars of these calls; None when no call's cost is known."""
        return self._means.budget.count(self.subentry_id).cost

    @callback
    def listen(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Tell a listener whenever something of the state has changed."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def notify(self) -> None:
        """Tell all listeners that something has changed."""
        for listener in list(self._listeners):
            listener()

    @callback
    def restore(self) -> None:
        """Go on with what was known before the restart."""
        known = self._means.memory.found.get(self.subentry_id)
        if known is not None and known.form == self._known.form:
            self._known = known
            self.restored = known.verdict is not None
        elif known is not None:
            # another kind of answer is wanted now: the old ones and their corrections are none
            self._known.paused = known.paused
        self._remember()

    @callback
    def start(self) -> None:
        """Begin to think: Home Assistant has started, and the evidence is selected."""
        if not self.paused:
            self.thinker.start(self.verdict.decided_at if self.verdict else None)

    async def think_now(self) -> Verdict:
        """Think at once, whatever intervals, condition and pause say, but within the budget.

        Raises HomeAssistantError, whose sentence says why there is no verdict.
        """
        return await self.thinker.think_now()

    async def set_paused(self, paused: bool) -> None:
        """Stop thinking, or go on with it; it is remembered over a restart."""
        if paused == self.paused:
            return
        self._known.paused = paused
        if paused:
            self.thinker.pause()
        else:
            self.start()
        self._remember()
        self.notify()

    async def correct(
        self, answer: Answer, *, since: datetime | None, comment: str | None, source: str
    ) -> None:
        """Show the right answer, have the correction recorded, and learn from it.

        `answer` is of the state's kind. It stays until the next different, sure answer.
        """
        known = self._known
        settings = self.settings
        correction = Correction(
            *(answer, since, comment, source, self.verdict, known.evidence),
            settings.question or str(settings.prompt),
        )
        if self.record_correction is not None:
            await self.record_correction(self, correction)
        if answer != self.value:
            known.shown = None  # else it is confirmed, and its reason stays
        known.judgement = Judgement(answer, answer)
        known.corrected = Corrected(source, since, comment, dt_util.utcnow())
        self.restored = False
        if known.evidence:
            example = Example(known.evidence, answer, comment)
            known.examples = [*known.examples, example][-MAX_EXAMPLES:]
        self.thinker.settle()
        self._remember()
        self.notify()

    def examples(self) -> list[Example]:
        """Return the last corrections, as the model is shown them; no more than the settings say."""
        wanted = self.settings.examples
        return self._known.examples[-wanted:] if wanted else []

    def is_new(self, *, with_time: bool) -> bool:
        """Whether the evidence, or time where it counts, is not that of the last verdict."""
        known = self._known
        if known.verdict is None or known.marks is None:
            return True
        if self.reasoner.marks().differ_from(known.marks):
            return True
        return with_time and self.reasoner.times() != known.times

    async def think(self, begin: Callable[[], None]) -> tuple[Verdict, bool]:
        """Think; return the verdict, and whether it is to be confirmed. Raises HomeAssistantError.

        `begin` is called when the model is about to be called.
        """
        thought = await self.reasoner.think(self.examples(), self._book, begin)
        known = self._known
        before, verdict = known.judgement, thought.verdict
        judgement = judge(self.settings, before, verdict.answer, verdict.confidence)
        if judgement.value is None:
            known.shown = known.corrected = None
        elif judgement.settled_by(verdict.answer, verdict.confidence, self.settings) and (
            # a correction stands until an answer differs from it
            known.corrected is None or before.value != judgement.value
        ):
            known.shown, known.corrected = verdict, None
        known.verdict, known.judgement = verdict, judgement
        known.evidence, known.marks, known.times = thought.evidence, thought.marks, thought.times
        self.restored = False
        self.problem = None
        self._faults.over(self.subentry_id, self.settings.name)
        self._remember()
        self.notify()
        return verdict, judgement.is_waiting

    async def note_problem(self, error: HomeAssistantError) -> None:
        """Note why there is no thought."""
        hass = self._means.hass
        self.problem = await async_localize(hass, hass.config.language, error)
        self._faults.note(self.subentry_id, self.settings.name, error)
        self.notify()

    @callback
    def note_nothing_new(self) -> None:
        """Note that no thought is needed: what is shown rests on the evidence as it is."""
        if self.problem is not None:
            self.problem = None
            self._faults.over(self.subentry_id, self.settings.name)
            self.notify()

    @callback
    def _remember(self) -> None:
        self._means.memory.note(self.subentry_id, self._known)

    @callback
    def _book(self, tokens: int, cost: float | None) -> None:
        self._means.budget.add(self.subentry_id, tokens, cost)


async def preview(hass: HomeAssistant, runtime: MlflowRuntime, settings: Settings) -> Preview:
    """Make one real call with settings that are not saved yet. Raises HomeAssistantError."""
    means = runtime.reasoned.means
    means.budget.check()
    reasoner = Reasoner(means, "", settings, is_preview=True)
    stop = reasoner.start()
    begun = time.monotonic()
    try:
        reasoner.select()
        if settings.prompt and not runtime.prompts.get(settings.prompt) and runtime.tracking:
            await runtime.tracking.async_refresh()  # nobody has wanted this prompt before
        thought = await reasoner.think((), partial(means.budget.add, ""), lambda: None)
    finally:
        stop()
    return Preview(thought.verdict, thought.evidence, time.monotonic() - begun)
