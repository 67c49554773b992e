"""Who may call which listener, and what of a request MLflow gets to see."""

import base64
import hmac
from collections.abc import Container, Iterable

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

# Home Assistant's session cookie and the bearer token are none of MLflow's business.
_CREDENTIALS = frozenset({b"authorization", b"cookie"})


class _Access:
    """Asks `_refusal` about each request, answers /health itself, and passes on the rest."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # MLflow has no WebSocket; closing before accepting is ASGI's refusal.
            await send({"type": "websocket.close", "code": 1000})
        elif (refusal := self._refusal(scope)) is not None:
            await refusal(scope, receive, send)
        elif scope["path"] == "/health":
            await JSONResponse({"status": "ok"})(scope, receive, send)
        else:
            await self._app({**scope, "headers": self._headers(scope)}, receive, send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        raise NotImplementedError

    def _headers(self, scope: Scope) -> Headers:
        raise NotImplementedError


class IngressAccess(_Access):
    """The Supervisor alone; Host and Origin are those of Home Assistant, which MLflow must not judge.

    MLflow protects itself against DNS rebinding and cross-origin writes by comparing Host and
    Origin with its own names. Behind ingress both name Home Assistant, which has already checked
    the session, so Host becomes the listener's own and Origin is dropped.
    """

    def __init__(self, app: ASGIApp, supervisor: str, port: int) -> None:
        super().__init__(app)
        self._supervisor = supervisor
        self._host = (b"host", f"127.0.0.1:{port}".encode())

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        if _caller(scope) == self._supervisor:
            return None
        return PlainTextResponse(
            "Only Home Assistant's Supervisor may call this port: open MLflow from the sidebar.\n",
            status_code=403,
        )

    def _headers(self, scope: Scope) -> Headers:
        kept = _without(scope["headers"], _CREDENTIALS | {b"host", b"origin"})
        return [*_forwarded(scope, kept), self._host]


class ApiAccess(_Access):
    """Whoever knows one of the tokens; MLflow's own Host and Origin checks stay on."""

    def __init__(self, app: ASGIApp, tokens: Iterable[str]) -> None:
        super().__init__(app)
        self._expected = [f"Bearer {token}".encode() for token in tokens]

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        if scope["path"] == "/health":
            return None  # the image's health check knows no token
        given = next((v for k, v in scope["headers"] if k == b"authorization"), b"")
        given = _as_bearer(given)
        # Every token is compared, so that the time tells nothing about which one came close.
        if any([hmac.compare_digest(given, expected) for expected in self._expected]):  # noqa: C419
            return None
        return JSONResponse(
            {
                "error_code": "UNAUTHENTICATED",
                "message": "This port asks for one of the app's API tokens: set"
                " MLFLOW_TRACKING_TOKEN, or send it as a bearer token. You add tokens in the"
                " app's option api_tokens.",
            },
            status_code=401,
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _headers(self, scope: Scope) -> Headers:
        return _forwarded(scope, _without(scope["headers"], _CREDENTIALS))


def by_port(listeners: dict[int, ASGIApp], lifespan: ASGIApp) -> ASGIApp:
    """One app over several listeners, told apart by the port that a request came in on."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(scope, receive, send)
        else:
            await listeners[scope["server"][1]](scope, receive, send)

    return app


def _as_bearer(given: bytes) -> bytes:
    """The token in one form: a scheme may be written in any case (RFC 9110, 11.1).

    MLflow's own jobs send it as the password of a user instead.
    """
    scheme, _, rest = given.partition(b" ")
    if scheme.lower() == b"basic":
        try:
            rest = base64.b64decode(rest, validate=True).partition(b":")[2]
        except ValueError:
            return given
    elif scheme.lower() != b"bearer":
        return given
    return b"Bearer " + rest


def _caller(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _without(headers: Headers, names: Container[bytes]) -> Headers:
    return [(name, value) for name, value in headers if name not in names]


def _forwarded(scope: Scope, headers: Headers) -> Headers:
    """See to it that MLflow never takes the caller for one on this very machine.

    It offers such callers its Assistant, which runs commands on the server; a forwarded request
    is a remote one to it (mlflow.server.assistant.api).
    """
    if any(name == b"x-forwarded-for" for name, _ in headers):
        return headers
    return [*headers, (b"x-forwarded-for", _caller(scope).encode())]
