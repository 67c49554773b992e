"""Says so when the disk under the data is full or read-only, at the start and while it runs."""

import logging
import os
import shutil
import time
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import StartError

_logger = logging.getLogger(__name__)

# A start needs room for SQLite's log and for the first traces; in bytes.
_ROOM_TO_START = 8 * 2**20
# Below this SQLite cannot add to its log.
_FULL = 2**20
_SECONDS_BETWEEN_WARNINGS = 60.0


def check_disk(folder: Path) -> None:
    """Raise StartError unless the data folder can be made or written and has some room."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise StartError(
            f"The data folder {folder} cannot be written: check the disk, which may have become"
            " read-only after an error, and the folder's rights."
        )
    free = shutil.disk_usage(folder).free
    if free < _ROOM_TO_START:
        raise StartError(
            f"The disk of {folder} has {free // 2**20} MB left and the app needs"
            f" {_ROOM_TO_START // 2**20} MB to start: make room."
        )


class FullDisk:
    """Turns an error of the server into one that names the disk, when that is full."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app = app
        self._folder = folder
        self._warned = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        replaced = False

        async def watch(message: Message) -> None:
            nonlocal replaced
            starts = message["type"] == "http.response.start"
            if starts and message["status"] >= 500 and self._is_full():
                replaced = True
                self._warn()
                await _answer(scope, receive, send)
            elif not replaced:
                await send(message)

        await self._app(scope, receive, watch)

    def _is_full(self) -> bool:
        return shutil.disk_usage(self._folder).free < _FULL

    def _warn(self) -> None:
        now = time.monotonic()
        if not self._warned or now - self._warned > _SECONDS_BETWEEN_WARNINGS:
            self._warned = now
            _logger.error("The disk is full and nothing can be kept: %s", _ADVICE)


_ADVICE = (
    "make room on Home Assistant's disk, or let the app keep less (its options keep_traces_days and"
    " max_database_mb). What was stored before is safe."
)
_answer = JSONResponse(
    {"error_code": "TEMPORARILY_UNAVAILABLE", "message": f"The disk is full: {_ADVICE}"},
    status_code=507,
)
