"""Brings the SQLite file to what the server expects, without ever losing the one before."""

import logging
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from . import mlflow_server
from .errors import NewerDatabaseError, StartError
from .snapshot import adopt_snapshot

_logger = logging.getLogger(__name__)

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def sqlite_url(file: Path) -> str:
    """The SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{file}"


def prepare_file(file: Path) -> None:
    """Create or migrate the database; a damaged one is set aside.

    Raises StartError when the database is newer than the app or cannot be migrated.
    """
    # Checking reads the whole file, which takes an SD card a minute for a large one.
    left_clean = adopt_snapshot(file)
    if file.exists() and not left_clean:
        damage = _damage(file)
        if damage:
            _set_aside(file, damage)
    if not file.exists():
        _create(file)
        return
    revision = _revision(file)
    if revision == mlflow_server.newest_revision():
        _use_write_ahead_log(file)
        return
    if revision is not None and not mlflow_server.knows_revision(revision):
        raise NewerDatabaseError(revision)
    _migrate(file, revision or "unknown")


def spare_the_disk() -> None:
    """Let every SQLite connection of this process write as an SD card likes it.

    With a write-ahead log, `synchronous=NORMAL` syncs the disk at checkpoints instead of at each
    commit. A killed process loses nothing by that; a power cut may take the last seconds, and never
    the integrity of the file (https://www.sqlite.org/pragma.html#pragma_synchronous).
    """
    event.listen(Engine, "connect", _spare)
    event.listen(Engine, "handle_error", _reopen)


def _spare(connection: object, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=NORMAL")
        # A burst of writes leaves no large log behind; in bytes.
        connection.execute(f"PRAGMA journal_size_limit={16 * 2**20}")


def _reopen(context: ExceptionContext) -> None:
    """Drop connections that were opened while the disk was read-only: they would stay so after it."""
    error = context.original_exception
    if isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_READONLY:
        context.is_disconnect = True


def _code(error: sqlite3.Error) -> int:
    """The primary result code (https://www.sqlite.org/rescode.html), 0 when the module raised it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_ready(file: Path) -> bool:
    """Tell whether the server can start from the file as it is."""
    return file.exists() and _revision(file) == mlflow_server.newest_revision()


def _create(file: Path) -> None:
    # Made aside and renamed, so that a power cut leaves no half-made database.
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(part)) as connection:
        # Set before the first table: the file can then shrink in small steps.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("VACUUM")
    mlflow_server.create_or_migrate(sqlite_url(part))
    _use_write_ahead_log(part)
    part.replace(file)
    _logger.info("Made a new database: %s.", file)


def _migrate(file: Path, revision: str) -> None:
    """Migrate a copy and swap it in, so that a failure or a power cut leaves the old one in place."""
    _logger.info("The database is of revision %s: migrating it. This can take minutes.", revision)
    size = file.stat().st_size
    free = shutil.disk_usage(file.parent).free
    if free < 2 * size:
        raise StartError(
            f"The database has to be migrated, which needs {2 * size // 2**20 + 1} MB of free space"
            f" and there are {free // 2**20} MB: make room and start the app again."
        )
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(part)) as new:
            old.backup(new)
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        mlflow_server.create_or_migrate(sqlite_url(part))
        _use_write_ahead_log(part)
    except Exception as error:
        part.unlink(missing_ok=True)
        raise StartError(
            "Migrating the database failed, and it was left as it was"
            f" ({type(error).__name__}: {error}): go back to the app's version before this one,"
            " and report this."
        ) from error
    kept = _keep(file, revision)
    part.replace(file)
    _logger.info("Migrated the database; the one before is kept as %s.", kept)


def _keep(file: Path, revision: str) -> Path:
    """Link the database before the migration into a folder that holds the newest such copy."""
    folder = file.parent / "before-migration"
    folder.mkdir(exist_ok=True)
    kept = folder / f"mlflow-{revision}.db"
    kept.unlink(missing_ok=True)
    os.link(file, kept)
    for older in folder.glob("mlflow-*.db"):
        if older != kept:
            older.unlink()
    return kept


def _use_write_ahead_log(file: Path) -> None:
    """Switch the file to WAL, which persists in it, and leave everything in the one file."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _revision(file: Path) -> str | None:
    with closing(sqlite3.connect(file)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return str(row[0]) if row else None


def _damage(file: Path) -> str | None:
    """What is wrong with the file, in SQLite's words, or None."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if _code(error) not in _DAMAGED:
            raise StartError(f"The database {file} cannot be opened: {error}.") from error
        return str(error)
    return None if verdict == "ok" else verdict


def _set_aside(file: Path, damage: str) -> None:
    aside = file.with_name(f"{file.name}.damaged-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    for suffix in ("", "-wal", "-shm"):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    _logger.error(
        "The database is damaged (%s). It was set aside as %s and the app starts with an empty one."
        " To get the data back, restore a backup of this app in Home Assistant, or see"
        ' "A damaged database" in the documentation.',
        damage,
        aside,
    )
