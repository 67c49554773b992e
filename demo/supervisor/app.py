"""One installed app: its options, its process in place of a container, its log.

Where the real Supervisor starts a container, this runs what the image's services run, in their
order: `prepare`, `serve`, and, once the app is healthy, the image's own `discovery` script on the
stand-in bashio.
"""

import asyncio
import json
import os
import secrets
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from demo.supervisor.declaration import Declaration, validated

_SHIM = Path(__file__).resolve().parent.parent / "bashio"
_ROOTFS = Path("rootfs")
_HEALTHY_WITHIN = 60.0
_STOP_WITHIN = 10.0  # the Supervisor's default for `timeout`
# When the demo is killed, its children are not left behind (setpriv is part of Debian's util-linux).
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")


class App:
    """An app of the repository, installed: what `/addons/<slug>/*` is about."""

    def __init__(
        self,
        declaration: Declaration,
        *,
        repository: str,
        address: str,
        directory: Path,
        supervisor: Callable[[], str],
        arguments: list[str],
    ) -> None:
        """Name the app and its places.

        `address` is the loopback address it listens on (its "container's"), `directory` holds its /data and its log,
        `supervisor` gives the address (host:port) of the Supervisor's API, `arguments` are added to `serve`.
        """
        self.declaration = declaration
        self.slug = f"{repository}_{declaration.content['slug']}"
        self.address = address
        self.token = secrets.token_hex(28)
        self.ingress_token = secrets.token_urlsafe(32)
        self.ingress_panel = False
        self.watchdog = False
        self.boot = "auto"
        self.state = "stopped"
        self._settled = asyncio.Event()
        self.directory = directory
        self.log_file = directory / "log.txt"
        self._supervisor = supervisor
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        (directory / "data").mkdir(parents=True, exist_ok=True)
        self._saved = directory / "options.saved.json"

    @property
    def ingress_port(self) -> int:
        """The port of the container that ingress is led to."""
        return int(self.declaration.content.get("ingress_port", 8099))

    @property
    def pid(self) -> int | None:
        """The process of the app while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    @property
    def options(self) -> dict[str, Any]:
        """What the user saved, over the declaration's defaults."""
        saved = json.loads(self._saved.read_text()) if self._saved.exists() else {}
        return {**self.declaration.content.get("options", {}), **saved}

    def save_options(self, options: dict[str, Any] | None) -> None:
        """Keep new options (None: the defaults again); raises InvalidOptionError."""
        if options is None:
            self._saved.unlink(missing_ok=True)
            return
        defaults = self.declaration.content.get("options", {})
        checked = validated({**defaults, **options}, self.declaration.schema)
        _write_private(self._saved, checked)

    async def start(self) -> None:
        """Run `prepare` and `serve`; returns once the process runs, `state` tells when it is healthy."""
        if self.pid:
            return
        options = self.directory / "data" / "options.json"
        _write_private(options, validated(self.options, self.declaration.schema))
        self.state = "startup"
        self._settled.clear()
        if await (await self._run("prepare")).wait() != 0:
            self._settle("error")
            return
        self._process = await self._run("serve")
        for work in (self._watch(self._process), self._announce(self._process)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when that is not obeyed, as the container engine does."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            self.state = "stopped"
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            within = self.declaration.content.get("timeout", _STOP_WITHIN)
            await asyncio.wait_for(process.wait(), within)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        self.state = "stopped"

    async def restart(self) -> None:
        """Stop and start, with the options as they are now."""
        await self.stop()
        await self.start()

    async def healthy(self, within: float = _HEALTHY_WITHIN) -> bool:
        """Wait until the app is healthy; False when it ended or `within` seconds have passed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), within)
        return self.state == "started"

    async def _run(self, command: str) -> asyncio.subprocess.Process:
        folder = self.declaration.folder
        module = folder.name.replace("-", "_")
        data = self.directory / "data"
        arguments = [
            "--options",
            str(data / "options.json"),
            "--data",
            str(data),
            "--host",
            self.address,
        ]
        program = folder / ".venv/bin/python"
        return await self._execute(
            str(program), "-m", module, command, *arguments, *self._arguments
        )

    def _environment(self) -> dict[str, str]:
        """The environment of a container: nothing of the machine's own gets in."""
        kept = {name: os.environ[name] for name in ("TZ", "SSL_CERT_FILE") if name in os.environ}
        return {
            **kept,
            "PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "SUPERVISOR_TOKEN": self.token,
            "SUPERVISOR_API": f"http://{self._supervisor()}",
        }

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Notice when the process ends by itself."""
        code = await process.wait()
        if process is self._process:
            self._settle("stopped" if code == 0 else "error")

    def _settle(self, state: str) -> None:
        self.state = state
        self._settled.set()

    async def _announce(self, process: asyncio.subprocess.Process) -> None:
        """Wait for health as Docker's HEALTHCHECK does, then run the image's discovery script."""
        while await (await self._execute(str(self._healthy()))).wait() != 0:
            if process.returncode is not None or process is not self._process:
                return
            await asyncio.sleep(0.05)
        self._settle("started")
        script = self.declaration.folder / _ROOTFS / "etc/s6-overlay/s6-rc.d/discovery/run"
        await (await self._execute("bash", str(_SHIM), str(script))).wait()

    def _healthy(self) -> Path:
        """The image's health check, asking at the address that stands for the container's own."""
        check = self.declaration.folder / _ROOTFS / "usr/local/bin/healthy"
        here = self.directory / "bin" / "healthy"
        here.parent.mkdir(exist_ok=True)
        here.write_text(check.read_text(encoding="utf-8").replace("127.0.0.1", self.address))
        here.chmod(0o755)
        return here

    async def _execute(self, *command: str) -> asyncio.subprocess.Process:
        """Run a program as in the app's container: in its environment, its output in its log."""
        with self.log_file.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(*DIE_WITH_PARENT, *command),
                env=self._environment(),
                cwd=self.directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _write_private(path: Path, content: dict[str, Any]) -> None:
    """Options hold keys: nobody else on the machine may read them."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
