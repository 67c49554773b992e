"""The app's options (`/data/options.json`): read, checked, and every fault named in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import policy, prices
from .policy import Policy
from .providers import ENDPOINT_TYPES, PROVIDER_FIELDS, PROVIDER_TYPES, ProviderType

LOG_LEVELS = ("debug", "info", "warning", "error")

# What is sent in the head of a request, where a control character would break it.
_IN_HEADERS = frozenset({"api_key", "organization"})

# MLflow allows these in the name of an endpoint (mlflow/gateway/utils.py, is_valid_endpoint_name).
_ENDPOINT_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class OptionsError(Exception):
    """The options cannot be used; `faults` holds a sentence for each reason."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's account: `fields` are the options of its type that the user filled in."""

    name: str
    type: ProviderType
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """An endpoint: the name that clients use for a model of a provider."""

    name: str
    provider: Provider
    model: str
    type: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Options:
    """Checked options."""

    providers: tuple[Provider, ...]
    endpoints: tuple[EndpointOptions, ...]
    api_tokens: tuple[str, ...]
    log_level: str


def load(path: Path) -> Options:
    """Read and check the options at `path`.

    Raises OptionsError, with a sentence for each fault; none contains the value of a secret field.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionsError(
            [f"The options file {path} cannot be read: {error.strerror}."]
        ) from error
    except ValueError as error:
        raise OptionsError([f"The options file {path} is not JSON: save the options again."]) from (
            error.__cause__
        )
    if not isinstance(data, dict):
        raise OptionsError([f"The options file {path} must hold an object."])
    faults: list[str] = []
    providers = list(_providers(_items(data, "providers", faults), faults))
    declared = {name for _, item in _items(data, "providers", []) if (name := _text(item, "name"))}
    endpoints = list(
        _endpoints(
            _items(data, "endpoints", faults), {p.name: p for p in providers}, declared, faults
        )
    )
    faults.extend(_fallback_faults(_items(data, "endpoints", []), endpoints))
    tokens = list(_api_tokens(_items(data, "api_tokens", faults), faults))
    level = data.get("log_level", "info")
    if level not in LOG_LEVELS:
        faults.append(f'log_level: "{level}" does not exist; use one of {", ".join(LOG_LEVELS)}.')
    if faults:
        raise OptionsError(faults)
    return Options(tuple(providers), tuple(endpoints), tuple(tokens), level)


def _items(
    data: Mapping[str, Any], option: str, faults: list[str]
) -> list[tuple[str, dict[str, Any]]]:
    """The entries of a list option, each with the label that faults name it by."""
    value = data.get(option, [])
    if not isinstance(value, list):
        faults.append(f"{option}: must be a list; write each entry with a dash before it.")
        return []
    items = []
    for index, item in enumerate(value):
        if isinstance(item, dict):
            name = item.get("name")
            label = f'{option}[{index}] "{name}"' if name else f"{option}[{index}]"
            items.append((label, item))
        else:
            faults.append(f"{option}[{index}]: must have fields such as `name`, not a bare value.")
    return items


def _text(item: Mapping[str, Any], field: str) -> str:
    value = item.get(field)
    return "" if value is None else str(value).strip()


def _duplicates(label: str, name: str, seen: set[str]) -> Iterator[str]:
    if name in seen:
        yield f"{label}: this name is used twice; give each entry a name of its own."
    seen.add(name)


def _providers(
    items: Iterable[tuple[str, dict[str, Any]]], faults: list[str]
) -> Iterator[Provider]:
    seen: set[str] = set()
    for label, item in items:
        name, kind = _text(item, "name"), _text(item, "type")
        if not name:
            faults.append(f"{label}: has no name; give it one, so that endpoints can refer to it.")
            continue
        faults.extend(_duplicates(label, name, seen))
        provider_type = PROVIDER_TYPES.get(kind)
        if provider_type is None:
            known = ", ".join(sorted(PROVIDER_TYPES))
            faults.append(f'{label}: type "{kind}" does not exist; use one of {known}.')
            continue
        fields = {f: text for f in PROVIDER_FIELDS if (text := _text(item, f))}
        problems = list(_provider_faults(label, provider_type, fields))
        faults.extend(problems)
        if not problems:
            usable = {key: value for key, value in fields.items() if key in provider_type.keys}
            yield Provider(name, provider_type, usable)


def _provider_faults(label: str, kind: ProviderType, fields: Mapping[str, str]) -> Iterator[str]:
    for field in sorted(kind.required - fields.keys()):
        yield f'{label}: {field} is empty; a provider of type "{kind.name}" needs it.'
    for field in sorted(_IN_HEADERS & fields.keys()):
        if not fields[field].isprintable():
            yield f"{label}: {field} holds a line break or another control character; paste it again."
    for field in fields.keys() - kind.keys.keys():
        yield f'{label}: {field} has no meaning for type "{kind.name}"; remove it.'
    if "api_base" in fields and "api_base" in kind.keys:
        yield from _address_faults(label, fields["api_base"])
    if kind.name == "vertex_ai" and not _is_json_object(fields.get("vertex_credentials", "{}")):
        yield (
            f"{label}: vertex_credentials is not JSON; "
            "paste the whole key file of the service account."
        )


def _address_faults(label: str, address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    # urlsplit drops line breaks in silence
    whole = address.isprintable() and " " not in address
    if host is None or parts.scheme not in ("http", "https") or not whole:
        yield f"{label}: api_base must be an address such as http://192.168.1.10:11434/v1."
    elif parts.username or parts.password:
        yield f"{label}: api_base must not hold a user or password; put the key into api_key."
    elif parts.query or parts.fragment:
        yield f"{label}: api_base must end before any `?` or `#`."


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _endpoints(
    items: Iterable[tuple[str, dict[str, Any]]],
    providers: Mapping[str, Provider],
    declared: set[str],
    faults: list[str],
) -> Iterator[EndpointOptions]:
    seen: set[str] = set()
    for label, item in items:
        name, wanted, model = (_text(item, key) for key in ("name", "provider", "model"))
        kind = _text(item, "type") or "chat"
        problems = list(_endpoint_faults(label, name, model, kind))
        if name:
            problems.extend(_duplicates(label, name, seen))
        provider = providers.get(wanted)
        if wanted not in declared or not wanted:
            choice = f"use one of {', '.join(sorted(declared))}" if declared else "add it first"
            problems.append(f'{label}: provider "{wanted}" does not exist; {choice}.')
        elif provider and kind in ENDPOINT_TYPES and kind not in provider.type.endpoint_types:
            offered = ", ".join(sorted(provider.type.endpoint_types))
            problems.append(
                f'{label}: a provider of type "{provider.type.name}" has no {kind}; '
                f"use {offered}, or another provider."
            )
        chosen = policy.from_options(item, problems, label)
        if provider and chosen.money_per_day and not prices.look_up(provider.type.name, model):
            problems.append(
                f'{label}: money_per_day needs a price, and none is known for "{model}"; '
                "use tokens_per_day."
            )
        faults.extend(problems)
        if provider and not problems:
            yield EndpointOptions(name, provider, model, ENDPOINT_TYPES[kind], chosen)


def _endpoint_faults(label: str, name: str, model: str, kind: str) -> Iterator[str]:
    if not name:
        yield f"{label}: has no name; give it the name that clients shall use."
    elif not _ENDPOINT_NAME.fullmatch(name):
        yield f"{label}: a name may hold letters, digits, `_`, `-` and `.` only; change it."
    if not model:
        yield f"{label}: has no model; write the provider's name of the model."
    elif not model.isprintable():
        yield f"{label}: model holds a line break or another control character; write it anew."
    if kind not in ENDPOINT_TYPES:
        yield f'{label}: type "{kind}" does not exist; use one of {", ".join(ENDPOINT_TYPES)}.'


def _fallback_faults(
    items: Iterable[tuple[str, dict[str, Any]]], endpoints: Iterable[EndpointOptions]
) -> Iterator[str]:
    labels = {_text(item, "name"): label for label, item in items}
    types = {endpoint.name: endpoint.type for endpoint in endpoints}
    for endpoint in endpoints:
        label = labels[endpoint.name]
        for name in endpoint.policy.fallback:
            if name == endpoint.name:
                yield f"{label}: fallback names the endpoint itself; name another one."
            elif name not in labels:
                yield f'{label}: fallback "{name}" does not exist; name an endpoint of this list.'
            elif types.get(name, endpoint.type) != endpoint.type:
                yield f'{label}: fallback "{name}" is of another type; name one of the same type.'


def _api_tokens(items: Iterable[tuple[str, dict[str, Any]]], faults: list[str]) -> Iterator[str]:
    for label, item in items:
        token = _text(item, "token")
        if len(token) < 16:
            faults.append(f"{label}: the token has fewer than 16 characters; use a longer one.")
        elif not token.isascii() or any(c.isspace() for c in token):
            faults.append(f"{label}: the token may hold ASCII letters, digits and signs only.")
        else:
            yield token
