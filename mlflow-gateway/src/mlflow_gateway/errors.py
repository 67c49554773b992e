"""Errors as clients see them: OpenAI's shape, the right status, and never a credential."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    501: "invalid_request_error",
    502: "upstream_error",
    503: "upstream_error",
    504: "timeout_error",
}


class GatewayError(Exception):
    """An error to be answered to the client.

    `message` is a sentence that says what to change. The answer has the shape of OpenAI's API:
    `{"error": {"message", "type", "code", "param"}}`
    (https://platform.openai.com/docs/guides/error-codes).
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """The answer's body, UTF-8 JSON."""
        default = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {
            "message": self.message,
            "type": _TYPES.get(self.status, default),
            "code": self.code,
            "param": self.param,
        }
        return json.dumps({"error": error}, ensure_ascii=False).encode()


class EndpointError(GatewayError):
    """An endpoint did not answer the call; what may be done about it besides telling the client.

    `again`: the same call may go well in a moment, after `retry_after` seconds if that is known.
    `elsewhere`: another endpoint may answer it.
    `dead`: the provider is better left alone for a while.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool = False,
        elsewhere: bool = True,
        dead: bool = False,
    ) -> None:
        super().__init__(status, message, code=code, param=param, headers=headers)
        self.again = again
        self.elsewhere = elsewhere
        self.dead = dead

    @property
    def retry_after(self) -> float | None:
        """Seconds that the Retry-After header asks for, in either of its forms, or None.

        https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
        """
        text = next((v for k, v in self.headers.items() if k.lower() == "retry-after"), "")
        try:
            seconds = float(text)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(text).timestamp() - time.time()
            except ValueError:
                return None
        return max(seconds, 0.0)


class Redactor:
    """Takes known secrets out of text that came from elsewhere, such as a provider's error."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # Longest first, so that a key that contains another is not left half visible. Shorter
        # ones than four characters would blank ordinary words.
        self._secrets = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` with every secret replaced by `***`."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text
