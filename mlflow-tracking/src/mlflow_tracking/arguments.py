"""The command line that `prepare`, `serve` and the server process share."""

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where the app finds its options and data, and where it listens."""

    options: Path
    data: Path
    host: str
    ingress_port: int
    api_port: int
    ingress_from: str
    gateway: str | None

    @property
    def database_file(self) -> Path:
        """MLflow's SQLite file."""
        return self.data / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """The folder behind MLflow's `mlflow-artifacts:` addresses."""
        return self.data / "artifacts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; the defaults are what the image uses."""
    add = parser.add_argument
    add("--options", type=Path, default=Path("/data/options.json"), help="the app's options")
    add("--data", type=Path, default=Path("/data"), help="the folder of everything that is kept")
    add("--host", default="0.0.0.0", help="the address that both listeners bind to")
    add("--ingress-port", type=int, default=8099, help="the Supervisor's listener")
    add("--api-port", type=int, default=5000, help="the listener that asks for a token")
    add("--ingress-from", default="172.30.32.2", help="the only address ingress accepts")
    add("--gateway", help="the Gateway's API listener (default: the sibling app's)")


def settings_from(namespace: argparse.Namespace) -> Settings:
    """The parsed arguments as settings."""
    return Settings(
        options=namespace.options,
        data=namespace.data.absolute(),
        host=namespace.host,
        ingress_port=namespace.ingress_port,
        api_port=namespace.api_port,
        ingress_from=namespace.ingress_from,
        gateway=namespace.gateway,
    )
