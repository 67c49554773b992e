"""The question as the model gets it, its answer read, and a confidence measured by its tokens."""

import json
from dataclasses import replace
from typing import Any

import pytest
from custom_components.mlflow.instructions import Instructions
from custom_components.mlflow.reasoning.confidence import measured
from custom_components.mlflow.reasoning.question import Example, Question, Reading, read, word
from custom_components.mlflow.reasoning.settings import Settings
from custom_components.mlflow.structure import WrongAnswerError

from .reasoned import ASLEEP, tokens

YES_NO = Settings.of("Asleep", ASLEEP | {"facts": "AK works at night on Mondays."})
CHOICE = Settings.of(
    "Mode",
    ASLEEP
    | {
        "kind": "choice",
        "choices": [{"choice": "work", "meaning": "somebody works"}, {"choice": "Workout"}],
    },
)
NUMBER = Settings.of(
    "Guests", ASLEEP | {"kind": "number", "minimum": 0, "maximum": 20, "unit": "people"}
)
TEXT = Settings.of("Mood", ASLEEP | {"kind": "text"})
EVIDENCE = '- binary_sensor.bed "Bed": detected since 22:00\nIt is now Friday 2026-11-20 23:00.'
KNOWN = {"binary_sensor.bed": "binary_sensor.bed", "bed": "binary_sensor.bed"}


def asked(
    settings: Settings = YES_NO,
    examples: list[Example] | None = None,
    instructions: Instructions | None = None,
    evidence: str = EVIDENCE,
) -> Question:
    return word(settings, evidence, examples or [], instructions, "nl")


class TestQuestion:
    def test_what_stays_the_same_comes_first_and_the_evidence_last(self) -> None:
        system, user = asked().messages
        assert system["role"] == "system"
        assert "Is AK asleep?" in system["content"]
        assert "AK works at night on Mondays." in system["content"]
        assert user == {"role": "user", "content": f"Evidence:\n{EVIDENCE}"}
        assert asked(evidence="other").messages[0] == system

    def test_the_reason_is_wanted_in_the_home_s_language(self) -> None:
        assert 'in the language "nl"' in asked().messages[0]["content"]

    def test_the_schema_has_the_answer_first(self) -> None:
        schema = asked().schema
        assert list(schema["properties"]) == ["answer", "confidence", "reason", "decided_by"]
        assert schema["properties"]["answer"] == {"type": "string", "enum": ["yes", "no"]}

    def test_choices_come_with_what_they_mean(self) -> None:
        question = asked(CHOICE)
        assert "- work: somebody works\n- Workout" in question.messages[0]["content"]
        assert question.schema["properties"]["answer"]["enum"] == ["work", "Workout"]

    def test_a_number_has_unit_and_range(self) -> None:
        question = asked(NUMBER)
        expected = '"answer": a number in people, at least 0, at most 20'
        assert expected in question.messages[0]["content"]
        assert question.schema["properties"]["answer"] == {"type": "number"}
        assert question.answers == ()

    def test_corrections_are_shown_with_their_evidence(self) -> None:
        examples = [Example("- light.hall: off", answer=False, comment="I was reading")]
        system = asked(examples=examples).messages[0]["content"]
        assert "- light.hall: off" in system
        assert 'Right answer: "no"\nBecause: I was reading' in system


class TestPromptOfTheRegistry:
    def test_it_takes_the_place_of_question_and_facts(self) -> None:
        instructions = Instructions("Decide whether AK sleeps.", version=("asleep", 3))
        question = asked(replace(YES_NO, question=""), instructions=instructions)
        system, user = question.messages
        assert "Decide whether AK sleeps." in system["content"]
        assert "AK works at night" not in system["content"]
        assert user["content"] == f"Evidence:\n{EVIDENCE}"
        assert question.prompt == ("asleep", 3)

    def test_one_with_the_evidence_in_it_comes_after_what_stays_the_same(self) -> None:
        instructions = Instructions(f"Does AK sleep? {EVIDENCE}", version=("asleep", 3))
        system, user = asked(instructions=instructions).messages
        assert EVIDENCE not in system["content"]
        assert user == {"role": "user", "content": f"Does AK sleep? {EVIDENCE}"}

    def test_a_chat_prompt_keeps_its_messages(self) -> None:
        told = ({"role": "user", "content": f"Now: {EVIDENCE}"},)
        instructions = Instructions("You judge.", told, {"top_p": 0.5}, ("asleep", 3))
        question = asked(instructions=instructions)
        system, user = question.messages
        assert "You judge." in system["content"]
        assert user == told[0]
        assert question.sampling == {"top_p": 0.5}

    def test_a_chat_prompt_that_ends_with_an_answer_is_asked_all_the_same(self) -> None:
        told = ({"role": "assistant", "content": f"I see {EVIDENCE}"},)
        question = asked(instructions=Instructions("You judge.", told, {}, ("asleep", 3)))
        assert question.messages[-1]["role"] == "user"


def answer(value: Any, **more: Any) -> str:
    members = {"confidence": 0.8, "reason": "So it is.", "decided_by": ["binary_sensor.bed"]}
    return json.dumps({"answer": value} | members | more)


def reading(text: str, settings: Settings = YES_NO) -> Reading:
    return read(text, settings, KNOWN)


class TestReading:
    @pytest.mark.parametrize(
        ("settings", "said", "meant"),
        [
            (YES_NO, "yes", True),
            (YES_NO, " No", False),
            (YES_NO, True, True),
            (CHOICE, "workout", "Workout"),
            (NUMBER, 3, 3.0),
            (NUMBER, "4.5", 4.5),
            (TEXT, " calm ", "calm"),
        ],
    )
    def test_an_answer_of_each_kind(self, settings: Settings, said: Any, meant: Any) -> None:
        assert reading(answer(said), settings).answer == meant

    def test_what_stands_around_the_object_is_left_out(self) -> None:
        text = f"<think>hm</think>\n```json\n{answer('yes')}\n```"
        assert reading(text).answer is True

    def test_what_decided_is_known_by_id_or_name_and_nothing_else(self) -> None:
        text = answer("yes", decided_by=["Bed", "binary_sensor.bed", "sensor.invented"])
        assert reading(text).decided_by == ("binary_sensor.bed",)

    def test_a_percentage_is_a_confidence(self) -> None:
        assert reading(answer("yes", confidence=85)).confidence == 0.85

    @pytest.mark.parametrize(
        ("settings", "text", "fault"),
        [
            (YES_NO, "I think so.", "it is not a JSON object"),
            (YES_NO, "", "it is not a JSON object"),
            (YES_NO, '{"answer": [}', "it is not a JSON object"),
            (YES_NO, answer("maybe"), 'answer is neither "yes" nor "no"'),
            (YES_NO, answer("yes", confidence="high"), "confidence is not a number"),
            (YES_NO, answer("yes", confidence=-1), "confidence is -1, and not from 0 to 1"),
            (YES_NO, answer("yes", confidence=None), "confidence is not a number"),
            (CHOICE, answer("play"), "answer is none of work, Workout"),
            (NUMBER, answer(21), "answer is above 20"),
            (NUMBER, answer(-1), "answer is below 0"),
            (NUMBER, answer("many"), "answer is not a number"),
            (NUMBER, answer(True), "answer is not a number"),
            (TEXT, answer("  "), "answer is not a text"),
        ],
    )
    def test_what_is_no_answer_is_said_to_be_none(
        self, settings: Settings, text: str, fault: str
    ) -> None:
        with pytest.raises(WrongAnswerError, match=f"^{fault}"):
            reading(text, settings)


BEGIN = ('{"answer":', {'{"answer":': 1.0})
YES, NO = ["yes", "no"], ["no", "yes"]


class TestConfidence:
    def test_the_shares_of_the_answer_s_token_are_the_measure(self) -> None:
        likely = {"yes": 0.9, "no": 0.09, "maybe": 0.01}
        found = measured(tokens(BEGIN, ('"', {'"': 1.0}), ("yes", likely)), "yes", YES)
        assert found == pytest.approx(0.9 / 0.99)

    def test_tokens_that_hold_more_than_the_answer(self) -> None:
        likely = {'":"yes"': 0.6, '":"no"': 0.3, '":"no",': 0.1}
        found = measured(tokens(('{"answer', {'{"answer': 1.0}), ('":"yes"', likely)), "yes", YES)
        assert found == pytest.approx(0.6)

    def test_an_answer_in_pieces_is_followed_to_where_it_is_clear(self) -> None:
        answers = ["work", "Workout"]
        found = measured(
            tokens(
                BEGIN,
                (' "', {' "': 1.0}),
                ("work", {"work": 0.8, "Workout": 0.2}),
                ('"', {'"': 0.75, "out": 0.25}),
            ),
            "work",
            answers,
        )
        # "work" is 0.8 x 0.75; "Workout" whole 0.2, and 0.8 x 0.25 in pieces
        assert found == pytest.approx(0.6)

    def test_different_spellings_of_an_answer_are_one(self) -> None:
        likely = {"yes": 0.5, "Yes": 0.2, "y": 0.1, "no": 0.2}
        found = measured(tokens(BEGIN, (' "', {' "': 1.0}), ("yes", likely)), "yes", YES)
        assert found == pytest.approx(0.8)

    @pytest.mark.parametrize(
        "logprobs",
        [
            None,
            {},
            {"content": None},
            {"content": []},
            {"content": [{"token": "yes"}]},
            tokens(("yes", {"yes": 1.0})),
            tokens(BEGIN, (' "', {' "': 1.0})),
            tokens(BEGIN, (' "', {' "': 1.0}), ("yes", {"yes": 0.2, "perhaps": 0.8})),
        ],
    )
    def test_what_cannot_be_told_is_not_measured(self, logprobs: Any) -> None:
        assert measured(logprobs, "yes", YES) is None

    def test_an_answer_of_any_kind_is_not_measured(self) -> None:
        assert measured(tokens(BEGIN, (" 3", {" 3": 1.0})), "3", ()) is None
