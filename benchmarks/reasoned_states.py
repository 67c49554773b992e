"""The reasoned states that are measured, and how what they showed is scored against the truth."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.reasoned_servers import ENDPOINT
from demo.day.people import DAY, MINUTE, Span
from demo.day.reports import FLICKERS

_FACTS = (
    "AK and Bo share the bedroom upstairs, Cleo has a room of her own. AK often works in the office "
    "at home. Everybody's phone is on the Wi-Fi when at home."
)


# Quicker than the defaults, which are for a state that may take its time.
_INTERVALS = {"quiet": {"seconds": 20}, "at_most_every": {"minutes": 3, "seconds": 30}}


@dataclass(frozen=True, slots=True)
class Question:
    """A yes/no question about the day; `truth` is its name there."""

    name: str
    truth: str
    question: str
    evidence: tuple[str, ...]
    look_back_hours: float = 2

    def subentry(self, **settings: Any) -> dict[str, Any]:
        """Return the state as the forms store it; what is left out has the forms' default."""
        look_back = {"hours": self.look_back_hours}
        evidence = {"target": {"entity_id": list(self.evidence)}, "look_back": look_back}
        data = {
            "endpoint": ENDPOINT,
            "question": self.question,
            "facts": _FACTS,
            "kind": "yes_no",
            **_INTERVALS,
            "evidence": [evidence],
            **settings,
        }
        return {"subentry_type": "reasoned_state", "title": self.name, "data": data}


QUESTIONS = (
    Question(
        "AK asleep",
        "AK asleep",
        "Is AK asleep?",
        (
            *("binary_sensor.bedroom_motion", "binary_sensor.landing_motion"),
            *("binary_sensor.phone_ak_charging", "device_tracker.phone_ak", "light.bedroom"),
            *("binary_sensor.bedroom_door", "sensor.desk_power", "media_player.living_room_tv"),
            *("binary_sensor.bathroom_motion", "sensor.house_power"),
        ),
    ),
    Question(
        "Anyone home",
        "anyone home",
        "Is anyone home?",
        (
            *("device_tracker.phone_ak", "device_tracker.phone_bo", "device_tracker.phone_cleo"),
            *("binary_sensor.hall_motion", "binary_sensor.landing_motion"),
            *("binary_sensor.living_room_motion", "binary_sensor.kitchen_motion"),
            *("binary_sensor.cleo_room_motion", "binary_sensor.front_door", "sensor.house_power"),
        ),
    ),
    Question(
        "Cooking",
        "cooking",
        "Is someone cooking?",
        (
            *("sensor.stove_power", "binary_sensor.kitchen_motion", "binary_sensor.fridge_door"),
            *("sensor.kitchen_humidity", "sensor.kitchen_temperature", "sensor.house_power"),
            *("media_player.kitchen_radio", "binary_sensor.landing_motion"),
        ),
        1,
    ),
    Question(
        "Guests",
        "guests",
        "Are there guests?",
        (
            *("sensor.guest_wifi_clients", "binary_sensor.front_door", "light.living_room"),
            *("binary_sensor.living_room_motion", "binary_sensor.hall_motion"),
            *("binary_sensor.landing_motion", "sensor.living_room_illuminance"),
            *("device_tracker.phone_bo", "sensor.house_power"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Score:
    """How what was shown compares with the truth; minutes are those of the day.

    `latencies` has the minutes from each true flip until it was shown, for those that were; `missed`
    counts the others. `wrong_flips` went away from the truth, `while_flickering` those of them that
    came while the worn-out sensor flickered, or within ten minutes of it.
    """

    flips: int
    true_flips: int
    wrong_flips: int
    while_flickering: int
    missed: int
    minutes_right: float
    minutes_wrong: float
    minutes_unknown: float
    latencies: list[float]


def score(shown: list[tuple[float, bool | None]], truth: list[Span], until: float = DAY) -> Score:
    """Score what was shown: from when (seconds from midnight) on which value, in their order."""
    known = [(at, value) for at, value in _changes(shown) if value is not None]
    flips = known[1:]
    wrong = [at for at, value in flips if value != _is_true(truth, at)]
    edges = sorted(at for span in truth for at in span if 0 < at < until)
    latencies = [_latency(shown, truth, edge, end) for edge, end in pairwise([*edges, until])]
    right = _agreement(shown, truth, until, wanted=True)
    against = _agreement(shown, truth, until, wanted=False)
    return Score(
        flips=len(flips),
        true_flips=len(edges),
        wrong_flips=len(wrong),
        while_flickering=sum(a <= at <= b + 10 * MINUTE for at in wrong for a, b in FLICKERS),
        missed=latencies.count(None),
        minutes_right=right,
        minutes_wrong=against,
        minutes_unknown=until / MINUTE - right - against,
        latencies=[late for late in latencies if late is not None],
    )


def _changes(shown: list[tuple[float, bool | None]]) -> list[tuple[float, bool | None]]:
    """Leave out what was shown before already, and the unknown between two equal values."""
    changes: list[tuple[float, bool | None]] = []
    for at, value in shown:
        if value is not None and (not changes or changes[-1][1] != value):
            changes.append((at, value))
    return changes


def _is_true(truth: list[Span], at: float) -> bool:
    return any(start <= at < end for start, end in truth)


def _value(shown: list[tuple[float, bool | None]], at: float) -> bool | None:
    index = bisect_right(shown, at, key=lambda point: point[0])
    return shown[index - 1][1] if index else None


def _latency(
    shown: list[tuple[float, bool | None]], truth: list[Span], edge: float, end: float
) -> float | None:
    """Return the minutes from a true flip until it was shown, if that was before the next one."""
    wanted = _is_true(truth, edge)
    moments = [edge, *(at for at, _ in shown if edge < at < end)]
    return next(((at - edge) / MINUTE for at in moments if _value(shown, at) == wanted), None)


def _agreement(
    shown: list[tuple[float, bool | None]], truth: list[Span], until: float, *, wanted: bool
) -> float:
    """Return for how many minutes what was shown agreed with the truth, or did not."""
    edges = {*(at for at, _ in shown), *(at for span in truth for at in span)}
    points = sorted({0.0, until, *(at for at in edges if 0 < at < until)})
    seconds = 0.0
    for start, end in pairwise(points):
        value = _value(shown, start)
        if value is not None and (value == _is_true(truth, start)) == wanted:
            seconds += end - start
    return seconds / MINUTE
