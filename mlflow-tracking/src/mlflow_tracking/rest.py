"""MLflow's REST API on this app's own API listener, for the app's own chores."""

from dataclasses import dataclass
from typing import Any

import requests

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Mlflow:
    """Where the listener is, and its token."""

    url: str
    token: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call; `path` begins with the API's version, such as `2.0/mlflow/...`.

        Raises requests.RequestException when there is no answer or one that is an error.
        """
        answer = requests.request(
            method,
            f"{self.url}/api/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=TIMEOUT_SECONDS,
        )
        answer.raise_for_status()
        decoded: dict[str, Any] = answer.json()
        return decoded
