"""The web application: its parts put together, who may call, and how errors leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import log, reach, routes, settings
from .access import Access
from .dispatch import Dispatcher
from .errors import GatewayError, Redactor
from .gateway import Gateway
from .limits import Limits
from .server import NO_ENDPOINTS
from .status import Status
from .store import Store
from .upstream import Upstream
from .usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .adapter import Adapter
    from .answer import Answer
    from .payload import Payload
    from .routes import Route

_LOG = logging.getLogger(__name__)

# Bytes. Images and files travel inside the JSON of a chat request.
_MAX_REQUEST = 64 * 1024 * 1024

# Seconds between two writes of the counters, when there is something to write.
_SAVE_INTERVAL = 0.5

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Providers:
    """All providers: those that are forwarded to, and those that MLflow's classes translate for."""

    def __init__(self, known: Mapping[str, Route], redact: Redactor) -> None:
        self._known = known
        self._redact = redact
        self._upstream: Upstream
        self._adapter: Adapter | None = None

    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """Open what needs the running loop, and close it in the end."""
        self._upstream = Upstream(self._redact)
        translated = [r for r in self._known.values() if not r.provider_type.forwarded]
        if translated:
            from .adapter import Adapter  # noqa: PLC0415 -- brings MLflow, 65 MB

            self._adapter = Adapter(translated, self._upstream, self._redact)
        yield
        await self._upstream.close()

    async def send(self, route: Route, payload: Payload, headers: Mapping[str, str]) -> Answer:
        """One request to a route's provider."""
        if self._adapter and not route.provider_type.forwarded:
            return await self._adapter.call(route, payload, headers)
        return await self._upstream.call(route, payload, headers)


async def _save_now_and_then(usage: Usage) -> None:
    while True:
        await asyncio.sleep(_SAVE_INTERVAL)
        await usage.flush()


def _background(
    known: Mapping[str, Route], dispatcher: Dispatcher, usage: Usage, store: Store
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def lifespan(_: web.Application) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_save_now_and_then(usage)),
            asyncio.create_task(reach.watch(known.values(), dispatcher)),
        ]
        if known:
            _LOG.info("Ready; endpoints: %s", ", ".join(known))
        else:
            _LOG.warning(NO_ENDPOINTS)
        yield
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await usage.flush()
        store.close()

    return lifespan


def _middleware(access: Access) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            await access.check(request)
            return await handler(request)
        except GatewayError as error:
            return _error(error)
        except web.HTTPException as error:
            return _error(_from_http(error))
        except (ConnectionResetError, asyncio.CancelledError):
            raise  # the client has gone, or must see that its answer is not whole
        except Exception as error:  # noqa: BLE001 -- the client gets a sentence, the log a name
            _LOG.error(
                "%s failed with %s at %s", request.path, type(error).__name__, log.place(error)
            )
            return _error(GatewayError(500, "The gateway failed; its log names the place."))

    return guard


def _error(error: GatewayError) -> web.Response:
    return web.Response(
        body=error.body(),
        status=error.status,
        headers={**error.headers, "Content-Type": "application/json"},
    )


def _from_http(error: web.HTTPException) -> GatewayError:
    allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    sentences = {
        404: "There is nothing at this path; the app's Documentation tab lists the paths.",
        405: f"This path takes {allowed.get('Allow', 'another method')} only.",
        413: f"The request is larger than {_MAX_REQUEST // 2**20} MB; send a smaller one.",
    }
    sentence = sentences.get(error.status, f"{error.reason}.")
    return GatewayError(error.status, sentence, headers=allowed)


async def runner() -> web.AppRunner:
    """What gunicorn's worker runs: the application of the settings in the environment."""
    chosen = settings.from_environment()
    known = {route.name: route for route in routes.load(chosen.routes_file, os.environ)}
    tokens = settings.api_tokens(chosen)
    redact = Redactor([*tokens, *(s for route in known.values() for s in route.secrets())])
    log.configure(chosen.log_level, redact)
    store = Store(Path(chosen.data) / "usage.db")
    usage = Usage(store)
    providers = _Providers(known, redact)
    dispatcher = Dispatcher(known, providers.send, Limits(usage), usage)
    application = web.Application(
        middlewares=[_middleware(Access(chosen, tokens))], client_max_size=_MAX_REQUEST
    )
    application.cleanup_ctx.append(providers.lifespan)
    application.cleanup_ctx.append(_background(known, dispatcher, usage, store))
    application.add_routes(Gateway(known, dispatcher).table())
    application.add_routes(Status(known, dispatcher, usage, store).table())
    return web.AppRunner(
        application,
        access_log=None,
        # A client that hangs up ends its call to the provider, which would bill the rest.
        handler_cancellation=True,
        keepalive_timeout=75,
        shutdown_timeout=settings.GRACE,
    )
