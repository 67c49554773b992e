"""The web application: which path does what, for whom."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import __version__, invocations, log, page, routes, settings
from .access import Access
from .errors import GatewayError, Redactor
from .payload import Payload
from .providers import CHAT, COMPLETIONS, EMBEDDINGS
from .server import NO_ENDPOINTS
from .sse import DONE, error_event
from .upstream import Upstream

if TYPE_CHECKING:
    from .adapter import Adapter
    from .answer import Answer
    from .routes import Route

_LOG = logging.getLogger("mlflow_gateway")

# Bytes. Images and files travel inside the JSON of a chat request.
_MAX_REQUEST = 64 * 1024 * 1024

_KINDS = {CHAT: "chat", COMPLETIONS: "completions", EMBEDDINGS: "embeddings"}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """The handlers, and what they share."""

    def __init__(self, known: list[Route], redact: Redactor) -> None:
        self._routes = {route.name: route for route in known}
        self._redact = redact
        self._started = time.time()
        self._upstream: Upstream
        self._adapter: Adapter | None = None

    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """Open what needs the running loop, and close it in the end."""
        self._upstream = Upstream(self._redact)
        translated = [r for r in self._routes.values() if not r.provider_type.forwarded]
        if translated:
            from .adapter import Adapter  # noqa: PLC0415 -- brings MLflow, 65 MB

            self._adapter = Adapter(translated, self._redact)
        if self._routes:
            _LOG.info("Ready; endpoints: %s", ", ".join(self._routes))
        else:
            _LOG.warning(NO_ENDPOINTS)
        yield
        await self._upstream.close()

    def table(self) -> list[web.RouteDef]:
        """Every path that the app answers."""
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
            web.get("/", self._page),
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
        return await _send(request, await self._call(request, route, payload))

    async def _invocations(self, request: web.Request) -> web.StreamResponse:
        route = self._route(request.match_info["name"])
        answer = await self._call(request, route, invocations.request(await request.read()))
        if answer.events is None:
            answer.body = invocations.answer(route, answer.body)
        return await _send(request, answer)

    async def _call(self, request: web.Request, route: Route, payload: Payload) -> Answer:
        if self._adapter and not route.provider_type.forwarded:
            return await self._adapter.call(route, payload)
        return await self._upstream.call(route, payload, request.headers)

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
            "created": int(self._started),
            "owned_by": route.provider_type.name,
        }

    async def _endpoints(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(invocations.listing(self._routes.values()))

    async def _health(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"status": "OK", "version": __version__, "endpoints": len(self._routes)}
        )

    async def _page(self, _: web.Request) -> web.StreamResponse:
        text = page.render(list(self._routes.values()))
        return web.Response(text=text, content_type="text/html", headers=page.HEADERS)


async def _send(request: web.Request, answer: Answer) -> web.StreamResponse:
    if answer.events is None:
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers)
    events = answer.events
    try:
        # Nothing is sent before the provider's first event, so that an error can have its status.
        first = await anext(events, b"")
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.headers["Cache-Control"] = "no-cache"
        await response.prepare(request)
        await response.write(first)
        try:
            async for block in events:
                await response.write(block)
        except GatewayError as error:
            _LOG.warning("%s ended in the middle of a stream: %s", request.path, error.message)
            await response.write(error_event(error.body()) + DONE)
        await response.write_eof()
        return response
    finally:
        await events.aclose()


def _middleware(access: Access) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            await access.check(request)
            return await handler(request)
        except GatewayError as error:
            return _error(request, error)
        except web.HTTPException as error:
            return _error(request, _from_http(error))
        except (ConnectionResetError, asyncio.CancelledError):
            raise  # the client has gone
        except Exception as error:  # noqa: BLE001 -- the client gets a sentence, the log a name
            _LOG.error(
                "%s failed with %s at %s", request.path, type(error).__name__, log.place(error)
            )
            return _error(
                request, GatewayError(500, "The gateway failed; its log names the place.")
            )

    return guard


def _error(request: web.Request, error: GatewayError) -> web.Response:
    if error.status >= 500:
        _LOG.warning("%s answered %d: %s", request.path, error.status, error.message)
    return web.Response(
        body=error.body(),
        status=error.status,
        headers={**error.headers, "Content-Type": "application/json"},
    )


def _from_http(error: web.HTTPException) -> GatewayError:
    allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    sentences = {
        404: "There is nothing at this path; DOCS.md lists the paths of this gateway.",
        405: f"This path takes {allowed.get('Allow', 'another method')} only.",
        413: f"The request is larger than {_MAX_REQUEST // 2**20} MB; send a smaller one.",
    }
    sentence = sentences.get(error.status, f"{error.reason}.")
    return GatewayError(error.status, sentence, headers=allowed)


async def runner() -> web.AppRunner:
    """What gunicorn's worker runs: the application of the settings in the environment."""
    chosen = settings.from_environment()
    known = routes.load(chosen.routes_file, os.environ)
    tokens = settings.api_tokens(chosen)
    redact = Redactor([*tokens, *(secret for route in known for secret in route.secrets())])
    log.configure(chosen.log_level, redact)
    gateway = Gateway(known, redact)
    application = web.Application(
        middlewares=[_middleware(Access(chosen, tokens))], client_max_size=_MAX_REQUEST
    )
    application.cleanup_ctx.append(gateway.lifespan)
    application.add_routes(gateway.table())
    return web.AppRunner(
        application,
        access_log=None,
        # A client that hangs up ends its call to the provider, which would bill the rest.
        handler_cancellation=True,
        keepalive_timeout=75,
        shutdown_timeout=10,
    )
