"""Forwarding to OpenAI-compatible providers: the request goes on as it is, the answer comes whole."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from .answer import Answer
from .errors import GatewayError, Redactor
from .providers import CHAT, COMPLETIONS, EMBEDDINGS
from .sse import EventSplitter

if TYPE_CHECKING:
    from .payload import Payload
    from .routes import Route

_PATHS = {CHAT: "chat/completions", COMPLETIONS: "completions", EMBEDDINGS: "embeddings"}

# Seconds. A local model may take minutes to its first token when it has to be loaded.
_TIMEOUT = aiohttp.ClientTimeout(total=600, sock_connect=10, sock_read=300)

# An idle connection is kept for this long, in seconds.
_KEEP_ALIVE = 60

# Headers of the client that mean something to a provider; none of them is a credential.
_REQUEST_HEADERS = ("Idempotency-Key", "OpenAI-Beta", "HTTP-Referer", "X-Title")

# Headers of the provider's answer that mean something to a client.
_ANSWER_HEADERS = ("content-type", "retry-after", "x-request-id")
_ANSWER_PREFIXES = ("openai-", "x-ratelimit-")


class Upstream:
    """The pooled, kept-alive connections to all forwarded providers."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._targets: dict[str, tuple[URL, dict[str, str]]] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_TIMEOUT,
            auto_decompress=True,
            skip_auto_headers=("User-Agent",),
            read_bufsize=2**18,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def call(self, route: Route, payload: Payload, headers: Mapping[str, str]) -> Answer:
        """Send the request on.

        Raises GatewayError 502 or 504 when no answer comes, and the provider's own error with its
        status when it refuses.
        """
        target = self._targets.get(route.name)
        if target is None:
            target = self._targets[route.name] = _target(route)
        url, own = target
        sent = {**own, **{name: headers[name] for name in _REQUEST_HEADERS if name in headers}}
        body = payload.replace("model", route.model)
        try:
            response = await self._session.post(url, data=body, headers=sent, allow_redirects=False)
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(route, error) from None
        try:
            return await self._answer(route, response)
        except BaseException:
            response.close()
            raise

    async def _answer(self, route: Route, response: aiohttp.ClientResponse) -> Answer:
        headers = {
            name: value
            for name, value in response.headers.items()
            if (low := name.lower()) in _ANSWER_HEADERS or low.startswith(_ANSWER_PREFIXES)
        }
        if response.status == 200 and response.content_type == "text/event-stream":
            return Answer(200, headers, events=self._events(route, response))
        try:
            body = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(route, error) from None
        if response.status >= 300:
            raise self._refusal(route, response, body, headers)
        if response.content_type != "application/json":
            raise GatewayError(
                502,
                f'Provider "{route.provider}" answered with {response.content_type} instead of '
                "JSON; check its api_base.",
                code="upstream_invalid_answer",
            )
        return Answer(response.status, headers, body)

    async def _events(
        self, route: Route, response: aiohttp.ClientResponse
    ) -> AsyncGenerator[bytes, None]:
        splitter = EventSplitter()
        try:
            async for chunk in response.content.iter_any():
                if events := splitter.feed(chunk):
                    yield events
            if rest := splitter.rest():
                yield rest
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(route, error) from None
        finally:
            response.close()

    def _refusal(
        self,
        route: Route,
        response: aiohttp.ClientResponse,
        body: bytes,
        headers: Mapping[str, str],
    ) -> GatewayError:
        """The provider's error, in OpenAI's shape; its own words are kept but for secrets."""
        status, detail = response.status, self._redact(_message(body))
        kept = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        says = f": {detail}" if detail else "."
        if status < 400:
            return GatewayError(
                502,
                f'Provider "{route.provider}" redirected the request; '
                "set api_base to the address that it redirects to.",
                code="upstream_redirect",
            )
        if status == 401:
            # Not passed on as 401: the client's own token was right.
            return GatewayError(
                502,
                f'Provider "{route.provider}" refused its api_key{says}',
                code="upstream_unauthorized",
            )
        known = _error_member(body)
        return GatewayError(
            status,
            detail or f'Provider "{route.provider}" answered with status {status}.',
            code=known.get("code") or f"upstream_{status}",
            param=known.get("param"),
            headers=kept,
        )


def _target(route: Route) -> tuple[URL, dict[str, str]]:
    """The address and the headers for a route; they do not change while the app runs."""
    key = route.fields.get("api_key")
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    path = _PATHS[route.endpoint_type]
    base = (route.fields.get("api_base") or route.provider_type.api_base or "").rstrip("/")
    if route.provider_type.name == "azure":
        headers["api-key"] = key or ""
        deployment = quote(route.model, safe="")
        version = quote(route.fields["api_version"], safe="")
        address = f"{base}/openai/deployments/{deployment}/{path}?api-version={version}"
        return URL(address, encoded=True), headers
    if route.provider_type.api_base is None and urlsplit(base).path in ("", "/"):
        base += "/v1"  # users give the address of Ollama or llama.cpp without it
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if organization := route.fields.get("organization"):
        headers["OpenAI-Organization"] = organization
    return URL(f"{base}/{path}", encoded=True), headers


def _unreachable(route: Route, error: Exception) -> GatewayError:
    who = f'Provider "{route.provider}"'
    if isinstance(error, asyncio.TimeoutError):
        return GatewayError(504, f"{who} took too long to answer.", code="upstream_timeout")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return GatewayError(
            502, f"{who} has a TLS certificate that is not trusted.", code="upstream_tls"
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return GatewayError(
            502,
            f"{who} has an unknown host name; check its api_base.",
            code="upstream_unknown_host",
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return GatewayError(
            502, f"{who} refused the connection; is it running?", code="upstream_refused"
        )
    return GatewayError(
        502, f"{who} broke the connection before its answer was whole.", code="upstream_broken"
    )


def _error_member(body: bytes) -> dict[str, str]:
    """The text members of the `error` of an answer, where it has them."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    error = document.get("error")
    if isinstance(error, dict):
        return {key: str(value) for key, value in error.items() if value is not None}
    message = error or document.get("message") or document.get("detail")
    return {"message": str(message)} if message else {}


def _message(body: bytes) -> str:
    return _error_member(body).get("message", "")[:2000]
