"""What the Gateway keeps across restarts: a small SQLite file in /data."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# Older days are deleted, which bounds the file's size.
KEEP_DAYS = 100

_SCHEMA = """
CREATE TABLE IF NOT EXISTS usage (
    day TEXT, endpoint TEXT, counters TEXT, PRIMARY KEY (day, endpoint)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recent (endpoint TEXT PRIMARY KEY, times TEXT) WITHOUT ROWID;
"""


class Store:
    """Counters per day and endpoint, and the calls of the last minute.

    Safe to use from several threads. What `save` wrote survives a kill of the process.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA cache_size = -256")
        self._db.executescript(_SCHEMA)
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
