"""AI tasks in the real Home Assistant: data in a form, an evaluation, and both in MLflow."""

from typing import Any

from tests.house.mlflow_page import experiment_id, open_mlflow, traces
from tests.house.stage import Watched, eventually

TASK = "ai_task.mlflow_ai_task"


def act(home: Watched, action: str, **data: Any) -> dict[str, Any]:
    """Call an action of AI Task as an automation does, and return its response."""
    command = {
        "type": "call_service",
        "domain": "ai_task",
        "service": action,
        "service_data": {"entity_id": TASK, **data},
        "return_response": True,
    }
    return dict(home.call(command)["response"])


def test_tasks_are_done_and_traced(home: Watched) -> None:
    made = act(
        home,
        "generate_data",
        task_name="Guests of the house test",
        instructions="How many guests are there?",
        structure={"guests": {"selector": {"number": {"min": 2}}, "required": True}},
    )
    assert made["data"] == {"guests": 2}, "the scripted model takes the least that is allowed"

    judged = act(
        home,
        "evaluate",
        task_name="Night of the house test",
        state="No motion since 23:00.",
        questions={
            "asleep": {"type": "noul", "instructions": "Is anyone asleep?"},
            "room": {
                "type": "choice",
                "instructions": "Where?",
                "criteria": {"bedroom": "the bed is used", "kitchen": "there is motion"},
            },
        },
    )["answers"]
    # the scripted model finds everything equally likely, and gives no probabilities of its tokens
    assert judged["asleep"] == {"type": "noul", "noul": 0.5}
    assert judged["room"]["probabilities"] == {"bedroom": 0.5, "kitchen": 0.5}

    open_mlflow(home)
    experiment = experiment_id(home, "Home Assistant")

    def stored() -> set[str]:
        return {
            trace["tags"]["mlflow.traceName"]
            for trace in traces(home, experiment)
            if trace["state"] == "OK" and trace["tags"].get("kind") == "ai_task"
        }

    wanted = {"Guests of the house test", "Night of the house test"}
    eventually(lambda: wanted <= stored(), 15, "both tasks are in MLflow")
    assert home.failed == []
