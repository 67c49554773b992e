"""The Gateway beside MLflow's stock gateway and the LiteLLM proxy, on this machine in one run.

Writes gateway-profile.json, which says where the time of a call goes, and prints JSON:
`{figure: {"unit", "ours", "peers", "goal", "higher_is_better"}}`.
Every figure is the median of several rounds, in which the contenders take turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import trustme
from benchmarks.breakdown import breakdown, shown
from benchmarks.contenders import (
    CONTENDERS,
    ENVIRONMENTS,
    free_port,
    installed_megabytes,
    ours,
)
from benchmarks.crashes import crash
from benchmarks.load import load

HERE = Path(__file__).parent
PROFILE = HERE / "gateway-profile.json"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CRASHES = int(os.environ.get("BENCH_CRASHES", "60"))
GROWTH_CALLS = int(os.environ.get("BENCH_GROWTH_CALLS", "100000"))
OURS, STOCK, LITELLM = CONTENDERS

Samples = dict[str, dict[str, list[float]]]


def _start_upstream(stack: ExitStack, certificate: str | None) -> int:
    port = free_port()
    command = [sys.executable, str(HERE / "upstream.py"), str(port)]
    process = subprocess.Popen([*command, certificate] if certificate else command)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return port


def _cold(folder: Path, upstreams: dict[str, str], samples: Samples) -> None:
    """Start, idle memory and memory with translated providers, from cold."""
    for name, contender in CONTENDERS.items():
        with contender(folder / name.replace(" ", "-"), upstreams) as running:
            samples["cold start to first 200"][name].append(running.start)
            samples["memory idle"][name].append(running.memory())
    with ours(folder / "translated", upstreams, translated=True) as running:
        samples["memory idle, anthropic and gemini in use"][OURS].append(running.memory())


def _round(ports: dict[str, int], direct: int, samples: Samples) -> None:
    """One turn of everybody at every load."""
    base = load(direct, "plain", clients=1, calls=2000)["p50"]
    base_first = load(direct, "plain", clients=1, calls=1000, stream=True)["p50"]
    for name, port in ports.items():
        few = 300 if name == LITELLM else 3000
        one = load(port, "plain", clients=1, calls=few)
        samples["added latency, p50, one client"][name].append(one["p50"] - base)
        many = load(port, "plain", clients=16, calls=4 * few)
        samples["throughput, 16 clients"][name].append(many["rate"])
        secret = load(port, "secret", clients=1, calls=few // 2)
        samples["p50 per call, TLS upstream"][name].append(secret["p50"])
        stream = load(port, "plain", clients=1, calls=few // 2, stream=True)
        samples["added time to first token, p50"][name].append(stream["p50"] - base_first)


def _growth(folder: Path, upstreams: dict[str, str], samples: Samples) -> None:
    for name in (OURS, STOCK):
        with CONTENDERS[name](folder / f"growth-{name[:4]}", upstreams) as running:
            load(running.port, "plain", clients=16, calls=4000)
            before = running.memory()
            load(running.port, "plain", clients=16, calls=GROWTH_CALLS)
            samples["growth after 100,000 calls"][name].append(running.memory() - before)


def _measure(folder: Path) -> Samples:
    samples: Samples = defaultdict(lambda: defaultdict(list))
    for name, environment in ENVIRONMENTS.items():
        samples["installed size"][name].append(installed_megabytes(environment))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    certificate = folder / "upstream.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with ExitStack() as stack:
        direct = _start_upstream(stack, None)
        upstreams = {
            "plain": f"http://127.0.0.1:{direct}",
            "secret": f"https://127.0.0.1:{_start_upstream(stack, str(certificate))}",
        }
        for _ in range(max(2, ROUNDS // 2)):
            _cold(folder, upstreams, samples)
        with ExitStack() as servers:
            ports = {
                name: servers.enter_context(contender(folder / f"warm-{name[:4]}", upstreams)).port
                for name, contender in CONTENDERS.items()
            }
            for port in ports.values():
                load(port, "plain", clients=4, calls=200)
            for _ in range(ROUNDS):
                _round(ports, direct, samples)
            PROFILE.write_text(json.dumps(breakdown(folder / "breakdown", direct), indent=2) + "\n")
            print(shown(json.loads(PROFILE.read_text())), file=sys.stderr)
        _growth(folder, upstreams, samples)
        with ours(folder / "crashes", upstreams) as running:
            back, lost = crash(running, "plain", CRASHES)
        samples["back after a crash, longest"][OURS].append(back)
        samples["counters lost for a crash, as time"][OURS].append(lost)
    return samples


def _figures(samples: Samples) -> dict[str, dict[str, Any]]:
    values = {
        figure: {name: median(numbers) for name, numbers in by_name.items()}
        for figure, by_name in samples.items()
    }
    rate, secret = values["throughput, 16 clients"], values["p50 per call, TLS upstream"]
    goals: dict[str, tuple[str, float]] = {
        "memory idle": ("MB", 75),
        "memory idle, anthropic and gemini in use": ("MB", 130),
        "cold start to first 200": ("s", 1),
        "installed size": ("MB", 145),
        "added latency, p50, one client": ("ms", 0.35),
        "throughput, 16 clients": ("calls/s", max(2.5 * rate[STOCK], 25 * rate[LITELLM])),
        "p50 per call, TLS upstream": ("ms", secret[STOCK] / 3),
        "added time to first token, p50": ("ms", 0.5),
        "growth after 100,000 calls": ("MB", 5),
        "back after a crash, longest": ("s", 1),
        "counters lost for a crash, as time": ("s", 1),
    }
    return {
        figure: {
            "unit": unit,
            "ours": round(values[figure][OURS], 3),
            "peers": {n: round(v, 3) for n, v in values[figure].items() if n != OURS},
            "goal": round(goal, 3),
            "higher_is_better": figure.startswith("throughput"),
        }
        for figure, (unit, goal) in goals.items()
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(_figures(_measure(Path(place)))))
