"""Home Assistant as the pytest plugin runs it, a real MLflow, and stand-ins for the rest."""

import custom_components  # noqa: F401, I001 - before the plugin's own package of that name

import asyncio
import os
import resource
import select
import socket
import subprocess
import time
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from inspect import isawaitable, iscoroutinefunction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant import block_async_io
from homeassistant.components import conversation
from homeassistant.components.hassio.const import DATA_COMPONENT, DATA_HASSIO_HOST
from homeassistant.components.hassio.handler import HassIO
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.components.light import LightEntity
from homeassistant.components.light.const import ColorMode
from homeassistant.config_entries import ConfigSubentryDataWithId
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    setup_test_component_platform,
)
from pytest_socket import enable_socket

from custom_components.mlflow.tracking import TrackingClient
from custom_components.mlflow.transport import UrlTransport

from .standins import StandInGateway, StandInSupervisor, running

ROOT = Path(__file__).parents[2]
TRACKING_PYTHON = Path(
    os.environ.get("TRACKING_PYTHON", ROOT / "mlflow-tracking" / ".venv" / "bin" / "python")
)
AGENT = {
    "endpoint": "home",
    "prompt_reference": "home@production",
    "llm_hass_api": ["assist"],
    "history_turns": 20,
}


class KitchenLights(LightEntity):
    """Two bulbs on one switch."""

    _attr_name = "Kitchen Lights"
    _attr_unique_id = "kitchen"
    _attr_color_mode = ColorMode.ONOFF
    _attr_supported_color_modes = {ColorMode.ONOFF}  # noqa: RUF012 - as Home Assistant has it
    _attr_is_on = False
    _attr_should_poll = False

    async def async_turn_on(self, **kwargs: Any) -> None:
        self._attr_is_on = True
        self.async_write_ha_state()


class Tracking:
    """The Tracking app, as a process that a test may stop and start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = _free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._ports[1]}"
        self.ingress_url = f"http://127.0.0.1:{self._ports[0]}"
        (folder / "options.json").write_text("{}")

    def _command(self, verb: str) -> list[str]:
        return [
            *(str(TRACKING_PYTHON), "-m", "mlflow_tracking", verb),
            *("--options", str(self._folder / "options.json"), "--data", str(self._folder)),
            *("--host", "127.0.0.1", "--ingress-from", "127.0.0.1"),
            *("--ingress-port", str(self._ports[0]), "--api-port", str(self._ports[1])),
        ]

    def start(self) -> None:
        subprocess.run(self._command("prepare"), check=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command("serve"), stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process.poll() is None, (self._folder / "log").read_text()
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError((self._folder / "log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            # Popen.wait sleeps, which the detector of blocking calls takes for one of Home Assistant's
            ended = os.pidfd_open(self._process.pid)
            self._process.terminate()
            select.select([ended], [], [], 20)
            os.close(ended)
            self._process.wait(0)
            self._process = None

    def limit_files(self, size: int) -> None:
        """Let no file of the process grow beyond `size` bytes: the disk is full."""
        assert self._process is not None
        limits = (size, resource.RLIM_INFINITY)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, limits)

    @property
    def token(self) -> str:
        return (self._folder / "token").read_text().strip()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture(scope="session")
def shared_tracking(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tracking]:
    """An MLflow for all tests that do not stop it."""
    enable_socket()  # the plugin allows sockets by test, and this is before any
    tracking = Tracking(tmp_path_factory.mktemp("tracking"))
    tracking.start()
    yield tracking
    tracking.stop()


@pytest.fixture
def own_tracking(tmp_path: Path) -> Generator[Tracking]:
    """An MLflow of the test's own, empty and not yet started."""
    tracking = Tracking(tmp_path)
    yield tracking
    tracking.stop()


@pytest.fixture(autouse=True)
def no_blocking_call(
    request: pytest.FixtureRequest, disable_block_async_io: None, caplog: pytest.LogCaptureFixture
) -> Generator[None]:
    """Home Assistant's own detector is on, and finds nothing of ours that blocks the event loop.

    It overlooks files, imports and certificates in tests unless it is told that this is none.
    """
    if iscoroutinefunction(request.function):  # what is no coroutine may block: no loop runs then
        with patch.object(block_async_io, "_IN_TESTS", False):
            block_async_io.enable()
    yield
    said = [record.getMessage() for record in caplog.get_records("call")]
    ours = [text for text in said if "blocking call" in text and "integration 'mlflow'" in text]
    assert ours == []


@pytest.fixture(autouse=True)
async def home(
    socket_enabled: None,
    enable_custom_integrations: None,
    hass: HomeAssistant,
    tmp_path_factory: pytest.TempPathFactory,
) -> HomeAssistant:
    """A home with a kitchen light that voice assistants may see."""
    hass.config.config_dir = str(tmp_path_factory.mktemp("config"))
    hass.config.location_name = "Test Home"
    assert await async_setup_component(hass, "homeassistant", {})
    assert await async_setup_component(hass, "conversation", {})
    setup_test_component_platform(hass, "light", [KitchenLights()])
    assert await async_setup_component(hass, "light", {"light": {"platform": "test"}})
    await hass.async_block_till_done()
    async_expose_entity(hass, conversation.DOMAIN, "light.kitchen_lights", True)
    return hass


@pytest.fixture
async def gateway() -> AsyncGenerator[StandInGateway]:
    async with running(StandInGateway()) as gateway:
        yield gateway


@pytest.fixture
async def supervisor(home: HomeAssistant) -> AsyncGenerator[StandInSupervisor]:
    """A Home Assistant that runs under a Supervisor."""
    async with running(StandInSupervisor()) as supervisor:
        session = async_get_clientsession(home)
        home.data[DATA_COMPONENT] = HassIO(home.loop, session, supervisor.host)
        home.data[DATA_HASSIO_HOST] = supervisor.host
        home.config.components.add("hassio")
        yield supervisor


type MakeEntry = Callable[..., MockConfigEntry]


@pytest.fixture
def make_entry(home: HomeAssistant, gateway: StandInGateway) -> MakeEntry:
    """Make an entry as the flow makes it, with one agent and one AI task."""

    def make(
        tracking: Tracking | None = None, options: dict[str, Any] | None = None, **agent: Any
    ) -> MockConfigEntry:
        data: dict[str, Any] = {
            "gateway": {"url": gateway.url, "token": gateway.token},
            "default_agent_made": True,
        }
        if tracking is not None:
            data["tracking"] = {"url": tracking.url, "token": tracking.token}
        settings = {k: v for k, v in (AGENT | agent).items() if v is not None}
        subentry = ConfigSubentryDataWithId(
            data=settings,
            subentry_id="agent",
            subentry_type="conversation",
            title="Butler",
            unique_id=None,
        )
        task = ConfigSubentryDataWithId(
            data={"endpoint": "small"},
            subentry_id="task",
            subentry_type="ai_task_data",
            title="Clerk",
            unique_id=None,
        )
        entry = MockConfigEntry(
            domain="mlflow",
            title="MLflow",
            unique_id="home",
            data=data,
            options=options or {},
            subentries_data=[subentry, task],
        )
        entry.add_to_hass(home)
        return entry

    return make


@pytest.fixture
def mlflow(home: HomeAssistant) -> Callable[[Tracking], TrackingClient]:
    """A client of one's own, to look into MLflow."""

    def client(tracking: Tracking) -> TrackingClient:
        session = async_get_clientsession(home)
        return TrackingClient(UrlTransport(session, "tracking", tracking.url, tracking.token))

    return client


type Ask = Callable[..., Awaitable[conversation.ConversationResult]]


@pytest.fixture
def ask(home: HomeAssistant) -> Ask:
    """Say something to the agent, as Assist does."""

    async def ask(
        text: str,
        *,
        conversation_id: str | None = None,
        language: str = "en",
        device_id: str | None = None,
    ) -> conversation.ConversationResult:
        return await conversation.async_converse(
            home,
            text,
            conversation_id,
            Context(),
            language=language,
            agent_id="conversation.butler",
            device_id=device_id,
        )

    return ask


async def eventually(look: Callable[[], Any], *, within: float = 20) -> Any:
    """Look, or await a look, until there is something to see, and return it."""
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if isawaitable(seen):
            seen = await seen
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing to be seen within {within} s: {seen!r}")
        await asyncio.sleep(0.02)


def speech(result: conversation.ConversationResult) -> str:
    """What is spoken."""
    return str(result.response.speech["plain"]["speech"])
