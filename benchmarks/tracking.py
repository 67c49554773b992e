"""The Tracking app beside stock `mlflow server`, in the same run; prints the figures as JSON.

Needs the environments mlflow-tracking/.venv, .tools/bench-mlflow (the peer, all of MLflow) and, for
the figures of the interface, .tools/home (ingress) and .tools/test-house (a browser).
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

ROOT = Path(__file__).parents[1]
APP = ROOT / "mlflow-tracking/.venv"
PEER = ROOT / ".tools/bench-mlflow"
HOME = ROOT / ".tools/home/bin/python"
BROWSER = ROOT / ".tools/test-house/bin/python"
OURS, STOCK = "ours", "mlflow server"

IDLE_SECONDS = float(os.environ.get("BENCH_IDLE_SECONDS", "300"))
TRACES = int(os.environ.get("BENCH_TRACES", "50000"))
STARTS = 3
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running contender. `start` is the time to its first healthy answer, in seconds."""

    pid: int
    port: int
    database: Path
    start: float = 0
    headers: dict[str, str] = field(default_factory=dict)

    def tree(self) -> list[int]:
        parents: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(stat.parent.name))
        found = [self.pid]
        for pid in found:
            found.extend(parents.get(pid, []))
        return found

    def memory(self) -> float:
        """Proportional memory of the process tree, in MB of 10^6 bytes."""
        total = 0
        for pid in self.tree():
            roll = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(roll.split("Pss:")[1].split()[0])
        return total * 1.024 / 1000

    def cpu(self) -> float:
        """Processor time of the tree so far, in seconds."""
        total = 0
        for pid in self.tree():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def post(self, path: str, body: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            headers = {"Content-Type": "application/json", **self.headers}
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 200, said[:300]
            return json.loads(said) if said else None


@contextmanager
def started(command: list[str], port: int, database: Path, log: Path) -> Iterator[Server]:
    begun = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=log.parent, start_new_session=True
        )
    try:
        while not _healthy(port):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() - begun < 120
            time.sleep(0.02)
        yield Server(process.pid, port, database, time.monotonic() - begun)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with closing(connection):
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False


@contextmanager
def ours(
    folder: Path, options: dict[str, Any] | None = None, python: Path = APP / "bin/python"
) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    (folder / "options.json").write_text(json.dumps(options or {}))
    api, ingress = free_port(), free_port()
    arguments = ["--options", str(folder / "options.json"), "--data", str(folder / "data")]
    arguments += ["--host", "127.0.0.1", "--ingress-from", "127.0.0.1"]
    arguments += ["--api-port", str(api), "--ingress-port", str(ingress)]
    module = [str(python), "-m", "mlflow_tracking"]
    begun = time.monotonic()
    subprocess.run([*module, "prepare", *arguments], check=True, capture_output=True)
    preparing = time.monotonic() - begun
    serve = [*module, "serve", *arguments]
    with started(serve, ingress, folder / "data/mlflow.db", folder / "log") as server:
        server.start += preparing
        yield server


@contextmanager
def stock(folder: Path) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    port, database = free_port(), folder / "mlflow.db"
    command = [str(PEER / "bin/mlflow"), "server", "--workers", "1", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--backend-store-uri", f"sqlite:///{database}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with started(command, port, database, folder / "log") as server:
        yield server


Contender = Callable[[Path], AbstractContextManager[Server]]


def five_spans() -> dict[str, Any]:
    now = time.time_ns()
    ids = [secrets.token_hex(8) for _ in range(5)]
    said = json.dumps({"text": "turn on the kitchen lights " * 40})
    attributes = [
        {"key": key, "value": {"stringValue": said}}
        for key in ("mlflow.spanInputs", "mlflow.spanOutputs")
    ]
    trace = secrets.token_hex(16)
    spans = [
        {
            "traceId": trace,
            "spanId": span,
            **({"parentSpanId": ids[0]} if number else {}),
            "name": f"step {number}",
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 10**9),
            "attributes": attributes,
        }
        for number, span in enumerate(ids)
    ]
    return {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


def ingestion(server: Server, clients: int = 4, seconds: float = 8) -> float:
    """Acknowledged five-span traces a second."""
    counts = [0] * clients
    end = time.monotonic() + seconds
    headers = {"Content-Type": "application/json", "x-mlflow-experiment-id": "0", **server.headers}

    def write(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        with closing(connection):
            while time.monotonic() < end:
                connection.request("POST", "/v1/traces", json.dumps(five_spans()), headers)
                answer = connection.getresponse()
                answer.read()
                counts[number] += answer.status == 200

    threads = [threading.Thread(target=write, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def multiply_traces(database: Path, count: int) -> None:
    """Copy the newest trace in every table, one a minute back in time, until there are so many."""
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        trace, newest = connection.execute(
            "SELECT request_id, timestamp_ms FROM trace_info ORDER BY timestamp_ms DESC"
        ).fetchone()
        (there,) = connection.execute("SELECT count(*) FROM trace_info").fetchone()
        names = [
            n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        new = [(f"tr-{secrets.token_hex(16)}", newest - 60_000 * n) for n in range(there, count)]
        # The traces before what refers to them.
        for name in sorted(names, key=lambda name: name != "trace_info"):
            table = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
            columns = [column[1] for column in table if column[6] == 0]
            key = next((c for c in ("request_id", "trace_id") if c in columns), None)
            if key is None:
                continue
            listed = ", ".join(f'"{column}"' for column in columns)
            rows = connection.execute(
                f"SELECT {listed} FROM {name} WHERE {key} = ?", (trace,)
            ).fetchall()
            changed = [columns.index(key)]
            when = columns.index("timestamp_ms") if "timestamp_ms" in columns else None
            values = (
                tuple(
                    new_id if i in changed else at if i == when else value
                    for i, value in enumerate(row)
                )
                for new_id, at in new
                for row in rows
            )
            marks = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {name} ({listed}) VALUES ({marks})", values)


def search_p95(server: Server) -> float:
    """The 95th percentile of finding the 100 newest traces, in milliseconds."""
    experiment = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    body = {
        "locations": [experiment],
        "filter": "trace.status = 'OK'",
        "order_by": ["timestamp_ms DESC"],
        "max_results": 100,
    }
    times = []
    for _ in range(40):
        begun = time.monotonic()
        found = server.post("/api/3.0/mlflow/traces/search", body)
        times.append((time.monotonic() - begun) * 1000)
        assert len(found["traces"]) == 100
    return quantiles(times, n=20)[18]


def installed_size(folder: Path) -> float:
    """What the image installs, in MB: the environment as the image's own build slims it."""
    copy, sources = folder / "installed", folder / "sources"
    shutil.copytree(APP, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "mlflow-tracking/src", sources)
    slim = ROOT / "mlflow-tracking/slim.py"
    subprocess.run([sys.executable, slim, copy, sources], check=True, stdout=sys.stderr)
    with ours(folder / "slim", python=copy / "bin/python"):
        pass  # it does start
    return disk_mb(copy)


def disk_mb(folder: Path) -> float:
    done = subprocess.run(
        ["du", "-sk", folder.resolve()], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[0]) * 1.024 / 1000


def interface(server: Server, start: str) -> dict[str, float]:
    """Opening the interface through ingress in a new browser, and again; see tracking_page.py."""
    ingress = [str(HOME), "-m", "benchmarks.tracking_page_ingress", f"page={server.port}"]
    with subprocess.Popen(
        ingress, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as proxy:
        assert proxy.stdin
        assert proxy.stdout
        at = json.loads(proxy.stdout.readline())
        page = [BROWSER, ROOT / "benchmarks/tracking_page.py", at["page"] + start, at["cookie"]]
        done = subprocess.run(page, check=True, stdout=subprocess.PIPE, text=True)
        proxy.stdin.close()
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


Samples = dict[str, dict[str, float]]


def measure(place: Path) -> Samples:
    samples: Samples = {}

    def keep(figure: str, name: str, value: float) -> None:
        samples.setdefault(figure, {})[name] = value
        sys.stderr.write(f"{figure}, {name}: {value:.3f}\n")

    keep("installed size", OURS, installed_size(place))
    # What the image has; and as a copy it shares no memory with another app of this machine.
    slim = partial(ours, python=place / "installed/bin/python")
    contenders: dict[str, Contender] = {OURS: slim, STOCK: stock}
    keep("installed size", STOCK, disk_mb(PEER))
    for name, contender in contenders.items():
        with contender(place / name.split()[0]):
            pass  # makes the database
        starts = []
        for _ in range(STARTS):
            with contender(place / name.split()[0]) as server:
                starts.append(server.start)
        keep("cold start, existing database", name, median(starts))
    with ExitStack() as stack:
        servers = {n: stack.enter_context(c(place / n.split()[0])) for n, c in contenders.items()}
        time.sleep(10)
        before = {name: server.cpu() for name, server in servers.items()}
        time.sleep(IDLE_SECONDS)
        for name in contenders:
            spent = servers[name].cpu() - before[name]
            keep("CPU idle", name, spent / IDLE_SECONDS * 100)
            keep("memory idle", name, servers[name].memory())
        # Stock has them on by default.
        keep("memory idle, background jobs on", STOCK, servers[STOCK].memory())
    # After the others: two servers of the same kind would share their libraries' memory.
    with slim(place / "jobs", {"background_jobs": True}) as server:
        time.sleep(15)
        keep("memory idle, background jobs on", OURS, server.memory())
    for name, contender in contenders.items():
        with contender(place / name.split()[0]) as server:
            keep("OTLP ingestion, 5-span traces", name, ingestion(server))
            if HOME.exists() and BROWSER.exists():
                made = server.post("/api/2.0/mlflow/experiments/create", {"name": "Home Assistant"})
                # Ours opens there by itself.
                start = "" if name == OURS else f"#/experiments/{made['experiment_id']}/runs"
                for figure, value in interface(server, start).items():
                    keep(figure, name, value)
            multiply_traces(server.database, TRACES)
            server.post("/api/2.0/mlflow/experiments/search", {"max_results": 1})
            keep(f"trace search p95, {TRACES} traces", name, search_p95(server))
    return samples


def figures(samples: Samples) -> dict[str, dict[str, Any]]:
    goals: dict[str, tuple[str, float | None]] = {
        "memory idle": ("MB", 175),
        "memory idle, background jobs on": ("MB", 350),
        "cold start, existing database": ("s", 4),
        "installed size": ("MB", 230),
        "CPU idle": ("% of a core", 0.5),
        "OTLP ingestion, 5-span traces": ("traces/s", None),
        f"trace search p95, {TRACES} traces": ("ms", None),
        "first opening": ("s", None),
        "first opening, transferred": ("kB", None),
        "first opening, requests": ("", None),
        "second opening": ("s", None),
        "second opening, transferred": ("kB", 100),
    }
    halved = {"first opening"}
    found = {}
    for figure, (unit, goal) in goals.items():
        if figure not in samples:
            continue
        peer = samples[figure][STOCK]
        found[figure] = {
            "unit": unit,
            "ours": round(samples[figure][OURS], 3),
            "peers": {STOCK: round(peer, 3)},
            "goal": round(goal if goal is not None else peer / (2 if figure in halved else 1), 3),
            "higher_is_better": figure.startswith("OTLP"),
        }
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(figures(measure(Path(folder)))))
