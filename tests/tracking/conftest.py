"""One running app for the tests that only read and add; tests that stop or break it make their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tracking.process import App, free_port


@pytest.fixture(scope="session")
def gateway_port() -> int:
    """Where the sibling Gateway would be; nothing listens there unless a test starts a stand-in."""
    return free_port()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, gateway_port: int) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("app")
    with App(folder, gateway=f"http://127.0.0.1:{gateway_port}").running() as running:
        yield running


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of an app after its first `prepare`, to be copied: making a database takes seconds."""
    app = App(tmp_path_factory.mktemp("prepared"))
    assert app.prepare().returncode == 0
    return app.data


@pytest.fixture
def own_app(tmp_path: Path, prepared: Path) -> App:
    """A prepared installation that the test starts and stops itself."""
    shutil.copytree(prepared, tmp_path / "data")
    return App(tmp_path)
