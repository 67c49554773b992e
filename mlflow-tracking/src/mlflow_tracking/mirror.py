"""Mirrors the sibling Gateway's endpoints into MLflow's own AI Gateway.

MLflow's Playground, judges and usage page know only the endpoints of MLflow's AI Gateway. Each
mirrored one forwards to the Gateway app, so the providers' keys never leave that. Both sides are
spoken to over their REST APIs.
"""

import logging
import os
import re
import threading
from typing import Any

import requests

from .rest import Mlflow, MlflowError

_logger = logging.getLogger(__name__)

# Changes are to show within a minute.
_INTERVAL_SECONDS = float(os.environ.get("MLFLOW_TRACKING_MIRROR_SECONDS", "20"))
_TIMEOUT_SECONDS = 10.0

# Marks what this module made; what a user made is never touched.
OWNER = "mlflow-home-assistant"
_SECRET_NAME = "Gateway app"  # noqa: S105  (a label; the Gateway asks the sibling for no key)

# What MLflow's AI Gateway can call through a provider of the type `openai`.
_MIRRORED_TYPES = {"llm/v1/chat", "llm/v1/embeddings"}
# MLflow's rule for names (mlflow.server.handlers.is_valid_endpoint_name).
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class Mirror:
    """Keeps MLflow's AI Gateway in step with the Gateway app, in a thread of its own."""

    def __init__(self, gateway_url: str, mlflow: Mlflow) -> None:
        self._gateway_url = gateway_url
        self._mlflow = mlflow
        self._mirrored: dict[str, str] | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def start(self) -> None:
        """Begin; neither side has to be there yet."""
        self._thread.start()

    def stop(self) -> None:
        """Do not begin another round."""
        self._stopped.set()

    def _run(self) -> None:
        # The server's own listener opens right after this thread has started.
        wait = 0.5
        while not self._stopped.wait(wait):
            wait = _INTERVAL_SECONDS
            try:
                self._round()
            except (
                requests.RequestException,
                MlflowError,
                ValueError,
                KeyError,
                TypeError,
            ) as error:
                # The Gateway may be stopped or still starting: what was mirrored stays.
                _logger.debug("The Gateway's endpoints could not be mirrored: %s", error)

    def _round(self) -> None:
        offered = self._offered()
        if offered == self._mirrored:
            return
        secret = self._secret()
        existing = self._call("GET", "endpoints/list").get("endpoints", [])
        own = {e["name"]: e for e in existing if e.get("created_by") == OWNER}
        taken = {e["name"] for e in existing} - own.keys()
        for name in sorted(own.keys() - offered.keys()):
            self._remove(own[name])
        for name in sorted(offered.keys() - own.keys() - taken):
            self._add(name, secret)
        for name in sorted(offered.keys() & taken):
            _logger.info("MLflow's AI Gateway has an endpoint %s of its own, which stays.", name)
        self._mirrored = offered
        _logger.info(
            "The Gateway's endpoints in MLflow's AI Gateway: %s.",
            ", ".join(sorted(offered.keys() - taken)) or "none",
        )

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._mlflow.call(method, f"3.0/mlflow/gateway/{path}", body)

    def _offered(self) -> dict[str, str]:
        """The names and types of the Gateway's endpoints that can be mirrored."""
        answer = requests.get(f"{self._gateway_url}/api/2.0/endpoints/", timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
        return {
            endpoint["name"]: endpoint["endpoint_type"]
            for endpoint in answer.json()["endpoints"]
            if endpoint["endpoint_type"] in _MIRRORED_TYPES and _NAME.fullmatch(endpoint["name"])
        }

    def _secret(self) -> str:
        """The id of the entry that holds the Gateway's address, made or brought up to date."""
        address = {"api_base": f"{self._gateway_url}/v1"}
        for secret in self._call("GET", "secrets/list").get("secrets", []):
            if secret.get("created_by") == OWNER:
                found = str(secret["secret_id"])
                if secret.get("auth_config") != address:
                    body = {"secret_id": found, "auth_config": address}
                    self._call("POST", "secrets/update", body)
                return found
        body = {
            "secret_name": _SECRET_NAME,
            "secret_value": {"api_key": "not-needed"},
            "provider": "openai",
            "auth_config": address,
            "created_by": OWNER,
        }
        made = self._call("POST", "secrets/create", body)
        return str(made["secret"]["secret_id"])

    def _add(self, name: str, secret: str) -> None:
        label = f"{name} ({_SECRET_NAME})"
        definitions = self._call("GET", "model-definitions/list").get("model_definitions", [])
        # One may be left over from a round that was cut short.
        definition = next((d for d in definitions if d["name"] == label), None)
        if definition is None:
            body = {
                "name": label,
                "secret_id": secret,
                "provider": "openai",
                "model_name": name,
                "created_by": OWNER,
            }
            made = self._call("POST", "model-definitions/create", body)
            definition = made["model_definition"]
        model = {
            "model_definition_id": definition["model_definition_id"],
            "linkage_type": "PRIMARY",
            "weight": 1.0,
        }
        endpoint = {"name": name, "model_configs": [model], "usage_tracking": True}
        self._call("POST", "endpoints/create", {**endpoint, "created_by": OWNER})

    def _remove(self, endpoint: dict[str, Any]) -> None:
        self._call("DELETE", "endpoints/delete", {"endpoint_id": endpoint["endpoint_id"]})
        for mapping in endpoint.get("model_mappings", []):
            definition = mapping["model_definition"]
            if definition.get("created_by") == OWNER:
                body = {"model_definition_id": definition["model_definition_id"]}
                try:
                    self._call("DELETE", "model-definitions/delete", body)
                except MlflowError:
                    # A user's own endpoint uses the definition too: it stays.
                    _logger.debug("The model definition of %s is still used.", endpoint["name"])
