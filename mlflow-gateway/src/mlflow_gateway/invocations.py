"""MLflow's own gateway routes, which its PromptLab and its deployments client call."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .payload import Payload
from .providers import CHAT, COMPLETIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .routes import Route

_OBJECTS = {CHAT: "chat.completion", COMPLETIONS: "text_completion"}


def listing(routes: Iterable[Route]) -> dict[str, Any]:
    """The answer of `GET /api/2.0/endpoints/` (mlflow/gateway/app.py, ListEndpointsResponse).

    `usd_per_million_tokens` is ours: the price by which the calls are counted, null where none is
    known. MLflow's clients ignore what they do not know.
    """
    return {"endpoints": [_endpoint(route) for route in routes]}


def _endpoint(route: Route) -> dict[str, Any]:
    return {
        "name": route.name,
        "endpoint_type": route.endpoint_type,
        "model": {"name": route.model, "provider": route.provider_type.name},
        "endpoint_url": f"/gateway/{route.name}/invocations",
        "limit": None,
        "usd_per_million_tokens": asdict(route.price) if route.price else None,
    }


def request(body: bytes) -> Payload:
    """What a client of MLflow's gateway sent, as an OpenAI-compatible provider takes it.

    PromptLab sends `stop: []` when the user gave no stop sequence, which OpenAI refuses.
    """
    payload = Payload(body)
    if payload.get("stop") == []:
        payload = Payload(payload.with_members({"stop": None}))
    return payload


def answer(route: Route, body: bytes) -> bytes:
    """The provider's answer with the members that MLflow's clients insist on.

    PromptLab shows no answer without `usage`, which some local servers leave out.
    """
    document = json.loads(body)
    if route.endpoint_type not in _OBJECTS or not isinstance(document, dict):
        return body
    defaults = {
        "id": f"gateway-{time.time_ns()}",
        "object": _OBJECTS[route.endpoint_type],
        "created": int(time.time()),
        "model": route.model,
        "usage": {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    }
    missing = {key: value for key, value in defaults.items() if document.get(key) is None}
    return json.dumps({**document, **missing}).encode() if missing else body
