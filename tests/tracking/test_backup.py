"""A backup taken while the app is busy, made and restored the way that the Supervisor does it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tarfile
import time
from contextlib import closing
from pathlib import Path, PurePath
from typing import Any

import yaml
from tests.tracking.process import ROOT, App
from tests.tracking.writers import Writers

DECLARED: dict[str, Any] = yaml.safe_load((ROOT / "mlflow-tracking/config.yaml").read_text())


def hook(app: App, name: str) -> None:
    """Run backup_pre or backup_post of config.yaml, with this machine's Python and folders."""
    command = DECLARED[name].split()[-1]
    done = subprocess.run(app.arguments(command), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def back_up(app: App, archive: Path) -> None:
    """A tar of the data without what `backup_exclude` names, which is matched from the right."""
    with tarfile.open(archive, "w") as tar:
        for file in sorted(app.data.rglob("*")):
            relative = file.relative_to(app.data)
            if file.is_file() and not any(
                PurePath(relative).match(pattern) for pattern in DECLARED["backup_exclude"]
            ):
                tar.add(file, str(relative))


def restore(archive: Path, app: App) -> None:
    shutil.rmtree(app.data)
    with tarfile.open(archive) as tar:
        tar.extractall(app.data, filter="data")


def traces(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT request_id FROM trace_info")
        return {request_id.removeprefix("tr-") for (request_id,) in rows}


def test_a_backup_under_20_writers_holds_all_that_was_acknowledged_before(
    own_app: App, tmp_path: Path
) -> None:
    archive = tmp_path / "backup.tar"
    with own_app.running() as app, Writers(app).running(20) as writers:
        (app.data / "artifacts" / "note.txt").write_text("an artifact")
        deadline = time.monotonic() + 60
        while len(writers.acknowledged) < 60:
            assert time.monotonic() < deadline, writers.refusals[:3]
            time.sleep(0.05)
        before = set(writers.acknowledged)
        hook(app, "backup_pre")
        back_up(app, archive)
        hook(app, "backup_post")
        assert not (app.data / "snapshot.db").exists()
        token = app.token
    with tarfile.open(archive) as tar:
        assert set(tar.getnames()) == {"artifacts/note.txt", "passphrase", "snapshot.db", "token"}
    restore(archive, own_app)
    with own_app.running() as app:
        assert app.token == token
        with Writers(app).running(1) as writers:
            while not writers.acknowledged:
                assert time.monotonic() < deadline + 60
                time.sleep(0.05)
        after = set(writers.acknowledged)
    kept = traces(own_app.data / "mlflow.db")
    assert before <= kept
    assert after <= kept
    assert (own_app.data / "artifacts" / "note.txt").read_text() == "an artifact"
    with closing(sqlite3.connect(own_app.data / "mlflow.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_a_snapshot_left_by_a_cut_off_backup_does_not_replace_the_database(own_app: App) -> None:
    (own_app.data / "snapshot.db").write_bytes(b"older")
    prepared = own_app.prepare()
    assert prepared.returncode == 0, prepared.stderr
    assert not (own_app.data / "snapshot.db").exists()
    assert "Restored" not in prepared.stdout


def test_a_backup_of_the_stopped_app_holds_its_database(own_app: App, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar"
    with own_app.running() as app, Writers(app).running(2) as writers:
        deadline = time.monotonic() + 60
        while len(writers.acknowledged) < 10:
            assert time.monotonic() < deadline, writers.refusals[:3]
            time.sleep(0.05)
    back_up(own_app, archive)
    restore(archive, own_app)
    with own_app.running():
        pass
    assert set(writers.acknowledged) <= traces(own_app.data / "mlflow.db")


def test_a_database_damaged_by_a_power_cut_is_noticed_also_after_clean_stops(own_app: App) -> None:
    """The check is left out after a clean stop alone: for a large database it takes a minute."""
    with own_app.running():
        pass
    assert own_app.prepare().returncode == 0
    process = own_app.start()
    own_app.wait_until_ready(process)
    process.kill()
    process.wait(30)
    database = own_app.data / "mlflow.db"
    with database.open("r+b") as file:
        file.seek(database.stat().st_size // 2)
        file.write(b"damage" * 4096)
    prepared = own_app.prepare()
    assert prepared.returncode == 0, prepared.stderr
    assert "The database is damaged" in prepared.stdout
    assert list(own_app.data.glob("mlflow.db.damaged-*"))
