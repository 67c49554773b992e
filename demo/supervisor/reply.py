"""The forms of the Supervisor's answers: `{"result": "ok", "data"}` or `{"result": "error", "message"}`."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RefusedError(Exception):
    """An answer of the form `{"result": "error"}`."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@web.middleware
async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give a refusal its form."""
    try:
        return await handler(request)
    except RefusedError as refused:
        return web.json_response(
            {"result": "error", "message": str(refused)}, status=refused.status
        )


def ok(data: dict[str, Any] | None = None) -> web.Response:
    """A success, with what was asked for."""
    return web.json_response({"result": "ok", "data": data if data is not None else {}})


async def body_of(request: web.Request) -> dict[str, Any]:
    """The object that a request carries; empty when it carries none."""
    text = await request.text()
    content = json.loads(text) if text else {}
    return content if isinstance(content, dict) else {}
