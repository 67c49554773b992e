"""Where the running app listens and keeps its files, handed from `serve` to the server process."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# Open streams may go on for this long after SIGTERM, in seconds.
GRACE = 10

_VARIABLE = "MLFLOW_GATEWAY_SETTINGS"
_TOKENS_VARIABLE = "MLFLOW_GATEWAY_API_TOKENS"

# Open streams may go on for this long after SIGTERM, in seconds.
GRACE = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is not secret. `tracking` is the host that needs no token, or empty."""

    data: str
    run: str
    host: str
    ingress_port: int
    api_port: int
    ingress_from: str
    tracking: str
    log_level: str

    @property
    def routes_file(self) -> Path:
        """What `prepare` writes and the server reads."""
        return Path(self.run) / "routes.yaml"

    @property
    def token_file(self) -> Path:
        """The generated API token."""
        return Path(self.data) / "token"

    def environment(self, api_tokens: tuple[str, ...]) -> dict[str, str]:
        """The environment variables from which `from_environment` reads this back."""
        return {_VARIABLE: json.dumps(asdict(self)), _TOKENS_VARIABLE: "\n".join(api_tokens)}


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings that `serve` left in the environment."""
    return Settings(**json.loads(environ[_VARIABLE]))


def api_tokens(settings: Settings, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Every token that the API listener accepts: the generated one and those of the options."""
    extra = environ.get(_TOKENS_VARIABLE, "").split()
    return [settings.token_file.read_text(encoding="ascii").strip(), *extra]


def ensure_token(settings: Settings) -> None:
    """Generate the API token at the first start, readable by this user alone."""
    path = settings.token_file
    if path.exists() and path.read_text(encoding="ascii").strip():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, secrets.token_urlsafe(32) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write `text` with mode 0600, so that a reader sees the old file or the whole new one."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def sibling(hostname: str) -> str:
    """The tracking app's host name, from this app's own; empty when it has another form.

    The Supervisor names apps `<repository>-<slug>`, with dashes for underscores.
    """
    own, other = "-mlflow-gateway", "-mlflow-tracking"
    return hostname.removesuffix(own) + other if hostname.endswith(own) else ""
