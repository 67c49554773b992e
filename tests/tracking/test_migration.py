"""A database of an older MLflow is migrated, and never lost when that fails."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from tests.tracking.process import PYTHON, App

from mlflow_tracking import mlflow_server

# The revision before the one that makes the table issue_categories (both of MLflow 3.18).
OLDER = "e7d1f4b2a9c6"

MAKE_OLDER = """
import sys
from mlflow_tracking import mlflow_server
mlflow_server._prepare_import()
from alembic import command
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base
url, revision = sys.argv[1:]
engine = utils.create_sqlalchemy_engine_with_retry(url)
Base.metadata.create_all(engine)
config = utils._get_alembic_config(url)
with engine.begin() as connection:
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
"""


@pytest.fixture
def database(own_app: App) -> Path:
    """A database as an older MLflow left it, with one experiment in it."""
    file = own_app.data / "mlflow.db"
    file.unlink()
    subprocess.run(
        [str(PYTHON), "-W", "ignore", "-c", MAKE_OLDER, f"sqlite:///{file}", OLDER],
        check=True,
        capture_output=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage)"
            " VALUES (7, 'from before', 'active')"
        )
    assert revision(file) == OLDER
    return file


def revision(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def names(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM experiments")]


def test_an_older_database_is_migrated_and_a_copy_kept(own_app: App, database: Path) -> None:
    prepared = own_app.prepare()
    assert prepared.returncode == 0, prepared.stderr
    assert revision(database) == mlflow_server.newest_revision()
    assert names(database) == ["from before"]
    kept = own_app.data / "before-migration" / f"mlflow-{OLDER}.db"
    assert revision(kept) == OLDER
    assert names(kept) == ["from before"]
    assert str(kept) in prepared.stdout


def test_a_failed_migration_leaves_the_database_as_it_was_and_says_so(
    own_app: App, database: Path
) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE issue_categories (in_the_way INTEGER)")
    before = database.read_bytes()
    prepared = own_app.prepare()
    assert prepared.returncode == 1
    assert "Migrating the database failed, and it was left as it was" in prepared.stderr
    assert "issue_categories" in prepared.stderr
    assert database.read_bytes() == before
    assert not list(own_app.data.glob("*.part"))
