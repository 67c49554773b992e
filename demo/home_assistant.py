"""The real Home Assistant of the demo: its configuration and its process."""

import asyncio
import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from demo.supervisor.app import DIE_WITH_PARENT
from demo.user import User
from demo.waiting import until

_HOME = Path(__file__).parent / "home"
_INTEGRATION = Path(__file__).parent.parent / "custom_components" / "mlflow"
_START_WITHIN = 180.0


class HomeAssistant:
    """One Home Assistant on a configuration directory of its own."""

    def __init__(self, directory: Path, port: int) -> None:
        """`directory` is made when it is not there; the home listens on 127.0.0.1:`port`."""
        self.directory = directory
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        self.core_socket = directory / "supervisor.sock"
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: tuple[str, str] | None = None

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def configure(self) -> None:
        """Lay the demo's configuration into the directory; what a first run has stored there stays."""
        storage = self.directory / ".storage"
        storage.mkdir(parents=True, exist_ok=True)
        for file in _HOME.glob("*.yaml"):
            shutil.copy(file, self.directory / file.name)
        components = self.directory / "custom_components"
        components.mkdir(exist_ok=True)
        link = components / "mlflow"
        if link.is_symlink():
            link.unlink()
        link.symlink_to(_INTEGRATION, target_is_directory=True)
        # 2026.11 takes an `http:` of YAML only as a trial of five minutes, so the stored form is written.
        http = {
            "server_host": ["127.0.0.1"],
            "server_port": self.port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": True,
            "ssl_profile": "intermediate_v6",
            "use_x_frame_options": True,
            "created_at": "2026-01-01T00:00:00+00:00",
            "error": None,
            "error_message": None,
        }
        _store(storage / "http", 3, {"pending": None, "yaml_migration_done": True, "stable": http})
        if not (storage / "onboarding").exists():
            # only the user is left to make; the other steps would start integrations that call the internet
            _store(storage / "onboarding", 4, {"done": ["core_config", "analytics", "integration"]})

    async def start(self, supervisor: str, token: str) -> None:
        """Run it below the Supervisor at `supervisor` (host:port), which takes `token` from Core."""
        self._supervisor = supervisor, token
        environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        environment |= {
            "SUPERVISOR": supervisor,
            "SUPERVISOR_TOKEN": token,
            "SUPERVISOR_CORE_API_SOCKET": str(self.core_socket),
        }
        with (self.directory / "output.txt").open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(
                    *DIE_WITH_PARENT,
                    sys.executable,
                    "-m",
                    "homeassistant",
                    "-c",
                    str(self.directory),
                ),
                *("--log-file", str(self.directory / "home-assistant.log"), "--log-no-color"),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def stop(self) -> None:
        """SIGTERM; Home Assistant saves and ends."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def restart(self) -> None:
        """What the Supervisor does when Home Assistant asks it for a restart."""
        await self.stop()
        if self._supervisor is not None:
            await self.start(*self._supervisor)

    async def login(self, user: User, name: str, password: str) -> None:
        """Wait until it answers, make the first user when there is none, log in, wait until it runs."""
        steps = await self._answers(user)
        if any(step["step"] == "user" and not step["done"] for step in steps):
            await user.onboard(name, password)
        else:
            await user.login(name, password)
        await self._running(user)

    async def _answers(self, user: User) -> list[dict[str, Any]]:
        async def ask() -> list[dict[str, Any]] | None:
            with suppress(aiohttp.ClientError, TimeoutError):
                status, steps = await user.request("GET", "/api/onboarding", authorized=False)
                if status == 200:
                    return list(steps)
                if status == 404:  # the view is gone once onboarding is done
                    return []
            return None

        return await until(ask, _START_WITHIN, "Home Assistant answers", self._ended)

    async def _running(self, user: User) -> None:
        async def ask() -> bool:
            with suppress(aiohttp.ClientError, TimeoutError):
                _, state = await user.request("GET", "/api/core/state")
                return bool(state["state"] == "RUNNING")
            return False

        await until(ask, _START_WITHIN, "Home Assistant runs", self._ended)

    def _ended(self) -> str | None:
        if self._process is not None and self._process.returncode is not None:
            return f"Home Assistant ended with {self._process.returncode}; see {self.directory}/output.txt"
        return None


def _store(path: Path, version: int, data: dict[str, Any]) -> None:
    content = {"version": version, "minor_version": 1, "key": path.name, "data": data}
    path.write_text(json.dumps(content), encoding="utf-8")
