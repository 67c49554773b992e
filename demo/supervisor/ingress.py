"""Ingress: sessions, and the way from Home Assistant into an app.

As in supervisor/api/ingress.py (2026.08): a session is a cookie of 15 minutes that each use prolongs; Host, Origin and
cookies reach the app as the browser sent them; bodies are capped at 16 MiB; what has a length below 4 MB is buffered,
the rest is streamed. WebSockets are not passed on: neither app has one.
"""

import secrets
import time
from collections.abc import Callable

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from demo.supervisor.app import App

_SESSION_SECONDS = 15 * 60
_BUFFERED_BELOW = 4_194_000
_NOT_PASSED = {
    hdrs.CONNECTION,
    hdrs.CONTENT_ENCODING,
    hdrs.CONTENT_LENGTH,
    hdrs.HOST,
    hdrs.KEEP_ALIVE,
    hdrs.TRANSFER_ENCODING,
    hdrs.UPGRADE,
    hdrs.ACCEPT_ENCODING,
    "X-Remote-User-Id",
    "X-Remote-User-Name",
    "X-Remote-User-Display-Name",
}


class Ingress:
    """The sessions and the proxy."""

    def __init__(self, app_for: Callable[[str], App | None], address: str) -> None:
        """`app_for` finds an app by its ingress token; calls to apps come from `address`."""
        self._app_for = app_for
        self._address = address
        self._sessions: dict[str, tuple[float, str | None]] = {}
        self._client: aiohttp.ClientSession | None = None

    def create_session(self, user: str | None) -> str:
        """Make a session for a user of Home Assistant (None: not told)."""
        session = secrets.token_hex(64)
        self._sessions[session] = (time.monotonic() + _SESSION_SECONDS, user)
        return session

    def valid(self, session: str | None) -> bool:
        """Whether the session is alive; if so it lives 15 minutes from now."""
        until, user = self._sessions.get(session or "", (0.0, None))
        if session is None or until < time.monotonic():
            return False
        self._sessions[session] = (time.monotonic() + _SESSION_SECONDS, user)
        return True

    def forget_sessions(self) -> None:
        """What a restart of the Supervisor does to sessions."""
        self._sessions.clear()

    async def close(self) -> None:
        """End the connections to the apps."""
        if self._client is not None:
            await self._client.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`/ingress/<token>/<path>`."""
        app = self._app_for(request.match_info["token"])
        if app is None or not app.pid:
            return web.Response(status=503)
        session = request.cookies.get("ingress_session")
        if not self.valid(session):
            return web.Response(status=401)
        headers = [
            (name, value) for name, value in request.headers.items() if name.title() not in _NAMES
        ]
        headers.append((hdrs.HOST, request.headers.get(hdrs.HOST, "")))
        user = self._sessions[str(session)][1]
        if user:
            headers.append(("X-Remote-User-Id", user))
        path = request.raw_path.split("/", 3)[3]
        url = URL(f"http://{app.address}:{app.ingress_port}/{path}", encoded=True)
        try:
            return await self._pass(request, url, headers)
        except aiohttp.ClientError:
            return web.Response(status=502)

    async def _pass(
        self, request: web.Request, url: URL, headers: list[tuple[str, str]]
    ) -> web.StreamResponse:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(local_addr=(self._address, 0), limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                skip_auto_headers={
                    hdrs.USER_AGENT,
                    hdrs.ACCEPT,
                    hdrs.ACCEPT_ENCODING,
                    hdrs.CONTENT_TYPE,
                },
            )
        body = await request.read() if request.can_read_body else None  # 413 above client_max_size
        async with self._client.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            out = [
                (name, value)
                for name, value in answer.headers.items()
                if name.title()
                not in {"Content-Length", "Transfer-Encoding", "Connection", "Content-Type"}
            ]
            length = answer.content_length
            if length is not None and length < _BUFFERED_BELOW:
                response = web.Response(status=answer.status, headers=out, body=await answer.read())
                _content_type(response, answer)
                return response
            stream = web.StreamResponse(status=answer.status, headers=out)
            _content_type(stream, answer)
            await stream.prepare(request)
            async for chunk in answer.content.iter_any():
                await stream.write(chunk)
            return stream


_NAMES = {name.title() for name in map(str, _NOT_PASSED)}


def _content_type(response: web.StreamResponse, answer: aiohttp.ClientResponse) -> None:
    if hdrs.CONTENT_TYPE in answer.headers:
        response.headers[hdrs.CONTENT_TYPE] = answer.headers[hdrs.CONTENT_TYPE]
