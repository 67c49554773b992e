"""The Tracking app stopped: the home is still answered, and nothing of what was said is lost."""

from tests.house.mlflow_page import experiment_id, open_mlflow, traces
from tests.house.stage import Demo, Watched, app_state, eventually


def test_the_agent_answers_and_the_trace_comes_later(home: Watched, demo: Demo) -> None:
    slug = demo.app("mlflow-tracking")["slug"]
    app(home, slug, "stop")
    answer = home.call(
        {
            "type": "conversation/process",
            "text": "turn on the bedroom lights",
            "agent_id": demo.note["agent"],
            "language": "en",
        }
    )
    assert answer["response"]["speech"]["plain"]["speech"] == "Turned on the bedroom lights."

    app(home, slug, "start")
    eventually(lambda: app_state(home, slug) == "started", 60, "Tracking is healthy again")
    home.page.goto(f"{home.base}/home/overview")
    open_mlflow(home)
    experiment = experiment_id(home, "Home Assistant")
    said = "turn on the bedroom lights"
    eventually(
        lambda: any(said in found.get("request_preview", "") for found in traces(home, experiment)),
        90,
        "the trace of what was said meanwhile is in MLflow",
    )


def app(home: Watched, slug: str, command: str) -> None:
    """What the buttons on the app's page call."""
    endpoint = f"/addons/{slug}/{command}"
    home.call({"type": "supervisor/api", "endpoint": endpoint, "method": "post", "timeout": 60})
