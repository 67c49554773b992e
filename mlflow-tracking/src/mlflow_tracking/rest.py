"""MLflow's REST API on this app's own API listener, for the app's own chores."""

from dataclasses import dataclass
from typing import Any

import requests

TIMEOUT_SECONDS = 60.0


class MlflowError(Exception):
    """MLflow's refusal of a call: `status` and the JSON `body` of its answer."""

    def __init__(self, answer: requests.Response) -> None:
        self.status = answer.status_code
        try:
            self.body: dict[str, Any] = answer.json()
        except ValueError:
            self.body = {"error_code": "INTERNAL_ERROR", "message": answer.text}
        super().__init__(f"{self.status} {self.body.get('message', '')}")


@dataclass(frozen=True)
class Mlflow:
    """Where the listener is, and its token."""

    url: str
    token: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call; `path` begins with the API's version, such as `2.0/mlflow/...`.

        Raises MlflowError when it is refused and requests.RequestException when there is no answer.
        """
        answer = requests.request(
            method,
            f"{self.url}/api/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=TIMEOUT_SECONDS,
        )
        _check(answer)
        decoded: dict[str, Any] = answer.json()
        return decoded

    def artifact(self, run_id: str, path: str) -> str:
        """The text of one of a run's files; raises as `call` does."""
        answer = requests.get(
            f"{self.url}/get-artifact",
            params={"run_uuid": run_id, "path": path},
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=TIMEOUT_SECONDS,
        )
        _check(answer)
        return answer.text


def _check(answer: requests.Response) -> None:
    if answer.status_code != 200:
        raise MlflowError(answer)
