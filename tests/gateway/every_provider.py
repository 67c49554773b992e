"""Options with every type of provider, all at one address."""

from __future__ import annotations

import json
import re
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mlflow_gateway.providers import PROVIDER_TYPES

KEY = "sk-of-the-provider"

# Endpoints by the names of the table's rows: vertex_ai has one for each family of models.
ROWS = {
    **{name: (name, "m") for name in PROVIDER_TYPES if name != "vertex_ai"},
    "vertex_ai (Gemini)": ("vertex_ai", "gemini-x"),
    "vertex_ai (Claude)": ("vertex_ai", "claude-x"),
}


def _provider(name: str, address: str) -> dict[str, str]:
    paths = {"anthropic": "/v1", "gemini": "/v1beta/models"}
    provider = {"name": name, "type": name, "api_base": address + paths.get(name, "")}
    extra = {
        "azure": {"api_version": "2025-01-01"},
        "bedrock": {"aws_region": "eu-central-1"},
        "vertex_ai": {"vertex_project": "home", "vertex_credentials": _service_account(address)},
    }
    key = {} if name == "vertex_ai" else {"api_key": KEY}
    return {**provider, **key, **extra.get(name, {})}


def _service_account(address: str) -> str:
    """A key file as Google makes them, but for its address."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "home@example.org",
            "private_key_id": "1",
            "private_key": key.decode(),
            "token_uri": f"{address}/token",
        }
    )


def slug(row: str) -> str:
    return re.sub(r"[^a-z_]+", "-", row.lower()).strip("-")


def options_of_every_type(address: str) -> dict[str, Any]:
    """Each provider type at `address`, with an endpoint for each row and kind."""
    return {
        "providers": [_provider(name, address) for name in PROVIDER_TYPES],
        "endpoints": [
            {
                "name": f"{slug(row)}-{kind}",
                "provider": name,
                "model": model,
                "type": kind,
                "retries": 0,
            }
            for row, (name, model) in ROWS.items()
            for kind in PROVIDER_TYPES[name].endpoint_types
        ],
    }
