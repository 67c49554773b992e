"""What the home's meters measure on the day: power, climate and light, with their noise."""

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from demo.day.people import DAY, HOUR, MINUTE, People, Report, Reporter, Span, clock

SUNRISE, SUNSET = clock("08:11"), clock("16:39")


def tv_on(people: People) -> list[Span]:
    """Return when somebody watches."""
    return people.spans(lambda s: s.place == "living_room" and s.doing == "watching")


def _cooking(people: People) -> list[Span]:
    return people.truth()["cooking"]


def _within(spans: list[Span], at: float) -> float | None:
    """Return for how long one of the spans has been under way."""
    return next((at - start for start, end in spans if start <= at < end), None)


def _stove_watts(people: People, at: float) -> float:
    """An induction stove: it heats up, then its power comes and goes; nothing else has more than 3 W."""
    since = _within(_cooking(people), at - 90)
    if since is None:
        return 2.1
    return 1850.0 if since < 5 * MINUTE else (1100.0 if since % 50 < 28 else 240.0)


def _washer_watts(_: People, at: float) -> float:
    """One wash in the morning: heating, then turning, then spinning."""
    since = at - clock("09:12")
    if not 0 < since < 104 * MINUTE:
        return 0.7
    if since < 22 * MINUTE:
        return 2050.0
    return 480.0 if since > 92 * MINUTE else 90.0 + 60 * (since % 40 < 25)


def _tv_watts(people: People, at: float) -> float:
    return 105.0 if _within(tv_on(people), at) is not None else 0.6


def _desk_watts(people: People, at: float) -> float:
    working = people.spans(lambda s: s.place == "office" and s.doing == "working")
    return 96.0 if _within(working, at) is not None else 3.2


def _metered(
    watts: Callable[[People, float], float], every: float, noise: float, standby: float = 5.0
) -> Reporter:
    """Report a power that is measured `every` so many seconds; on standby the meter is quiet."""

    def report(people: People, random: Random) -> Iterator[Report]:
        now = random.uniform(0, every)
        yield 0.0, f"{watts(people, 0.0):.1f}"
        while now < DAY:
            power = watts(people, now)
            if power > standby:
                power *= 1 + random.gauss(0, noise)
            yield now, f"{power:.1f}"
            now += every

    return report


def _house_watts(people: People, at: float) -> float:
    fridge = 85.0 if at % (48 * MINUTE) < 17 * MINUTE else 0.0
    lights = 45.0 if 6.5 * HOUR < at < 8.5 * HOUR or 16.5 * HOUR < at < 23.3 * HOUR else 0.0
    own = _stove_watts(people, at) + _washer_watts(people, at) + _tv_watts(people, at)
    return 140.0 + fridge + lights + own + _desk_watts(people, at)


def _drifting(level: Callable[[People, float], float], every: float, step: float) -> Reporter:
    """Report what follows `level` slowly, in steps of the sensor's resolution."""

    def report(people: People, random: Random) -> Iterator[Report]:
        value = level(people, 0.0)
        now = random.uniform(0, every)
        yield 0.0, f"{value:.1f}"
        while now < DAY:
            value += (level(people, now) - value) * min(1.0, every / 900) + random.gauss(0, step)
            yield now, f"{round(value / step) * step:.1f}"
            now += every

    return report


def _daylight(_: People, at: float) -> float:
    if not SUNRISE < at < SUNSET:
        return 0.0
    return 14000 * math.sin(math.pi * (at - SUNRISE) / (SUNSET - SUNRISE))


def _illuminance(share: float) -> Reporter:
    def report(people: People, random: Random) -> Iterator[Report]:
        lit = people.spans(lambda s: s.place == "living_room")
        now = random.uniform(0, 30)
        yield 0.0, "0"
        while now < DAY:
            level = share * _daylight(people, now) * random.uniform(0.75, 1.0)
            if share < 1 and level < 150 and _within(lit, now) is not None:
                level += random.uniform(110, 125)
            yield now, str(round(level))
            now += 30

    return report


def _kitchen_heat(people: People, at: float) -> float:
    return 22.6 if _within(_cooking(people), at - 120) is not None else 19.8


def _kitchen_damp(people: People, at: float) -> float:
    return 66.0 if _within(_cooking(people), at - 180) is not None else 47.0


def _bathroom_damp(people: People, at: float) -> float:
    washing = people.spans(lambda s: s.doing == "washing")
    return 84.0 if _within(washing, at - 240) is not None else 52.0


def _bedroom_heat(_: People, at: float) -> float:
    return 17.4 + (1.2 if 6 * HOUR < at < 9 * HOUR or at > 21 * HOUR else 0.0)


REPORTERS: Final[dict[str, Reporter]] = {
    "sensor.stove_power": _metered(_stove_watts, 5, 0.02),
    "sensor.tv_power": _metered(_tv_watts, 10, 0.06),
    "sensor.desk_power": _metered(_desk_watts, 10, 0.08),
    "sensor.washer_power": _metered(_washer_watts, 10, 0.04),
    "sensor.house_power": _metered(_house_watts, 10, 0.03),
    "sensor.bedroom_temperature": _drifting(_bedroom_heat, 120, 0.1),
    "sensor.kitchen_temperature": _drifting(_kitchen_heat, 120, 0.1),
    "sensor.bathroom_humidity": _drifting(_bathroom_damp, 60, 0.5),
    "sensor.kitchen_humidity": _drifting(_kitchen_damp, 60, 0.5),
    "sensor.outdoor_illuminance": _illuminance(1.0),
    "sensor.living_room_illuminance": _illuminance(0.02),
}
