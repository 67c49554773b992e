"""Keeps on disk what a state last knew, so that a restart forgets nothing and costs no call."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from ..const import DOMAIN, LOGGER
from .asking import Verdict
from .judgement import Judgement
from .marks import Mark
from .question import Example

_DELAY = 10.0
MAX_EXAMPLES: Final = 10


@dataclass(frozen=True, slots=True)
class Corrected:
    """That somebody has said what is right: who (`source`), since when it is so, why, and when."""

    source: str
    since: datetime | None
    comment: str | None
    at: datetime


@dataclass(slots=True)
class Remembered:
    """What one state knows; `form` is what kind of answer it was about.

    `marks` and `times` are those of the evidence on which the last verdict rests.
    """

    form: str = ""
    verdict: Verdict | None = None
    shown: Verdict | None = None
    judgement: Judgement = field(default_factory=Judgement)
    corrected: Corrected | None = None
    evidence: str = ""
    marks: dict[str, Mark] | None = None
    times: dict[str, Mark] | None = None
    examples: list[Example] = field(default_factory=list)
    paused: bool = False

    def stored(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `stored` gave, times as text; raises KeyError, TypeError and ValueError."""
        corrected = stored["corrected"]
        return cls(
            **{
                **stored,
                "verdict": _verdict(stored["verdict"]),
                "shown": _verdict(stored["shown"]),
                "judgement": Judgement(**stored["judgement"]),
                "corrected": _corrected(corrected) if corrected else None,
                "examples": [Example(**example) for example in stored["examples"]],
            }
        )


class Memory:
    """The file of one entry's states and of their budget.

    `found` has by subentry id what was known when Home Assistant last ran. What is to be written is
    copied when it is noted, so that a thread may write it.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._store: Store[dict[str, Any]] = Store(
            hass,
            1,
            f"{DOMAIN}.reasoned.{entry_id}",
            atomic_writes=True,
            serialize_in_event_loop=False,
        )
        self.found: dict[str, Remembered] = {}
        self.budget: dict[str, Any] = {}
        self._states: dict[str, dict[str, Any]] = {}

    async def load(self) -> None:
        """Read what was known when Home Assistant last ran; what cannot be read is forgotten."""
        stored = await self._store.async_load() or {}
        self.budget = stored.get("budget", {})
        for subentry_id, state in stored.get("states", {}).items():
            try:
                self.found[subentry_id] = Remembered.of(state)
            except (KeyError, TypeError, ValueError) as error:
                LOGGER.warning("What a reasoned state knew cannot be read any more: %s", error)

    @callback
    def note(self, subentry_id: str, known: Remembered) -> None:
        """Write what a state knows, in a moment, and at the latest when Home Assistant stops."""
        self._states[subentry_id] = known.stored()
        self._save_soon()

    @callback
    def note_budget(self, budget: dict[str, Any]) -> None:
        """Write what was used of the budget, in a moment."""
        self.budget = budget
        self._save_soon()

    async def flush(self) -> None:
        """Write now what would be written in a moment."""
        await self._store.async_save(self._stored())

    async def forget(self) -> None:
        """Remove what is on disk."""
        await self._store.async_remove()

    @callback
    def _save_soon(self) -> None:
        self._store.async_delay_save(self._stored, _DELAY)

    def _stored(self) -> dict[str, Any]:
        return {"states": dict(self._states), "budget": self.budget}


def _verdict(stored: Mapping[str, Any] | None) -> Verdict | None:
    if stored is None:
        return None
    return Verdict(
        **{
            **stored,
            "decided_by": tuple(stored["decided_by"]),
            "decided_at": _time(stored["decided_at"]),
        }
    )


def _corrected(stored: Mapping[str, Any]) -> Corrected:
    since = stored["since"]
    return Corrected(
        **{**stored, "since": _time(since) if since else None, "at": _time(stored["at"])}
    )


def _time(text: str) -> datetime:
    moment = dt_util.parse_datetime(text)
    if moment is None:
        raise ValueError(f"{text} is no time")
    return moment
