"""Measures reasoned states: on a recorded day, beside a naive version, and in a storm of changes.

Prints the figures as JSON. Run by `./scripts/bench reasoned` with an environment that has Home
Assistant.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.home import figure
from benchmarks.reasoned_servers import MODEL, Price, Servers, servers
from benchmarks.reasoned_states import QUESTIONS, Question, Score, score
from demo.day.people import DAY
from demo.day.record import record

STORM_SECONDS = 60
FEWER = 50
# "The same accuracy" as naive: of the day, at most so much more is shown wrong.
SAME = 0.01


@dataclass(frozen=True, slots=True)
class Lived:
    """What a state did on the day; `cost` in US cents.

    `is_measured`: no confidence was only claimed by the model.
    """

    calls: int
    tokens: int
    cost: float
    score: Score
    is_measured: bool


def lived(kind: str, until: float, there: Servers) -> tuple[float, dict[str, Lived]]:
    """Live the day in a process of its own; returns how much faster than life it was."""
    told = _child("reasoned_day", kind, str(until), there)
    truth, price = record().truth, Price.of_model()
    states = {}
    for question in QUESTIONS:
        kept = told["states"][question.name]
        states[question.name] = Lived(
            calls=kept["calls"],
            tokens=kept["sent"] + kept["made"],
            cost=100 * price.of(kept["sent"], kept["made"]),
            score=score([(at, value) for at, value in kept["shown"]], truth[question.truth], until),
            is_measured=kept["is_measured"],
        )
    return until / told["seconds"], states


def _child(module: str, kind: str, argument: str, there: Servers) -> dict[str, Any]:
    command = [sys.executable, "-m", f"benchmarks.{module}", kind, argument]
    done = subprocess.run(
        [*command, there.gateway, there.tracking], stdout=subprocess.PIPE, check=True, timeout=300
    )
    return dict(json.loads(done.stdout))


def _of_state(question: Question, ours: Lived, naive: Lived) -> dict[str, Any]:
    """Return the figures of one state."""
    mine, other = ours.score, naive.score
    share, naive_share = _share(mine), _share(other)
    figures = {
        "calls a day": figure("calls", ours.calls, naive.calls / FEWER, {"naive": naive.calls}),
        "tokens a day": figure(
            "tokens", ours.tokens, naive.tokens / FEWER, {"naive": naive.tokens}
        ),
        "cost a day": figure(
            f"US cents, {MODEL}", ours.cost, naive.cost / FEWER, {"naive": naive.cost}
        ),
        "shown right": figure(
            "% of the day",
            share,
            naive_share - 100 * SAME,
            {"naive": naive_share},
            higher_is_better=True,
        ),
        "flips": figure(
            "flips", mine.flips, mine.true_flips, {"naive": other.flips, "truth": mine.true_flips}
        ),
        "wrong flips": figure("flips", mine.wrong_flips, 0, {"naive": other.wrong_flips}),
        "flips missed": figure("flips", mine.missed, 0, {"naive": other.missed}),
        "latency of a flip, p50": figure("min", _median(mine), 2 * 5, {"naive": _median(other)}),
    }
    return {f"{question.name}: {name}": value for name, value in figures.items()}


def _right(states: dict[str, Lived]) -> float:
    """Return the share of the day in which what is shown is right, over all states, in %."""
    return statistics.mean(_share(one.score) for one in states.values())


def _share(one: Score) -> float:
    whole = one.minutes_right + one.minutes_wrong + one.minutes_unknown
    return 100 * one.minutes_right / whole


def _median(one: Score) -> float:
    return statistics.median(one.latencies) if one.latencies else float("inf")


def _of_day(there: Servers) -> dict[str, Any]:
    faster, ours = lived("ours", DAY, there)
    _, naive = lived("naive", DAY, there)
    fewer = sum(n.calls for n in naive.values()) / sum(n.calls for n in ours.values())
    flickers = [sum(n.score.while_flickering for n in kind.values()) for kind in (ours, naive)]
    figures = {
        "replay": figure("times as fast as life", faster, 1000, higher_is_better=True),
        "calls, all states": figure("times fewer than naive", fewer, FEWER, higher_is_better=True),
        "shown right, all states": figure(
            "% of the day",
            _right(ours),
            _right(naive) - 100 * SAME,
            {"naive": _right(naive)},
            higher_is_better=True,
        ),
        "wrong flips while a sensor flickers": figure(
            "flips", flickers[0], 0, {"naive": flickers[1]}
        ),
    }
    for question in QUESTIONS:
        figures |= _of_state(question, ours[question.name], naive[question.name])
    return figures


def _of_storm(there: Servers) -> dict[str, Any]:
    ours = _child("reasoned_storm", "with", str(STORM_SECONDS), there)
    bare = _child("reasoned_storm", "without", str(STORM_SECONDS), there)
    print(f"storm: the longest step of ours was {ours['slowest']}", file=sys.stderr)
    walls = {
        "wall": ours["ours_wall"],
        "wall of all": ours["all_wall"],
        "wall of all without": bare["all_wall"],
    }
    milliseconds = {name: 1000 * seconds for name, seconds in walls.items()}
    growth, warm_up = (ours[key] - bare[key] for key in ("growth", "warm_up_growth"))
    return {
        "storm: calls of 20 states": figure("calls", ours["calls"], ours["allowed"]),
        "storm: state changes": figure(
            "a second", ours["changes"] / STORM_SECONDS, 999, higher_is_better=True
        ),
        "storm: shortest pause between two calls of a state": figure(
            "s", ours["shortest_pause"], ours["shortest"], higher_is_better=True
        ),
        "storm: longest step of the event loop by us": figure(
            "ms", 1000 * ours["ours"], 10, milliseconds
        ),
        "storm: added by us to a state change, p50": figure(
            "µs", 1e6 * (ours["cost"] - bare["cost"]), 10
        ),
        "storm: memory growth by us": figure("MB", growth, 2, {"in the warm-up": warm_up}),
    }


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as there:
        print(json.dumps(_of_day(there) | _of_storm(there)))


if __name__ == "__main__":
    main()
