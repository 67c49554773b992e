"""Reads the app's options, as the Supervisor writes them to /data/options.json."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import StartError

DATABASES = ("sqlite", "mariadb", "url")
LOG_LEVELS = ("debug", "info", "warning", "error")

# A token is sent in a header; a short one can be guessed. In characters.
_SHORTEST_TOKEN = 16

# A host as it stands in a Host header, without the port: a name or an IPv4 address.
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class Options:
    """The options of config.yaml, checked."""

    log_level: str = "info"
    allowed_hosts: tuple[str, ...] = ()
    api_tokens: tuple[str, ...] = field(default=(), repr=False)
    database: str = "sqlite"
    database_url: str = field(default="", repr=False)
    keep_traces_days: int = 0
    keep_deleted_days: int = 30
    max_database_mb: int = 0
    background_jobs: bool = False


def read_options(file: Path) -> Options:
    """Read and check the options.

    Raises StartError with one sentence per fault.
    """
    raw = _read_json(file)
    faults: list[str] = []
    options = Options(
        log_level=_one_of(LOG_LEVELS, raw, "log_level", "info", faults),
        allowed_hosts=_allowed_hosts(raw.get("allowed_hosts", []), faults),
        api_tokens=_api_tokens(raw.get("api_tokens", []), faults),
        database=_one_of(DATABASES, raw, "database", "sqlite", faults),
        database_url=str(raw.get("database_url") or ""),
        keep_traces_days=_count(raw, "keep_traces_days", 0, faults),
        keep_deleted_days=_count(raw, "keep_deleted_days", 30, faults),
        max_database_mb=_count(raw, "max_database_mb", 0, faults),
        background_jobs=_switch(raw, "background_jobs", faults),
    )
    if options.database == "url" and not options.database_url:
        faults.append("Option database is url: fill in database_url, or choose another database.")
    if faults:
        raise StartError(*faults)
    return options


def _read_json(file: Path) -> dict[str, Any]:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StartError(
            f"There is no options file at {file}: pass its path with --options."
        ) from None
    except (OSError, ValueError) as error:
        raise StartError(f"The options file {file} cannot be read as JSON: {error}.") from None
    if not isinstance(raw, dict):
        raise StartError(f"The options file {file} must hold one JSON object.")
    return raw


def _one_of(
    choices: tuple[str, ...], raw: dict[str, Any], name: str, default: str, faults: list[str]
) -> str:
    value = raw.get(name, default)
    if value in choices:
        return str(value)
    faults.append(f"Option {name} is {value!r}: choose one of {', '.join(choices)}.")
    return default


def _count(raw: dict[str, Any], name: str, default: int, faults: list[str]) -> int:
    value = raw.get(name, default)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    faults.append(f"Option {name} is {value!r}: write a whole number, 0 for no limit.")
    return default


def _switch(raw: dict[str, Any], name: str, faults: list[str]) -> bool:
    value = raw.get(name, False)
    if isinstance(value, bool):
        return value
    faults.append(f"Option {name} is {value!r}: write true or false.")
    return False


def _allowed_hosts(value: object, faults: list[str]) -> tuple[str, ...]:
    if not isinstance(value, list):
        faults.append("Option allowed_hosts must be a list of host names.")
        return ()
    hosts = []
    for host in value:
        if isinstance(host, str) and _HOST.fullmatch(host):
            hosts.append(host.lower())
        else:
            faults.append(
                f"Option allowed_hosts holds {host!r}: write a host name or an address alone,"
                " without http://, a port or a path."
            )
    return tuple(hosts)


def _api_tokens(value: object, faults: list[str]) -> tuple[str, ...]:
    if not isinstance(value, list):
        faults.append("Option api_tokens must be a list, each with a name and a token.")
        return ()
    tokens = []
    for number, item in enumerate(value):
        token = item.get("token") if isinstance(item, dict) else None
        if not isinstance(token, str) or len(token) < _SHORTEST_TOKEN:
            faults.append(
                f"Option api_tokens[{number}]: the token has fewer than {_SHORTEST_TOKEN}"
                " characters; use a longer one."
            )
        elif not token.isascii() or any(character.isspace() for character in token):
            faults.append(
                f"Option api_tokens[{number}]: the token may hold ASCII letters, digits and signs"
                " only."
            )
        else:
            tokens.append(token)
    return tuple(tokens)
