"""`ai_task.evaluate`, which Home Assistant has since 2026.11: three kinds of question, one trace."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from custom_components.mlflow.tracking import TrackingClient
from homeassistant.components import ai_task
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component

from .conftest import MakeEntry, Tracking, eventually
from .standins import StandInGateway

pytestmark = pytest.mark.skipif(
    not hasattr(ai_task, "async_evaluate"), reason="this Home Assistant is older than 2026.11"
)
QUESTIONS = {
    "asleep": {"type": "noul", "instructions": "Is anyone asleep?"},
    "room": {
        "type": "choice",
        "instructions": "Where is somebody?",
        "criteria": {"kitchen": "motion there", "bedroom": "a bed is used", "nowhere": "neither"},
    },
    "noise": {
        "type": "score",
        "instructions": "How loud is it?",
        "criteria": ["silent", "quiet", "loud"],
    },
}
# what the model thinks of each question: the probability of its first, second, third answer
OPINIONS = {"asleep": (0.9, 0.1), "Where": (0.2, 0.7, 0.1), "loud": (0.5, 0.25, 0.25)}


def opinion(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer with a letter, and say how likely each letter was, as OpenAI's API does."""
    question = request["messages"][-1]["content"]
    shares = next(shares for word, shares in OPINIONS.items() if word in question.split("?")[0])
    likely = [
        {"token": letter, "logprob": math.log(share)}
        for letter, share in zip("ABC", shares, strict=False)
    ]
    top = {"token": "A", "logprob": likely[0]["logprob"], "top_logprobs": likely}
    return [{"content": "A", "logprobs": {"content": [top]}}]


async def evaluate(home: HomeAssistant, **arguments: Any) -> dict[str, Any]:
    """Call the action, as an automation does."""
    data = {"task_name": "The house at night", "entity_id": "ai_task.clerk", **arguments}
    result = await home.services.async_call(
        "ai_task", "evaluate", data, blocking=True, return_response=True
    )
    assert isinstance(result, dict)
    return dict(result["answers"])  # type: ignore[arg-type]


async def test_each_kind_of_question_is_answered_with_what_the_endpoint_measured(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
) -> None:
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [opinion] * 3
    answers = await evaluate(home, state={"motion": "off", "since": 23}, questions=QUESTIONS)

    assert answers["asleep"] == {"type": "noul", "noul": pytest.approx(0.9)}
    assert answers["room"]["choice"] == "bedroom"
    assert answers["room"]["probabilities"] == pytest.approx(
        {"kitchen": 0.2, "bedroom": 0.7, "nowhere": 0.1}
    )
    assert answers["noise"]["score"] == pytest.approx(0.75)
    assert answers["noise"]["probabilities"] == pytest.approx([0.5, 0.25, 0.25])
    assert {request["messages"][0]["content"] for request in gateway.requests} == {
        '{"motion":"off","since":23}'
    }

    client = mlflow(shared_tracking)

    async def stored() -> dict[str, Any] | None:
        found = await client.search_traces(None, 20)
        name = "The house at night"
        return next((t for t in found if t["tags"]["mlflow.traceName"] == name), None)

    info = await eventually(stored)
    assert (info["tags"]["kind"], info["tags"]["agent"]) == ("ai_task", "Clerk")
    assert '"total_tokens": 321' in info["trace_metadata"]["mlflow.trace.tokenUsage"]
    assert "bedroom" in info["response_preview"]


async def test_a_picture_alone_can_be_judged(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, tmp_path: Path
) -> None:
    home.config.media_dirs = {"local": str(tmp_path)}
    assert await async_setup_component(home, "media_source", {})
    (tmp_path / "bed.png").write_bytes(b"a bed")
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [opinion]
    answers = await evaluate(
        home,
        questions={"asleep": QUESTIONS["asleep"]},
        attachments=[
            {
                "media_content_id": "media-source://media_source/local/bed.png",
                "media_content_type": "image/png",
            }
        ],
    )
    assert answers["asleep"]["noul"] == pytest.approx(0.9)
    [part] = gateway.requests[0]["messages"][0]["content"]
    assert part["type"] == "image_url"


async def test_an_endpoint_without_probabilities_is_asked_for_them(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    """Some models refuse logprobs or so short an answer with 400."""
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.refuses_logprobs = True
    gateway.script = [lambda request: [{"content": '{"yes": 0.3, "no": 0.1}'}]]
    answers = await evaluate(home, state="dark", questions={"asleep": QUESTIONS["asleep"]})
    assert answers["asleep"]["noul"] == pytest.approx(0.75)


async def test_when_one_question_cannot_be_answered_the_task_says_why(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.refusal = (429, "The budget of today is spent.")
    with pytest.raises(HomeAssistantError, match="The budget of today is spent"):
        await evaluate(home, state="dark", questions=QUESTIONS)
