"""What a person or a monitor asks: the status page, /usage and /metrics."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import metrics, page
from .errors import GatewayError
from .usage import TOTAL, restored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .dispatch import Dispatcher
    from .routes import Route
    from .store import Store
    from .usage import Usage

_MOST_DAYS = 100


class Status:
    """The handlers that show how the endpoints do."""

    def __init__(
        self, routes: Mapping[str, Route], dispatcher: Dispatcher, usage: Usage, store: Store
    ) -> None:
        self._routes = routes
        self._dispatcher = dispatcher
        self._usage = usage
        self._store = store

    def table(self) -> list[web.RouteDef]:
        """Every path of this room."""
        return [
            web.get("/", self._page),
            web.get("/usage", self._get_usage),
            web.get("/metrics", self._metrics),
        ]

    async def _page(self, _: web.Request) -> web.StreamResponse:
        lines = [
            page.Line(route, self._usage.row(name), self._dispatcher.seen.get(name))
            for name, route in self._routes.items()
        ]
        text = page.render(lines, list(self._dispatcher.errors))
        return web.Response(text=text, content_type="text/html", headers=page.HEADERS)

    async def _get_usage(self, request: web.Request) -> web.StreamResponse:
        """Rows per day and endpoint, newest day first; `?days=N` for more than today's."""
        text = request.query.get("days", "1")
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST_DAYS:
            raise GatewayError(400, f"`days` must be 1 to {_MOST_DAYS}.", param="days")
        await self._usage.flush()
        first = time.strftime("%Y-%m-%d", time.localtime(time.time() - (int(text) - 1) * 86400))
        found = await asyncio.to_thread(self._store.days, first)
        rows: list[dict[str, Any]] = [
            {"day": day, "endpoint": endpoint, **restored(stored).shown()}
            for day, endpoint, stored in found
        ]
        return web.json_response({"today": self._usage.today(), "currency": "USD", "rows": rows})

    async def _metrics(self, _: web.Request) -> web.StreamResponse:
        text = metrics.render(
            [(name, self._usage.row(name, TOTAL)) for name in self._routes],
            [(name, seen[0]) for name, seen in self._dispatcher.seen.items()],
        )
        return web.Response(text=text, headers={"Content-Type": metrics.CONTENT_TYPE})
