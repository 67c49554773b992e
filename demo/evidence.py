"""Reads the evidence of a reasoned state out of a request, as a model reads it: from its words alone."""

import re
from dataclasses import dataclass
from typing import Any, Final

_LINE = re.compile(
    r"^- (?P<id>[a-z_]+\.\w+)(?: \"(?P<name>[^\"]*)\")?[^:]*: (?P<rest>.*)$", re.MULTILINE
)
_NOW = re.compile(r"It is now \w+ [\d-]+ (\d\d):(\d\d)")
_LENGTH = r"(?:for|of) (?:more than )?(?P<length>less than 1 min|(?:\d+ (?:days?|h|min) ?)+)"
_UNIT_MINUTES: Final = {"min": 1, "h": 60, "d": 1440, "day": 1440, "days": 1440}
_CHANGE = re.compile(r"(?P<what>[^;:]+?) (?P<times>once|\d+ times), last (?P<last>[\w ]*\d\d:\d\d)")
_EARLIER = re.compile(r"<evidence>.*?</evidence>", re.DOTALL)
# More changes a minute than people make, and so many that it is no chance.
_FLICKERS, _MANY = 1.5, 40


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the evidence; ages are minutes, and so is the `window` of its changes.

    `active_age` is the time since it last was on, open, detected or the like: zero while it is, None
    when the text does not say.
    """

    entity_id: str
    name: str
    state: str
    number: float | None
    age: float
    changes: int
    window: float
    active_age: float | None

    @property
    def is_known(self) -> bool:
        """Whether it says anything."""
        return not self.state.startswith(("unavailable", "unknown", "does not"))

    @property
    def flickers(self) -> bool:
        """Whether it changes more often than people do; numbers may."""
        often = self.changes > max(_FLICKERS * self.window, _MANY)
        return self.number is None and often

    @property
    def is_active(self) -> bool:
        """Whether it is on, open, detected, charging or the like now."""
        return self.state in _ACTIVE


@dataclass(frozen=True, slots=True)
class Evidence:
    """All lines of the evidence, and the clock in minutes from midnight (None: not told)."""

    items: tuple[Item, ...]
    clock: int | None

    def of(self, *words: str, domain: str = "") -> list[Item]:
        """Return what has one of the words in its id, is known and does not flicker."""
        return [
            item
            for item in self.items
            if item.is_known
            and not item.flickers
            and item.entity_id.startswith(domain)
            and any(word in item.entity_id for word in words)
        ]


_ACTIVE: Final = frozenset(
    {"on", "open", "detected", "charging", "playing", "connected", "power", "at home", "running"}
)
_ACTIVATED: Final = ("turned on", "opened", "detected", "became charging", 'became "playing"')


def evidence_of(messages: list[dict[str, Any]]) -> Evidence | None:
    """Return the evidence that the messages tell of, and nothing of earlier examples; None without."""
    text = "\n".join(str(m.get("content") or "") for m in messages if m.get("role") == "user")
    text = _EARLIER.sub("", text)
    found = _NOW.search(text)
    clock = 60 * int(found[1]) + int(found[2]) if found else None
    items = tuple(_item(match, clock) for match in _LINE.finditer(text))
    return Evidence(items, clock) if items else None


def _item(match: re.Match[str], clock: int | None) -> Item:
    rest = match["rest"]
    now, _, past = rest.partition("; last ")
    state = re.split(r" since | for |, unchanged|;", now)[0].strip()
    number = re.match(r"-?\d+(?:\.\d+)?", state)
    length = re.search(_LENGTH, now)
    age = _minutes(length["length"]) if length else 0.0
    changes = list(_CHANGE.finditer(past))
    return Item(
        entity_id=match["id"],
        name=match["name"] or match["id"],
        state=state,
        number=float(number[0]) if number else None,
        age=age,
        changes=max((_count(change["times"]) for change in changes), default=0),
        window=_minutes(past.split(":")[0]),
        active_age=0.0 if state in _ACTIVE else _active_age(changes, age, clock),
    )


def _active_age(changes: list[re.Match[str]], age: float, clock: int | None) -> float | None:
    """Return for how long it has not been active: since it was last activated, at the longest."""
    for change in changes:
        if change["what"].split(": ")[-1].strip() in _ACTIVATED and clock is not None:
            hours, minutes = change["last"].split(" ")[-1].split(":")
            since = (clock - 60 * int(hours) - int(minutes)) % 1440
            return min(float(since), age) if age else float(since)
    return age


def _count(times: str) -> int:
    return 1 if times == "once" else int(times.split(maxsplit=1)[0])


def _minutes(text: str) -> float:
    if text.startswith("less"):
        return 0.5
    parts = re.findall(r"(\d+) (days?|d|h|min)", text)
    return float(sum(int(number) * _UNIT_MINUTES[unit] for number, unit in parts))
