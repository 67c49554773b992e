"""Measures how likely a model finds each answer to a question.

Where the endpoint gives the probabilities of the first token, they are the measure; where it does
not, the model is asked to state probabilities. Used by AI Task's evaluation.
"""

import json
import math
import string
from dataclasses import dataclass
from typing import Any

from homeassistant.exceptions import HomeAssistantError

from .const import DOMAIN
from .errors import AppAnswerError
from .gateway import GatewayClient
from .model_call import ask
from .structure import json_schema_format
from .tracing import Trace

# Below this share of the first token's probability the labels are not what the model meant to say.
_MEANT = 0.5
_MOST_LABELS = 20  # as many likely tokens as OpenAI's API gives


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the answers to choose from, each with what it means."""

    text: str
    answers: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Measure:
    """Asks one endpoint; `evidence` is OpenAI message content (text, or parts with pictures)."""

    client: GatewayClient
    endpoint: str
    evidence: str | list[dict[str, Any]]
    trace: Trace

    async def probabilities(self, question: Question) -> dict[str, float]:
        """Return the probability of each answer; they add up to 1.

        Raises AppError, and HomeAssistantError when the model gives none.
        """
        if len(question.answers) <= _MOST_LABELS:
            measured = await self._measured(question)
            if measured is not None:
                return measured
        return await self._stated(question)

    async def _measured(self, question: Question) -> dict[str, float] | None:
        labels = string.ascii_uppercase[: len(question.answers)]
        choices = "\n".join(
            f"{label}: {name} - {meaning}"
            for label, (name, meaning) in zip(labels, question.answers, strict=True)
        )
        request = self._request(f"{question.text}\n{choices}\nAnswer with the letter alone.")
        request |= {"max_tokens": 1, "logprobs": True, "top_logprobs": _MOST_LABELS}
        try:
            completion, _ = await ask(self.client, request, self.trace)
        except AppAnswerError as error:
            if error.status == 400:
                return None  # some models take neither logprobs nor so short an answer
            raise
        shares = dict.fromkeys(labels, 0.0)
        for token, share in _first_token(completion):
            if token in shares:
                shares[token] += share
        total = sum(shares.values())
        if total < _MEANT:
            return None
        names = [name for name, _ in question.answers]
        return {name: shares[label] / total for name, label in zip(names, labels, strict=True)}

    async def _stated(self, question: Question) -> dict[str, float]:
        names = [name for name, _ in question.answers]
        choices = "\n".join(f"{name}: {meaning}" for name, meaning in question.answers)
        request = self._request(
            f"{question.text}\n{choices}\nGive the probability of each answer, from 0 to 1."
        )
        schema = {
            "type": "object",
            "properties": {name: {"type": "number"} for name in names},
            "required": names,
        }
        request["response_format"] = json_schema_format("probabilities", schema)
        completion, _ = await ask(self.client, request, self.trace)
        stated = _stated_numbers(completion, names)
        total = sum(stated.values())
        if total <= 0:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="wrong_structure",
                translation_placeholders={"reason": "it gave no probabilities"},
            )
        return {name: value / total for name, value in stated.items()}

    def _request(self, question: str) -> dict[str, Any]:
        return {
            "model": self.endpoint,
            "temperature": 0,
            "messages": [
                {"role": "user", "content": self.evidence},
                {"role": "user", "content": question},
            ],
        }


def _first_token(completion: dict[str, Any]) -> list[tuple[str, float]]:
    """Return the likely first tokens with their probability; empty when the endpoint gives none."""
    try:
        likely = completion["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return [(one["token"].strip().upper(), math.exp(one["logprob"])) for one in likely]
    except KeyError, IndexError, TypeError:
        return []


def _stated_numbers(completion: dict[str, Any], names: list[str]) -> dict[str, float]:
    try:
        stated = json.loads(completion["choices"][0]["message"]["content"])
        return {name: max(float(stated.get(name, 0)), 0.0) for name in names}
    except KeyError, IndexError, TypeError, ValueError, AttributeError:
        return dict.fromkeys(names, 0.0)
