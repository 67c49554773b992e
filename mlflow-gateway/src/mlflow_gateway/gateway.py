"""The API's handlers: OpenAI's paths and MLflow's, on top of the dispatcher."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import __version__, invocations
from .errors import GatewayError
from .payload import Payload
from .providers import CHAT, COMPLETIONS, EMBEDDINGS, ENDPOINT_TYPES
from .server import NO_ENDPOINTS
from .sse import DONE, error_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .answer import Answer
    from .dispatch import Dispatcher
    from .routes import Route

_LOG = logging.getLogger(__name__)
_KINDS = {value: key for key, value in ENDPOINT_TYPES.items()}


class Gateway:
    """The handlers, and the endpoints that they serve."""

    def __init__(self, routes: Mapping[str, Route], dispatcher: Dispatcher) -> None:
        self._routes = routes
        self._dispatcher = dispatcher
        self._started = int(time.time())

    def table(self) -> list[web.RouteDef]:
        """Every path of the API."""
        return [
            web.post("/v1/chat/completions", lambda r: self._openai(r, CHAT)),
            web.post("/v1/completions", lambda r: self._openai(r, COMPLETIONS)),
            web.post("/v1/embeddings", lambda r: self._openai(r, EMBEDDINGS)),
            web.get("/v1/models", self._models),
            web.get("/v1/models/{name}", self._model),
            web.get("/api/2.0/endpoints/", self._endpoints),
            web.get("/api/2.0/endpoints", self._endpoints),
            web.post("/gateway/{name}/invocations", self._invocations),
            web.get("/health", self._health),
        ]

    async def _openai(self, request: web.Request, endpoint_type: str) -> web.StreamResponse:
        payload = Payload(await request.read())
        name = payload.get("model")
        if not isinstance(name, str) or not name:
            raise GatewayError(
                400,
                "`model` is missing; set it to the name of an endpoint.",
                code="missing_model",
                param="model",
            )
        route = self._route(name)
        if route.endpoint_type != endpoint_type:
            kind = _KINDS[route.endpoint_type]
            raise GatewayError(
                400,
                f'"{name}" is an endpoint for {kind}, not for {_KINDS[endpoint_type]}; '
                "use another endpoint or another path.",
                code="wrong_endpoint_type",
                param="model",
            )
        return await _send(request, await self._dispatcher.call(route, payload, request.headers))

    async def _invocations(self, request: web.Request) -> web.StreamResponse:
        route = self._route(request.match_info["name"])
        payload = invocations.request(await request.read())
        answer = await self._dispatcher.call(route, payload, request.headers)
        if answer.chunks is None:
            answer.body = invocations.answer(route, answer.body)
        return await _send(request, answer)

    def _route(self, name: str) -> Route:
        route = self._routes.get(name)
        if route is None:
            choice = f"this gateway has: {', '.join(self._routes)}."
            raise GatewayError(
                404,
                f'There is no endpoint "{name}"; {choice}' if self._routes else NO_ENDPOINTS,
                code="model_not_found",
                param="model",
            )
        return route

    async def _models(self, _: web.Request) -> web.StreamResponse:
        models = [self._described(route) for route in self._routes.values()]
        return web.json_response({"object": "list", "data": models})

    async def _model(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._described(self._route(request.match_info["name"])))

    def _described(self, route: Route) -> dict[str, Any]:
        """A model object of OpenAI's API (https://platform.openai.com/docs/api-reference/models)."""
        return {
            "id": route.name,
            "object": "model",
            "created": self._started,
            "owned_by": route.provider_type.name,
        }

    async def _endpoints(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(invocations.listing(self._routes.values()))

    async def _health(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"status": "OK", "version": __version__, "endpoints": len(self._routes)}
        )


class _Stream(web.StreamResponse):
    """Sends its head together with the first chunk, which is there already: one packet less.

    Should aiohttp give up this switch, the head goes ahead again, and nothing else changes.
    """

    _send_headers_immediately = False


async def _send(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Pass an answer on; one that is streamed is closed in any case."""
    if answer.chunks is None:
        return web.Response(body=answer.body, headers=answer.headers)
    chunks = answer.chunks
    try:
        response = _Stream(headers=answer.headers)
        response.headers["Cache-Control"] = "no-cache"
        await response.prepare(request)
        try:
            async for chunk in chunks:
                await response.write(chunk)
        except GatewayError as error:
            _LOG.warning("%s broke off in the middle of an answer: %s", request.path, error.message)
            if not answer.is_events:
                raise ConnectionResetError from error  # the client must not take it for whole
            await response.write(error_event(error.body()) + DONE)
        await response.write_eof()
        return response
    finally:
        await chunks.aclose()
