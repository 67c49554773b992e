"""MLflow's user interface as it is served here: cached for good, clean, and nothing from outside."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .static_files import BuiltFiles

# What the interface asks for on every visit and gets an error for from a server without MLflow's
# own login: an empty answer says the same. In the shapes of mlflow.server.auth's answers.
_NO_LOGIN: dict[str, dict[str, Any]] = {
    "/ajax-api/2.0/mlflow/users/current": {},
    "/ajax-api/2.0/mlflow/users/list": {"users": []},
}

# MLflow's Assistant runs commands on the server, so none of it is reachable; it has no provider.
# In the shapes of mlflow.server.assistant.api's answers.
_ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
_NO_ASSISTANT: dict[str, dict[str, Any]] = {
    f"{_ASSISTANT}/config": {
        "providers": {},
        "projects": {},
        "remote_access_allowed": False,
        "can_edit_server_settings": False,
    },
    f"{_ASSISTANT}/providers": {"providers": [], "resolved": None, "gateway_vendor_options": {}},
}

_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_STATIC = "/static-files"

# Everything comes from the app itself; the interface compiles templates and styles at run time.
_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "frame-ancestors 'self'",
    )
)


class Interface:
    """Serves the interface's own files and passes every other path to MLflow."""

    def __init__(
        self, mlflow: ASGIApp, static_folder: Path, start_experiment: Callable[[], str | None]
    ) -> None:
        self._mlflow = mlflow
        self._start_experiment = start_experiment
        self._before, self._after = _split_index(static_folder / "index.html")
        self._edge = Starlette(
            routes=[
                Route("/", self._index),
                Mount(_STATIC, BuiltFiles(directory=static_folder)),
                *(Route(path, _answer(body)) for path, body in (_NO_LOGIN | _NO_ASSISTANT).items()),
                Route(f"{_ASSISTANT}/{{rest:path}}", _assistant_is_off, methods=_ANY_METHOD),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        path = scope["path"]
        ours = path == "/" or path in _NO_LOGIN or path.startswith((_STATIC, _ASSISTANT))
        await (self._edge if ours else self._mlflow)(scope, receive, send)

    async def _index(self, _request: Request) -> Response:
        experiment = await run_in_threadpool(self._start_experiment)
        # The page with the runs: PromptLab is two clicks away from there.
        start = f"#/experiments/{experiment}/runs" if experiment else ""
        script = f"const START = {json.dumps(start)};\n{_EDGE_SCRIPT}"
        return HTMLResponse(
            f"{self._before}<script>(() => {{\n{script}}})();</script>{_EDGE_STYLE}{self._after}",
            headers={
                "Cache-Control": "no-cache",
                "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
                "X-Content-Type-Options": "nosniff",
            },
        )


def _answer(body: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        return JSONResponse(body)

    return answer


async def _assistant_is_off(_request: Request) -> Response:
    return JSONResponse({"detail": "MLflow's Assistant is not part of this app."}, status_code=403)


def _split_index(index: Path) -> tuple[str, str]:
    """The page up to and from where the script goes: before MLflow's own."""
    head, tag, rest = index.read_text(encoding="utf-8").partition("<head>")
    if not tag:
        raise RuntimeError(f"{index} has no <head>: MLflow's interface has changed")
    return head + tag, rest


# The Assistant's button would open a panel that has nothing to offer.
_EDGE_STYLE = '<style>[data-assistant-ui="true"] { display: none !important; }</style>'
_EDGE_SCRIPT = (Path(__file__).parent / "edge.js").read_text(encoding="utf-8")
