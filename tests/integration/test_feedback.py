"""What people say of an answer ends on the right trace; our LLM API; and the other actions."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from custom_components.mlflow.tracking import PromptReference, TrackingClient
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError

from .conftest import Ask, MakeEntry, Tracking, eventually, speech
from .standins import StandInGateway, calls, says
from .test_tags import satellite
from .test_traces import traces_of

type Mlflow = Callable[[Tracking], TrackingClient]


async def act(home: HomeAssistant, action: str, **data: Any) -> dict[str, Any]:
    result = await home.services.async_call(
        "mlflow", action, data, blocking=True, return_response=True
    )
    assert isinstance(result, dict)
    return result


async def assessments_of(client: TrackingClient, session: str | None) -> dict[str, Any]:
    """Return value or expectation by name, of the first trace of a conversation."""
    trace = min(await traces_of(client, session), key=lambda t: t["trace_info"]["request_time"])
    return {
        one["assessment_name"]: one.get("feedback", one.get("expectation"))["value"]
        for one in trace["trace_info"].get("assessments", [])
    }


async def test_feedback_by_action_is_on_the_last_answer(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    assert await home.config_entries.async_setup(make_entry(shared_tracking).entry_id)
    with pytest.raises(ServiceValidationError, match="no answer yet"):
        await act(home, "log_feedback", value=True)
    gateway.script = [says("It is on.")]
    session = (await ask("is the light on")).conversation_id

    said = await act(
        home,
        "log_feedback",
        entity_id="conversation.butler",
        value=False,
        comment="It is off.",
        expectation="It is off.",
    )

    assert said["trace_id"].startswith("tr-")
    client = mlflow(shared_tracking)
    await eventually(lambda: traces_of(client, session))
    found = await eventually(lambda: assessments_of(client, session))
    await eventually(lambda: len_of(assessments_of(client, session), 2))
    assert found["user_feedback"] is False
    assert (await assessments_of(client, session))["expected_response"] == "It is off."


async def test_feedback_is_on_the_last_answer_on_a_device(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    """Also after somebody else asked elsewhere, and after a task of an automation."""
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    kitchen = satellite(home)
    gateway.script = [says(answer) for answer in ("On.", "It is off.", "Sunny.", "A haiku.")]
    await ask("kitchen light on", device_id=kitchen)
    meant = (await ask("is it on", device_id=kitchen)).conversation_id
    elsewhere = (await ask("what is the weather")).conversation_id
    await home.services.async_call(
        "ai_task",
        "generate_data",
        {"task_name": "Poet", "entity_id": "ai_task.clerk", "instructions": "Write."},
        blocking=True,
        return_response=True,
    )

    await act(home, "log_feedback", device_id=kitchen, value=4, comment="Almost")
    await act(home, "log_feedback", value=True, name="helpful")
    with pytest.raises(ServiceValidationError, match="no answer yet"):
        await act(home, "log_feedback", device_id="a device that nobody spoke to", value=True)
    with pytest.raises(ServiceValidationError):
        await act(home, "log_feedback", comment="neither good nor bad")

    client = mlflow(shared_tracking)
    await eventually(lambda: entry.runtime_data.traces.waiting == 0)
    assert await assessments_of(client, meant) == {"user_feedback": 4}
    assert await assessments_of(client, elsewhere) == {"helpful": True}


async def len_of(look: Any, wanted: int) -> bool:
    return len(await look) == wanted


async def test_feedback_in_the_conversation_is_on_the_turn_before(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    entry = make_entry(shared_tracking, llm_hass_api=["assist", "mlflow"])
    assert await home.config_entries.async_setup(entry.entry_id)
    complaint = {"correct": False, "comment": "I meant the bedroom", "expected": "bedroom on"}

    def complain(request: dict[str, Any]) -> list[dict[str, Any]]:
        names = [tool["function"]["name"] for tool in request["tools"]]
        tool = next(name for name in names if name.endswith("record_feedback"))
        return calls((tool, complaint))(request)

    gateway.script = [says("The kitchen light is on."), complain, says("Sorry.")]
    session = (await ask("turn on the light")).conversation_id
    assert speech(await ask("no, the bedroom", conversation_id=session)) == "Sorry."

    client = mlflow(shared_tracking)
    await eventually(lambda: traces_of(client, session))
    await eventually(lambda: len_of(assessments_of(client, session), 2))
    assert await assessments_of(client, session) == {
        "user_feedback": False,
        "expected_response": "bedroom on",
    }


async def test_feedback_waits_for_mlflow_with_its_trace(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    own_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    await home.async_add_executor_job(own_tracking.start)
    own_tracking.stop()
    entry = make_entry(own_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [says("It is on.")]
    session = (await ask("is the light on")).conversation_id
    await act(home, "log_feedback", value=True)

    await home.async_add_executor_job(own_tracking.start)
    await entry.runtime_data.tracking.async_refresh()
    await eventually(lambda: entry.runtime_data.traces.waiting == 0)
    assert await assessments_of(mlflow(own_tracking), session) == {"user_feedback": True}


async def test_the_tools_of_our_api(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    ask: Ask,
) -> None:
    entry = make_entry(shared_tracking, llm_hass_api=["mlflow"])
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [says("There is an Axolotl in the pond.")]
    await ask("what is in the pond")
    await eventually(lambda: entry.runtime_data.traces.sent)

    gateway.script = [
        calls(
            ("mlflow__GetDateTime", {"timezone": "Asia/Tokyo"}),
            ("mlflow__GetDateTime", {"timezone": "Mars/Olympus"}),
            ("mlflow__recall", {"about": "axolotl"}),
            ("mlflow__recall", {"limit": 5000}),
        ),
        says("Done."),
    ]
    await ask("what time is it in Tokyo, and what did I ask")
    tokyo, mars, recalled, refused = (
        json.loads(message["content"]) for message in gateway.requests[-1]["messages"][-4:]
    )
    assert tokyo["timezone"] == "Asia/Tokyo"
    assert "There is no time zone Mars/Olympus" in mars["error_text"]
    assert recalled["conversations"][0]["asked"] == "what is in the pond"
    assert refused["error"]

    assert await home.config_entries.async_unload(entry.entry_id)
    assert await home.config_entries.async_setup(entry.entry_id)


async def test_prompts_by_action(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
) -> None:
    assert await home.config_entries.async_setup(make_entry(shared_tracking).entry_id)
    text = "Sum up {{ what }} for {{ ha_name }}."
    made = await act(home, "create_prompt_version", name="sum", text=text, alias="draft")
    assert made == {"name": "sum", "version": 1, "alias": "draft"}
    second = await act(home, "create_prompt_version", name="sum", text="Short: {{ what }}")
    await act(home, "set_prompt_alias", name="sum", version=second["version"])
    version = await mlflow(shared_tracking).prompt(PromptReference("sum", alias="production"))
    assert version is not None
    assert version.version == 2

    rendered = await act(home, "render_prompt", prompt="sum@draft", variables={"what": "today"})
    assert rendered["messages"] == [{"role": "system", "content": "Sum up today for Test Home."}]
    with pytest.raises(ServiceValidationError, match="Line 1"):
        await act(home, "render_prompt", prompt="sum@draft")
    with pytest.raises(ServiceValidationError, match="no prompt sum@nowhere"):
        await act(home, "render_prompt", prompt="sum@nowhere")
    with pytest.raises(ServiceValidationError, match="no prompt sum/9"):
        await act(home, "set_prompt_alias", name="sum", version=9)

    gateway.script = [says("A day.")]
    answer = await act(
        home, "generate", endpoint="small", prompt="sum/2", variables={"what": "today"}
    )
    assert answer["text"] == "A day."
    assert gateway.requests[-1]["messages"][0]["content"] == "Short: today"


async def test_a_promptlab_run_becomes_a_prompt(
    home: HomeAssistant, make_entry: MakeEntry, shared_tracking: Tracking, mlflow: Mlflow
) -> None:
    assert await home.config_entries.async_setup(make_entry(shared_tracking).entry_id)
    client = mlflow(shared_tracking)
    template = "Answer {{ question }} in one word. " + "Be brief. " * 700
    run = await client._transport.json(
        "POST",
        "ajax-api/2.0/mlflow/runs/create-promptlab-run",
        body={
            "experiment_id": await client.experiment_id("Home Assistant"),
            "run_name": "lab",
            "prompt_template": template,
            "prompt_parameters": [{"key": "question", "value": "why"}],
            "model_route": "home",
            "model_parameters": [],
            "model_input": "x",
            "model_output": "y",
            "model_output_parameters": [],
            "mlflow_version": "3",
            "user_id": "u",
            "start_time": 1,
        },
    )
    run_id = run["run"]["info"]["run_id"]
    made = await act(home, "promptlab_run_to_prompt", run_id=run_id, name="lab", alias="live")
    assert made["version"] == 1
    version = await client.prompt(PromptReference("lab", alias="live"))
    assert version is not None
    assert version.messages[0].content == template
    with pytest.raises(ServiceValidationError, match="not a PromptLab run"):
        await act(home, "promptlab_run_to_prompt", run_id="0" * 32, name="lab")


async def test_actions_say_what_is_missing(home: HomeAssistant, make_entry: MakeEntry) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    with pytest.raises(ServiceValidationError, match="needs the MLflow Tracking app"):
        await act(home, "log_feedback", value=True)
    with pytest.raises(ServiceValidationError, match="a prompt or a text"):
        await act(home, "render_prompt")
    assert await home.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError, match="MLflow is not loaded"):
        await act(home, "render_prompt", text="x")
