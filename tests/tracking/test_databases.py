"""The same app on a real MariaDB and a real PostgreSQL."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator

import pytest
from aiohttp import web
from tests.tracking.database_servers import PASSWORD, DatabaseServer, mariadb, postgresql
from tests.tracking.process import PYTHON, App, free_port
from tests.tracking.test_migration import MAKE_OLDER, OLDER
from tests.tracking.test_record import call, otlp_trace

from mlflow_tracking import mlflow_server


@pytest.fixture(scope="module", params=[mariadb, postgresql], ids=["mariadb", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DatabaseServer]:
    with request.param(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def database(server: DatabaseServer) -> str:
    name = f"home_{secrets.token_hex(4)}"
    server.run(f"CREATE DATABASE {name}", "postgres" if server.scheme == "postgresql" else "")
    return name


@pytest.fixture
def on_server(own_app: App, server: DatabaseServer, database: str) -> App:
    own_app.options = {"database": "url", "database_url": server.url(database)}
    (own_app.data / "mlflow.db").unlink()
    return own_app


async def test_traces_and_prompts_are_kept_there(
    on_server: App, server: DatabaseServer, database: str
) -> None:
    trace, name = secrets.token_hex(16), f"home-{secrets.token_hex(3)}"
    is_prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    with on_server.running() as app:
        async with app.api_client() as client:
            headers = {"x-mlflow-experiment-id": "0"}
            async with client.post("/v1/traces", json=otlp_trace(trace), headers=headers) as answer:
                assert answer.status == 200, await answer.text()
            prompt = {"name": name, "tags": [is_prompt]}
            await call(client, "POST", "registered-models/create", json=prompt)
    assert not (on_server.data / "mlflow.db").exists()
    assert server.run("SELECT request_id FROM trace_info", database) == f"tr-{trace}"
    with on_server.running() as app:
        async with app.api_client() as client:
            search = {
                "locations": [
                    {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
                ],
                "filter": "trace.status = 'OK'",
            }
            async with client.post("/api/3.0/mlflow/traces/search", json=search) as answer:
                found = (await answer.json())["traces"]
            assert [t["trace_id"] for t in found] == [f"tr-{trace}"]
            clause = {"filter": "tags.`mlflow.prompt.is_prompt` = 'true'"}
            listed = await call(client, "GET", "registered-models/search", params=clause)
            assert [m["name"] for m in listed["registered_models"]] == [name]
    assert PASSWORD not in on_server.log


def make_older(server: DatabaseServer, database: str) -> None:
    scheme = {"mysql": "mysql+pymysql", "postgresql": "postgresql+pg8000"}[server.scheme]
    url = server.url(database).replace(server.scheme, scheme, 1)
    if server.scheme == "mysql":
        server.run(f"ALTER DATABASE {database} CHARACTER SET utf8mb4")
    subprocess.run(
        [str(PYTHON), "-W", "ignore", "-c", MAKE_OLDER, url, OLDER],
        check=True,
        capture_output=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    server.run(
        "INSERT INTO experiments (experiment_id, name, lifecycle_stage)"
        " VALUES (7, 'from before', 'active')",
        database,
    )


REVISION = "SELECT version_num FROM alembic_version"
NAMES = "SELECT name FROM experiments WHERE experiment_id = 7"


def test_an_older_database_is_migrated(
    on_server: App, server: DatabaseServer, database: str
) -> None:
    make_older(server, database)
    prepared = on_server.prepare()
    assert prepared.returncode == 0, prepared.stderr
    assert server.run(REVISION, database) == mlflow_server.newest_revision()
    assert server.run(NAMES, database) == "from before"
    if server.scheme == "mysql":
        copy = f"{database}_before_{OLDER}"
        assert copy in prepared.stdout
        assert server.run(REVISION, copy) == OLDER
        assert server.run(NAMES, copy) == "from before"


def test_a_failed_migration_leaves_everything_as_it_was(
    on_server: App, server: DatabaseServer, database: str
) -> None:
    make_older(server, database)
    server.run("CREATE TABLE issue_categories (in_the_way INTEGER)", database)
    prepared = on_server.prepare()
    assert prepared.returncode == 1
    assert "it was left as it was" in prepared.stderr
    assert PASSWORD not in prepared.stderr + prepared.stdout
    assert server.run(REVISION, database) == OLDER
    assert server.run(NAMES, database) == "from before"
    columns = (
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'issues'"
        f" AND '{database}' IN (table_schema, table_catalog)"
        " AND column_name IN ('last_seen_timestamp', 'metadata')"
    )
    assert server.run(columns, database) == "0"


def test_a_newer_database_is_refused(on_server: App, server: DatabaseServer, database: str) -> None:
    assert on_server.prepare().returncode == 0
    server.run("UPDATE alembic_version SET version_num = '0123456789ab'", database)
    prepared = on_server.prepare()
    assert prepared.returncode == 1
    assert "was written by a newer version of this app" in prepared.stderr


async def test_the_mariadb_app_is_found_through_the_supervisor(
    own_app: App, server: DatabaseServer
) -> None:
    if server.scheme != "mysql":
        pytest.skip("the Supervisor knows a service mysql only")

    async def service(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer a-supervisor-token"
        found = {
            "host": "127.0.0.1",
            "port": server.port,
            "username": server.user,
            "password": PASSWORD,
        }
        return web.json_response({"result": "ok", "data": found})

    supervisor = web.Application()
    supervisor.router.add_get("/services/mysql", service)
    runner = web.AppRunner(supervisor)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    own_app.options = {"database": "mariadb"}
    own_app.environment = {
        "SUPERVISOR_API": f"http://127.0.0.1:{port}",
        "SUPERVISOR_TOKEN": "a-supervisor-token",
    }
    try:
        prepared = await own_app.prepare_beside_the_loop()
    finally:
        await runner.cleanup()
    assert prepared.returncode == 0, prepared.stderr
    assert server.run(REVISION, "mlflow") == mlflow_server.newest_revision()


def test_without_the_mariadb_app_the_start_says_what_to_do(own_app: App) -> None:
    own_app.options = {"database": "mariadb"}
    own_app.environment = {"SUPERVISOR_API": f"http://127.0.0.1:{free_port()}"}
    prepared = own_app.prepare()
    assert prepared.returncode == 1
    assert "install and start the MariaDB app" in prepared.stderr


@pytest.mark.parametrize(
    "options",
    [
        {"database": "url"},
        {"database": "url", "database_url": "oracle://user:secret-word@host/db"},
        {"database": "url", "database_url": "secret-word"},
    ],
)
def test_an_unusable_address_is_explained_and_not_repeated(
    own_app: App, options: dict[str, str]
) -> None:
    own_app.options = options
    prepared = own_app.prepare()
    assert prepared.returncode == 1
    assert "database_url" in prepared.stderr
    assert "secret-word" not in prepared.stderr + json.dumps(prepared.stdout)
