"""Asks a model, through the Gateway, for the verdict on a question; each call is traced."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..coordinator import GatewayCoordinator
from ..errors import AppAnswerError, AppError, AppTimeoutError
from ..model_call import ask
from ..structure import WrongAnswerError
from ..tracing import Trace
from .confidence import measured
from .question import Answer, Question, Reading, read, said, schema_format
from .settings import Settings

type Book = Callable[[int, float | None], None]

_MOST_LIKELY: Final = 20  # as many likely tokens as OpenAI's API gives
# What an endpoint may refuse, in the order in which it is left out when the refusal does not say.
_LOGPROBS, _TEMPERATURE, _SCHEMA, _JSON = "logprobs", "temperature", "json_schema", "json_object"
_SIGNS: Final[Mapping[str, tuple[str, ...]]] = {
    _LOGPROBS: ("logprob",),
    _TEMPERATURE: ("temperature",),
    _SCHEMA: ("json_schema", "response_format", "schema", "structured"),
    _JSON: ("json_object", "response_format", "json mode"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model decided, and why.

    `answer` is by the state's kind: bool for yes/no, the name of a choice, a number or a text.
    `confidence` is from 0 to 1; `measured` from the probabilities of the answer's tokens, else
    claimed by the model. `decided_by` are entity ids, `decided_at` is UTC, `trace_id` MLflow's
    ("tr-..."), `prompt_version` has the form "name/3"; `tokens` and `cost` (US dollars; None when it
    is not known) are those of all calls that the verdict took.
    """

    answer: Answer
    confidence: float
    measured: bool
    reason: str
    decided_by: tuple[str, ...]
    decided_at: datetime
    trace_id: str
    prompt_version: str | None = None
    tokens: int = 0
    cost: float | None = None
    model: str | None = None


@dataclass(slots=True)
class _Spent:
    """What the calls of one verdict took so far."""

    book: Book
    tokens: int = 0
    cost: float | None = None

    def add(self, tokens: int, cost: float | None) -> None:
        self.book(tokens, cost)
        self.tokens += tokens
        if cost is not None:
            self.cost = (self.cost or 0) + cost


@dataclass(slots=True)
class Asker:
    """Asks the Gateway's endpoints, and remembers what each of them refuses, for as long as it runs."""

    gateway: GatewayCoordinator
    _refused: dict[str, frozenset[str]] = field(default_factory=dict)

    async def ask(
        self,
        settings: Settings,
        question: Question,
        known: Mapping[str, str],
        trace: Trace,
        book: Book,
    ) -> Verdict:
        """Return the verdict; an answer that is none is asked for once again, with the fault.

        `book` gets tokens and cost of every call. Raises AppError, and HomeAssistantError when the
        model does not answer in the form that was asked for.
        """
        spent = _Spent(book)
        trace.prompt = question.prompt
        messages = list(question.messages)
        choice, model = await self._call(settings, question, messages, trace, spent)
        try:
            reading = read(_text_of(choice), settings, known)
        except WrongAnswerError as error:
            messages += _with_fault(_text_of(choice), error)
            choice, model = await self._call(settings, question, messages, trace, spent)
            reading = _read_at_last(choice, settings, known)
        share = measured(choice.get("logprobs"), str(said(reading.answer)), question.answers)
        return Verdict(
            answer=reading.answer,
            confidence=round(reading.confidence if share is None else share, 4),
            measured=share is not None,
            reason=reading.reason,
            decided_by=reading.decided_by,
            decided_at=dt_util.utcnow(),
            trace_id=trace.mlflow_id,
            prompt_version="{}/{}".format(*question.prompt) if question.prompt else None,
            tokens=spent.tokens,
            cost=spent.cost,
            model=model,
        )

    async def _call(
        self,
        settings: Settings,
        question: Question,
        messages: list[dict[str, Any]],
        trace: Trace,
        spent: _Spent,
    ) -> tuple[dict[str, Any], str | None]:
        """Make one call, without what the endpoint refuses; return its choice and the model."""
        known = self._refused.get(settings.endpoint, frozenset())
        first: AppAnswerError | None = None
        refused = known
        while True:
            request = _request(settings.endpoint, question, messages, refused)
            try:
                answer = await self._send(request, trace, spent)
            except AppAnswerError as error:
                first = first or error
                feature = _feature_refused(error, request, question, refused)
                if feature is None:
                    raise first from None
                refused |= {feature}
            else:
                if refused != known:
                    self._refused[settings.endpoint] = refused
                return answer

    async def _send(
        self, request: dict[str, Any], trace: Trace, spent: _Spent
    ) -> tuple[dict[str, Any], str | None]:
        try:
            answer, span = await ask(self.gateway.client, request, trace)
        except AppError as error:
            if isinstance(error, AppTimeoutError) or _is_answered(error):
                spent.add(0, None)  # a model that was asked may be paid, whether or not it answers
            raise
        spent.add(span.tokens.get("total_tokens", 0), span.cost)
        return answer["choices"][0], span.attributes.get("mlflow.llm.model")


def _is_answered(error: AppError) -> bool:
    """Whether it came instead of an answer that cannot be read, and not in place of any."""
    return isinstance(error, AppAnswerError) and error.status < 400


def _request(
    endpoint: str, question: Question, messages: list[dict[str, Any]], refused: frozenset[str]
) -> dict[str, Any]:
    request: dict[str, Any] = {"model": endpoint, "messages": messages}
    if _TEMPERATURE not in refused:
        request["temperature"] = 0
    request |= question.sampling
    if question.answers and _LOGPROBS not in refused:
        request |= {"logprobs": True, "top_logprobs": _MOST_LIKELY}
    if _SCHEMA not in refused:
        request["response_format"] = schema_format(question)
    elif _JSON not in refused:
        request["response_format"] = {"type": "json_object"}
    return request


def _feature_refused(
    error: AppAnswerError,
    request: dict[str, Any],
    question: Question,
    refused: frozenset[str],
) -> str | None:
    """Return what to leave out after a refusal; None when nothing is left, or that is not why."""
    if error.status not in (400, 422):
        return None
    used = list(_used(request, question, refused))
    said_so = str((error.translation_placeholders or {}).get("message", "")).casefold()
    for feature in used:
        if any(sign in said_so for sign in _SIGNS[feature]):
            return feature
    return used[0] if used else None


def _used(request: dict[str, Any], question: Question, refused: frozenset[str]) -> Iterator[str]:
    if _LOGPROBS in request:
        yield _LOGPROBS
    if _TEMPERATURE not in refused and _TEMPERATURE not in question.sampling:
        yield _TEMPERATURE
    if "response_format" in request:
        yield _JSON if _SCHEMA in refused else _SCHEMA


def _text_of(choice: dict[str, Any]) -> str:
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    return text if isinstance(text, str) else ""


def _read_at_last(choice: dict[str, Any], settings: Settings, known: Mapping[str, str]) -> Reading:
    try:
        return read(_text_of(choice), settings, known)
    except WrongAnswerError as error:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="wrong_structure",
            translation_placeholders={"reason": str(error)},
        ) from error


def _with_fault(answer: str, error: WrongAnswerError) -> list[dict[str, Any]]:
    """Return what is said after an answer that cannot be read."""
    fault = f"That cannot be used: {error}. Answer again, with the JSON object alone."
    return [
        {"role": "assistant", "content": answer or "(nothing)"},
        {"role": "user", "content": fault},
    ]
