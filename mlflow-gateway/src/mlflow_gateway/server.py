"""The one server process: gunicorn with one worker and two listeners."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from . import routes
from .settings import GRACE

if TYPE_CHECKING:
    from .options import Options
    from .settings import Settings

NO_ENDPOINTS = (
    "No endpoints are configured yet: add a provider and an endpoint in the app's configuration."
)


def serve(settings: Settings, options: Options) -> NoReturn:
    """Replace this process with the server; the secrets go along in its environment."""
    environment = {
        **os.environ,
        **routes.secrets(options),
        **settings.environment(options.api_tokens),
        # MLflow's provider classes, where they are used: no call to anyone but the provider.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_MODEL_CATALOG_URI": "",
    }
    os.execve(sys.executable, _command(settings), environment)  # noqa: S606


def _command(settings: Settings) -> list[str]:
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "mlflow_gateway.app:runner",
        "--worker-class=aiohttp.GunicornWebWorker",
        "--workers=1",
        "--preload",  # the worker shares the master's pages, and is back at once after a crash
        f"--bind={settings.host}:{settings.ingress_port}",
        f"--bind={settings.host}:{settings.api_port}",
        f"--graceful-timeout={GRACE + 2}",  # the worker ends the streams itself before that
        "--worker-tmp-dir=/dev/shm",
        "--no-control-socket",
        "--log-level=warning",  # below it, gunicorn writes down its whole configuration
    ]
