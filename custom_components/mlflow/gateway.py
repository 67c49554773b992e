"""Client of the Gateway app: its endpoints, and chat completions in OpenAI's wire format."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse, ClientTimeout

from .errors import AppAnswerError, NotThisAppError
from .transport import Transport
from .usage import Usage

CHAT = "llm/v1/chat"
# A local model may be loaded from disk before its first word; nobody waits longer for an answer.
CHAT_TIMEOUT = ClientTimeout(total=180, sock_connect=5, sock_read=90)


# The Gateway's header that names the endpoint which answered: a fallback, maybe.
_ANSWERED_BY = "X-Gateway-Endpoint"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens: those sent, those of them read from a cache, those made."""

    input: float
    cached: float
    output: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model that the Gateway serves under a name; `type` is MLflow's (llm/v1/chat, ...)."""

    name: str
    type: str
    model: str
    provider: str
    price: Price | None = None


class GatewayClient:
    """The Gateway's API. Every method raises AppError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: dict[str, Endpoint] = {}

    def known(self, name: str) -> Endpoint | None:
        """Return an endpoint as it was last listed."""
        return self._known.get(name)

    async def endpoints(self) -> list[Endpoint]:
        """Return all endpoints, in the order in which the user wrote them."""
        answer = await self._transport.json("GET", "api/2.0/endpoints/")
        try:
            endpoints = [_endpoint(listed) for listed in answer["endpoints"]]
        except (KeyError, TypeError) as error:
            raise NotThisAppError(self._transport.app) from error
        self._known = {endpoint.name: endpoint for endpoint in endpoints}
        return endpoints

    async def chat(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return a whole completion (`chat.completion`), with the `endpoint` that answered."""
        async with self._transport.open(
            "POST", "v1/chat/completions", body=request, timeout=CHAT_TIMEOUT
        ) as response:
            completion = self._checked(_parsed(await response.text()), response)
        match completion:
            case {"choices": [{"message": {}}, *_]}:
                return completion
        raise self._unreadable(response)

    async def usage(self) -> Usage | None:
        """Return what the endpoints did today, or None from a Gateway that does not count yet."""
        try:
            answer = await self._transport.json("GET", "usage")
        except AppAnswerError as error:
            if error.status == 404:
                return None
            raise
        try:
            return Usage.parse(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise NotThisAppError(self._transport.app) from error

    async def stream_chat(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Yield the chunks (`chat.completion.chunk`) of a streamed completion as they arrive.

        Each has beside OpenAI's members the `endpoint` that answered, where the Gateway names it.
        An endpoint that answers whole, without a stream, gives one chunk. An error within the
        stream raises AppAnswerError like one before it.
        """
        body = {**request, "stream": True, "stream_options": {"include_usage": True}}
        async with self._transport.open(
            "POST", "v1/chat/completions", body=body, timeout=CHAT_TIMEOUT
        ) as response:
            if response.content_type == "application/json":
                yield self._checked(_as_chunk(await response.json()), response)
                return
            async for data in _events(response):
                if data == "[DONE]":
                    return
                yield self._checked(_parsed(data), response)

    def _checked(self, chunk: Any, response: ClientResponse) -> dict[str, Any]:
        """Return a chunk, or raise the error that came in its place."""
        if not isinstance(chunk, dict):
            raise self._unreadable(response)
        if error := chunk.get("error"):
            message = error.get("message") if isinstance(error, dict) else error
            raise AppAnswerError(
                self._transport.app, status=response.status, message=str(message or error)
            )
        if answered_by := response.headers.get(_ANSWERED_BY):
            chunk["endpoint"] = answered_by
        return chunk

    def _unreadable(self, response: ClientResponse) -> AppAnswerError:
        return AppAnswerError(
            self._transport.app, status=response.status, message="its answer cannot be read"
        )


def _endpoint(listed: dict[str, Any]) -> Endpoint:
    """Read an endpoint of the list; an older Gateway tells no price."""
    price = listed.get("usd_per_million_tokens")
    return Endpoint(
        name=listed["name"],
        type=listed["endpoint_type"],
        model=listed["model"]["name"],
        provider=listed["model"]["provider"],
        price=Price(price["input"], price["cached"], price["output"]) if price else None,
    )


async def _events(response: ClientResponse) -> AsyncIterator[str]:
    """Yield the data of each server-sent event.

    Written after https://html.spec.whatwg.org/multipage/server-sent-events.html, without aiohttp's
    limit on the length of a line, and content when the last event lacks its empty line.
    """
    buffer = b""
    data: list[str] = []
    async for received in response.content.iter_any():
        *lines, buffer = (buffer + received).split(b"\n")
        for raw in lines:
            line = raw.rstrip(b"\r").decode("utf-8", "replace")
            if line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif not line and data:
                yield "\n".join(data)
                data = []
    if (rest := buffer.decode("utf-8", "replace").rstrip("\r")).startswith("data:"):
        data.append(rest[5:].removeprefix(" "))
    if data:
        yield "\n".join(data)


def _parsed(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _as_chunk(completion: Any) -> Any:
    """Give a whole completion the form of a stream's only chunk."""
    if not isinstance(completion, dict) or "choices" not in completion:
        return completion
    choices = [
        {
            "index": choice.get("index", 0),
            "delta": choice.get("message") or {},
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in completion["choices"]
    ]
    return {**completion, "object": "chat.completion.chunk", "choices": choices}
