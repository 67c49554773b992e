"""Both images built, a home's network with both apps running in it, and new apps for tests that break them."""

import asyncio
import fcntl
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.images import base_image, container, network
from tests.images.container import ROOT, Container
from tests.images.engine import Engine, missing
from tests.images.provider import Provider
from tests.images.supervisor import Supervisor

APPS = ("gateway", "tracking")
CACHE = ROOT / ".tools" / "images"
MODEL_KEY = f"sk-{secrets.token_hex(16)}"

Start = Callable[..., Awaitable[Container]]

_sizes = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def cache() -> Iterator[Path]:
    """Keep the stand-in base, images and build cache between runs; one run at a time."""
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield CACHE


@pytest.fixture(scope="session")
async def engine(cache: Path, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """Build the images where the machine's network is, then move to a network of the tests' own."""
    engine = Engine(cache / "docker")
    try:
        await engine.start()
        await base_image.ensure(engine, cache)
        await asyncio.gather(*(container.build(app, engine) for app in APPS))
        request.config.stash[_sizes] = [await _size(app, engine) for app in APPS]
        await engine.prune()
        await engine.stop()
        with network.own_namespace():
            await engine.start()
            await network.create(engine)
            yield engine
            await network.remove(engine)
            await engine.stop()
    finally:
        await engine.close()


@pytest.fixture(scope="session")
async def supervisor(engine: Engine) -> AsyncIterator[Supervisor]:
    """Run the stand-in Supervisor in the network of `engine`."""
    supervisor = Supervisor()
    await supervisor.start()
    yield supervisor
    await supervisor.stop()


@pytest.fixture(scope="session")
async def provider(engine: Engine) -> AsyncIterator[Provider]:
    """Run the stand-in for a paid model in the network of `engine`."""
    provider = Provider()
    await provider.start()
    yield provider
    await provider.stop()


@pytest.fixture(scope="session")
def options() -> dict[str, dict[str, Any]]:
    """Give each app's options as a user with one provider has them."""
    paid = {"name": "paid", "type": "openai", "api_key": MODEL_KEY, "api_base": Provider.address}
    fast = {"name": "fast", "provider": "paid", "model": "scripted-1", "type": "chat"}
    return {
        "gateway": {
            **container.declaration("gateway")["options"],
            "providers": [paid],
            "endpoints": [fast],
        },
        "tracking": dict(container.declaration("tracking")["options"]),
    }


@pytest.fixture(scope="session")
async def home(
    engine: Engine,
    supervisor: Supervisor,
    options: dict[str, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[dict[str, Container]]:
    """Install both apps from one repository and wait until they are healthy."""
    apps = {
        app: Container(app, engine, supervisor, tmp_path_factory.mktemp(app), "local")
        for app in APPS
    }
    try:
        for app in apps.values():
            await app.start(options[app.app])
        for app in apps.values():
            await app.until_healthy()
        yield apps
    finally:
        for app in apps.values():
            await app.remove()


@pytest.fixture(params=APPS)
def app(request: pytest.FixtureRequest, home: dict[str, Container]) -> Container:
    """Each of the two apps that run in the home; tests leave it running."""
    running: Container = home[request.param]
    return running


@pytest.fixture(params=APPS)
async def start(
    request: pytest.FixtureRequest,
    engine: Engine,
    supervisor: Supervisor,
    options: dict[str, dict[str, Any]],
    tmp_path: Path,
) -> AsyncIterator[Start]:
    """Start a new app, each of the two in turn, that the test may break: `await start(faulty=...)`."""
    app = Container(request.param, engine, supervisor, tmp_path, secrets.token_hex(4))

    async def start(**changed: Any) -> Container:
        await app.start({**options[app.app], **changed})
        return app

    yield start
    await app.remove()


async def _size(app: str, engine: Engine) -> str:
    image = int(
        await engine.docker("image", "inspect", "--format", "{{.Size}}", container.tag(app))
    )
    venv = await engine.docker(
        *("run", "--rm", "--network=none", "--entrypoint", "du", container.tag(app)),
        *("-sm", "/opt/venv"),
    )
    return f"{container.tag(app)}: {image / 1e6:.0f} MB, of it {venv.split()[0]} MB packages"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what the images take on a user's disk."""
    for line in config.stash.get(_sizes, []):
        terminalreporter.write_line(line)
