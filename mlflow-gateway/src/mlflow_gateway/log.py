"""The log: one line for each thing a user should know, with every secret taken out."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import Redactor


TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


class _RedactingFormatter(logging.Formatter):
    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", TIME_FORMAT)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


def configure(level: str, redact: Redactor) -> None:
    """Send what this app and its libraries log to stdout, from `level` upwards."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_RedactingFormatter(redact))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("mlflow_gateway").setLevel(level.upper())


def place(error: BaseException) -> str:
    """Where an error arose, as `file:line`, without the values that a traceback may hold."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
