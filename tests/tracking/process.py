"""The real app as a process, prepared and started the way that the image does it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "mlflow-tracking/.venv/bin/python"

# Stands for the Supervisor's address; the tests' own calls come from 127.0.0.1.
SUPERVISOR = "127.0.32.2"

# What a browser sends through Home Assistant, and what the Supervisor adds.
THROUGH_HOME_ASSISTANT = {
    "Host": "homeassistant.local:8123",
    "Origin": "http://homeassistant.local:8123",
    "Cookie": "ingress_session=an-ingress-session-that-is-secret",
    "X-Ingress-Path": "/api/hassio_ingress/a-token",
    "X-Forwarded-For": "192.168.1.20",
    "X-Forwarded-Host": "homeassistant.local:8123",
    "X-Forwarded-Proto": "http",
}


def free_port() -> int:
    """A port that nothing uses, below those that the kernel gives to outgoing connections."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


@dataclass
class App:
    """One installation of the app: its options, its data and its ports, over many starts."""

    folder: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    gateway: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    ingress_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def ingress(self) -> str:
        return f"http://127.0.0.1:{self.ingress_port}"

    @property
    def token(self) -> str:
        return (self.data / "token").read_text().strip()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def arguments(self, command: str) -> list[str]:
        options = self.folder / "options.json"
        if not options.exists() or json.loads(options.read_text()) != self.options:
            options.write_text(json.dumps(self.options))
        arguments = [str(PYTHON), "-m", "mlflow_tracking", command]
        arguments += ["--options", str(self.folder / "options.json"), "--data", str(self.data)]
        arguments += ["--host", "127.0.0.1", "--ingress-from", SUPERVISOR]
        arguments += ["--ingress-port", str(self.ingress_port), "--api-port", str(self.api_port)]
        return arguments + (["--gateway", self.gateway] if self.gateway else [])

    def prepare(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.arguments("prepare"),
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | self.environment,
        )

    async def prepare_beside_the_loop(self) -> subprocess.CompletedProcess[str]:
        """`prepare` while the test itself serves what the app asks for."""
        return await asyncio.to_thread(self.prepare)

    def start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                self.arguments("serve"),
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
            )

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert process.poll() is None, self.log
            try:
                with urllib.request.urlopen(f"{self.api}/health", timeout=5) as answer:
                    assert json.load(answer)["status"] == "ok"
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"not ready after 60 s: {self.log}")

    @contextmanager
    def running(self) -> Iterator[App]:
        """The app from a start to a clean stop."""
        prepared = self.prepare()
        assert prepared.returncode == 0, prepared.stderr
        process = self.start()
        try:
            self.wait_until_ready(process)
            yield self
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
        assert code == 0, self.log

    def api_client(self, token: str | None = "") -> aiohttp.ClientSession:
        """A client of the API listener; `token` None sends none, "" the generated one."""
        headers = {} if token is None else {"Authorization": f"Bearer {token or self.token}"}
        return aiohttp.ClientSession(self.api, headers=headers)

    def ingress_client(self, source: str = SUPERVISOR) -> aiohttp.ClientSession:
        """A browser's calls as the Supervisor passes them on."""
        return aiohttp.ClientSession(
            self.ingress,
            headers=THROUGH_HOME_ASSISTANT,
            connector=aiohttp.TCPConnector(local_addr=(source, 0)),
        )
