"""Who does what where on the day: three residents, their guests, and the truth that follows from it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
AWAY: Final = "away"
UPSTAIRS: Final = frozenset({"bedroom", "bathroom", "office", "cleo_room"})

type Span = tuple[float, float]
# When it begins, where, and what is done there.
type Program = tuple[tuple[str, str, str], ...]

_AK: Final[Program] = (
    ("00:00", "bedroom", "sleeping"),
    ("03:10", "bathroom", "night visit"),
    ("03:14", "bedroom", "sleeping"),
    ("06:45", "bedroom", "resting"),
    ("06:56", "bathroom", "washing"),
    ("07:14", "kitchen", "cooking"),
    ("07:30", "kitchen", "eating"),
    ("08:05", "office", "working"),
    ("10:38", "kitchen", "making coffee"),
    ("10:50", "office", "working"),
    ("12:25", "kitchen", "cooking"),
    ("12:46", "kitchen", "eating"),
    ("13:10", AWAY, "out"),
    ("15:50", "living_room", "reading"),
    ("16:22", "bedroom", "resting"),
    ("16:33", "bedroom", "sleeping"),
    ("17:20", "bedroom", "resting"),
    ("17:26", "office", "working"),
    ("18:02", "kitchen", "cooking"),
    ("18:46", "living_room", "eating"),
    ("19:20", "living_room", "reading"),
    ("19:40", "living_room", "with guests"),
    ("22:40", "kitchen", "tidying"),
    ("22:52", "living_room", "watching"),
    ("23:08", "bathroom", "washing"),
    ("23:18", "bedroom", "resting"),
    ("23:31", "bedroom", "sleeping"),
)
_BO: Final[Program] = (
    ("00:00", "bedroom", "sleeping"),
    ("06:20", "bathroom", "washing"),
    ("06:42", "kitchen", "eating"),
    ("07:48", AWAY, "out"),
    ("17:36", "living_room", "reading"),
    ("18:25", "kitchen", "making coffee"),
    ("18:48", "living_room", "eating"),
    ("19:20", "kitchen", "tidying"),
    ("19:42", "living_room", "with guests"),
    ("22:38", "bathroom", "washing"),
    ("22:50", "bedroom", "resting"),
    ("23:04", "bedroom", "sleeping"),
)
_CLEO: Final[Program] = (
    ("00:00", "cleo_room", "sleeping"),
    ("07:06", "bathroom", "washing"),
    ("07:24", "kitchen", "eating"),
    ("08:08", AWAY, "out"),
    ("15:18", "kitchen", "tidying"),
    ("15:30", "cleo_room", "reading"),
    ("17:10", "living_room", "watching"),
    ("18:47", "living_room", "eating"),
    ("19:22", "cleo_room", "reading"),
    ("21:20", "bathroom", "washing"),
    ("21:34", "cleo_room", "resting"),
    ("21:58", "cleo_room", "sleeping"),
)
_GUESTS: Final[Program] = (
    ("00:00", AWAY, "out"),
    ("19:40", "living_room", "with guests"),
    ("22:38", AWAY, "out"),
)
_PROGRAMS: Final = {"AK": _AK, "Bo": _BO, "Cleo": _CLEO, "guests": _GUESTS}
RESIDENTS: Final = ("AK", "Bo", "Cleo")


@dataclass(frozen=True, slots=True)
class Stay:
    """Somebody does something in a place; times are seconds from midnight."""

    who: str
    place: str
    doing: str
    start: float
    end: float


class People:
    """Everybody's day, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        """Each point of time in the programs is moved by up to four minutes."""
        random = Random(f"people {seed}")
        self.stays = [
            stay
            for who, program in _PROGRAMS.items()
            for stay in _with_errands(_stays(who, program, random), random)
        ]

    def of(self, who: str) -> list[Stay]:
        """Return somebody's stays in their order."""
        return [stay for stay in self.stays if stay.who == who]

    def spans(self, wanted: Callable[[Stay], bool]) -> list[Span]:
        """Return when at least one stay is as wanted, from midnight to midnight."""
        return merged((stay.start, stay.end) for stay in self.stays if wanted(stay))

    def truth(self) -> dict[str, list[Span]]:
        """Return when each of the questions about the day is to be answered with yes.

        A visit to the bathroom at night belongs to the sleep around it.
        """
        return {
            **{
                f"{who} asleep": self.spans(
                    lambda stay, who=who: (  # type: ignore[misc]
                        stay.who == who and stay.doing in {"sleeping", "night visit"}
                    )
                )
                for who in RESIDENTS
            },
            "anyone home": self.spans(lambda s: s.who in RESIDENTS and s.place != AWAY),
            "cooking": self.spans(lambda s: s.doing == "cooking"),
            "guests": self.spans(lambda s: s.who == "guests" and s.place != AWAY),
        }


# What a thing says of a day: when (seconds from midnight), and which state.
type Report = tuple[float, str]
type Reporter = Callable[[People, Random], Iterable[Report]]


def merged(spans: Iterable[Span], gap: float = 1.0) -> list[Span]:
    """Return spans in their order, those in one that lie less than `gap` seconds apart."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if whole and start - whole[-1][1] <= gap:
            whole[-1] = whole[-1][0], max(end, whole[-1][1])
        else:
            whole.append((start, end))
    return whole


def clock(text: str) -> float:
    """Read "HH:MM" as seconds from midnight."""
    hours, minutes = text.split(":")
    return int(hours) * HOUR + int(minutes) * MINUTE


def _stays(who: str, program: Program, random: Random) -> list[Stay]:
    starts = [
        clock(at) + (random.uniform(-2, 2) * MINUTE if at != "00:00" else 0.0)
        for at, _, _ in program
    ]
    starts = [max(starts[: number + 1]) for number in range(len(starts))]
    return [
        Stay(who, place, doing, start, end)
        for (_, place, doing), start, end in zip(program, starts, [*starts[1:], DAY], strict=True)
    ]


def _with_errands(stays: list[Stay], random: Random) -> Iterator[Stay]:
    """Send people who are up to the kitchen or the bathroom now and then."""
    for stay in stays:
        if (
            stay.doing not in {"working", "reading", "watching", "with guests"}
            or stay.who == "guests"
        ):
            yield stay
            continue
        now = stay.start
        while (begin := now + random.uniform(35, 70) * MINUTE) < stay.end - 10 * MINUTE:
            end = begin + random.uniform(2, 5) * MINUTE
            yield Stay(stay.who, stay.place, stay.doing, now, begin)
            yield Stay(stay.who, random.choice(("kitchen", "bathroom")), "errand", begin, end)
            now = end
        yield Stay(stay.who, stay.place, stay.doing, now, stay.end)
