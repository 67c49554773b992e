"""What sensors, lights, doors and phones say of what people do, with the habits of real ones."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from random import Random
from typing import Final

from demo.day.meters import SUNRISE, SUNSET, tv_on
from demo.day.people import (
    AWAY,
    DAY,
    HOUR,
    MINUTE,
    UPSTAIRS,
    People,
    Report,
    Reporter,
    Span,
    Stay,
    clock,
    merged,
)
from demo.day.things import LIGHT_ROOMS, MOTION_ROOMS

# How often somebody's movement is seen, in times a minute.
_MOVES: Final = {
    "sleeping": 0.008,
    "resting": 0.35,
    "reading": 0.3,
    "watching": 0.3,
    "working": 0.7,
    "eating": 1.5,
    "with guests": 2.5,
    "errand": 4.0,
    "making coffee": 4.0,
    "washing": 4.0,
    "cooking": 5.0,
    "tidying": 5.0,
    "night visit": 4.0,
}
# In these times the worn-out sensor of the landing reports what is not there.
FLICKERS: Final[tuple[Span, ...]] = (
    (clock("01:30"), clock("03:20")),
    (clock("13:40"), clock("15:00")),
    (clock("20:30"), clock("21:30")),
)
FLICKERING: Final = "binary_sensor.landing_motion"


def _switched(spans: Iterable[Span], on: str = "on", off: str = "off") -> Iterator[Report]:
    """Report `on` while one of the spans is under way."""
    yield 0.0, off
    for start, end in merged(spans):
        yield max(start, 0.0), on
        yield end, off


def _motion(room: str) -> Reporter:
    def report(people: People, random: Random) -> Iterator[Report]:
        moves = list(_moves(people, room, random))
        if room == "landing":
            moves += [at for span in FLICKERS for at in _poisson(*span, 12, random)]
            # worn out: it forgets its cool-down too
            holds: Span = (1.0, 5.0)
        else:
            holds = (25.0, 45.0)
        yield from _switched((at, at + random.uniform(*holds)) for at in sorted(moves))

    return report


def _moves(people: People, room: str, random: Random) -> Iterator[float]:
    for stay in people.stays:
        if stay.place == room:
            yield stay.start
            yield from _poisson(stay.start, stay.end, _MOVES.get(stay.doing, 1.0), random)
    for before, after in _walks(people):
        if room == "hall" and AWAY in {before.place, after.place}:
            yield from (after.start - 20, after.start - 5)
        if room in {"hall", "landing"} and _is_up(before) != _is_up(after):
            yield after.start - 8
        elif room == "landing" and _is_up(before):
            yield after.start - 4


def _walks(people: People) -> Iterator[tuple[Stay, Stay]]:
    for who in dict.fromkeys(stay.who for stay in people.stays):
        stays = people.of(who)
        for before, after in pairwise(stays):
            if before.place != after.place:
                yield before, after


def _is_up(stay: Stay) -> bool:
    return stay.place in UPSTAIRS


def _poisson(start: float, end: float, per_minute: float, random: Random) -> Iterator[float]:
    now = start
    while (now := now + random.expovariate(per_minute / MINUTE)) < end:
        yield now


def _light(room: str) -> Reporter:
    def report(people: People, random: Random) -> Iterator[Report]:
        if room == "hall":
            used = [(after.start - 20, after.start + 60) for after in _comings_and_goings(people)]
        else:
            used = [
                # left on for a while, or turned off at the door
                (stay.start + random.uniform(1, 6), stay.end + random.uniform(-30, 90))
                for stay in people.stays
                if stay.place == room and stay.doing != "sleeping"
            ]
        yield from _switched(span for span in used if _is_dark(room, span[0]))

    return report


def _is_dark(room: str, at: float) -> bool:
    if room == "bedroom":  # a nap is taken behind curtains
        return not 9 * HOUR < at < 21 * HOUR
    no_window = room == "bathroom"
    return no_window or not SUNRISE + 20 * MINUTE < at < SUNSET - 20 * MINUTE


def _comings_and_goings(people: People) -> list[Stay]:
    """Return what begins at the front door, and what ends there."""
    return [after for before, after in _walks(people) if AWAY in {before.place, after.place}]


def _front_door(people: People, random: Random) -> Iterator[Report]:
    yield from _switched(
        (after.start - 12, after.start + random.uniform(-6, 8))
        for after in _comings_and_goings(people)
    )


def _back_door(people: People, random: Random) -> Iterator[Report]:
    """Who tidies takes the bin out."""
    tidying = [s.start for s in people.stays if s.doing == "tidying"]
    yield from _switched((at + 60, at + random.uniform(80, 140)) for at in tidying)


def _bedroom_door(people: People, random: Random) -> Iterator[Report]:
    """Shut while somebody lies in bed, except when one comes or goes; `on` is open."""
    abed = people.spans(lambda s: s.place == "bedroom" and s.doing in {"sleeping", "resting"})
    ends = [0.0, *(at for span in abed for at in span), DAY]
    opened = list(zip(ends[::2], ends[1::2], strict=True))
    walks = [after.start for pair in _walks(people) for after in pair[1:] if _of_bedroom(pair)]
    yield from _switched([*opened, *((at - 4, at + random.uniform(2, 8)) for at in walks)])


def _of_bedroom(walk: tuple[Stay, Stay]) -> bool:
    return "bedroom" in {stay.place for stay in walk}


def _fridge(people: People, random: Random) -> Iterator[Report]:
    rates = {"cooking": 0.3, "eating": 0.08, "errand": 0.25, "tidying": 0.3, "making coffee": 0.2}
    opened = [
        at
        for stay in people.stays
        if stay.place == "kitchen"
        for at in _poisson(stay.start, stay.end, rates[stay.doing], random)
    ]
    yield from _switched((at, at + random.uniform(4, 25)) for at in sorted(opened))


def _window(people: People, _: Random) -> Iterator[Report]:
    """Open for fresh air when everybody is up."""
    up = next(s.start for s in people.of("AK") if s.doing == "washing")
    yield from _switched([(up, up + 25 * MINUTE)])


def _charging(who: str) -> Reporter:
    def report(people: People, random: Random) -> Iterator[Report]:
        in_bed = merged(
            (
                (s.start + random.uniform(60, 300), s.end + random.uniform(-60, 60))
                for s in people.of(who)
                if s.place == "bedroom" or s.doing == "night visit"
            ),
            gap=10 * MINUTE,
        )
        spans = [(0.0 if start < 10 * MINUTE else start, end) for start, end in in_bed]
        if who == "AK":  # at the desk, too: a phone that charges does not yet mean sleep
            spans.append((clock("10:55"), clock("11:50")))
        yield from _switched(spans)

    return report


def _tracker(who: str) -> Reporter:
    def report(people: People, random: Random) -> Iterator[Report]:
        away = people.spans(lambda s: s.who == who and s.place == AWAY)
        # the router notices late that a phone has gone, and early that it has come
        gone = [(a + random.uniform(120, 240), b - random.uniform(0, 30)) for a, b in away]
        if who == "AK":  # phones that sleep lose the Wi-Fi
            gone.append((clock("04:20"), clock("04:27")))
        if who == "Cleo":
            gone.append((clock("16:05"), clock("16:11")))
        yield from _switched(gone, on="not_home", off="home")

    return report


def _guest_wifi(people: People, random: Random) -> Iterator[Report]:
    yield 0.0, "0"
    for start, end in people.truth()["guests"]:
        yield start + random.uniform(60, 200), "1"
        yield start + random.uniform(220, 500), "2"
        yield end + random.uniform(-40, 20), "1"
        yield end + random.uniform(40, 200), "0"


def _battery(people: People, random: Random) -> Iterator[Report]:
    level = 96.0
    charging = list(_charging("AK")(people, random))
    now = 0.0
    while now < DAY:
        on = [state for at, state in charging if at <= now][-1] == "on"
        level = min(100.0, level + 1.1) if on else max(15.0, level - 0.14)
        yield now, str(round(level))
        now += 2 * MINUTE


def _tv(people: People, _: Random) -> Iterator[Report]:
    yield from _switched(tv_on(people), on="playing")


def _radio(people: People, _: Random) -> Iterator[Report]:
    kitchen = people.spans(lambda s: s.place == "kitchen" and s.doing in {"cooking", "eating"})
    yield from _switched(kitchen, on="playing", off="idle")


REPORTERS: Final[dict[str, Reporter]] = {
    **{f"binary_sensor.{room}_motion": _motion(room) for room in MOTION_ROOMS},
    "binary_sensor.front_door": _front_door,
    "binary_sensor.back_door": _back_door,
    "binary_sensor.bedroom_door": _bedroom_door,
    "binary_sensor.fridge_door": _fridge,
    "binary_sensor.bedroom_window": _window,
    "binary_sensor.phone_ak_charging": _charging("AK"),
    "binary_sensor.phone_bo_charging": _charging("Bo"),
    **{f"light.{room}": _light(room) for room in LIGHT_ROOMS},
    **{f"device_tracker.phone_{who.lower()}": _tracker(who) for who in ("AK", "Bo", "Cleo")},
    "media_player.living_room_tv": _tv,
    "media_player.kitchen_radio": _radio,
    "sensor.guest_wifi_clients": _guest_wifi,
    "sensor.phone_ak_battery": _battery,
}
