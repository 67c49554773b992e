"""A call's way through an endpoint's policy: limits, retries, fallbacks, and the count of it all."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from .breaker import CircuitBreaker
from .errors import EndpointError, GatewayError
from .meter import tokens

if TYPE_CHECKING:
    from .answer import Answer
    from .limits import Limits
    from .payload import Payload
    from .routes import Route
    from .usage import Usage

_LOG = logging.getLogger(__name__)

# Seconds: the first wait before a retry, doubled with each; the longest that a client is kept
# waiting because the provider asked for it.
_BACKOFF = 0.5
_LONGEST_WAIT = 20.0

# Seconds that a provider is left alone at most: briefly where nobody else can answer.
_PATIENT = 120.0
_BRIEF = 10.0

Send = Callable[["Route", "Payload", Mapping[str, str]], Awaitable["Answer"]]


class Dispatcher:
    """Calls endpoints until one answers.

    `errors` holds the last ten, as (Unix time, endpoint, sentence); `seen` says of each endpoint
    whether its provider answers, and since which Unix time.
    """

    def __init__(
        self, routes: Mapping[str, Route], send: Send, limits: Limits, usage: Usage
    ) -> None:
        self._routes = routes
        self._send = send
        self._limits = limits
        self._usage = usage
        self.breakers = {
            name: CircuitBreaker(_PATIENT if route.policy.fallback else _BRIEF)
            for name, route in routes.items()
        }
        self.seen: dict[str, tuple[bool, float]] = {}
        self.errors: deque[tuple[float, str, str]] = deque(maxlen=10)

    async def call(self, route: Route, payload: Payload, headers: Mapping[str, str]) -> Answer:
        """The answer of `route`, or of the first of its fallbacks that has one.

        A stream's first chunk has arrived by then; after it nothing is tried again. Raises the
        error of the last endpoint that was tried.
        """
        attempts = _Attempts()
        names = (route.name, *route.policy.fallback)
        for place, name in enumerate(names):
            candidate = self._routes[name]
            try:
                return await self._answer(candidate, payload, headers, attempts)
            except GatewayError as error:
                error.headers["X-Gateway-Attempts"] = str(attempts.made)
                last = place == len(names) - 1
                if last or not (isinstance(error, EndpointError) and error.elsewhere):
                    raise
                _LOG.info('Endpoint "%s" falls back to "%s"', name, names[place + 1])
                self._usage.add(name, fallbacks=1)
        raise AssertionError("there is at least one endpoint")

    async def _answer(
        self, route: Route, payload: Payload, headers: Mapping[str, str], attempts: _Attempts
    ) -> Answer:
        self._usage.add(route.name, calls=1)
        started = time.perf_counter()
        try:
            self._limits.take(route)
            answer = await self._through_breaker(route, payload, headers, attempts)
        except GatewayError as error:
            self._failed(route, error)
            raise
        answer.headers["X-Gateway-Endpoint"] = route.name
        answer.headers["X-Gateway-Attempts"] = str(attempts.made)
        if answer.chunks is None:
            self._count(route, answer, started, None)
            self._reached(route)
        else:
            first = time.perf_counter() - started
            answer.chunks = self._counted(route, answer, answer.chunks, started, first)
        return answer

    async def _through_breaker(
        self, route: Route, payload: Payload, headers: Mapping[str, str], attempts: _Attempts
    ) -> Answer:
        breaker = self.breakers[route.name]
        if wait := breaker.wait():
            raise EndpointError(
                503,
                f'Provider "{route.provider}" did not answer a moment ago and is left alone for '
                f"another {wait:.0f} s.",
                code="upstream_resting",
                headers={"Retry-After": f"{wait:.0f}"},
            )
        try:
            answer = await self._retried(route, payload, headers, attempts)
        except EndpointError as error:
            if _calls_for_rest(route, error):
                breaker.failed()
            else:
                breaker.succeeded()
            raise
        except BaseException:
            breaker.abandoned()
            raise
        breaker.succeeded()
        return answer

    async def _retried(
        self, route: Route, payload: Payload, headers: Mapping[str, str], attempts: _Attempts
    ) -> Answer:
        deadline = time.monotonic() + route.policy.total_timeout
        for retry in range(route.policy.retries + 1):
            attempts.made += 1
            try:
                answer = await self._send(route, payload, headers)
                if answer.chunks is not None:
                    answer.chunks = await _begun(answer.chunks)
            except EndpointError as error:
                wait = _wait(error, retry)
                final = retry == route.policy.retries or time.monotonic() + wait > deadline
                if final or not error.again or wait > _LONGEST_WAIT:
                    raise
                _LOG.debug('Endpoint "%s" is tried again in %.1f s', route.name, wait)
                self._usage.add(route.name, retries=1)
                await asyncio.sleep(wait)
            else:
                return answer
        raise AssertionError("the last attempt answers or raises")

    async def _counted(
        self,
        route: Route,
        answer: Answer,
        chunks: AsyncGenerator[bytes, None],
        started: float,
        first: float,
    ) -> AsyncGenerator[bytes, None]:
        """Pass a stream on, and count it when it has ended, also when its client hung up."""
        broke = False
        try:
            async for chunk in chunks:
                yield chunk
        except GatewayError as error:
            broke = True
            self._failed(route, error)
            if _calls_for_rest(route, error):
                self.breakers[route.name].failed()
            raise
        finally:
            await chunks.aclose()
            self._count(route, answer, started, first)
            if not broke:
                self._reached(route)

    def _reached(self, route: Route) -> None:
        if not self.breakers[route.name].is_open:
            self.see(route.name, reachable=True, at=time.time())

    def _count(self, route: Route, answer: Answer, started: float, first: float | None) -> None:
        self._usage.add_answer(
            route.name,
            tokens(answer.usage),
            route.price,
            seconds=time.perf_counter() - started,
            first_token=first if answer.is_events else None,
        )

    def _failed(self, route: Route, error: GatewayError) -> None:
        self._usage.add(route.name, errors=1)
        self.errors.appendleft((time.time(), route.name, error.message))
        if isinstance(error, EndpointError) and error.dead:
            self.see(route.name, reachable=False, at=time.time())
        if error.status >= 500:
            _LOG.warning('Endpoint "%s": %s', route.name, error.message)

    def see(self, endpoint: str, *, reachable: bool, at: float) -> None:
        """Note whether an endpoint's provider answers; `seen` keeps since when."""
        before = self.seen.get(endpoint)
        if before is None or before[0] != reachable:
            self.seen[endpoint] = (reachable, at)


class _Attempts:
    """How many requests were sent for one call, to all endpoints together."""

    def __init__(self) -> None:
        self.made = 0


def _calls_for_rest(route: Route, error: GatewayError) -> bool:
    """Whether the next calls are better spared.

    Where nobody else can answer, resting spares nothing but the wait for a dead provider.
    """
    dead = isinstance(error, EndpointError) and error.dead
    return dead and (bool(route.policy.fallback) or error.status == 504)


def _wait(error: EndpointError, retry: int) -> float:
    """Seconds before the next attempt: what the provider asks for, else longer each time.

    The half of it is left to chance, so that clients that failed together do not return together.
    """
    if error.retry_after is not None:
        return error.retry_after
    return _BACKOFF * float(2**retry) * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret is made of it


async def _begun(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same chunks, once the first has arrived; an error before it is raised here."""
    first = await anext(chunks, b"")
    return _resumed(first, chunks)


async def _resumed(
    first: bytes, chunks: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    try:
        if first:
            yield first
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()
