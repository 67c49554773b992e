"""The real Home Assistant of the demo: its configuration, its process, and a client that does what a user does once."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

_HOME = Path(__file__).parent / "home"
_INTEGRATION = Path(__file__).parent.parent / "custom_components" / "mlflow"
_START_WITHIN = 180.0

# Which room each thing of the demo home stands in.
AREAS = {
    "Kitchen": ["light.kitchen_lights", "binary_sensor.kitchen_motion"],
    "Living room": [
        "light.living_room_lights",
        "climate.living_room_thermostat",
        "media_player.living_room_tv",
        "sensor.living_room_temperature",
        "binary_sensor.living_room_motion",
    ],
    "Bedroom": [
        "light.bedroom_lights",
        "sensor.bedroom_temperature",
        "binary_sensor.bedroom_motion",
        "binary_sensor.bedroom_door",
    ],
    "Hall": ["binary_sensor.front_door"],
}


class HomeAssistant:
    """One Home Assistant on a configuration directory of its own."""

    def __init__(self, directory: Path, port: int) -> None:
        """`directory` is made when it is not there; the home listens on 127.0.0.1:`port`."""
        self.directory = directory
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        self.core_socket = directory / "supervisor.sock"
        self._process: asyncio.subprocess.Process | None = None

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
                *(sys.executable, "-m", "homeassistant", "-c", str(self.directory)),
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

    async def login(self, name: str, password: str) -> User:
        """Wait until it answers, make the first user when there is none, and log in."""
        user = User(self.base)
        steps = await self._answers(user)
        if any(step["step"] == "user" and not step["done"] for step in steps):
            await user.onboard(name, password)
        else:
            await user.login(name, password)
        await self._running(user)
        return user

    async def _answers(self, user: User) -> list[dict[str, Any]]:
        async def ask() -> list[dict[str, Any]] | None:
            with suppress(aiohttp.ClientError):
                status, steps = await user.request("GET", "/api/onboarding", authorized=False)
                if status == 200:
                    return list(steps)
                if status == 404:  # the view is gone once onboarding is done
                    return []
            return None

        steps = await until(ask, _START_WITHIN, "Home Assistant answers", self._ended)
        return steps

    async def _running(self, user: User) -> None:
        async def ask() -> bool:
            with suppress(aiohttp.ClientError):
                _, state = await user.request("GET", "/api/core/state")
                return bool(state["state"] == "RUNNING")
            return False

        await until(ask, _START_WITHIN, "Home Assistant runs", self._ended)

    def _ended(self) -> str | None:
        if self._process is not None and self._process.returncode is not None:
            return f"Home Assistant ended with {self._process.returncode}; see {self.directory}/output.txt"
        return None


class User:
    """A logged-in user: REST and the WebSocket API."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._client_id = f"{base}/"
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._message = 0
        self.tokens: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connections."""
        if self._socket is not None:
            await self._socket.close()
        await self._session.close()

    async def onboard(self, name: str, password: str) -> None:
        """Make the first user, who is the owner."""
        body = {
            "name": name.title(),
            "username": name,
            "password": password,
            "client_id": self._client_id,
            "language": "en",
        }
        _, made = await self.request("POST", "/api/onboarding/users", body, authorized=False)
        await self._tokens(made["auth_code"])

    async def login(self, name: str, password: str) -> None:
        """Log in as the frontend does."""
        start = {
            "client_id": self._client_id,
            "handler": ["homeassistant", None],
            "redirect_uri": self._client_id,
        }
        _, flow = await self.request("POST", "/auth/login_flow", start, authorized=False)
        answer = {"client_id": self._client_id, "username": name, "password": password}
        _, done = await self.request(
            "POST", f"/auth/login_flow/{flow['flow_id']}", answer, authorized=False
        )
        if done.get("type") != "create_entry":
            raise RuntimeError(
                f"the demo home was made with another password: {done.get('errors')}"
            )
        await self._tokens(done["result"])

    async def _tokens(self, code: str) -> None:
        form = {"grant_type": "authorization_code", "code": code, "client_id": self._client_id}
        async with self._session.post(f"{self.base}/auth/token", data=form) as response:
            response.raise_for_status()
            self.tokens = {
                **await response.json(),
                "hassUrl": self.base,
                "clientId": self._client_id,
            }

    async def request(
        self, method: str, path: str, body: Any = None, *, authorized: bool = True
    ) -> tuple[int, Any]:
        """Call the REST API; returns the status and the JSON answer (text when it is none)."""
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"} if authorized else {}
        async with self._session.request(
            method, self.base + path, json=body, headers=headers
        ) as response:
            text = await response.text()
            with suppress(ValueError):
                return response.status, json.loads(text or "null")
            return response.status, text

    async def call(self, kind: str, **fields: Any) -> Any:
        """Send one command over the WebSocket; raises RuntimeError with Home Assistant's message."""
        if self._socket is None or self._socket.closed:
            self._socket = await self._session.ws_connect(
                f"{self.base}/api/websocket", max_msg_size=0
            )
            await self._socket.receive_json()
            await self._socket.send_json(
                {"type": "auth", "access_token": self.tokens["access_token"]}
            )
            await self._socket.receive_json()
            self._message = 0
        self._message += 1
        await self._socket.send_json({"id": self._message, "type": kind, **fields})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._message and answer["type"] == "result":
                break
        if not answer["success"]:
            raise RuntimeError(f"{kind}: {answer['error']['message']}")
        return answer["result"]

    async def supervisor(
        self, method: str, endpoint: str, data: dict[str, Any] | None = None
    ) -> Any:
        """Call the Supervisor through Core, as the frontend does."""
        return await self.call(
            "supervisor/api", endpoint=endpoint, method=method, data=data or {}, timeout=60
        )

    async def state(self, entity_id: str) -> dict[str, Any]:
        """Give an entity's state."""
        _, state = await self.request("GET", f"/api/states/{entity_id}")
        return dict(state)


async def furnish(user: User) -> None:
    """Put each thing into its room (Home Assistant makes the usual rooms itself); later changes by the user stay."""
    areas = {
        area["name"].casefold(): area["area_id"]
        for area in await user.call("config/area_registry/list")
    }
    entities = {
        entity["entity_id"]: entity for entity in await user.call("config/entity_registry/list")
    }
    for name, things in AREAS.items():
        if name.casefold() not in areas:
            made = await user.call("config/area_registry/create", name=name)
            areas[name.casefold()] = made["area_id"]
        for entity_id in things:
            if entities[entity_id]["area_id"] is None:
                await user.call(
                    "config/entity_registry/update",
                    entity_id=entity_id,
                    area_id=areas[name.casefold()],
                )


async def set_up_integration(user: User, domain: str = "mlflow") -> None:
    """Accept the discovered integration as a user does: open the flow, confirm."""

    async def set_up() -> bool:
        entries = await user.call("config_entries/get", domain=domain)
        if any(entry["state"] == "loaded" for entry in entries):
            return True
        if not entries:
            for flow in await user.call("config_entries/flow/progress"):
                if flow["handler"] == domain and flow["context"]["source"] == "hassio":
                    await user.request(
                        "POST", f"/api/config/config_entries/flow/{flow['flow_id']}", {}
                    )
        return False

    await until(set_up, 60, f"the integration {domain} is discovered and set up")


async def choose_agent(user: User, domain: str = "mlflow") -> str:
    """Make the integration's agent the one that Assist talks to; returns its entity id."""

    async def find() -> str | None:
        entities = await user.call("config/entity_registry/list")
        agents = [
            e["entity_id"]
            for e in entities
            if e["platform"] == domain and e["entity_id"].startswith("conversation.")
        ]
        return agents[0] if agents else None

    agent = await until(find, 30, "the conversation agent is there")
    pipelines = await user.call("assist_pipeline/pipeline/list")
    preferred = next(
        p for p in pipelines["pipelines"] if p["id"] == pipelines["preferred_pipeline"]
    )
    if preferred["conversation_engine"] != agent:
        changed = {key: value for key, value in preferred.items() if key != "id"}
        changed |= {"conversation_engine": agent, "name": "MLflow", "prefer_local_intents": False}
        await user.call("assist_pipeline/pipeline/update", pipeline_id=preferred["id"], **changed)
    return agent


async def until[T](
    ask: Callable[[], Awaitable[T | None]],
    within: float,
    what: str,
    ended: Callable[[], str | None] = lambda: None,
) -> T:
    """Ask until there is an answer (None and False are none).

    Raises TimeoutError naming `what` after `within` seconds, RuntimeError when `ended` says why there will be none.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while loop.time() < deadline:
        if (why := ended()) is not None:
            raise RuntimeError(why)
        answer = await ask()
        if answer is not None and answer is not False:
            return answer
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{what}: not within {within:.0f} s")


def _store(path: Path, version: int, data: dict[str, Any]) -> None:
    content = {"version": version, "minor_version": 1, "key": path.name, "data": data}
    path.write_text(json.dumps(content), encoding="utf-8")
