"""Background jobs, such as judging a trace: a second process that exists only while there is work.

MLflow keeps its jobs in the database. The server adds them; the process that this module starts does
them, and ends when there has been nothing to do for a while.
"""

import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import Connection, column, func, select, table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from .rest import Mlflow

_logger = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0

_jobs = table("jobs", column("status"))
_schedules = table("online_scoring_configs", column("sample_rate"))
# PENDING, RUNNING and NEEDS_RECOVERY (mlflow.entities._job_status.JobStatus).
_UNFINISHED = (0, 1, 6)


@dataclass(frozen=True)
class Work:
    """How much there is to do."""

    jobs: int
    schedules: int

    def __bool__(self) -> bool:
        return bool(self.jobs or self.schedules)


def find_work(database_url: str) -> Work:
    """Count unfinished jobs, and judges that run by themselves."""
    engine = sqlalchemy.create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        return Work(
            jobs=_count(connection, _jobs, _jobs.c.status.in_(_UNFINISHED)),
            schedules=_count(connection, _schedules, _schedules.c.sample_rate > 0),
        )


def _count(
    connection: Connection, where: sqlalchemy.TableClause, clause: sqlalchemy.ColumnElement[bool]
) -> int:
    return connection.scalar(select(func.count()).select_from(where).where(clause)) or 0


class JobWatch:
    """Starts the process that does the jobs whenever there is one."""

    def __init__(self, database_url: str, mlflow: Mlflow) -> None:
        self._database_url = database_url
        self._mlflow = mlflow
        self._runner: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to look for jobs."""
        self._thread.start()

    def stop(self) -> None:
        """Start no more jobs and end the process that does them; unfinished ones are done later."""
        self._stopped.set()
        self._thread.join(_LOOK_SECONDS)
        if self._runner and self._runner.poll() is None:
            self._runner.terminate()
            try:
                self._runner.wait(3)
            except subprocess.TimeoutExpired:
                self._runner.kill()
                self._runner.wait()

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            if self._runner and self._runner.poll() is None:
                continue
            try:
                if find_work(self._database_url) and not self._stopped.is_set():
                    self._runner = subprocess.Popen(  # noqa: S603  (the own module)
                        [sys.executable, "-W", "ignore", "-m", f"{__package__}.job_runner"],
                        env=self._environment(),
                    )
            except (OSError, SQLAlchemyError) as error:
                _logger.warning("Background jobs could not be started: %s", error)

    def _environment(self) -> dict[str, str]:
        """What the jobs need to reach this server: some ask with the one header, some the other."""
        return {
            **os.environ,
            "MLFLOW_BACKEND_STORE_URI": self._database_url,
            "MLFLOW_DEFAULT_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "MLFLOW_TRACKING_URI": self._mlflow.url,
            "MLFLOW_GATEWAY_URI": self._mlflow.url,
            "MLFLOW_TRACKING_USERNAME": "job",
            "MLFLOW_TRACKING_PASSWORD": self._mlflow.token,
            "MLFLOW_SERVER_PID": str(os.getpid()),
        }
