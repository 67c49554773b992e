"""The real app as a process, started the way that the image starts it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "mlflow-gateway/.venv/bin/python"

# Loopback addresses in the places of the Supervisor and of the tracking app.
SUPERVISOR = "127.0.32.2"
TRACKING = "127.0.33.3"


@dataclass
class Gateway:
    process: subprocess.Popen[bytes]
    folder: Path
    api: str
    ingress: str

    @property
    def token(self) -> str:
        return (self.folder / "data/token").read_text().strip()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def client(self, *, token: str | None = "", source: str = "127.0.0.1") -> aiohttp.ClientSession:
        """A client of the API listener; `token` None sends none, "" the generated one."""
        headers = {} if token is None else {"Authorization": f"Bearer {token or self.token}"}
        return aiohttp.ClientSession(
            self.api, headers=headers, connector=aiohttp.TCPConnector(local_addr=(source, 0))
        )

    def ingress_client(self, source: str = SUPERVISOR) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            self.ingress, connector=aiohttp.TCPConnector(local_addr=(source, 0))
        )

    def pids(self) -> list[int]:
        """The master and its worker."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def command_lines(self) -> list[str]:
        """Of the master and its worker."""
        return [Path(f"/proc/{pid}/cmdline").read_text() for pid in self.pids()]

    def memory(self) -> int:
        """Proportional memory of master and worker, in bytes."""
        rolls = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.pids()]
        return sum(1024 * int(roll.split("Pss:")[1].split()[0]) for roll in rolls)

    def run_files(self) -> list[str]:
        """The text of every file in the folder of what is made anew."""
        return [path.read_text() for path in (self.folder / "run").iterdir()]


def run(command: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of the app, to its end."""
    return subprocess.run(
        [*_command(command, folder), *arguments], capture_output=True, text=True, check=False
    )


def write_options(folder: Path, options: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "options.json").write_text(json.dumps(options))


@asynccontextmanager
async def running(folder: Path, options: dict[str, Any], **environ: str) -> AsyncIterator[Gateway]:
    write_options(folder, options)
    prepared = run("prepare", folder)
    assert prepared.returncode == 0, prepared.stderr
    host = _own_address()
    ports = [_free_port(host), _free_port(host)]
    arguments = [f"--host={host}", f"--ingress-port={ports[0]}", f"--api-port={ports[1]}"]
    process = _start([*_command("serve", folder), *arguments], folder / "log", environ)
    gateway = Gateway(process, folder, f"http://{host}:{ports[1]}", f"http://{host}:{ports[0]}")
    try:
        await _healthy(gateway)
        yield gateway
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 60)
        finally:
            process.kill()


def _start(command: list[str], log: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **environ}
        )


async def _healthy(gateway: Gateway) -> None:
    deadline = time.monotonic() + 60
    async with gateway.client(token=None) as client:
        while time.monotonic() < deadline:
            assert gateway.process.poll() is None, gateway.log
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get("/health") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.02)
    raise AssertionError(f"not healthy in time; its log:\n{gateway.log}")


def _command(command: str, folder: Path) -> list[str]:
    return [
        os.fspath(PYTHON),
        *("-m", "mlflow_gateway", command),
        *("--options", f"{folder}/options.json", "--data", f"{folder}/data"),
        *("--run", f"{folder}/run", "--ingress-from", SUPERVISOR, "--tracking", TRACKING),
    ]


def _own_address() -> str:
    """A loopback address that nobody else uses, so that no port is taken between look and use."""
    return f"127.{random.randint(64, 127)}.{random.randint(1, 254)}.{random.randint(1, 254)}"


def _free_port(host: str) -> int:
    with socket.socket() as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])
