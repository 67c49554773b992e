"""What is compared: this gateway, MLflow's stock gateway and the LiteLLM proxy, as processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".tools"
# What the Gateway that is measured takes for a key.
TOKEN = "sk-bench-bench-bench"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Running:
    """A started contender. `start` is the time to its first 200, in seconds."""

    pid: int
    port: int
    start: float

    @property
    def worker(self) -> int:
        """The process that answers: the only child, or itself."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0]) if children else self.pid

    def processor_seconds(self) -> tuple[float, float]:
        """What the worker took until now, in user mode and in the kernel."""
        fields = Path(f"/proc/{self.worker}/stat").read_text().rpartition(")")[2].split()
        tick = os.sysconf("SC_CLK_TCK")
        return int(fields[11]) / tick, int(fields[12]) / tick

    def memory(self) -> float:
        """Proportional memory of its whole process tree, in MB."""
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        return sum(map(_pss, _tree(self.pid, children))) / 1000


def _tree(pid: int, children: dict[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _tree(child, children)


def _pss(pid: int) -> float:
    try:
        roll = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(roll.split("Pss:")[1].split()[0]) * 1.024


@contextmanager
def started(
    command: list[str], health: str, port: int, folder: Path, environ: dict[str, str]
) -> Iterator[Running]:
    """Run a server until the block ends; its log is in `folder`."""
    with (folder / "log").open("ab") as log:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, **environ},
            cwd=folder,
            start_new_session=True,
        )
    try:
        _wait(f"http://127.0.0.1:{port}{health}", process, folder / "log")
        yield Running(process.pid, port, time.perf_counter() - begun)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # the stock gateway's runner leaves its server behind, in the same group
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
    raise RuntimeError(f"{address} did not come up:\n{log.read_text()[-2000:]}")


Contender = Callable[[Path, dict[str, str]], AbstractContextManager[Running]]


_PYTHON = str(ROOT / "mlflow-gateway/.venv/bin/python")
_PLACES = ("--options", "options.json", "--data", "data", "--run", "run", "--tracking", "")


def prepare(
    folder: Path, upstreams: dict[str, str], *, translated: bool = False, model: str = "m"
) -> None:
    """Write this app's options and what it makes of them."""
    providers = [
        {"name": name, "type": "openai", "api_key": "sk-upstream", "api_base": f"{address}/v1"}
        for name, address in upstreams.items()
    ]
    endpoints = [{"name": name, "provider": name, "model": model} for name in upstreams]
    if translated:
        for kind in ("anthropic", "gemini"):
            place = {"api_base": f"{next(iter(upstreams.values()))}/v1"}
            providers.append({"name": kind, "type": kind, "api_key": "sk-upstream", **place})
            endpoints.append({"name": kind, "provider": kind, "model": "m"})
    token = {"name": "bench", "token": TOKEN}
    options = {"providers": providers, "endpoints": endpoints, "api_tokens": [token]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "options.json").write_text(json.dumps(options))
    command = [_PYTHON, "-m", "mlflow_gateway", "prepare", *_PLACES]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)


@contextmanager
def ours(
    folder: Path, upstreams: dict[str, str], *, translated: bool = False, model: str = "m"
) -> Iterator[Running]:
    """This app, from its own environment, as the image starts it."""
    prepare(folder, upstreams, translated=translated, model=model)
    port = free_port()
    ports = ["--host", "127.0.0.1", "--ingress-port", str(free_port()), "--api-port", str(port)]
    command = [_PYTHON, "-m", "mlflow_gateway", "serve", *_PLACES, *ports]
    with started(command, "/health", port, folder, _trusting(folder)) as running:
        yield running


@contextmanager
def sampled(folder: Path, upstreams: dict[str, str]) -> Iterator[Running]:
    """This app's worker, looked into; the looks are in the folder's `looks.json` afterwards."""
    prepare(folder, upstreams)
    port = free_port()
    command = [_PYTHON, "-m", "benchmarks.sampled", str(port)]
    with started(command, "/health", port, folder, {"PYTHONPATH": str(ROOT)}) as running:
        yield running


@contextmanager
def forwarder(kind: str, folder: Path, upstream: int) -> Iterator[Running]:
    """One of forwarders.py."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [_PYTHON, str(ROOT / "benchmarks/forwarders.py"), kind, str(port), str(upstream)]
    with started(command, "/health", port, folder, {}) as running:
        yield running


@contextmanager
def stock(folder: Path, upstreams: dict[str, str]) -> Iterator[Running]:
    """`mlflow gateway start` with its defaults."""
    endpoints = [
        {
            "name": name,
            "endpoint_type": "llm/v1/chat",
            "model": {
                "name": "m",
                "provider": "openai",
                "config": {"openai_api_key": "sk-upstream", "openai_api_base": f"{address}/v1"},
            },
        }
        for name, address in upstreams.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gateway.yaml").write_text(json.dumps({"endpoints": endpoints}))
    port = free_port()
    program = TOOLS / "bench-mlflow/bin/mlflow"
    command = [str(program), "gateway", "start", "--config-path", "gateway.yaml"]
    environ = {
        **_trusting(folder),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with started([*command, "--port", str(port)], "/health", port, folder, environ) as running:
        yield running


@contextmanager
def litellm(folder: Path, upstreams: dict[str, str]) -> Iterator[Running]:
    """The LiteLLM proxy with its defaults and a master key."""
    models = [
        {
            "model_name": name,
            "litellm_params": {
                "model": "openai/m",
                "api_key": "sk-upstream",
                "api_base": f"{address}/v1",
            },
        }
        for name, address in upstreams.items()
    ]
    settings = {"master_key": "sk-bench-bench-bench"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "litellm.yaml").write_text(
        json.dumps({"model_list": models, "general_settings": settings})
    )
    port = free_port()
    command = [
        str(TOOLS / "bench-litellm/bin/litellm"),
        *("--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(port)),
    ]
    environ = {
        **_trusting(folder),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
    }
    with started(command, "/health/liveliness", port, folder, environ) as running:
        yield running


def _trusting(folder: Path) -> dict[str, str]:
    authority = folder.parent / "authority.pem"
    return {"SSL_CERT_FILE": str(authority)} if authority.exists() else {}


CONTENDERS: dict[str, Contender] = {
    "ours": ours,
    "mlflow gateway start": stock,
    "litellm proxy": litellm,
}
ENVIRONMENTS = {
    "ours": ROOT / "mlflow-gateway/.venv",
    "mlflow gateway start": TOOLS / "bench-mlflow",
    "litellm proxy": TOOLS / "bench-litellm",
}


# What mlflow-gateway/Dockerfile deletes of the lock's packages, as paths end.
_LEFT_OUT = ("tests", "mlflow/server/js")


def installed_megabytes(environment: Path) -> float:
    """The packages of an environment as they are delivered, without byte code.

    Ours are those of the image; the peers' are what pip installs.
    """
    left_out = _LEFT_OUT if environment.parent.name == "mlflow-gateway" else ()
    total = 0
    for folder, folders, files in os.walk(environment / "lib"):
        folders[:] = [
            name
            for name in folders
            if name != "__pycache__" and not f"{folder}/{name}".endswith(tuple(left_out))
        ]
        total += sum((Path(folder) / name).lstat().st_size for name in files)
    return total / 1e6
