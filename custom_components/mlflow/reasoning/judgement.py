"""Decides what a state shows after an answer: how sure it must be, and how often in a row."""

from dataclasses import dataclass, replace

from .question import Answer
from .settings import Below, Kind, Settings

# So much of its range, or of itself, a number may move and still be the same answer.
_SAME_NUMBER = 0.05


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is shown, and how far the way to something else is.

    `value` is shown (None: unknown); `settled` is what was last shown for sure; `other` was answered
    `agreeing` times in a row instead of it.
    """

    value: Answer | None = None
    settled: Answer | None = None
    other: Answer | None = None
    agreeing: int = 0

    @property
    def is_waiting(self) -> bool:
        """Whether more answers are needed before something else is shown."""
        return self.agreeing > 0

    def settled_by(self, answer: Answer, confidence: float, settings: Settings) -> bool:
        """Whether what is shown rests on this answer, which was the last one judged."""
        return confidence >= settings.threshold and self.value == answer


def judge(settings: Settings, before: Judgement, answer: Answer, confidence: float) -> Judgement:
    """Return what is shown after an answer.

    The first sure answer of all is shown at once; so is every sure text, since no two are the same.
    """
    if confidence < settings.threshold:
        shown = before.value if settings.below is Below.KEEP else None
        return replace(before, value=shown, other=None, agreeing=0)
    settled = before.settled
    if settled is None or settings.kind is Kind.TEXT or _is_same(settings, answer, settled):
        return Judgement(answer, answer)
    again = before.other is not None and _is_same(settings, answer, before.other)
    agreeing = before.agreeing + 1 if again else 1
    if agreeing >= settings.agreeing:
        return Judgement(answer, answer)
    return replace(before, other=answer, agreeing=agreeing)


def _is_same(settings: Settings, one: Answer, other: Answer) -> bool:
    if settings.kind is not Kind.NUMBER or isinstance(one, str) or isinstance(other, str):
        return one == other
    if settings.minimum is not None and settings.maximum is not None:
        scale = settings.maximum - settings.minimum
    else:
        scale = max(abs(one), abs(other))
    return abs(one - other) <= scale * _SAME_NUMBER
