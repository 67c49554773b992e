"""Whether the providers can be reached, also while nobody calls them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from .target import address

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .dispatch import Dispatcher
    from .routes import Route

# Seconds between two looks, and for how long one waits.
_INTERVAL = 60
_PATIENCE = 5


async def watch(routes: Iterable[Route], dispatcher: Dispatcher) -> None:
    """Open a connection to each provider now and then, and note whether that worked; for ever.

    No request is sent, so that it costs nothing and needs no key.
    """
    by_place: dict[tuple[str, int], list[Route]] = {}
    for route in routes:
        by_place.setdefault(address(route), []).append(route)
    while True:
        await asyncio.gather(*(_look(place, dispatcher, r) for place, r in by_place.items()))
        await asyncio.sleep(_INTERVAL)


async def _look(place: tuple[str, int], dispatcher: Dispatcher, routes: list[Route]) -> None:
    reachable = await _connects(*place)
    for route in routes:
        # a call knows better: a provider may take connections and answer none
        if not (reachable and dispatcher.breakers[route.name].is_open):
            dispatcher.see(route.name, reachable=reachable, at=time.time())


async def _connects(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, UnicodeError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
