"""Who may call: the Supervisor on the ingress listener, token holders and the sibling on the API."""

from __future__ import annotations

import asyncio
import hmac
import socket
import time
from typing import TYPE_CHECKING

from .errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

    from .settings import Settings

# How long the sibling's addresses are believed, in seconds; it gets a new one at each start.
_SIBLING_TTL = 10.0

# A name server that does not answer must not hold up the refusal of a stranger, in seconds.
_LOOK_UP_WITHIN = 1.0


class Access:
    """Decides about each request by the listener it came in on."""

    def __init__(self, settings: Settings, tokens: Iterable[str]) -> None:
        self._ingress_port = settings.ingress_port
        self._ingress_from = settings.ingress_from
        self._tokens = [token.encode() for token in tokens]
        self._sibling = _Host(settings.tracking)

    async def check(self, request: web.Request) -> None:
        """Raise GatewayError 403 or 401 unless the caller may go on."""
        transport = request.transport
        if transport is None:
            raise GatewayError(401, "The connection is gone.")
        port = transport.get_extra_info("sockname")[1]
        caller = transport.get_extra_info("peername")[0].removeprefix("::ffff:")
        if port == self._ingress_port:
            if caller != self._ingress_from:
                raise GatewayError(403, "Only Home Assistant may call this port.")
        elif (
            request.path != "/health"
            and not self._has_token(request)
            and not await self._sibling.has(caller)
        ):
            raise GatewayError(
                401,
                "A valid API token is needed: send it as `Authorization: Bearer <token>`.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _has_token(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        given = token.strip().encode()
        # Every token is compared, so that the time tells nothing about which one came close.
        return any([hmac.compare_digest(given, known) for known in self._tokens])  # noqa: C419


class _Host:
    """The addresses of one host, looked up again when they are old."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._addresses: frozenset[str] = frozenset()
        self._expires = 0.0

    async def has(self, address: str) -> bool:
        if not self._name:
            return False
        if time.monotonic() >= self._expires:
            self._expires = time.monotonic() + _SIBLING_TTL
            self._addresses = await self._look_up()
        return address in self._addresses

    async def _look_up(self) -> frozenset[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_LOOK_UP_WITHIN):
                found = await loop.getaddrinfo(self._name, None, type=socket.SOCK_STREAM)
        except OSError:  # TimeoutError too: the tracking app is not running, or not installed
            return frozenset()
        return frozenset(str(entry[4][0]) for entry in found)
