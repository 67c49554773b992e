"""What went wrong with a provider, as an error that the client understands."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING

import aiohttp

from .errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .errors import Redactor
    from .routes import Route

# The request itself is at fault: no other provider would take it.
_REQUEST_AT_FAULT = frozenset({400, 405, 406, 409, 410, 411, 413, 414, 415, 422, 431})

# Worth another try: the provider says that it is busy or has failed.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})

# Nobody answers behind the provider's front: the next call would fare no better.
_AWAY = frozenset({502, 503, 504, 520, 521, 522, 523, 524})

_LONGEST_DETAIL = 2000


def unreachable(route: Route, error: BaseException) -> EndpointError:
    """The error for a connection that failed, broke or took too long."""
    who = f'Provider "{route.provider}"'
    if isinstance(error, TimeoutError):
        return EndpointError(
            504, f"{who} took too long to answer.", code="upstream_timeout", dead=True
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return EndpointError(
            502, f"{who} has a TLS certificate that is not trusted.", code="upstream_tls", dead=True
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return EndpointError(
            502,
            f"{who} has an unknown host name; check its api_base.",
            code="upstream_unknown_host",
            again=True,
            dead=True,
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return EndpointError(
            502,
            f"{who} refused the connection; is it running?",
            code="upstream_refused",
            again=True,
            dead=True,
        )
    return broken(route)


def broken(route: Route) -> EndpointError:
    """The error for an answer that ended before it was whole."""
    return EndpointError(
        502,
        f'Provider "{route.provider}" broke the connection before its answer was whole.',
        code="upstream_broken",
        again=True,
        dead=True,
    )


def unusable(route: Route, what: str) -> EndpointError:
    """The error for an answer that is none; `what` continues "answered with"."""
    return EndpointError(
        502,
        f'Provider "{route.provider}" answered with {what}; check its api_base.',
        code="upstream_invalid_answer",
    )


def refusal(
    route: Route, status: int, body: bytes, headers: Mapping[str, str], redact: Redactor
) -> EndpointError:
    """The provider's own error: its status and words are kept, but for secrets.

    A refused key becomes 502, since the client's own token was right; so does a redirect, which
    could lead anywhere.
    """
    known = _error_member(body)
    detail = redact(known.get("message", ""))[:_LONGEST_DETAIL]
    if status < 400:
        return EndpointError(
            502,
            f'Provider "{route.provider}" redirected the request; '
            "set api_base to the address that it redirects to.",
            code="upstream_redirect",
        )
    if status == 401:
        says = f": {detail}" if detail else "."
        return EndpointError(
            502,
            f'Provider "{route.provider}" refused its api_key{says}',
            code="upstream_unauthorized",
        )
    return EndpointError(
        status,
        detail or f'Provider "{route.provider}" answered with status {status}.',
        code=redact(known.get("code") or f"upstream_{status}"),
        param=known.get("param"),
        headers={name: value for name, value in headers.items() if name.lower() != "content-type"},
        again=status in _PASSING,
        elsewhere=status not in _REQUEST_AT_FAULT,
        dead=status in _AWAY,
    )


def _error_member(body: bytes) -> dict[str, str]:
    """The text members of the `error` of an answer, where it has them."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(document, list) and document:  # Gemini's streams wrap errors in a list
        document = document[0]
    if not isinstance(document, dict):
        return {}
    error = document.get("error")
    if isinstance(error, dict):
        return {key: str(value) for key, value in error.items() if value is not None}
    message = error or document.get("message") or document.get("detail")
    return {"message": str(message)} if message else {}
