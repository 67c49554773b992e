"""Waiting for something to become true, with a limit and a name for it."""

import asyncio
from collections.abc import Awaitable, Callable


async def until[T](
    ask: Callable[[], Awaitable[T | None]],
    within: float,
    what: str,
    ended: Callable[[], str | None] = lambda: None,
) -> T:
    """Ask until there is an answer (None and False are none).

    Raises TimeoutError naming `what` after `within` seconds, RuntimeError when `ended` says why there will be none.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while loop.time() < deadline:
        if (why := ended()) is not None:
            raise RuntimeError(why)
        answer = await ask()
        if answer is not None and answer is not False:
            return answer
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{what}: not within {within:.0f} s")
