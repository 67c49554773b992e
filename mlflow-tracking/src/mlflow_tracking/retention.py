"""Deletes at night what the options say need not be kept, and gives the room back.

Traces that someone judged, that are a case of a dataset, or that belong to an evaluation stay for
good: they are what a later comparison stands on.
"""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import sqlalchemy
from sqlalchemy import ColumnElement, Row, Select, and_, column, exists, func, select, table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from .options import Options
from .rest import Mlflow, MlflowError

_logger = logging.getLogger(__name__)

_HOUR_OF_NIGHT = 3
# Small batches with pauses, so that a conversation's trace never waits long for its turn.
_BATCH = 50
_FINE_BATCH = 10
_PAUSE_SECONDS = 0.1
_PAGES_A_STEP = 1000

_traces = table("trace_info", column("request_id"), column("experiment_id"), column("timestamp_ms"))
_assessments = table("assessments", column("trace_id"))
_records = table("evaluation_dataset_records", column("source_id"), column("source_type"))
_links = table(
    "entity_associations", column("source_type"), column("source_id"), column("destination_type")
)
_metadata = table("trace_request_metadata", column("request_id"), column("key"))


@dataclass(frozen=True)
class Retention:
    """What is to be deleted, and through what."""

    options: Options
    database_url: str
    database_file: Path | None
    mlflow: Mlflow

    def run(self) -> None:
        """Delete what is too old or too much; logs how much that is before it begins."""
        options = self.options
        if options.keep_traces_days:
            self._delete_old_traces(options.keep_traces_days)
        if options.max_database_mb and self.database_file:
            self._shrink_to(self.database_file, options.max_database_mb * 2**20)
        if options.keep_deleted_days:
            self._purge(options.keep_deleted_days)
        if self.database_file:
            _give_back(self.database_file)

    def _delete_old_traces(self, days: int) -> None:
        before = int((time.time() - days * 86400) * 1000)
        is_old = _traces.c.timestamp_ms < before
        counted = select(func.count()).select_from(_traces)
        old = int(self._rows(counted.where(is_old))[0][0])
        going = int(self._rows(counted.where(is_old, _may_go()))[0][0])
        _logger.info(
            "Retention: %d traces are older than %d days; %d of them go, and %d stay because they"
            " were judged or belong to a dataset or an evaluation.",
            old,
            days,
            going,
            old - going,
        )
        while self._delete_batch(before, _BATCH):
            time.sleep(_PAUSE_SECONDS)

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        engine = sqlalchemy.create_engine(self.database_url, poolclass=NullPool)
        with engine.connect() as connection:
            return connection.execute(query).all()

    def _delete_batch(self, before: int, count: int) -> int:
        """Delete the oldest traces of before that time (milliseconds) that may go; how many."""
        query = (
            select(_traces.c.request_id, _traces.c.experiment_id)
            .where(_traces.c.timestamp_ms < before, _may_go())
            .order_by(_traces.c.timestamp_ms)
            .limit(count)
        )
        by_experiment: dict[str, list[str]] = {}
        for row in self._rows(query):
            by_experiment.setdefault(str(row.experiment_id), []).append(row.request_id)
        deleted = 0
        for experiment, ids in by_experiment.items():
            body = {"experiment_id": experiment, "request_ids": ids}
            answer = self.mlflow.call("POST", "2.0/mlflow/traces/delete-traces", body)
            deleted += int(answer.get("traces_deleted", 0))
        return deleted

    def _shrink_to(self, file: Path, limit: int) -> None:
        used = _used_bytes(file)
        if used <= limit:
            return
        _logger.info(
            "Retention: the database holds %d MB and may hold %d MB; the oldest traces go.",
            used // 2**20,
            limit // 2**20,
        )
        # The newest hour stays whatever its size: a limit that small is a mistake.
        newest = int((time.time() - 3600) * 1000)
        while _used_bytes(file) > limit and self._delete_batch(newest, _FINE_BATCH):
            time.sleep(_PAUSE_SECONDS)

    def _purge(self, days: int) -> None:
        """Remove for good what was deleted in the interface, with MLflow's own command.

        In a process of its own: the command loads much that the server does not need.
        """
        done = subprocess.run(  # noqa: S603  (the app's own module)
            [sys.executable, "-W", "ignore", "-m", f"{__package__}.purge", str(days)],
            capture_output=True,
            text=True,
            check=False,
            # It deletes the runs' files through this server.
            env={
                **os.environ,
                "MLFLOW_TRACKING_URI": self.mlflow.url,
                "MLFLOW_TRACKING_TOKEN": self.mlflow.token,
            },
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            _logger.warning("Retention: deleted runs could not be removed for good: %s", last)


def _may_go() -> ColumnElement[bool]:
    trace = _traces.c.request_id
    kept = [
        exists().where(_assessments.c.trace_id == trace),
        exists().where(_records.c.source_id == trace, _records.c.source_type == "TRACE"),
        exists().where(
            _links.c.source_id == trace,
            _links.c.source_type == "trace",
            _links.c.destination_type == "run",
        ),
        exists().where(_metadata.c.request_id == trace, _metadata.c.key == "mlflow.sourceRun"),
    ]
    return and_(*(~condition for condition in kept))


def _used_bytes(file: Path) -> int:
    """What the database's content takes, without the pages that are free already."""
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        pages, free, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


def _give_back(file: Path) -> None:
    """Hand free pages back to the file system, a few at a time."""
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as connection:
        while free := int(connection.execute("PRAGMA freelist_count").fetchone()[0]):
            connection.execute(f"PRAGMA incremental_vacuum({_PAGES_A_STEP})").fetchall()
            if int(connection.execute("PRAGMA freelist_count").fetchone()[0]) >= free:
                return
            time.sleep(_PAUSE_SECONDS / 10)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class Nightly:
    """Runs the retention every night in a thread of its own."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin to wait for the night."""
        self._thread.start()

    def stop(self) -> None:
        """Do not begin another night."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_seconds_until_night(datetime.now().astimezone())):
            try:
                self._retention.run()
            except (
                OSError,
                requests.RequestException,
                MlflowError,
                SQLAlchemyError,
                sqlite3.Error,
            ) as error:
                _logger.warning("Retention stopped and goes on tomorrow: %s", error)


def _seconds_until_night(now: datetime) -> float:
    # For the tests, which cannot wait for the night.
    if interval := os.environ.get("MLFLOW_TRACKING_RETENTION_SECONDS"):
        return float(interval)
    night = now.replace(hour=_HOUR_OF_NIGHT, minute=0, second=0, microsecond=0)
    if night <= now:
        night += timedelta(days=1)
    return (night - now).total_seconds()
