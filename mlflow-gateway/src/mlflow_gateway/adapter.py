"""Providers that do not speak OpenAI's format, through MLflow's provider classes.

The one place that imports MLflow, and only when such a provider is configured.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from .answer import Answer
from .errors import GatewayError, Redactor
from .providers import CHAT, COMPLETIONS, EMBEDDINGS
from .sse import DONE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .payload import Payload
    from .routes import Route


class Adapter:
    """MLflow's provider objects, one for each route that is not forwarded."""

    def __init__(self, routes: Iterable[Route], redact: Redactor) -> None:
        _let_mlflow_import()
        from mlflow.gateway.config import EndpointConfig, Provider  # noqa: PLC0415
        from mlflow.gateway.providers import get_provider  # noqa: PLC0415
        from mlflow.gateway.schemas import chat, completions, embeddings  # noqa: PLC0415

        self._redact = redact
        self._requests: dict[str, Any] = {
            CHAT: chat.RequestPayload,
            COMPLETIONS: completions.RequestPayload,
            EMBEDDINGS: embeddings.RequestPayload,
        }
        self._providers: dict[str, Any] = {}
        for route in routes:
            config = EndpointConfig(**route.mlflow_config())
            provider = get_provider(Provider(config.model.provider))
            self._providers[route.name] = provider(config)

    async def call(self, route: Route, payload: Payload) -> Answer:
        """Translate the request, send it, and translate the answer.

        Raises GatewayError 400 when MLflow's schema does not take the request, and the provider's
        own error with its status when it refuses.
        """
        request = self._request(route, payload)
        provider = self._providers[route.name]
        if payload.get("stream"):
            method = {CHAT: "chat_stream", COMPLETIONS: "completions_stream"}[route.endpoint_type]
            events = self._events(route, getattr(provider, method)(request))
            return Answer(200, {"Content-Type": "text/event-stream; charset=utf-8"}, events=events)
        method = route.endpoint_type.rpartition("/")[2]
        try:
            result = await getattr(provider, method)(request)
        except Exception as error:  # noqa: BLE001 -- MLflow's classes raise anything
            raise self._error(route, error) from None
        return Answer(200, {"Content-Type": "application/json"}, result.model_dump_json().encode())

    def _request(self, route: Route, payload: Payload) -> Any:
        members = {name: value for name, value in payload.members.items() if name != "model"}
        if route.endpoint_type == EMBEDDINGS and members.get("stream"):
            raise GatewayError(400, "Embeddings cannot be streamed; leave out `stream`.")
        try:
            return self._requests[route.endpoint_type](**members)
        except ValueError as error:  # pydantic's ValidationError
            param, reason = _first_fault(error)
            raise GatewayError(
                400,
                f"`{param}` is not usable with a provider of type "
                f'"{route.provider_type.name}": {reason}.',
                code="invalid_value",
                param=param,
            ) from None

    async def _events(
        self, route: Route, chunks: AsyncGenerator[Any, None]
    ) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in chunks:
                yield b"data: " + chunk.model_dump_json().encode() + b"\n\n"
            yield DONE
        except Exception as error:  # noqa: BLE001 -- MLflow's classes raise anything
            raise self._error(route, error) from None
        finally:
            await chunks.aclose()

    def _error(self, route: Route, error: Exception) -> GatewayError:
        if isinstance(error, GatewayError):
            return error
        who = f'Provider "{route.provider}"'
        status = getattr(error, "status_code", None)  # fastapi's and MLflow's HTTP errors
        if isinstance(status, int):
            detail = self._redact(_detail(getattr(error, "detail", "")))
            if status == 401:
                return GatewayError(
                    502, f"{who} refused its api_key: {detail}", code="upstream_unauthorized"
                )
            return GatewayError(status, detail or f"{who} answered with status {status}.")
        if isinstance(error, TimeoutError):
            return GatewayError(504, f"{who} took too long to answer.", code="upstream_timeout")
        if isinstance(error, OSError):
            return GatewayError(502, f"{who} cannot be reached.", code="upstream_refused")
        return GatewayError(
            502,
            f"{who} sent an answer that could not be understood ({type(error).__name__}).",
            code="upstream_invalid_answer",
        )


def _let_mlflow_import() -> None:
    """MLflow looks for `databricks.agents` unguarded; an empty package is enough."""
    if "databricks" not in sys.modules:
        empty = types.ModuleType("databricks")
        empty.__path__ = []
        sys.modules["databricks"] = empty


def _first_fault(error: ValueError) -> tuple[str, str]:
    faults: list[dict[str, Any]] = getattr(error, "errors", list)()
    if not faults:
        return "request", "it does not have the form that MLflow expects"
    place = ".".join(str(part) for part in faults[0]["loc"])
    return place or "request", str(faults[0]["msg"]).rstrip(".").lower()


def _detail(detail: Any) -> str:
    if isinstance(detail, dict):
        message = detail.get("message") or detail.get("error") or detail
        return message if isinstance(message, str) else json.dumps(message)
    return str(detail)
