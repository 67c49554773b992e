"""What is shown after an answer: threshold, answers in a row, and kinds that never quite agree."""

from collections.abc import Sequence
from typing import Any

import pytest
from custom_components.mlflow.reasoning.judgement import Judgement, judge
from custom_components.mlflow.reasoning.settings import Settings

from .reasoned import ASLEEP


def settings(**more: Any) -> Settings:
    return Settings.of("Asleep", ASLEEP | {"threshold": 70, "agreeing": 2} | more)


def shown(answers: Sequence[tuple[Any, float]], **more: Any) -> list[Any]:
    """What is shown after each of the answers, given with their confidence."""
    judgement, values = Judgement(), []
    for answer, confidence in answers:
        judgement = judge(settings(**more), judgement, answer, confidence)
        values.append(judgement.value)
    return values


def test_the_first_sure_answer_is_shown_at_once() -> None:
    assert shown([(True, 0.9)]) == [True]


def test_an_unsure_first_answer_is_not_shown() -> None:
    assert shown([(True, 0.69), (True, 0.7)]) == [None, True]


def test_it_flips_after_enough_sure_answers_in_a_row() -> None:
    answers = [(True, 0.9), (False, 0.9), (False, 0.9)]
    assert shown(answers) == [True, True, False]
    assert shown(answers, agreeing=1) == [True, False, False]


def test_a_row_that_is_broken_begins_anew() -> None:
    back = [(True, 0.9), (False, 0.9), (True, 0.9), (False, 0.9), (False, 0.9)]
    assert shown(back) == [True, True, True, True, False]
    unsure = [(True, 0.9), (False, 0.9), (False, 0.2), (False, 0.9), (False, 0.9)]
    assert shown(unsure) == [True, True, True, True, False]


def test_below_the_threshold_the_last_is_kept_or_it_is_unknown() -> None:
    answers = [(True, 0.9), (False, 0.2), (True, 0.9)]
    assert shown(answers, below="keep") == [True, True, True]
    assert shown(answers, below="unknown") == [True, None, True]


def test_unknown_is_no_way_around_the_answers_in_a_row() -> None:
    answers = [(True, 0.9), (False, 0.2), (False, 0.9), (False, 0.9)]
    assert shown(answers, below="unknown") == [True, None, None, False]


def test_it_waits_for_a_confirmation_only_while_something_else_is_on_its_way() -> None:
    judgement = judge(settings(), Judgement(), True, 0.9)
    assert not judgement.is_waiting
    judgement = judge(settings(), judgement, False, 0.9)
    assert judgement.is_waiting
    assert not judge(settings(), judgement, False, 0.9).is_waiting
    assert not judge(settings(), judgement, True, 0.9).is_waiting
    assert not judge(settings(), judgement, False, 0.1).is_waiting


def test_another_choice_each_time_never_flips() -> None:
    more = {"kind": "choice", "choices": [{"choice": name} for name in "abc"]}
    answers = [("a", 0.9), ("b", 0.9), ("c", 0.9), ("b", 0.9), ("b", 0.9)]
    assert shown(answers, **more) == ["a", "a", "a", "a", "b"]


@pytest.mark.parametrize(
    ("limits", "answers", "values"),
    [
        ({"minimum": 0, "maximum": 100}, [20, 24, 60, 63], [20, 24, 24, 63]),
        ({}, [100, 104, 120, 121], [100, 104, 104, 121]),
        ({}, [0, 0, 1, 1], [0, 0, 0, 1]),
    ],
)
def test_numbers_agree_when_they_are_close(
    limits: dict[str, Any], answers: list[float], values: list[float]
) -> None:
    assert shown([(answer, 0.9) for answer in answers], kind="number", **limits) == values


def test_every_sure_text_is_shown_since_no_two_are_the_same() -> None:
    answers = [("calm", 0.9), ("quite calm", 0.9), ("busy", 0.3)]
    assert shown(answers, kind="text") == ["calm", "quite calm", "quite calm"]
