"""The process that does MLflow's background jobs; ends by itself when there is nothing to do."""

import logging
import os
import signal
import sys
import threading
import time

from . import mlflow_server
from .jobs import find_work
from .log import log_to_stdout

_logger = logging.getLogger(__name__)

_IDLE_SECONDS = 20.0
_SCHEDULE_SECONDS = 60.0


def main() -> None:
    """Do the jobs that are there, and those that come meanwhile."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log_to_stdout("warning")
    mlflow_server.import_jobs()
    stop = threading.Event()
    threading.Thread(target=_end_when_idle, args=(stop,), daemon=True).start()
    mlflow_server.run_jobs(stop)


def _end_when_idle(stop: threading.Event) -> None:
    database_url = os.environ["MLFLOW_BACKEND_STORE_URI"]
    server = int(os.environ["MLFLOW_SERVER_PID"])
    busy = time.monotonic()
    scheduled = 0.0
    while os.getppid() == server and time.monotonic() - busy < _IDLE_SECONDS:
        work = find_work(database_url)
        if work:
            busy = time.monotonic()
        if work.schedules and time.monotonic() - scheduled > _SCHEDULE_SECONDS:
            scheduled = time.monotonic()
            try:
                mlflow_server.schedule_judges()
            except (
                Exception
            ):  # the next minute is another chance, and this thread must end the process
                _logger.exception("Judges that run by themselves could not be started.")
        time.sleep(1)
    stop.set()


if __name__ == "__main__":
    main()
