"""What an endpoint does when its provider is slow, failing or dear: the options and their defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

# Option -> (least, greatest); None where nothing bounds it.
_RANGES: Mapping[str, tuple[float, float | None]] = {
    "connect_timeout": (0.1, 60),
    "first_byte_timeout": (0.1, 3600),
    "idle_timeout": (0.1, 3600),
    "total_timeout": (0.1, 7200),
    "retries": (0, 10),
    "calls_per_minute": (0, None),
    "tokens_per_day": (0, None),
    "money_per_day": (0, None),
}
_WHOLE = frozenset({"retries", "calls_per_minute", "tokens_per_day"})

POLICY_FIELDS = (*_RANGES, "fallback")


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of one endpoint. Timeouts are in seconds; a limit of 0 is no limit.

    The default waits are long, since a local model may have to be loaded first.
    `money_per_day` is in US dollars, the currency of MLflow's price catalogue.
    """

    connect_timeout: float = 5
    first_byte_timeout: float = 180
    idle_timeout: float = 120
    total_timeout: float = 600
    retries: int = 2
    calls_per_minute: int = 0
    tokens_per_day: int = 0
    money_per_day: float = 0
    fallback: tuple[str, ...] = ()

    def changed(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as YAML holds them."""
        default = asdict(Policy())
        changed = {key: value for key, value in asdict(self).items() if value != default[key]}
        if self.fallback:
            changed["fallback"] = list(self.fallback)
        return changed


def from_yaml(changed: Mapping[str, Any]) -> Policy:
    """The policy that `changed` came from."""
    return Policy(**{**changed, "fallback": tuple(changed.get("fallback", ()))})


def from_options(item: Mapping[str, Any], faults: list[str], label: str) -> Policy:
    """The policy in an entry of the option `endpoints`; adds a sentence to `faults` for each fault.

    `fallback` is one text with commas, since the Supervisor's schema has no optional list here.
    """
    values: dict[str, Any] = {}
    for name in _RANGES:
        if item.get(name) not in (None, ""):
            problems = list(_number_faults(label, name, item[name]))
            faults.extend(problems)
            if not problems:
                values[name] = int(item[name]) if name in _WHOLE else float(item[name])
    names = [name.strip() for name in str(item.get("fallback") or "").split(",")]
    return Policy(**values, fallback=tuple(name for name in names if name))


def _number_faults(label: str, name: str, value: Any) -> Iterator[str]:
    least, greatest = _RANGES[name]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, bool):
        yield f"{label}: {name} must be a number."
        return
    if name in _WHOLE and number != int(number):
        yield f"{label}: {name} must be a whole number."
    elif number < least or (greatest is not None and number > greatest):
        end = "or more" if greatest is None else f"to {greatest:g}"
        yield f"{label}: {name} must be {least:g} {end}."


assert {field.name for field in fields(Policy)} == set(POLICY_FIELDS)  # noqa: S101 -- one list, two forms
