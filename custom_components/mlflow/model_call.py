"""A call of a model as a step of a trace: which endpoint answered, its tokens and their cost.

The attributes are those of mlflow/tracing/constant.py; money is in US dollars.
"""

from collections.abc import Mapping
from typing import Any

from .gateway import GatewayClient, Price
from .tracing import Span, SpanType, Trace


async def ask(
    client: GatewayClient, request: dict[str, Any], trace: Trace
) -> tuple[dict[str, Any], Span]:
    """Make one call that is answered whole; return the completion, and its step with tokens and cost.

    Raises AppError.
    """
    span = trace.start(request["model"], SpanType.CHAT_MODEL, request)
    try:
        completion = await client.chat(request)
    except BaseException as error:
        span.fail(error)
        raise
    span.end(completion)
    note_answer(span, client, completion)
    return completion, span


def note_answer(span: Span, client: GatewayClient, answer: Mapping[str, Any]) -> None:
    """Note who answered (`endpoint`, `model`) and what it took (`usage`).

    The endpoint that answers is another one than was asked when the Gateway fell back.
    """
    name = answer.get("endpoint") or span.name
    span.attributes["endpoint"] = name
    endpoint = client.known(name)
    if endpoint is not None:
        span.attributes["mlflow.llm.provider"] = endpoint.provider
        span.attributes["mlflow.llm.model"] = endpoint.model
    if model := answer.get("model"):
        span.attributes["mlflow.llm.model"] = model
    tokens = _tokens_of(answer.get("usage") or {})
    if tokens:
        span.attributes["mlflow.chat.tokenUsage"] = tokens
        if endpoint is not None and endpoint.price is not None:
            span.attributes["mlflow.llm.cost"] = _cost_of(tokens, endpoint.price)


def _tokens_of(usage: Mapping[str, Any]) -> dict[str, int]:
    """Return the tokens by MLflow's names; empty when the endpoint did not count."""
    if not usage:
        return {}
    tokens_in = usage.get("prompt_tokens") or 0
    tokens_out = usage.get("completion_tokens") or 0
    tokens = {
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "total_tokens": usage.get("total_tokens") or tokens_in + tokens_out,
    }
    details = usage.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens", usage.get("prompt_cache_hit_tokens"))  # DeepSeek's name
    if cached is not None:
        tokens["cache_read_input_tokens"] = cached
    return tokens


def _cost_of(tokens: Mapping[str, int], price: Price) -> dict[str, float]:
    """Return the cost as MLflow writes it; cached tokens are part of those that went in."""
    cached = tokens.get("cache_read_input_tokens", 0)
    fresh = tokens["input_tokens"] - cached
    cost_in = (fresh * price.input + cached * price.cached) / 1e6
    cost_out = tokens["output_tokens"] * price.output / 1e6
    return {"input_cost": cost_in, "output_cost": cost_out, "total_cost": cost_in + cost_out}
