"""The whole stand: model, Supervisor, both apps and Home Assistant, started together and stopped together."""

import asyncio
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo.furnish import choose_agent, furnish, set_up_integration
from demo.home_assistant import HomeAssistant
from demo.model import NAME, ScriptedModel
from demo.reasoned import set_up_reasoned_state
from demo.supervisor.api import Supervisor
from demo.supervisor.app import App
from demo.supervisor.declaration import Declaration
from demo.user import User

ROOT = Path(__file__).parent.parent
USER, PASSWORD = "demo", "demo-home"
CORE_VERSION = "2026.11.0"
# The first 8 digits that the Supervisor makes of a repository's address; another in every home, so anything does here.
REPOSITORY = "d3m0c0de"


class Stand:
    """Everything of one demo, below one directory."""

    def __init__(self, directory: Path, port: int) -> None:
        """`directory` keeps all state; `port` is Home Assistant's."""
        self.directory = directory
        self._network = _free_network()
        network = self._network.getsockname()[0].split(".")[1]
        self.model = ScriptedModel()
        self.home = HomeAssistant(directory / "homeassistant", port)
        self._core_token = secrets.token_hex(28)
        self.supervisor = Supervisor(
            address=f"127.{network}.32.2",
            core_token=self._core_token,
            core_version=CORE_VERSION,
            core_port=port,
            core_socket=self.home.core_socket,
            core_restart=self.home.restart,
        )
        gateway, tracking = f"127.{network}.33.2", f"127.{network}.33.3"
        # Among loopback addresses a call always comes from 127.0.0.1: that is the sibling's address here.
        self.gateway = self._app(
            "mlflow-gateway", gateway, ["--tracking", "127.0.0.1", "--run", str(directory / "run")]
        )
        self.tracking = self._app(
            "mlflow-tracking", tracking, ["--gateway", f"http://{gateway}:5001"]
        )
        self.agent = self.reasoned = ""
        self.ready_s = 0.0

    def _app(self, folder: str, address: str, arguments: list[str]) -> App:
        app = App(
            Declaration.load(ROOT / folder),
            repository=REPOSITORY,
            address=address,
            directory=self.directory / "apps" / folder,
            supervisor=lambda: self.supervisor.host,
            arguments=["--ingress-from", self.supervisor.address, *arguments],
        )
        self.supervisor.offer(app)
        return app

    async def start(self) -> User:
        """Start all of it; returns the logged-in user of the home."""
        begun = time.monotonic()
        self._note.unlink(missing_ok=True)
        model = await self.model.start()
        await self.supervisor.start()
        self.home.configure()
        self.gateway.save_options(_options(self.gateway.options, model))
        await asyncio.gather(
            self.home.start(self.supervisor.host, self._core_token),
            *(self.supervisor.install(app.slug) for app in (self.gateway, self.tracking)),
        )
        user = User(self.home.base)
        try:
            await self._move_in(user)
        except BaseException:
            await user.close()
            raise
        self.ready_s = time.monotonic() - begun
        self._describe(user)
        return user

    async def _move_in(self, user: User) -> None:
        """What the user of a new home does; nothing of it happens twice."""
        await self.home.login(user, USER, PASSWORD)
        for app in (self.gateway, self.tracking):
            if not await app.healthy():
                raise RuntimeError(f"{app.slug} did not start: see {app.log_file}")
        await set_up_integration(user)
        await furnish(user)
        self.agent = await choose_agent(user)
        self.reasoned = await set_up_reasoned_state(user)

    async def stop(self) -> None:
        """Stop all of it, Home Assistant first, as the Supervisor does."""
        await self.home.stop()
        await self.supervisor.stop()
        await self.model.stop()
        self._network.close()

    def last_words(self) -> str:
        """The end of each log, for when the demo does not start."""
        logs = [app.log_file for app in (self.gateway, self.tracking)]
        logs.append(self.home.directory / "output.txt")
        ends = []
        for log in logs:
            lines = log.read_text(errors="replace").splitlines() if log.exists() else []
            ends.append(f"--- the end of {log}\n" + "\n".join(line[:200] for line in lines[-12:]))
        return "\n".join(ends)

    def _describe(self, user: User) -> None:
        """Leave a note of what runs where for tests (it holds a login, so for the owner's eyes only)."""
        note: dict[str, Any] = {
            "base": self.home.base,
            "user": USER,
            "password": PASSWORD,
            "tokens": user.tokens,
            "agent": self.agent,
            "reasoned": self.reasoned,
            "ready_s": round(self.ready_s, 1),
            "home_directory": str(self.home.directory),
            "model": self.model_address,
            "supervisor": self.supervisor.host,
            "apps": {
                app.declaration.folder.name: {
                    "slug": app.slug,
                    "address": app.address,
                    "log": str(app.log_file),
                    "data": str(app.directory / "data"),
                    "ingress": app.ingress_token,
                }
                for app in (self.gateway, self.tracking)
            },
        }
        descriptor = os.open(self._note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(note, file, indent=2)

    @property
    def _note(self) -> Path:
        return self.directory / "demo.json"

    @property
    def model_address(self) -> str:
        """Base address of the scripted model (for `api_base`)."""
        return self.model.address


def _options(options: dict[str, Any], model: str) -> dict[str, Any]:
    """Give the Gateway the scripted model, and a real one where the machine offers it.

    What the user has configured in an earlier run stays; only the scripted model's port is new each
    time.
    """
    providers = list(options.get("providers", []))
    endpoints = list(options.get("endpoints", []))
    known = {provider["name"] for provider in providers}
    if "demo" not in known:
        key = "demo-key-" + secrets.token_hex(8)
        providers.append({"name": "demo", "type": "openai", "api_key": key})
        endpoints += [
            {"name": "home", "provider": "demo", "model": NAME, "type": "chat"},
            {"name": "text", "provider": "demo", "model": NAME, "type": "completions"},
            {"name": "vectors", "provider": "demo", "model": NAME, "type": "embeddings"},
        ]
    for provider in providers:
        if provider["name"] == "demo":
            provider["api_base"] = model
    for name, provider, model_name in _real_models():
        if name not in known:
            providers.append({"name": name, **provider})
            # first in the list: the one that a new home's agent takes
            endpoint = {"name": name, "provider": name, "model": model_name, "type": "chat"}
            endpoints.insert(0, endpoint)
    return {**options, "providers": providers, "endpoints": endpoints}


def _real_models() -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield name, provider and model of what the environment offers."""
    if key := os.environ.get("OPENAI_API_KEY"):
        model = os.environ.get("OPENAI_MODEL", "gpt-4.1-mini")
        yield "openai", {"type": "openai", "api_key": key}, model
    if url := os.environ.get("OLLAMA_URL"):
        yield (
            "ollama",
            {"type": "ollama", "api_base": url},
            os.environ.get("OLLAMA_MODEL", "qwen3:8b"),
        )


def _free_network() -> socket.socket:
    """Take a second octet of 127.N.x.x that no other demo has, for as long as the socket lives."""
    for network in range(30, 250):
        taken = socket.socket()
        try:
            taken.bind((f"127.{network}.32.1", 48099))
            with socket.socket() as probe:  # nobody else's programs are there either
                probe.bind((f"127.{network}.33.2", 8099))
        except OSError:
            taken.close()
            continue
        return taken
    raise RuntimeError("no free loopback network for the demo")


def free_port() -> int:
    """Ask the system for a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
