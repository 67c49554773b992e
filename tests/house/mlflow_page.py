"""MLflow as its page calls it: through Home Assistant's ingress, from within the opened frame."""

from typing import Any

from tests.house.stage import Watched


def open_mlflow(home: Watched) -> None:
    """Click MLflow in the sidebar and wait for its page."""
    home.page.locator("ha-sidebar").get_by_text("MLflow", exact=True).first.click()
    home.frame.get_by_text("Experiments").first.wait_for(timeout=60_000)


def fetch(home: Watched, path: str, body: Any = None) -> Any:
    """Call MLflow's REST API with the frame's own session."""
    frame = next(f for f in home.page.frames if "hassio_ingress" in f.url)
    return frame.evaluate(
        """async ([path, body]) => {
            const headers = {"Content-Type": "application/json"};
            const post = {method: "POST", headers, body: JSON.stringify(body)};
            const answer = await fetch(path, body === null ? {} : post);
            if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
            return await answer.json();
        }""",
        [path, body],
    )


def experiment_id(home: Watched, name: str) -> str:
    found = fetch(home, f"ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    return str(found["experiment"]["experiment_id"])


def traces(home: Watched, experiment: str) -> list[dict[str, Any]]:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    found = fetch(
        home, "ajax-api/3.0/mlflow/traces/search", {"locations": [place], "max_results": 50}
    )
    return list(found.get("traces", []))


def go(home: Watched, route: str) -> None:
    """Follow one of MLflow's own links (its routes live behind the #)."""
    frame = next(f for f in home.page.frames if "hassio_ingress" in f.url)
    frame.evaluate("route => { location.hash = route }", route)
