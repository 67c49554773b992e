"""All that depends on MLflow's insides: its private variables, its database's revisions, its app.

MLflow has no public way to get its ASGI app into a process of one's own; `mlflow server` sets these
variables and starts children that import the app. tests/tracking/test_mlflow_server.py compares
them with the installed MLflow, so an upgrade that changes one fails there.
"""

# ruff: noqa: SLF001  (this module is where private names of MLflow may stand)

import importlib
import importlib.util
import os
import re
import socket
import sys
import threading
import uuid
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from .deferred import defer

HOME_EXPERIMENT = "Home Assistant"

_ABSENT = Path(__file__).parent / "absent"

_REVISION = re.compile(r"""^revision = ["'](\w+)["']""", re.MULTILINE)
_REVISION_BEFORE = re.compile(r"""^down_revision = ["'](\w+)["']""", re.MULTILINE)


@dataclass(frozen=True)
class ServerSettings:
    """What MLflow's server is told."""

    database_url: str
    artifacts: Path
    passphrase: str
    gateway_url: str | None
    allowed_hosts: tuple[str, ...]
    background_jobs: bool = False


def environment(settings: ServerSettings) -> dict[str, str]:
    """The variables that MLflow's app reads when it is imported and while it runs."""
    variables = {
        "_MLFLOW_SERVER_FILE_STORE": settings.database_url,
        "_MLFLOW_SERVER_REGISTRY_STORE": settings.database_url,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(settings.artifacts),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_BOOT_ID": uuid.uuid4().hex,
        "_MLFLOW_IN_JOB_EXECUTOR": "false",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_CRYPTO_KEK_PASSPHRASE": settings.passphrase,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(_host_patterns(settings.allowed_hosts)),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": str(settings.background_jobs).lower(),
        # Of the two engines the one that keeps the jobs in the database alone.
        "MLFLOW_SERVER_JOB_EXECUTION_ENGINE": "executor",
        # The processes of jobs need what _prepare_import does for this one.
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_ABSENT), os.environ.get("PYTHONPATH")))),
        # The Assistant runs tools on the server; it has no place in a home's server.
        "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
        # Nothing leaves the home: no telemetry, no price catalogue from the internet.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_MODEL_CATALOG_URI": "",
        # MLflow's AI Gateway may call the sibling Gateway, which has a private address.
        "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true",
    }
    if settings.gateway_url:
        variables["MLFLOW_DEPLOYMENTS_TARGET"] = settings.gateway_url
    return variables


def _host_patterns(extra: tuple[str, ...]) -> list[str]:
    """What MLflow's protection against DNS rebinding accepts as Host, any port.

    MLflow's own defaults (this machine, private addresses) and the names that this listener has.
    """
    own = socket.gethostname().lower()
    names = ["localhost", "127.0.0.1", "[[]::1]", own, f"{own}.local.hass.io"]
    names += ["homeassistant", "homeassistant.local", *extra]
    private = ["192.168.*", "10.*", *(f"172.{i}.*" for i in range(16, 32))]
    return [*names, *(f"{name}:*" for name in names), *private, "127.*"]


def static_folder() -> Path:
    """The built user interface inside the installed MLflow."""
    return _package_folder() / "server" / "js" / "build"


def _package_folder() -> Path:
    spec = importlib.util.find_spec("mlflow")
    if spec is None or spec.origin is None:
        raise RuntimeError("mlflow is not installed")
    return Path(spec.origin).parent


def load_app() -> ASGIApp:
    """Import MLflow's ASGI app, whose environment must be set, and open its database."""
    defer("pandas", ("DataFrame", "Series", "Timestamp"))
    fastapi_app = _import("mlflow.server.fastapi_app")
    handlers = _import("mlflow.server.handlers")
    handlers._get_tracking_store()
    handlers._get_model_registry_store()
    app: ASGIApp = fastapi_app.app
    return app


def _import(module: str) -> Any:
    """Import one of MLflow's modules; most have no types."""
    _prepare_import()
    return importlib.import_module(module)


def _prepare_import() -> None:
    """Put right what keeps MLflow from being imported without the packages left out of the lock."""
    # mlflow.genai asks for the module databricks.agents without a guard for the parent's absence.
    if str(_ABSENT) not in sys.path:
        sys.path.append(str(_ABSENT))
    warnings.filterwarnings("ignore", message="starlette.middleware.wsgi is deprecated")


def home_experiment_id() -> str | None:
    """The id of the home's experiment, or None while the integration has not made it."""
    store = _import("mlflow.server.handlers")._get_tracking_store()
    experiment = store.get_experiment_by_name(HOME_EXPERIMENT)
    if experiment is None or experiment.lifecycle_stage != "active":
        return None
    return str(experiment.experiment_id)


def newest_revision() -> str:
    """The database revision that this MLflow works with (an Alembic revision id)."""
    revisions = _revisions()
    (newest,) = revisions.keys() - revisions.values()
    return newest


def knows_revision(revision: str) -> bool:
    """Tell whether this MLflow can migrate a database of that revision."""
    return revision in _revisions()


def _revisions() -> dict[str, str | None]:
    """Each revision with the one before it.

    Read from the text of the migrations: they import MLflow, which takes seconds at each start.
    """
    found = {}
    for script in (_package_folder() / "store" / "db_migrations" / "versions").glob("*.py"):
        text = script.read_text(encoding="utf-8")
        if revision := _REVISION.search(text):
            before = _REVISION_BEFORE.search(text)
            found[revision[1]] = before[1] if before else None
    return found


def create_or_migrate(database_url: str) -> None:
    """Bring an empty or older database to the newest revision."""
    utils = _import("mlflow.store.db.utils")
    engine = utils.create_sqlalchemy_engine_with_retry(database_url)
    try:
        if utils._is_empty_database(engine):
            utils._initialize_tables(engine)
        else:
            utils._upgrade_db(engine)
    finally:
        engine.dispose()


def purge_deleted(days: int) -> None:
    """Remove what was deleted that many days ago, in a process with this server's environment."""
    # Arguments within this process: no other sees the database's password.
    database = os.environ["_MLFLOW_SERVER_FILE_STORE"]
    arguments = ["gc", "--older-than", f"{days}d", "--backend-store-uri", database]
    _import("mlflow.cli").cli(arguments, standalone_mode=False)


def import_jobs() -> None:
    """Import what the process of the jobs needs: two threads that import MLflow at once break it."""
    _import("mlflow.server.jobs._executor_runner")
    _import("mlflow.genai.scorers.job")


def run_jobs(stop: threading.Event) -> None:
    """Do background jobs until told to stop, in a process with this server's environment."""
    runner = _import("mlflow.server.jobs._executor_runner")
    executors = runner._select_executors()
    for executor in executors.values():
        executor.start_executor()
    try:
        default = executors[runner.MLFLOW_JOB_DEFAULT_EXECUTOR_BACKEND.get()]
        runner.run_executor_loop(default, stop_event=stop, executors=executors)
    finally:
        for executor in executors.values():
            executor.stop_executor()


def schedule_judges() -> None:
    """Add the jobs of those judges that run by themselves on new traces."""
    _import("mlflow.genai.scorers.job").run_online_scoring_scheduler()
