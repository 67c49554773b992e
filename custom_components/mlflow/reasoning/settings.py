"""What a reasoned state was set to: the data of its subentry, read into types.

The forms write these keys, and everything else of the reasoning reads them through `Settings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Self

from ..const import CONF_ENDPOINT, CONF_PROMPT_REFERENCE
from ..tracking import PromptReference

SUBENTRY_REASONED: Final = "reasoned_state"

CONF_QUESTION: Final = "question"
CONF_FACTS: Final = "facts"
CONF_KIND: Final = "kind"
CONF_DEVICE_CLASS: Final = "device_class"
CONF_CHOICES: Final = "choices"
CONF_CHOICE: Final = "choice"
CONF_MEANING: Final = "meaning"
CONF_MINIMUM: Final = "minimum"
CONF_MAXIMUM: Final = "maximum"
CONF_UNIT: Final = "unit"
CONF_EVIDENCE: Final = "evidence"
CONF_TARGET: Final = "target"
CONF_ATTRIBUTES: Final = "attributes"
CONF_LOOK_BACK: Final = "look_back"
CONF_QUIET: Final = "quiet"
CONF_AT_MOST_EVERY: Final = "at_most_every"
CONF_AT_LEAST_EVERY: Final = "at_least_every"
CONF_CONDITION: Final = "condition"
CONF_THRESHOLD: Final = "threshold"
CONF_AGREEING: Final = "agreeing"
CONF_BELOW: Final = "below"
CONF_EXAMPLES: Final = "examples"

# Options of the whole entry: the budget of a day over all reasoned states.
CONF_DAILY_CALLS: Final = "reasoned_daily_calls"
CONF_DAILY_COST: Final = "reasoned_daily_cost"
DEFAULT_DAILY_CALLS: Final = 1000

DEFAULTS: Final[Mapping[str, Any]] = {
    CONF_KIND: "yes_no",
    CONF_QUIET: {"seconds": 30},
    CONF_AT_MOST_EVERY: {"minutes": 5},
    CONF_AT_LEAST_EVERY: {"hours": 1},
    CONF_THRESHOLD: 70,
    CONF_AGREEING: 2,
    CONF_BELOW: "keep",
    CONF_EXAMPLES: 3,
}


class Kind(StrEnum):
    """What kind of answer is wanted."""

    YES_NO = "yes_no"
    CHOICE = "choice"
    NUMBER = "number"
    TEXT = "text"


class Below(StrEnum):
    """What a state shows while the model is less sure than the threshold."""

    KEEP = "keep"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to choose from, and what it means."""

    name: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where evidence comes from.

    `target` has the form of an action's target ({"entity_id": [...], "device_id": [...],
    "area_id": [...], "label_id": [...]}); `attributes` are shown beside the state of each of its
    entities that has them; state changes are looked up as far back as `look_back` (none: zero).
    """

    target: Mapping[str, list[str]]
    attributes: tuple[str, ...] = ()
    look_back: timedelta = timedelta()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Read one item of the form's list."""
        target = {
            key: [ids] if isinstance(ids, str) else list(ids)
            for key, ids in data.get(CONF_TARGET, {}).items()
        }
        return cls(
            target=target,
            attributes=tuple(data.get(CONF_ATTRIBUTES, ())),
            look_back=_duration(data.get(CONF_LOOK_BACK)),
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """One reasoned state as its user wants it.

    Either `question` or `prompt` is set. `threshold` is a probability from 0 to 1; `agreeing` counts
    the answers in a row that it takes to flip (at least 1); `at_least_every` is zero for never.
    """

    name: str
    endpoint: str
    kind: Kind
    question: str
    prompt: PromptReference | None
    facts: str
    device_class: str | None
    choices: tuple[Choice, ...]
    minimum: float | None
    maximum: float | None
    unit: str | None
    sources: tuple[Source, ...]
    quiet: timedelta
    at_most_every: timedelta
    at_least_every: timedelta
    condition: str
    threshold: float
    agreeing: int
    below: Below
    examples: int

    @classmethod
    def of(cls, name: str, data: Mapping[str, Any]) -> Self:
        """Read the data of a subentry; what is left out has its default.

        Raises KeyError without an endpoint and ValueError for a prompt reference that is none.
        """
        data = {**DEFAULTS, **data}
        reference = data.get(CONF_PROMPT_REFERENCE)
        return cls(
            name=name,
            endpoint=data[CONF_ENDPOINT],
            kind=Kind(data[CONF_KIND]),
            question=data.get(CONF_QUESTION, ""),
            prompt=PromptReference.parse(reference) if reference else None,
            facts=data.get(CONF_FACTS, ""),
            device_class=data.get(CONF_DEVICE_CLASS),
            choices=tuple(
                Choice(item[CONF_CHOICE], item.get(CONF_MEANING, ""))
                for item in data.get(CONF_CHOICES, ())
            ),
            minimum=data.get(CONF_MINIMUM),
            maximum=data.get(CONF_MAXIMUM),
            unit=data.get(CONF_UNIT),
            sources=tuple(Source.of(item) for item in data.get(CONF_EVIDENCE, ())),
            quiet=_duration(data[CONF_QUIET]),
            at_most_every=_duration(data[CONF_AT_MOST_EVERY]),
            at_least_every=_duration(data[CONF_AT_LEAST_EVERY]),
            condition=data.get(CONF_CONDITION, ""),
            threshold=data[CONF_THRESHOLD] / 100,
            agreeing=int(data[CONF_AGREEING]),
            below=Below(data[CONF_BELOW]),
            examples=int(data[CONF_EXAMPLES]),
        )


def _duration(data: Mapping[str, float] | None) -> timedelta:
    """Read what a duration selector gives: {"days", "hours", "minutes", "seconds"}."""
    return timedelta(**data) if data else timedelta()
