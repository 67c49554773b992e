"""The connections to the providers, and forwarding over them: nothing is lost on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING

from .answer import Answer
from .meter import UsageQuestion, usage_in_events
from .pool import FAULTS, Pool
from .refusals import broken, refusal, unreachable, unusable
from .sse import EventSplitter, is_torn
from .target import Target, target

if TYPE_CHECKING:
    from yarl import URL

    from .errors import Redactor
    from .payload import Payload
    from .pool import Response
    from .routes import Route

# Bytes. A longer answer is passed on while it arrives, and is not held in memory.
_WHOLE = 1024 * 1024

# Headers of the client that mean something to a provider; none of them is a credential.
_REQUEST_HEADERS = ("Idempotency-Key", "OpenAI-Beta", "HTTP-Referer", "X-Title")

# Headers of the provider's answer that mean something to a client.
_ANSWER_HEADERS = frozenset({"content-type", "retry-after", "x-request-id"})
_ANSWER_PREFIXES = ("openai-", "x-ratelimit-")


class Upstream:
    """Sends requests to providers as they are, and takes their answers."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._targets: dict[str, Target] = {}
        self._question = UsageQuestion()
        self._pool = Pool()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def call(self, route: Route, payload: Payload, headers: Mapping[str, str]) -> Answer:
        """Send the request on as it is, but for the model's name.

        Raises EndpointError when no answer comes, or a refusal. A stream's usage is asked for; an
        old server that takes no `stream_options` is asked again without.
        """
        goal = self._targets.get(route.name)
        if goal is None:
            goal = self._targets[route.name] = target(route)
        sent = {**goal.headers, **{n: headers[n] for n in _REQUEST_HEADERS if n in headers}}
        asks = self._question.is_added(route, payload)
        body = _body(route, payload, asks_usage=asks)
        response = await self.post(route, goal.url, sent, body)
        if asks and response.status in (400, 422):
            response.close()
            asks = False
            body = _body(route, payload, asks_usage=False)
            response = await self.post(route, goal.url, sent, body)
            if response.status < 400:
                self._question.was_refused(route)
        try:
            return await self._answer(route, response, strip_usage=asks)
        except BaseException:
            response.close()
            raise

    async def post(
        self,
        route: Route,
        url: URL,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Response:
        """Send one request and wait for the head of its answer; EndpointError when none comes."""
        policy = route.policy
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(policy.first_byte_timeout, policy.total_timeout)):
                response = await self._pool.post(url, headers, body, policy.connect_timeout)
        except FAULTS as error:
            raise unreachable(route, error) from None
        response.ends = begun + policy.total_timeout
        return response

    async def read(self, route: Route, response: Response) -> bytes:
        """The whole body; EndpointError when it does not come, or is a refusal."""
        parts = [chunk async for chunk in self.chunks(route, response)]
        body = b"".join(parts)
        self.check_status(route, response, body)
        return body

    def check_status(self, route: Route, response: Response, body: bytes) -> None:
        """Raise EndpointError when the provider refused."""
        if response.status >= 300:
            raise refusal(route, response.status, body, _kept(response), self._redact)

    async def chunks(self, route: Route, response: Response) -> AsyncGenerator[bytes, None]:
        """The body as it arrives; EndpointError when it breaks or stops."""
        content = response.content
        try:
            while True:
                async with _patience(route, response):
                    chunk = await content.readany()
                if not chunk:
                    return
                yield chunk
        except FAULTS as error:
            raise unreachable(route, error) from None
        finally:
            response.close()

    async def _answer(self, route: Route, response: Response, *, strip_usage: bool) -> Answer:
        if response.status == 200 and response.content_type == "text/event-stream":
            answer = Answer(_kept(response), is_events=True)
            answer.chunks = self._events(route, response, answer, strip_usage=strip_usage)
            return answer
        length = response.length
        if length is not None and length <= _WHOLE:
            body = await self._read_short(route, response)
            self.check_status(route, response, body)
            return _checked(route, response, body)
        return await self._long_answer(route, response)

    async def _read_short(self, route: Route, response: Response) -> bytes:
        try:
            if response.content.is_eof():  # it came together with the head
                return response.content.read_nowait()
            async with _patience(route, response):
                return await response.content.read()
        except FAULTS as error:
            raise unreachable(route, error) from None

    async def _long_answer(self, route: Route, response: Response) -> Answer:
        chunks = self.chunks(route, response)
        held = b""
        async for chunk in chunks:
            held += chunk
            if len(held) > _WHOLE:
                break
        else:
            self.check_status(route, response, held)
            return _checked(route, response, held)
        self.check_status(route, response, held)
        _check_type(route, response)
        return Answer(_kept(response), chunks=_after(held, chunks))

    async def _events(
        self,
        route: Route,
        response: Response,
        answer: Answer,
        *,
        strip_usage: bool,
    ) -> AsyncGenerator[bytes, None]:
        splitter = EventSplitter()
        chunks = self.chunks(route, response)
        try:
            async for chunk in chunks:
                events = splitter.feed(chunk)
                if b'"usage"' in events:
                    answer.usage = usage_in_events(events) or answer.usage
                    if strip_usage:
                        events = self._question.without_answer(events)
                if events:
                    yield events
            rest = splitter.rest()
            if is_torn(rest):
                raise broken(route)
            if rest:
                yield rest
        finally:
            await chunks.aclose()


def _patience(route: Route, response: Response) -> asyncio.Timeout:
    """How long to wait for more of a body."""
    soon = asyncio.get_running_loop().time() + route.policy.idle_timeout
    return asyncio.timeout_at(min(soon, response.ends))


def _body(route: Route, payload: Payload, *, asks_usage: bool) -> bytes:
    if not asks_usage:
        return payload.with_model(route.model)
    options = {**(payload.get("stream_options") or {}), "include_usage": True}
    return payload.with_members({"model": route.model, "stream_options": options})


def _kept(response: Response) -> dict[str, str]:
    return {
        name: value
        for name, value in response.headers.items()
        if (low := name.lower()) in _ANSWER_HEADERS or low.startswith(_ANSWER_PREFIXES)
    }


def _check_type(route: Route, response: Response) -> None:
    if response.content_type != "application/json":
        raise unusable(route, f"{response.content_type} instead of JSON")


def _checked(route: Route, response: Response, body: bytes) -> Answer:
    _check_type(route, response)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise unusable(route, "broken JSON") from None
    usage = document.get("usage") if isinstance(document, dict) else None
    return Answer(_kept(response), body, usage=usage)


async def _after(held: bytes, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield held
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()
