"""Fails when another MLflow has changed what mlflow_tracking.mlflow_server relies on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.tracking.process import PYTHON

from mlflow_tracking import mlflow_server

SETTINGS = mlflow_server.ServerSettings(
    database_url="sqlite:////data/mlflow.db",
    artifacts=Path("/data/artifacts"),
    passphrase="a passphrase",
    gateway_url="http://gateway:5001",
    allowed_hosts=("mlflow.example.org",),
)

COMPARE = """
import sys
from mlflow_tracking import mlflow_server
mlflow_server._prepare_import()
from mlflow import environment_variables
from mlflow.server import constants, handlers
from mlflow.server.fastapi_app import app
from mlflow.store.db import utils
known = {v for v in vars(constants).values() if isinstance(v, str)}
known |= {v.name for v in vars(environment_variables).values() if hasattr(v, "name")}
print("unknown:", sorted(set(sys.argv[1:]) - known))
print("newest:", utils._get_latest_schema_revision() == mlflow_server.newest_revision())
for needed in ("_is_empty_database", "_initialize_tables", "_upgrade_db"):
    getattr(utils, needed)
for needed in ("_get_tracking_store", "_get_model_registry_store"):
    getattr(handlers, needed)
"""


def test_every_variable_it_sets_is_one_that_mlflow_reads(tmp_path: Path) -> None:
    # All of them are MLflow's but this one, which is Python's own.
    variables = mlflow_server.environment(SETTINGS).keys() - {"PYTHONPATH"}
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(tmp_path)}
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", "-c", COMPARE, *variables],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["unknown: []", "newest: True"]


def test_the_interfaces_settings_have_the_names_that_the_page_sets() -> None:
    built = mlflow_server.static_folder() / "static" / "js"
    script = "".join(file.read_text() for file in built.glob("main.*.js"))
    for name in (
        "mlflow.settings.telemetry.enabled",
        "mlflow.telemetry.info.alert.dismissed",
        "mlflow.assistant.fab.autoOpenedOnFirstLoad",
    ):
        assert f'"{name}"' in script
    assert "ajax-api/2.0/mlflow/users/current" in script
    assert '"data-assistant-ui":"true"' in script
