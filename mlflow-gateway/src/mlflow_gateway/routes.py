"""Routes: the options in MLflow's gateway configuration format, and that file read back.

`routes.yaml` is what `mlflow gateway` reads (mlflow/gateway/config.py, GatewayConfig), with `$NAME`
in place of each secret. MLflow ignores keys that it does not know, so what only this app needs
stands in the same file under `app`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import yaml

from . import policy, prices
from .prices import Price
from .providers import NO_KEY, PROVIDER_TYPES, SECRET_FIELDS, ProviderType

if TYPE_CHECKING:
    from pathlib import Path

    from .options import EndpointOptions, Options, Provider
    from .policy import Policy


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint as the running app knows it. `fields` holds secrets; it has no repr."""

    name: str
    endpoint_type: str
    model: str
    provider: str
    provider_type: ProviderType
    fields: Mapping[str, str]
    policy: Policy
    price: Price | None

    def __repr__(self) -> str:
        return f"Route({self.name!r}, {self.provider_type.name!r}, {self.model!r})"

    def secrets(self) -> list[str]:
        """The values that must appear nowhere."""
        return [value for key, value in self.fields.items() if key in SECRET_FIELDS]

    def mlflow_config(self) -> dict[str, Any]:
        """This endpoint as MLflow's EndpointConfig takes it, with the secrets in it."""
        model = {
            "name": self.model,
            "provider": self.provider_type.mlflow_name,
            "config": _nested(self.provider_type, self.fields),
        }
        return {"name": self.name, "endpoint_type": self.endpoint_type, "model": model}


def secret_name(provider_index: int, field: str) -> str:
    """The environment variable that holds a secret field of the provider at this index."""
    return f"PROVIDER_{provider_index}_{field.upper()}"


def secrets(options: Options) -> dict[str, str]:
    """Environment variables with the providers' credentials."""
    return {
        secret_name(index, field): value
        for index, provider in enumerate(options.providers)
        for field, value in provider.fields.items()
        if field in SECRET_FIELDS
    }


def dump(options: Options) -> str:
    """The text of `routes.yaml`."""
    indices = {provider.name: index for index, provider in enumerate(options.providers)}
    endpoints = [_entry(each, indices[each.provider.name]) for each in options.endpoints]
    document = {"endpoints": endpoints}
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def load(path: Path, environ: Mapping[str, str]) -> list[Route]:
    """Read `routes.yaml`, taking the secrets from `environ`.

    Raises KeyError when the environment lacks one.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [_route(entry, environ) for entry in document["endpoints"]]


def _entry(endpoint: EndpointOptions, provider_index: int) -> dict[str, Any]:
    provider = endpoint.provider
    fields = {
        field: f"${secret_name(provider_index, field)}" if field in SECRET_FIELDS else value
        for field, value in provider.fields.items()
    }
    config = _nested(provider.type, fields)
    config.update(_mlflow_only(provider, endpoint.model, config))
    return {
        "name": endpoint.name,
        "endpoint_type": endpoint.type,
        "model": {
            "name": endpoint.model,
            "provider": provider.type.mlflow_name,
            "config": config,
        },
        "app": _own(endpoint),
    }


def _own(endpoint: EndpointOptions) -> dict[str, Any]:
    provider = endpoint.provider
    own: dict[str, Any] = {"provider": provider.name, "type": provider.type.name}
    if changed := endpoint.policy.changed():
        own["policy"] = changed
    if price := prices.look_up(provider.type.name, endpoint.model):
        own["usd_per_million_tokens"] = asdict(price)
    return own


def _mlflow_only(provider: Provider, model: str, config: Mapping[str, Any]) -> dict[str, str]:
    """What MLflow's configuration demands and the user need not say."""
    if provider.type.name == "azure":
        return {"openai_api_type": "azure", "openai_deployment_name": model}
    if provider.type.mlflow_name == "openai" and "openai_api_key" not in config:
        return {"openai_api_key": NO_KEY}
    return {}


def _nested(kind: ProviderType, fields: Mapping[str, str]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for field, value in fields.items():
        *parents, last = kind.keys[field].split(".")
        place = config
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return config


def _route(entry: Mapping[str, Any], environ: Mapping[str, str]) -> Route:
    own = entry["app"]
    kind = PROVIDER_TYPES[own["type"]]
    fields = {}
    for field, key in kind.keys.items():
        value = _get(entry["model"]["config"], key)
        if value is not None and value != NO_KEY:
            fields[field] = environ[value[1:]] if field in SECRET_FIELDS else value
    return Route(
        name=entry["name"],
        endpoint_type=entry["endpoint_type"],
        model=entry["model"]["name"],
        provider=own["provider"],
        provider_type=kind,
        fields=fields,
        policy=policy.from_yaml(own.get("policy", {})),
        price=Price(**price) if (price := own.get("usd_per_million_tokens")) else None,
    )


def _get(config: Mapping[str, Any], key: str) -> str | None:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if value is None else str(value)
