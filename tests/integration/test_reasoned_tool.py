"""An agent can be asked what the home thinks of itself, and why."""

import json
from typing import Any

import pytest
from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm

from .reasoned import load, says, settled
from .standins import StandInGateway

MAIN = "binary_sensor.asleep"
TOOL = "mlflow__reasoned_state"


@pytest.fixture(autouse=True)
def evidence(home: HomeAssistant) -> None:
    home.states.async_set("binary_sensor.bed", "on", {"friendly_name": "Bed"})


async def call(home: HomeAssistant, assistant: str = conversation.DOMAIN, **arguments: Any) -> Any:
    """Call the tool as an agent does, and return what the model is told."""
    context = llm.LLMContext("test", Context(), "en", assistant, None)
    api = await llm.async_get_api(home, "mlflow", context)
    result = await api.async_call_tool(llm.ToolInput(TOOL, arguments))
    return json.loads(json.dumps(result.data))


async def think(home: HomeAssistant, gateway: StandInGateway, *verdict: Any, **more: Any) -> None:
    gateway.script = [says(*verdict, **more)]
    button = {"entity_id": "button.asleep_think_now"}
    await home.services.async_call("button", "press", button, blocking=True)
    await settled(home)


def expose(home: HomeAssistant, entity_id: str = MAIN) -> None:
    async_expose_entity(home, conversation.DOMAIN, entity_id, True)


async def test_it_says_why(home: HomeAssistant, gateway: StandInGateway) -> None:
    await load(home, gateway, {})
    expose(home)
    await think(home, gateway, "yes", 0.92, reason="The bed is occupied.")

    told = await call(home, name="asleep")

    assert told["answer"] == "yes"
    assert told["reason"] == "The bed is occupied."
    assert told["confidence"] == "92%"
    assert told["decided_by"] == ["Bed"]
    assert told["question"] == "Is AK asleep?"
    assert "problem" not in told
    assert "not_followed_answer" not in told


async def test_without_a_name_it_lists_what_the_assistant_may_see(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    await load(home, gateway, {}, {"question": "Is anyone at home?"})
    assert await call(home) == {"states": []}
    expose(home)
    assert [state["name"] for state in (await call(home))["states"]] == ["Asleep"]
    assert (await call(home))["states"][0]["answer"] == "unknown"
    refused = await call_error(home, name="Asleep 1")
    assert "no reasoned state Asleep 1" in refused
    assert "It may see: Asleep" in refused
    # what is not Assist has no list of what it may see
    assert len((await call(home, "somebody"))["states"]) == 2


async def call_error(home: HomeAssistant, **arguments: Any) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is Home Assistant's affair
        await call(home, **arguments)
    return str(caught.value)


async def test_names_are_found_as_people_say_them(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    await load(home, gateway, {}, {})
    for entity_id in (MAIN, "binary_sensor.asleep_1"):
        expose(home, entity_id)
    er.async_get(home).async_update_entity(MAIN, aliases=["Night's rest"])
    assert (await call(home, name="night's rest"))["name"] == "Asleep"
    assert (await call(home, name="binary_sensor.asleep_1"))["name"] == "Asleep 1"
    assert (await call(home, name="ASLEEP"))["name"] == "Asleep"
    assert "no reasoned state slee " in await call_error(home, name="slee")


async def test_it_tells_of_corrections_doubts_and_problems(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    await load(home, gateway, {"agreeing": 2})
    expose(home)
    await think(home, gateway, "yes", 0.9)
    answer = {"entity_id": MAIN, "answer": "no", "comment": "It is the cat."}
    await home.services.async_call("mlflow", "correct_state", answer, blocking=True)
    told = await call(home, name="asleep")
    assert told["answer"] == "no"
    assert told["corrected_by"] == "home"
    assert told["reason"] == "It is the cat."

    gateway.refusal = (400, "The model is gone.")
    with pytest.raises(Exception, match="The model is gone"):
        await think(home, gateway, "yes")
    await settled(home)
    assert "The model is gone" in (await call(home, name="asleep"))["problem"]


async def test_an_answer_that_is_not_followed_yet_is_told_as_such(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    await load(home, gateway, {"agreeing": 2})
    expose(home)
    await think(home, gateway, "yes", 0.9)
    await think(home, gateway, "no", 0.55, reason="The light is on.")
    told = await call(home, name="asleep")
    assert told["answer"] == "yes"
    assert told["not_followed_answer"]["answer"] == "no"
    assert told["not_followed_answer"]["confidence"] == "55%"
    assert told["not_followed_answer"]["reason"] == "The light is on."


async def test_a_home_without_reasoned_states_has_no_such_tool(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    await load(home, gateway)
    context = llm.LLMContext("test", Context(), "en", conversation.DOMAIN, None)
    api = await llm.async_get_api(home, "mlflow", context)
    assert TOOL not in [tool.name for tool in api.tools]
    assert TOOL not in api.api_prompt
