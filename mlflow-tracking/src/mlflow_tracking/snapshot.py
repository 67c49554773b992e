"""A copy of the SQLite database for Home Assistant's backups, and its way back after a restore.

A backup of a running app is a tar of its data; a database that is written to meanwhile would be torn.
So the live files are left out of it (backup_exclude in config.yaml), a snapshot made right before goes
in, and the first start after a restore finds the snapshot alone and takes it for its database.
"""

import logging
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from .errors import StartError

_logger = logging.getLogger(__name__)


def snapshot_file(database: Path) -> Path:
    """Where the snapshot of a database file is."""
    return database.with_name("snapshot.db")


def make_snapshot(database: Path) -> None:
    """Copy the database as it is at this moment; its readers and writers go on.

    Raises StartError when there is no room for it.
    """
    snapshot = snapshot_file(database)
    part = snapshot.with_name(snapshot.name + ".part")
    part.unlink(missing_ok=True)
    free, size = shutil.disk_usage(database.parent).free, database.stat().st_size
    if free < size:
        raise StartError(
            f"A backup needs {size // 2**20 + 1} MB of free space for a moment and there are"
            f" {free // 2**20} MB: make room and back up again."
        )
    try:
        with closing(sqlite3.connect(database, timeout=60)) as connection:
            connection.execute("VACUUM INTO ?", (str(part),))
    except sqlite3.Error as error:
        part.unlink(missing_ok=True)
        raise StartError(f"The database could not be copied for the backup: {error}.") from error
    part.replace(snapshot)
    _logger.info("Copied the database for the backup (%d MB).", snapshot.stat().st_size // 2**20)


def remove_snapshot(database: Path) -> None:
    """Free the room again once the backup is made."""
    snapshot_file(database).unlink(missing_ok=True)


def leave_snapshot(database: Path) -> None:
    """After a clean stop, let the database be its own snapshot: a stopped app is backed up too."""
    try:
        with closing(sqlite3.connect(database, timeout=2)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            os.link(database, snapshot_file(database))
    except (OSError, sqlite3.Error) as error:
        _logger.debug("The stopped app left no snapshot: %s", error)


def adopt_snapshot(database: Path) -> bool:
    """After a restore, make the snapshot the database; one left from a cut-off backup goes.

    Tells whether the database is as a clean stop has left it.
    """
    snapshot = snapshot_file(database)
    if not snapshot.exists():
        return False
    if database.exists():
        log = database.with_name(database.name + "-wal")
        clean = snapshot.samefile(database) and not (log.exists() and log.stat().st_size)
        snapshot.unlink()
        return clean
    snapshot.replace(database)
    _logger.info("Restored the database from the backup.")
    return False
