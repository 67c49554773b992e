"""What the home of the benchmark of reasoned states talks with, as processes."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import ROOT, free_port, ours, started

ENDPOINT = "reasoning"
# Whose price is counted: the one behind the Gateway is scripted, and takes any name.
MODEL = "gpt-4.1-mini"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the real Gateway and the stand-in for MLflow listen."""

    gateway: str
    tracking: str


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Run the Gateway before the scripted model, and something that takes traces."""
    model, tracking = free_port(), free_port()
    sink = str(ROOT / "benchmarks" / "integration_endpoint.py")
    commands = {
        model: [sys.executable, "-m", "benchmarks.reasoned_model", str(model)],
        tracking: [sys.executable, sink, str(tracking)],
    }
    with contextlib.ExitStack() as stack:
        for port, command in commands.items():
            place = folder / str(port)
            place.mkdir()
            environment = {"PYTHONPATH": str(ROOT)}
            stack.enter_context(started(command, "/v1/models", port, place, environment))
        upstream = {ENDPOINT: f"http://127.0.0.1:{model}"}
        gateway = stack.enter_context(ours(folder / "gateway", upstream, model=MODEL))
        yield Servers(f"http://127.0.0.1:{gateway.port}", f"http://127.0.0.1:{tracking}")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    sent: float
    made: float

    @classmethod
    def of_model(cls) -> Price:
        """Look the model up in the Gateway's catalogue."""
        program = (
            "from mlflow_gateway.prices import look_up\n"
            f"price = look_up('openai', '{MODEL}')\n"
            "print(price.input, price.output)"
        )
        python = os.fspath(ROOT / "mlflow-gateway/.venv/bin/python")
        done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
        return cls(*map(float, done.stdout.split()))

    def of(self, sent: int, made: int) -> float:
        return (sent * self.sent + made * self.made) / 1e6
