"""Providers that do not speak OpenAI's format, through MLflow's provider classes.

The one place that imports MLflow, and only when such a provider is configured. The classes
translate; the requests go over this app's own connections, so that its policy holds for them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import types
import warnings
from collections.abc import AsyncGenerator, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from yarl import URL

from . import mend
from .answer import Answer
from .errors import EndpointError, GatewayError, Redactor
from .providers import CHAT, COMPLETIONS, EMBEDDINGS
from .refusals import unusable
from .sse import DONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .payload import Payload
    from .routes import Route
    from .upstream import Upstream

_EVENTS = {"Content-Type": "text/event-stream; charset=utf-8"}
_JSON = {"Content-Type": "application/json"}


@dataclass(slots=True)
class _Call:
    """The call that an MLflow class is working on; `sent` once its request is on the way."""

    route: Route
    sent: bool = False


_current: ContextVar[_Call] = ContextVar("_current")

# Their classes stream only with the AWS library; the answer is sent as a stream of one piece.
_NO_STREAM = frozenset({"bedrock"})


class Adapter:
    """MLflow's provider objects, one for each route that is not forwarded."""

    def __init__(self, routes: Iterable[Route], upstream: Upstream, redact: Redactor) -> None:
        _let_mlflow_import()
        from mlflow.gateway.config import EndpointConfig, Provider  # noqa: PLC0415
        from mlflow.gateway.providers import (  # noqa: PLC0415
            anthropic,
            bedrock,
            gemini,
            get_provider,
            openai_compatible,
        )

        self._redact = redact
        self._upstream = upstream
        for module in (anthropic, bedrock, gemini, openai_compatible):
            vars(module)["send_request"] = self._send_request
            vars(module)["send_stream_request"] = self._send_stream_request
        self._providers: dict[str, Any] = {}
        for route in routes:
            config = EndpointConfig(**route.mlflow_config())
            provider = get_provider(Provider(config.model.provider))
            self._providers[route.name] = provider(config)

    async def call(self, route: Route, payload: Payload, _: Mapping[str, str]) -> Answer:
        """Translate the request, send it, and translate the answer.

        Raises GatewayError 400 for a request that cannot be translated, and EndpointError when the
        provider does not answer or refuses.
        """
        _current.set(_Call(route))
        request = _request(route, payload)
        provider = self._providers[route.name]
        if route.provider_type.name == "vertex_ai":
            await _renew_token(route, provider)
        kind = route.endpoint_type.rpartition("/")[2]
        if request.get("stream") and route.provider_type.name not in _NO_STREAM:
            answer = Answer(dict(_EVENTS), is_events=True)
            chunks = getattr(provider, f"{kind}_stream")(request)
            answer.chunks = self._events(route, chunks, answer)
            return answer
        try:
            result = await getattr(provider, kind)(request)
            document = result.model_dump(mode="json")
        except Exception as error:  # noqa: BLE001 -- MLflow's classes raise anything
            raise self._error(route, error) from None
        document["id"] = document.get("id") or _new_id()
        if request.get("stream"):
            answer = Answer(dict(_EVENTS), is_events=True, usage=document.get("usage"))
            answer.chunks = _one_piece(document)
            return answer
        return Answer(dict(_JSON), json.dumps(document).encode(), usage=document.get("usage"))

    async def _send_request(
        self, headers: Mapping[str, str], base_url: str, path: str, payload: Any, **_: Any
    ) -> Any:
        """In the place of mlflow.gateway.providers.utils.send_request."""
        route = _current.get().route
        response = await self._post(headers, base_url, path, payload)
        body = await self._upstream.read(route, response)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise unusable(route, "something that is not JSON") from None

    async def _send_stream_request(
        self, headers: Mapping[str, str], base_url: str, path: str, payload: Any
    ) -> AsyncGenerator[bytes, None]:
        """In the place of mlflow.gateway.providers.utils.send_stream_request: lines of the answer."""
        route = _current.get().route
        response = await self._post(headers, base_url, path, payload)
        if response.status >= 300:
            await self._upstream.read(route, response)
        rest = b""
        async for chunk in self._upstream.chunks(route, response):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line + b"\n"
        if rest:
            yield rest

    async def _post(
        self, headers: Mapping[str, str], base_url: str, path: str, payload: Any
    ) -> Any:
        call = _current.get()
        call.sent = True
        base = urlsplit(base_url)  # Gemini's ends with a query when it streams
        if own := _own_base(call.route):
            base = base._replace(scheme=own.scheme, netloc=own.netloc, path=own.path + base.path)
        address = base._replace(path=f"{base.path.rstrip('/')}/{path}").geturl()
        sent = {**headers, **_JSON, "Accept-Encoding": "identity"}
        body = json.dumps(payload).encode()
        return await self._upstream.post(call.route, URL(address, encoded=True), sent, body)

    async def _events(
        self, route: Route, chunks: AsyncGenerator[Any, None], answer: Answer
    ) -> AsyncGenerator[bytes, None]:
        fallback_id, role = _new_id(), "assistant"
        try:
            async for chunk in chunks:
                document = chunk.model_dump(mode="json")
                document["id"] = document.get("id") or fallback_id
                answer.usage = document.get("usage") or answer.usage
                for choice in document["choices"]:
                    if role and "delta" in choice:
                        choice["delta"]["role"] = role
                        role = ""
                yield b"data: " + json.dumps(document).encode() + b"\n\n"
            yield DONE
        except Exception as error:  # noqa: BLE001 -- MLflow's classes raise anything
            raise self._error(route, error) from None
        finally:
            await chunks.aclose()

    def _error(self, route: Route, error: Exception) -> GatewayError:
        if isinstance(error, GatewayError):
            return error
        status = getattr(error, "status_code", None)  # MLflow's and FastAPI's own errors
        if not isinstance(status, int):
            if not _current.get().sent:
                return GatewayError(
                    400,
                    "The request cannot be translated for a provider of type "
                    f'"{route.provider_type.name}"; compare it with OpenAI\'s API reference.',
                    code="invalid_value",
                )
            return unusable(route, f"something unexpected ({type(error).__name__})")
        detail = self._redact(_detail(getattr(error, "detail", "")))
        return EndpointError(
            400 if status == 422 else status,
            detail or f'Provider "{route.provider}" answered with status {status}.',
            code="invalid_value" if status in (400, 422) else f"upstream_{status}",
            elsewhere=status >= 500,
        )


def _request(route: Route, payload: Payload) -> dict[str, Any]:
    members = {name: value for name, value in payload.members.items() if name != "model"}
    needed = {CHAT: "messages", COMPLETIONS: "prompt", EMBEDDINGS: "input"}[route.endpoint_type]
    if not members.get(needed):
        raise GatewayError(
            400, f"`{needed}` is missing or empty.", code="invalid_value", param=needed
        )
    if route.endpoint_type == CHAT:
        kind = route.provider_type
        is_claude = kind.name == "anthropic" or (
            kind.name == "vertex_ai" and route.model.lower().startswith("claude")
        )
        return mend.chat_request(members, kind, is_claude=is_claude)
    members.pop("stream_options", None)
    if route.endpoint_type == EMBEDDINGS:
        return {"input": members["input"]}
    return members


async def _renew_token(route: Route, provider: Any) -> None:
    """Let Google's library fetch a new access token when the old one has ended, which blocks."""
    try:
        await asyncio.to_thread(lambda: provider.headers)
    except Exception as error:  # noqa: BLE001 -- Google's library raises anything
        raise EndpointError(
            502,
            f'Provider "{route.provider}" got no access token from Google '
            f"({type(error).__name__}); check its vertex_credentials.",
            code="upstream_unauthorized",
        ) from None


def _own_base(route: Route) -> SplitResult | None:
    """The user's way to a cloud that MLflow knows one address of, such as a private endpoint."""
    own = route.fields.get("api_base")
    if own and route.provider_type.name in ("bedrock", "vertex_ai"):
        return urlsplit(own.rstrip("/"))
    return None


def _let_mlflow_import() -> None:
    """MLflow looks for `databricks.agents` unguarded; an empty package is enough.

    Its warnings are for its own developers, and name paths.
    """
    warnings.filterwarnings("ignore", module="mlflow")
    if "databricks" not in sys.modules:
        empty = types.ModuleType("databricks")
        empty.__path__ = []
        sys.modules["databricks"] = empty


def _new_id() -> str:
    return f"chatcmpl-{time.time_ns():x}"


async def _one_piece(document: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    """A whole answer as the events of a stream."""
    choices = []
    for choice in document["choices"]:
        message = {key: value for key, value in choice["message"].items() if value is not None}
        calls = [{"index": at, **call} for at, call in enumerate(message.get("tool_calls", ()))]
        delta = {**message, "tool_calls": calls} if calls else message
        choices.append(
            {
                "index": choice["index"],
                "delta": delta,
                "finish_reason": choice["finish_reason"],
            }
        )
    chunk = {**document, "object": "chat.completion.chunk", "choices": choices}
    yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
    yield DONE


def _detail(detail: Any) -> str:
    if isinstance(detail, dict):
        message = detail.get("message") or detail.get("error") or detail
        return message if isinstance(message, str) else json.dumps(message)
    return str(detail)
