"""Run by the Dockerfile: byte code for the modules that the app imports, and for no other.

That of every module of every package would be a third of the installed size. What starts the app
and what it imports once it is asked are imported here; tests/images runs it and finds what is missing.
"""

import asyncio
import importlib
import pkgutil
import py_compile
import sys

import mlflow_gateway
from mlflow_gateway.adapter import Adapter
from mlflow_gateway.errors import Redactor
from mlflow_gateway.policy import Policy
from mlflow_gateway.providers import CHAT, PROVIDER_TYPES
from mlflow_gateway.routes import Route
from mlflow_gateway.upstream import Upstream

# What gunicorn names by text, and what libraries import in the middle of a call.
BY_NAME = (
    "aiohttp.worker",
    "google.auth.transport.requests",
    "google.oauth2.service_account",
    "gunicorn.__main__",
    "gunicorn.app.wsgiapp",
    "gunicorn.glogging",
)


async def _import_all() -> None:
    own = [
        f"mlflow_gateway.{found.name}" for found in pkgutil.iter_modules(mlflow_gateway.__path__)
    ]
    for name in (*own, *BY_NAME):
        importlib.import_module(name)
    redact = Redactor([])
    upstream = Upstream(redact)
    translated = [kind for kind in PROVIDER_TYPES.values() if not kind.forwarded]
    for kind in translated:
        fields = dict.fromkeys(kind.keys, "x")
        Adapter([Route("x", CHAT, "x", "x", kind, fields, Policy(), None)], upstream, redact)
    await upstream.close()


def _compile_imported() -> None:
    for module in [*sys.modules.values()]:
        file = getattr(module, "__file__", None) or ""
        if file.endswith(".py") and file.startswith(("/opt/venv/", "/opt/app/")):
            # never compared with the source again, which no more changes in an image
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(file, doraise=True, invalidation_mode=mode)


if __name__ == "__main__":
    asyncio.run(_import_all())
    _compile_imported()
