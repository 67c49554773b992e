"""Reasoned states on a recorded day: a real home lives its morning, many times faster than life."""

import asyncio
from pathlib import Path

import pytest
from benchmarks.reasoned import Lived, lived
from benchmarks.reasoned_servers import servers
from demo.day.people import clock
from demo.day.record import record
from demo.day.things import THINGS


def test_the_day_is_the_same_for_a_seed_and_another_for_another() -> None:
    day = record(1)
    assert len(THINGS) == 40
    assert {change.entity_id for change in day.changes} == set(THINGS)
    assert len(day.changes) >= 20_000
    assert day.changes == sorted(day.changes, key=lambda change: (change.at, change.entity_id))
    assert record(1) == day
    assert record(2).truth != day.truth


def _morning(folder: Path) -> dict[str, Lived]:
    with servers(folder) as there:
        _, states = lived("ours", clock("08:00"), there)
    return states


@pytest.mark.timeout(120)
async def test_a_morning_is_understood_with_few_calls(tmp_path: Path) -> None:
    # in a thread: it waits for processes, and the test's own home watches its event loop
    states = await asyncio.to_thread(_morning, tmp_path)
    asleep, home, cooking, guests = states.values()
    for state in states.values():
        assert state.score.wrong_flips == state.score.missed == 0
        assert state.score.while_flickering == 0
        assert state.is_measured
        assert state.calls <= 8 * 60 / 6, "few of those that the intervals allow"
    assert asleep.score.flips == 1, "AK gets up once"
    assert cooking.score.flips == 2, "one breakfast is cooked"
    assert home.score.flips == guests.score.flips == 0
