"""Words the question to the model, and reads its answer.

What stays the same stands in the system message, what changes in the user's message after it, the
clock at the very end: so a provider's prefix cache holds as far as possible.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..instructions import Instructions
from ..structure import WrongAnswerError, json_schema_format
from .settings import Kind, Settings

type Answer = bool | str | float

YES, NO = "yes", "no"
# Home Assistant's states are not longer.
_LONGEST_TEXT = 255

_ROLE = """\
You decide one thing about a home, from what its sensors and devices show: "{name}".
Judge by the evidence and the facts alone. What is unavailable or unknown says nothing. Sensors err: weigh them \
against each other, and mind how long things have been so and what time it is."""
_FIELDS = """\
Answer with a JSON object of these members, in this order:
"answer": {answer}
"confidence": how likely your answer is right, from 0 (a guess) to 1 (certain), by the evidence
"reason": one or two short sentences that tell somebody in the home why, in the language "{language}"
"decided_by": the entity ids of the evidence that decided, the weightiest first, at most five"""
_MOST_DECIDING: Final = 5


@dataclass(frozen=True, slots=True)
class Example:
    """A correction as the model is shown it."""

    evidence: str
    answer: Answer
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: OpenAI messages, the schema of the answer, and what else a prompt sets.

    `answers` are those that are allowed, as they stand in the answer's JSON; none: any.
    """

    messages: tuple[dict[str, Any], ...]
    schema: Mapping[str, Any]
    answers: tuple[str, ...]
    sampling: Mapping[str, Any] = field(default_factory=dict)
    prompt: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A model's answer, read; `word` is the answer as it stood there."""

    answer: Answer
    word: str
    confidence: float
    reason: str
    decided_by: tuple[str, ...]


def choices_of(settings: Settings) -> str:
    """Return the choices with what they mean, a line each."""
    return "\n".join(
        f"- {choice.name}: {choice.meaning}" if choice.meaning else f"- {choice.name}"
        for choice in settings.choices
    )


def word(
    settings: Settings,
    evidence: str,
    examples: Sequence[Example],
    instructions: Instructions | None,
    language: str,
) -> Question:
    """Word the question; `instructions` are those of a registry's prompt, where one is used."""
    parts = [_ROLE.format(name=settings.name)]
    if instructions is None:
        parts.append(f"Question: {settings.question}")
        if settings.facts:
            parts.append(f"Facts about this home:\n{settings.facts}")
    told = instructions.examples if instructions else ()
    texts = [instructions.system if instructions else "", *(str(m["content"]) for m in told)]
    shown = evidence.strip()
    has_evidence = any(shown in text for text in texts)
    if instructions and not (has_evidence and not told):
        parts.append(instructions.system)
    fields = _FIELDS.format(answer=_answer_in_words(settings), language=language)
    parts += [fields, *([_told(examples)] if examples else [])]
    messages = [{"role": "system", "content": "\n\n".join(part for part in parts if part)}]
    if instructions and has_evidence and not told:
        # a prompt that is one text with the evidence in it changes all the time
        messages.append({"role": "user", "content": instructions.system})
    messages += told
    if not has_evidence:
        messages.append({"role": "user", "content": f"Evidence:\n{evidence}"})
    elif messages[-1]["role"] != "user":
        messages.append({"role": "user", "content": "Decide now."})
    return Question(
        tuple(messages),
        _schema(settings),
        _answers(settings),
        instructions.settings if instructions else {},
        instructions.version if instructions else None,
    )


def schema_format(question: Question) -> dict[str, Any]:
    """Return the `response_format` for the answer's strict schema."""
    return json_schema_format("verdict", dict(question.schema))


def read(text: str, settings: Settings, known: Mapping[str, str]) -> Reading:
    """Read an answer; `known` has the entity ids of the evidence, and by their names too.

    Raises WrongAnswerError, which says what is wrong.
    """
    data = _object_in(text)
    confidence = _number(data.get("confidence"), "confidence")
    if 1 < confidence <= 100:
        confidence /= 100
    if not 0 <= confidence <= 1:
        raise WrongAnswerError(f"confidence is {confidence:g}, and not from 0 to 1")
    word_of_it = data.get("answer")
    deciding = data.get("decided_by")
    named = deciding if isinstance(deciding, list) else [deciding]
    ids = [known[key] for name in named if (key := str(name).casefold()) in known]
    return Reading(
        answer=_answer(word_of_it, settings),
        word=word_of_it if isinstance(word_of_it, str) else json.dumps(word_of_it),
        confidence=confidence,
        reason=str(data.get("reason") or "").strip(),
        decided_by=tuple(dict.fromkeys(ids))[:_MOST_DECIDING],
    )


def said(answer: Answer) -> Any:
    """Return an answer as the model says it."""
    if isinstance(answer, bool):
        return YES if answer else NO
    return answer


def _told(examples: Sequence[Example]) -> str:
    """Tell of corrections; the evidence of then is set apart from that of now."""
    texts = []
    for example in examples:
        comment = f"\nBecause: {example.comment}" if example.comment else ""
        right = json.dumps(said(example.answer), ensure_ascii=False)
        texts.append(f"<evidence>\n{example.evidence}\n</evidence>\nRight answer: {right}{comment}")
    return "\n\n".join(("Someone in the home has told what was right on earlier evidence:", *texts))


def _answers(settings: Settings) -> tuple[str, ...]:
    match settings.kind:
        case Kind.YES_NO:
            return (YES, NO)
        case Kind.CHOICE:
            return tuple(choice.name for choice in settings.choices)
    return ()


def _schema(settings: Settings) -> dict[str, Any]:
    answer: dict[str, Any] = {"type": "number" if settings.kind is Kind.NUMBER else "string"}
    if answers := _answers(settings):
        answer["enum"] = list(answers)
    properties = {
        "answer": answer,
        "confidence": {"type": "number"},
        "reason": {"type": "string"},
        "decided_by": {"type": "array", "items": {"type": "string"}},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _answer_in_words(settings: Settings) -> str:
    match settings.kind:
        case Kind.YES_NO:
            return f'"{YES}" or "{NO}"'
        case Kind.CHOICE:
            return f"the name of one of these choices, exactly:\n{choices_of(settings)}"
        case Kind.TEXT:
            return f"a short text of at most {_LONGEST_TEXT} characters"
    unit = f" in {settings.unit}" if settings.unit else ""
    least, most = settings.minimum, settings.maximum
    limits = [f"at least {least:g}"] if least is not None else []
    limits += [f"at most {most:g}"] if most is not None else []
    return ", ".join((f"a number{unit}", *limits))


def _object_in(text: str) -> dict[str, Any]:
    """Find the JSON object, whatever stands around it."""
    begin, end = text.find("{"), text.rfind("}")
    try:
        data = json.loads(text[begin : end + 1])
    except ValueError as error:
        raise WrongAnswerError("it is not a JSON object") from error
    if not isinstance(data, dict):
        raise WrongAnswerError("it is not a JSON object")
    return data


def _answer(value: Any, settings: Settings) -> Answer:
    match settings.kind:
        case Kind.YES_NO:
            if isinstance(value, bool):
                return value
            if (name := str(value).strip().casefold()) in (YES, NO):
                return name == YES
            raise WrongAnswerError(f'answer is neither "{YES}" nor "{NO}"')
        case Kind.CHOICE:
            names = {choice.name.casefold(): choice.name for choice in settings.choices}
            if (name := str(value).strip().casefold()) in names:
                return names[name]
            raise WrongAnswerError(f"answer is none of {', '.join(names.values())}")
        case Kind.TEXT:
            if isinstance(value, str) and value.strip():
                return value.strip()[:_LONGEST_TEXT]
            raise WrongAnswerError("answer is not a text")
    number = _number(value, "answer")
    if settings.minimum is not None and number < settings.minimum:
        raise WrongAnswerError(f"answer is below {settings.minimum:g}")
    if settings.maximum is not None and number > settings.maximum:
        raise WrongAnswerError(f"answer is above {settings.maximum:g}")
    return number


def _number(value: Any, name: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError) as error:
        raise WrongAnswerError(f"{name} is not a number") from error
    if not math.isfinite(number):
        raise WrongAnswerError(f"{name} is not a number")
    return number
