"""MLflow's built files: kept by browsers for good, and stored packed where the image has them so."""

import gzip
import re
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# The build names its files by a hash of their content: main.00d66947.js.
_HASHED = re.compile(r"\.[0-9a-f]{8,20}\.")

# mlflow-tracking/slim.py packs the large ones: the image has main.00d66947.js.gz in place of main.00d66947.js.
_PACKED = ".gz"


class BuiltFiles(StaticFiles):
    """Static files that a browser never asks for twice when their name holds a hash."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, unpacked for a caller that does not take it as it is stored."""
        response = await super().get_response(path, scope)
        response.headers["X-Content-Type-Options"] = "nosniff"
        hashed = _HASHED.search(Path(path).name)
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if hashed else "no-cache"
        )
        packed = str(getattr(response, "path", ""))
        if not packed.endswith(_PACKED) or path.endswith(_PACKED):
            return response
        response.headers["Vary"] = "Accept-Encoding"
        if "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            response.headers["Content-Encoding"] = "gzip"
            return response
        headers = MutableHeaders(raw=list(response.headers.raw))
        del headers["content-length"], headers["etag"]
        body = await run_in_threadpool(_unpacked, Path(packed))
        return Response(body, headers=dict(headers))

    def lookup_path(self, path: str) -> Any:
        """The file of that name, or its packed form."""
        found, status = super().lookup_path(path)
        return (found, status) if status else super().lookup_path(path + _PACKED)


def _unpacked(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes())
