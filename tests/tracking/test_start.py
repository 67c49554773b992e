"""Starting, stopping and preparing: what is kept, what is refused, and in which words."""

from __future__ import annotations

import signal
import socket
import sqlite3
import stat
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from tests.tracking.process import App

from mlflow_tracking import sqlite_file


def pss_mb(pid: int) -> float:
    """Proportional memory of the process, in MB; it has no children."""
    assert not Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no Pss in smaps_rollup")


def test_it_is_one_small_process_that_stops_cleanly_with_exit_code_0(own_app: App) -> None:
    process = own_app.start()
    own_app.wait_until_ready(process)
    assert pss_mb(process.pid) < 230
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert "Stopped." in own_app.log


def test_a_stop_during_the_start_is_clean_too(own_app: App) -> None:
    process = own_app.start()
    try:
        deadline = time.monotonic() + 60
        while b"mlflow_tracking.server" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
        maps = Path(f"/proc/{process.pid}/maps")
        while "numpy" not in maps.read_text():
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(30)


def create_experiment(app: App, name: str) -> None:
    request = urllib.request.Request(
        f"{app.api}/api/2.0/mlflow/experiments/create",
        data=f'{{"name": "{name}"}}'.encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {app.token}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def experiments(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM experiments")}


def test_data_and_secrets_survive_a_restart(own_app: App) -> None:
    with own_app.running() as app:
        create_experiment(app, "kept")
        token = app.token
    with own_app.running() as app:
        assert app.token == token
        create_experiment(app, "and more")
    assert {"kept", "and more"} <= experiments(own_app.data / "mlflow.db")


def test_the_database_is_a_write_ahead_log_one_and_secrets_are_private(own_app: App) -> None:
    with closing(sqlite3.connect(own_app.data / "mlflow.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    for secret in ("token", "passphrase"):
        assert stat.S_IMODE((own_app.data / secret).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"log_level": "loud"}, "Option log_level is 'loud': choose one of debug"),
        ({"allowed_hosts": ["http://a.b"]}, "write a host name or an address alone"),
        ({"allowed_hosts": "a.b"}, "Option allowed_hosts must be a list"),
    ],
)
def test_a_wrong_option_stops_the_start_in_one_sentence(
    own_app: App, options: dict[str, object], sentence: str
) -> None:
    own_app.options = options
    prepared = own_app.prepare()
    assert prepared.returncode == 1
    assert sentence in prepared.stderr
    assert len(prepared.stderr.splitlines()) == 1


def test_serve_without_prepare_says_what_to_do(own_app: App) -> None:
    (own_app.data / "mlflow.db").unlink()
    process = own_app.start()
    assert process.wait(30) == 1
    assert "run `prepare` before `serve`" in own_app.log


def test_a_taken_port_is_named(own_app: App) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", own_app.api_port))
        other.listen()
        process = own_app.start()
        assert process.wait(30) == 1
    assert f"Port {own_app.api_port} on 127.0.0.1 cannot be used" in own_app.log


def set_revision(database: Path, revision: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def test_a_newer_database_is_refused_in_one_sentence_and_left_alone(own_app: App) -> None:
    database = own_app.data / "mlflow.db"
    set_revision(database, "0123456789ab")
    before = database.read_bytes()
    prepared = own_app.prepare()
    assert prepared.returncode == 1
    assert "was written by a newer version of this app" in prepared.stderr
    assert len(prepared.stderr.splitlines()) == 1
    assert database.read_bytes() == before


def test_a_damaged_database_is_set_aside_with_instructions(own_app: App) -> None:
    database = own_app.data / "mlflow.db"
    database.write_bytes(b"this is no database" * 1000)
    prepared = own_app.prepare()
    assert prepared.returncode == 0
    assert "set aside as" in prepared.stdout
    assert "restore a backup" in prepared.stdout
    with own_app.running() as app:
        create_experiment(app, "after the damage")
    (aside,) = own_app.data.glob("mlflow.db.damaged-*")
    assert aside.read_bytes().startswith(b"this is no database")
    assert "after the damage" in experiments(database)


def test_the_servers_connections_spare_the_disk(own_app: App) -> None:
    sqlite_file.spare_the_disk()
    engine = sqlalchemy.create_engine(sqlite_file.sqlite_url(own_app.data / "mlflow.db"))
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("PRAGMA synchronous")) == 1
        assert connection.scalar(sqlalchemy.text("PRAGMA journal_mode")) == "wal"
    engine.dispose()
