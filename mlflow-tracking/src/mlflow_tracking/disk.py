"""Says so when the disk under the data is full or read-only, at the start and while it runs."""

import errno
import logging
import shutil
import tempfile
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
    except OSError:
        raise StartError(_cannot_be_written(folder)) from None
    if _refusal(folder) not in (None, errno.ENOSPC):
        raise StartError(_cannot_be_written(folder))
    free = shutil.disk_usage(folder).free
    if free < _ROOM_TO_START:
        raise StartError(
            f"The disk of {folder} has {free // 2**20} MB left and the app needs"
            f" {_ROOM_TO_START // 2**20} MB to start: make room."
        )


class DiskWatch:
    """Turns an error of the server into one that names the disk, when that is the cause."""

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
            if starts and message["status"] >= 500 and (trouble := self._trouble()):
                replaced = True
                self._warn(trouble)
                await _answer(trouble)(scope, receive, send)
            elif not replaced:
                await send(message)

        await self._app(scope, receive, watch)

    def _trouble(self) -> str | None:
        refusal = _refusal(self._folder)
        if refusal == errno.ENOSPC or shutil.disk_usage(self._folder).free < _FULL:
            return _IS_FULL
        return _IS_READ_ONLY if refusal else None

    def _warn(self, trouble: str) -> None:
        now = time.monotonic()
        if not self._warned or now - self._warned > _SECONDS_BETWEEN_WARNINGS:
            self._warned = now
            _logger.error("Nothing can be kept. %s", trouble)


_IS_FULL = (
    "The disk is full: make room on Home Assistant's disk, or let the app keep less (its options"
    " keep_traces_days and max_database_mb). What was stored before is safe."
)
_IS_READ_ONLY = (
    "The disk cannot be written: it has become read-only, most often after an error. Check it, and"
    " restart Home Assistant's machine. What was stored before is safe."
)


def _cannot_be_written(folder: Path) -> str:
    return (
        f"The data folder {folder} cannot be written: check the disk, which may have become"
        " read-only after an error, and the folder's rights."
    )


def _refusal(folder: Path) -> int | None:
    """The error number with which the folder refuses a write, or None.

    Tried, not asked: a file system that stops after an error does not show it in its flags.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"1")
    except OSError as error:
        return error.errno
    return None


def _answer(trouble: str) -> JSONResponse:
    body = {"error_code": "TEMPORARILY_UNAVAILABLE", "message": trouble}
    return JSONResponse(body, status_code=507)
