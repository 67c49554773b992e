"""When a state looks at its evidence: pure times, in seconds."""

from typing import Any

import pytest
from custom_components.mlflow.reasoning.schedule import Schedule


def schedule(**more: Any) -> Schedule:
    return Schedule(**({"quiet": 30, "at_most_every": 300, "at_least_every": 0} | more))


def test_without_a_change_there_is_nothing_to_do() -> None:
    assert schedule().due() is None


def test_after_a_change_it_waits_for_quiet() -> None:
    times = schedule()
    assert times.change(1000)
    assert times.due() == 1030
    assert not times.change(1020)
    assert times.due() == 1050


def test_changes_without_end_do_not_put_it_off_for_ever() -> None:
    times = schedule(at_most_every=60)
    for now in range(1000, 1600, 10):
        times.change(now)
    assert times.due() == 1000 + 4 * 30
    times = schedule(at_most_every=3600)
    for now in range(1000, 9000, 10):
        times.change(now)
    assert times.due() == 1000 + 3600


def test_it_is_not_called_more_often_than_it_may() -> None:
    times = schedule()
    times.call(1000)
    times.change(1010)
    assert times.due() == 1300


def test_a_look_takes_all_changes_until_then() -> None:
    times = schedule()
    times.change(1000)
    times.look(1030)
    assert times.due() is None
    assert times.change(1031)


def test_looks_are_not_made_all_the_time_even_if_every_interval_is_nothing() -> None:
    times = schedule(quiet=0, at_most_every=0)
    times.look(1000)
    times.change(1000.001)
    assert times.due() == 1001


def test_a_confirmation_comes_as_soon_as_it_may() -> None:
    times = schedule()
    times.call(1000)
    times.look(1000)
    times.is_confirming = True
    assert times.due() == 1150, "half of the interval"


def test_time_itself_is_looked_at_now_and_then() -> None:
    times = schedule(at_least_every=3600, timed=1000)
    assert times.due() == 4600
    assert not times.is_time(4599)
    assert times.is_time(4600)
    times.succeed(2000)
    assert times.due() == 5600


def test_failures_are_tried_again_after_pauses_that_grow() -> None:
    times = schedule()
    pauses = []
    now = 1000.0
    for _ in range(7):
        times.call(now - 300)
        times.fail(now)
        due = times.due()
        assert due is not None
        pauses.append(due - now)
        now = due
        times.look(now)
    assert pauses == [30, 60, 120, 240, 480, 900, 900]
    times.succeed(now)
    times.fail(now)
    assert times.due() == now + 30


def test_a_provider_that_says_when_to_come_again_is_obeyed() -> None:
    times = schedule()
    times.fail(1000, retry_after=100)
    assert times.due() == 1100


def test_what_is_gone_is_not_waited_for() -> None:
    times = schedule()
    times.look(1000)
    times.fail(1000)
    times.unblock()
    assert times.due() == pytest.approx(1001)


def test_a_condition_is_looked_at_again_and_again_and_shows_no_time() -> None:
    times = schedule()
    times.change(1000)
    times.look(1030)
    times.wait_for_condition(1030)
    assert times.due() == 1060
    assert times.earliest == 0


def test_time_decides_sooner_after_an_unsure_answer() -> None:
    times = schedule(at_least_every=3600, timed=1000)
    times.is_unsure = True
    assert times.due() == 1300
    assert times.is_time(1300)
    times = schedule(timed=1000)
    times.is_unsure = True
    assert times.due() is None, "where time never counts, it does not now"
