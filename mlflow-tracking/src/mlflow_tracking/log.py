"""The app's log lines: on stdout, for a reader who does not know the app."""

import logging
import sys

from .errors import StartError


def log_to_stdout(level: str = "info") -> None:
    """Send the log of the app and of the server to stdout from the given level on."""
    logging.basicConfig(
        stream=sys.stdout,
        level=level.upper(),
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        force=True,
    )
    # What these say at each request or start says nothing to the app's user.
    for noisy in ("uvicorn", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def report(error: StartError) -> None:
    """Print why the app does not start, one sentence a line, on stderr."""
    sys.stderr.write("".join(f"{sentence}\n" for sentence in error.sentences))
