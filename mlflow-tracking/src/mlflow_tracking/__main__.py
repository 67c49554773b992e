"""`python -m mlflow_tracking COMMAND`: what the image, the demo and the tests run."""

import argparse
import logging
import os
import sys

from .arguments import Settings, add_arguments, settings_from
from .database import prepare_database
from .disk import check_disk
from .errors import StartError
from .kept import api_token, encryption_passphrase
from .log import log_to_stdout, report
from .options import read_options
from .snapshot import make_snapshot, remove_snapshot

_logger = logging.getLogger(__name__)

# Read by libraries when the process starts, so they have to be there before Python is.
# Each thread that allocates gets an arena of its own otherwise; numpy starts a thread per core.
_SMALL_PROCESS = {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}


def main() -> int:
    """Prepare, or become the server process."""
    parser = argparse.ArgumentParser(prog="mlflow_tracking", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, run in _COMMANDS.items():
        add_arguments(commands.add_parser(command, help=run.__doc__))
    namespace = parser.parse_args()
    try:
        _COMMANDS[namespace.command](settings_from(namespace))
    except StartError as error:
        report(error)
        return 1
    return 0


def _prepare(settings: Settings) -> None:
    """Check the options and make the data ready."""
    options = read_options(settings.options)
    log_to_stdout(options.log_level)
    check_disk(settings.data)
    settings.artifacts.mkdir(exist_ok=True)
    api_token(settings.data)
    encryption_passphrase(settings.data)
    prepare_database(settings, options)
    _logger.info("The options are fine and the database is ready.")


def _serve(_settings: Settings) -> None:
    """Run the one server process in place of this one."""
    command = [sys.executable, "-m", f"{__package__}.server", *sys.argv[2:]]
    os.execve(sys.executable, command, os.environ | _SMALL_PROCESS)  # noqa: S606


def _snapshot(settings: Settings) -> None:
    """Copy the SQLite database, right before Home Assistant makes a backup."""
    log_to_stdout()
    if settings.database_file.exists():
        make_snapshot(settings.database_file)


def _remove_snapshot(settings: Settings) -> None:
    """Remove that copy once the backup is made."""
    remove_snapshot(settings.database_file)


_COMMANDS = {
    "prepare": _prepare,
    "serve": _serve,
    "snapshot": _snapshot,
    "remove-snapshot": _remove_snapshot,
}

if __name__ == "__main__":
    sys.exit(main())
