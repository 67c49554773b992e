"""An app in a container, started the way the Supervisor starts it."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from tests.images import network
from tests.images.deadline import until
from tests.images.engine import Engine
from tests.images.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
INGRESS_PORT = 8099
API_PORT = {"gateway": 5001, "tracking": 5000}

# a first start writes the database; on a busy machine that takes its time
_WITHIN = 90
# seconds between SIGTERM and SIGKILL, the Supervisor's default
_GRACE = 10


def folder(app: str) -> Path:
    """Where the app's Dockerfile is."""
    return ROOT / f"mlflow-{app}"


def declaration(app: str) -> dict[str, Any]:
    """Read the app's `config.yaml`."""
    content: dict[str, Any] = yaml.safe_load((folder(app) / "config.yaml").read_text("utf-8"))
    return content


def tag(app: str) -> str:
    """Name the image that the tests build of the app."""
    return f"mlflow-{app}:test"


async def build(app: str, engine: Engine) -> None:
    """Build the image as the Supervisor does."""
    version = declaration(app)["version"]
    await engine.docker(
        *("build", "--network=host", "--tag", tag(app)),
        *("--build-arg", f"BUILD_VERSION={version}", "--build-arg", "BUILD_ARCH=amd64"),
        str(folder(app)),
    )


class Container:
    """One app's container, with a /data of its own."""

    def __init__(
        self, app: str, engine: Engine, supervisor: Supervisor, data: Path, repository: str
    ) -> None:
        """`repository` is the first part of the slug, and of the host name: `local` or 8 hex digits."""
        self.app = app
        self.declaration = declaration(app)
        self.data = data
        self.slug = f"{repository}_{self.declaration['slug']}"
        self.supervisor_token = secrets.token_hex(28)
        self.address = ""
        self._name = f"app_{self.slug}"
        self._engine = engine
        self._supervisor = supervisor

    async def start(self, options: dict[str, Any]) -> None:
        """Write the options and start; returns as soon as the container runs."""
        path = self.data / "options.json"
        path.write_text(json.dumps(options))
        path.chmod(0o600)
        version = self.declaration["version"]
        self._supervisor.apps[self.supervisor_token] = {"slug": self.slug, "version": version}
        host = self.slug.replace("_", "-")
        await self._engine.docker(
            *("run", "--detach", "--name", self._name, "--hostname", host),
            *("--network", network.NAME, "--network-alias", host),
            *("--dns", network.NAME_SERVER),
            *("--add-host", f"supervisor:{network.SUPERVISOR}", "--volume", f"{self.data}:/data"),
            *("--env", f"SUPERVISOR_TOKEN={self.supervisor_token}", "--env", "TZ=Europe/Amsterdam"),
            tag(self.app),
        )
        self.address = await self._address()

    async def remove(self) -> None:
        """Take the container away, running or not."""
        await self._engine.docker("rm", "--force", "--volumes", self._name, check=False)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after the time that the app declares for its stop."""
        grace = self.declaration.get("timeout", _GRACE)
        await self._engine.docker("stop", "--time", str(grace), self._name)

    async def start_again(self) -> None:
        """Start the stopped container once more."""
        await self._engine.docker("start", self._name)
        self.address = await self._address()

    async def state(self) -> dict[str, Any]:
        """Give what the engine knows: `Status`, `ExitCode`, `Health`, `OOMKilled`, ..."""
        state: dict[str, Any] = json.loads(await self.inspect("{{json .State}}"))
        return state

    async def inspect(self, template: str = "{{json .}}") -> str:
        """Give what `docker inspect` shows."""
        return await self._engine.docker("inspect", "--format", template, self._name)

    async def log(self) -> str:
        """Give all that the app wrote, as the user reads it on the app's page."""
        return await self._engine.docker("logs", self._name, merge=True)

    async def run(self, *command: str) -> str:
        """Run a command in the container and give its output."""
        return await self._engine.docker("exec", self._name, *command)

    async def processes(self) -> str:
        """Give the command lines of all processes, as `ps` shows them."""
        return await self._engine.docker("top", self._name, "-eo", "pid,args")

    async def changed_files(self) -> list[str]:
        """Give what was written outside of /data, one path a line after A, C or D."""
        return (await self._engine.docker("diff", self._name)).splitlines()

    async def until_healthy(self) -> None:
        """Wait for Docker's own health check to be content."""

        async def healthy() -> bool:
            state = await self.state()
            assert state["Status"] == "running", f"{self._name} ended:\n{await self.log()}"
            return bool(state["Health"]["Status"] == "healthy")

        await until(healthy, f"{self._name} is healthy", within=_WITHIN)

    async def until_answering(self) -> None:
        """Wait for the first good answer, which comes before the health check's."""

        async def answers() -> bool:
            return await self.status("/health") == 200

        await until(answers, f"{self._name} answers", within=_WITHIN)

    async def until_stopped(self) -> int:
        """Wait for the container to end by itself; its exit code."""

        async def stopped() -> bool:
            return bool((await self.state())["Status"] == "exited")

        await until(stopped, f"{self._name} has stopped", within=_WITHIN)
        return int((await self.state())["ExitCode"])

    async def until_logged(self, text: str) -> None:
        """Wait for the log to contain `text`."""

        async def logged() -> bool:
            return text in await self.log()

        await until(logged, f"{self._name} logs {text!r}", within=_WITHIN)

    async def discovered(self) -> list[dict[str, Any]]:
        """Wait for the first discovery message; all that the Supervisor got from this app."""

        async def told() -> bool:
            return bool(self._supervisor.discovered.get(self.slug))

        await until(told, f"{self._name} told the Supervisor", within=_WITHIN)
        return self._supervisor.discovered[self.slug]

    async def status(self, path: str, **call: Any) -> int:
        """Give the HTTP status of a call (see `call`); 0 when nobody listens."""
        try:
            async with self.call(path, **call) as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return 0

    async def json(self, path: str, **call: Any) -> Any:
        """Give the JSON that a call (see `call`) is answered with."""
        async with self.call(path, **call) as answer:
            assert answer.status == 200, f"{path}: {answer.status} {await answer.text()}"
            return await answer.json()

    @asynccontextmanager
    async def call(
        self,
        path: str,
        *,
        ingress: bool = False,
        caller: str = network.CORE,
        token: str = "",
        body: Any = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET, or POST a body, on the API listener or the ingress one, from an address of the network."""
        port = INGRESS_PORT if ingress else API_PORT[self.app]
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(local_addr=(caller, 0)),
                timeout=aiohttp.ClientTimeout(total=20),
                headers={"Authorization": f"Bearer {token}"} if token else {},
            ) as session,
            session.request(
                "GET" if body is None else "POST", f"http://{self.address}:{port}{path}", json=body
            ) as answer,
        ):
            yield answer

    def through_ingress(self) -> dict[str, Any]:
        """Give the arguments with which `call` calls as the Supervisor does for a user."""
        return {"ingress": True, "caller": network.SUPERVISOR}

    async def _address(self) -> str:
        return await self.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
