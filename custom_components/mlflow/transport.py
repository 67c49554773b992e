"""How a request reaches an app and what comes back; here the way to an address with a token."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, override

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientSession, ClientTimeout
from homeassistant.helpers.json import json_bytes
from yarl import URL

from .const import CONF_GATEWAY, CONF_TRACKING
from .errors import (
    AppAnswerError,
    AppError,
    AppTimeoutError,
    AppTokenRefusedError,
    AppUnreachableError,
)

APP_NAMES = {CONF_GATEWAY: "MLflow Gateway", CONF_TRACKING: "MLflow Tracking"}
TIMEOUT = ClientTimeout(total=10, sock_connect=5)


class Transport(ABC):
    """A way to one app. Raises AppError, with a sentence, when no good answer comes."""

    def __init__(self, session: ClientSession, app: str) -> None:
        self.session = session
        self.app = APP_NAMES[app]

    @abstractmethod
    async def send(self, method: str, path: str, arguments: dict[str, Any]) -> ClientResponse:
        """Send one request; aiohttp's errors and TimeoutError may escape."""

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: ClientTimeout = TIMEOUT,  # noqa: ASYNC109 - aiohttp's own
    ) -> AsyncGenerator[ClientResponse]:
        """Send a request and hand out its answer; `body` is bytes of JSON or what becomes JSON."""
        arguments: dict[str, Any] = {
            "params": params,
            "headers": {"Accept": "application/json, text/event-stream", **(headers or {})},
            "timeout": timeout,
            "allow_redirects": False,
        }
        if body is not None:
            arguments["data"] = body if isinstance(body, bytes) else json_bytes(body)
            arguments["headers"]["Content-Type"] = "application/json"
        response: ClientResponse | None = None
        try:
            response = await self.send(method, path, arguments)
            if response.status >= 300:
                raise await self.refusal(response)
            yield response
        except TimeoutError as error:
            raise AppTimeoutError(self.app) from error
        except ClientError as error:
            raise AppUnreachableError(self.app, reason=_reason_of(error)) from error
        finally:
            if response is not None:
                response.release()

    async def json(self, method: str, path: str, **arguments: Any) -> Any:
        """Send a request and return the JSON of its answer."""
        async with self.open(method, path, **arguments) as response:
            return await _json(response)

    async def refusal(self, response: ClientResponse) -> AppError:
        """Turn an answer that is not a success into the error that says what to change."""
        code, message = _error_of(await _json(response))
        return AppAnswerError(
            self.app,
            status=response.status,
            message=message or response.reason or "no reason given",
            code=code,
            retry_after=_seconds(response.headers.get("Retry-After", "")),
        )


class UrlTransport(Transport):
    """An app's API listener at an address that the user gave."""

    def __init__(self, session: ClientSession, app: str, url: str, token: str | None) -> None:
        super().__init__(session, app)
        self._base = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    @override
    async def send(self, method: str, path: str, arguments: dict[str, Any]) -> ClientResponse:
        arguments["headers"] |= self._headers
        return await self.session.request(method, URL(f"{self._base}/{path}"), **arguments)

    @override
    async def refusal(self, response: ClientResponse) -> AppError:
        if response.status == 401:
            return AppTokenRefusedError(self.app)
        return await super().refusal(response)


def _reason_of(error: ClientError) -> str:
    """Say why there is no connection in few words, as they may be spoken."""
    if isinstance(error, ClientConnectorError):
        number = error.os_error.errno or 0
        return os.strerror(number) if number > 0 else str(error.os_error.strerror or error)
    return str(error) or type(error).__name__


async def _json(response: ClientResponse) -> Any:
    try:
        return json.loads(await response.read())
    except ValueError:
        return None


def _seconds(header: str) -> float | None:
    """Read Retry-After where it is a number of seconds; the apps send no date."""
    return float(header) if header.isdecimal() else None


def _error_of(answer: Any) -> tuple[str, str]:
    """Find code and sentence in an error as OpenAI, FastAPI and MLflow write it."""
    if not isinstance(answer, dict):
        return "", ""
    error = answer.get("error") or answer.get("detail") or answer
    if isinstance(error, str):
        return "", error
    if not isinstance(error, dict):
        return "", ""
    code = error.get("code") or error.get("error_code") or answer.get("error_code") or ""
    return str(code), str(error.get("message") or "")
