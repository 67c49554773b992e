"""Measures a confidence: how likely the model found its answer, by the probabilities of tokens.

Shape of `logprobs`: https://platform.openai.com/docs/api-reference/chat/object, an item per token of
the answer's text, with the likeliest tokens in its place (`top_logprobs`).
"""

import math
import re
from collections.abc import Sequence
from typing import Any, Final

_VALUE: Final = re.compile(r'"answer"\s*:\s*"?')
# Below this share of the probability, the allowed answers are not what the model meant to say.
_MEANT = 0.5


def measured(logprobs: Any, answer: str, answers: Sequence[str]) -> float | None:
    """Return the probability of `answer` among the allowed answers, from 0 to 1.

    None where it cannot be told: no probabilities, no list of answers, or tokens that do not tell
    one answer from another.
    """
    if answer not in answers:
        return None
    try:
        tokens = [(str(item["token"]), _likely(item)) for item in logprobs["content"]]
        found = _VALUE.search("".join(token for token, _ in tokens))
        return _followed(tokens, found.end(), answer, answers) if found else None
    except KeyError, TypeError, ValueError:
        return None


def _likely(item: dict[str, Any]) -> dict[str, float]:
    """Return the likely tokens of a place, and the one that was taken, with their probability."""
    likely = {str(one["token"]): math.exp(one["logprob"]) for one in item["top_logprobs"]}
    return likely | {str(item["token"]): math.exp(item["logprob"])}


def _followed(
    tokens: Sequence[tuple[str, dict[str, float]]], begin: int, answer: str, answers: Sequence[str]
) -> float | None:
    """Follow the tokens from the answer's first character until one answer alone is left."""
    shares = dict.fromkeys(answers, 0.0)
    unclear, path, spoken, offset = 0.0, 1.0, "", 0
    for token, likely in tokens:
        start, offset = offset, offset + len(token)
        if offset <= begin:
            continue
        lead = token[: max(begin - start, 0)]
        for text, likelihood in likely.items():
            share = path * likelihood
            if not text.startswith(lead):
                continue  # another way to write the JSON, which says nothing of the answer
            meant = _meant(spoken + text[len(lead) :], answers)
            if len(meant) == 1:
                shares[meant[0]] += share
            elif meant and text != token:
                unclear += share
        spoken += token[len(lead) :]
        left = _meant(spoken, answers)
        if len(left) <= 1:
            break
        path *= likely[token]
    else:
        return None
    clear = sum(shares.values())
    if left != [answer] or clear < _MEANT:
        return None
    return shares[answer] / (clear + unclear)


def _meant(spoken: str, answers: Sequence[str]) -> list[str]:
    """Return the answers that a beginning may become, or which it holds to the closing quote."""
    text = spoken.casefold()
    found = []
    for answer in answers:
        whole = answer.casefold() + '"'
        if whole.startswith(text) or text.startswith(whole):
            found.append(answer)
    return found
