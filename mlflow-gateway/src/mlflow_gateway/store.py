"""What the Gateway keeps across restarts: a small SQLite file in /data."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# Older days are deleted, which bounds the file's size.
KEEP_DAYS = 100

_LOG = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS usage (
    day TEXT, endpoint TEXT, counters TEXT, PRIMARY KEY (day, endpoint)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recent (endpoint TEXT PRIMARY KEY, times TEXT) WITHOUT ROWID;
"""


# What `save` raises when the disk is full or broken.
StoreError = sqlite3.Error


class Store:
    """Counters per day and endpoint, and the calls of the last minute.

    Safe to use from several threads. What `save` wrote survives a kill of the process.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        try:
            self._db = _opened(file)
        except StoreError as error:
            # Such as a backup taken in the middle of a write. The calls matter more than the count.
            _LOG.warning("%s is broken (%s) and was begun anew", file.name, error)
            _set_aside(file)
            self._db = _opened(file)
        oldest = time.strftime("%Y-%m-%d", time.localtime(time.time() - KEEP_DAYS * 86400))
        # "total" sorts after every date
        self._db.execute("DELETE FROM usage WHERE day < ?", (oldest,))

    def close(self) -> None:
        """Close the file, which also folds its write-ahead log into it."""
        self._db.close()

    def row(self, day: str, endpoint: str) -> dict[str, Any] | None:
        """The counters of an endpoint on a day."""
        found = self._read(
            "SELECT counters FROM usage WHERE day = ? AND endpoint = ?", (day, endpoint)
        )
        return dict(json.loads(found[0][0])) if found else None

    def days(self, first: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Every row from the day `first` on, newest day first."""
        found = self._read(
            "SELECT day, endpoint, counters FROM usage"
            " WHERE day >= ? AND day < 'a' ORDER BY day DESC, endpoint",
            (first,),
        )
        return [(day, endpoint, json.loads(counters)) for day, endpoint, counters in found]

    def recent(self) -> dict[str, list[float]]:
        """The times of the last calls of each endpoint with a rate limit."""
        found = self._read("SELECT endpoint, times FROM recent", ())
        return {endpoint: json.loads(times) for endpoint, times in found}

    def save(
        self,
        rows: Iterable[tuple[str, str, dict[str, Any]]],
        recent: Mapping[str, list[float]],
    ) -> None:
        """Write rows and times in one transaction."""
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT OR REPLACE INTO usage VALUES (?, ?, ?)",
                [(day, endpoint, json.dumps(counters)) for day, endpoint, counters in rows],
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO recent VALUES (?, ?)",
                [(endpoint, json.dumps(times)) for endpoint, times in recent.items()],
            )
            self._db.execute("COMMIT")

    def _read(self, query: str, values: tuple[str, ...]) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


def _opened(file: Path) -> sqlite3.Connection:
    """The database at `file`, made when it is missing; sqlite3.Error when it is broken."""
    database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA cache_size = -256")
        database.executescript(_SCHEMA)
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _set_aside(file: Path) -> None:
    for part in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        if part.exists():
            part.replace(part.with_name(f"broken-{part.name}"))
