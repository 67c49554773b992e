"""Waiting for something to become true, with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, within: float) -> None:
    """Ask again and again until `condition` holds; raises TimeoutError that names `what` after `within` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not await condition():
        if loop.time() > deadline:
            raise TimeoutError(f"waited {within:.0f} s in vain until {what}")
        await asyncio.sleep(0.1)
