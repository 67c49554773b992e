"""By what a trace can be found again: who asked, where, in which language, what was touched."""

from collections.abc import Callable
from typing import Any

import pytest
from custom_components.mlflow.tracking import TrackingClient
from homeassistant.components import assist_pipeline, conversation
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    MockUser,
)

from .conftest import Ask, MakeEntry, Tracking, eventually
from .standins import StandInGateway, says
from .test_conversation import turns_on
from .test_traces import traces_of

type Mlflow = Callable[[Tracking], TrackingClient]


def satellite(home: HomeAssistant) -> str:
    """Put a voice satellite into the kitchen and return its device id."""
    satellites = MockConfigEntry(domain="test")
    satellites.add_to_hass(home)
    area = ar.async_get(home).async_create("Kitchen")
    devices = dr.async_get(home)
    device = devices.async_get_or_create(
        config_entry_id=satellites.entry_id, identifiers={("test", "1")}, name="Satellite"
    )
    devices.async_update_device(device.id, area_id=area.id)
    return device.id


async def only_trace(mlflow: Mlflow, tracking: Tracking, session: str | None) -> dict[str, Any]:
    [trace] = await eventually(lambda: traces_of(mlflow(tracking), session))
    return dict(trace["trace_info"])


def own_tags(info: dict[str, Any]) -> dict[str, str]:
    """Return the tags without those that MLflow keeps for itself, or makes of where it came from."""
    tags = info["tags"].items()
    return {k: v for k, v in tags if not k.startswith("mlflow.") and k != "service.name"}


async def test_a_turn_is_tagged_with_its_circumstances(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    hass_admin_user: MockUser,
) -> None:
    assert await async_setup_component(home, "assist_pipeline", {})
    assert await home.config_entries.async_setup(make_entry(shared_tracking).entry_id)
    await home.async_block_till_done()
    await assist_pipeline.async_update_pipeline(
        home,
        assist_pipeline.async_get_pipelines(home)[0],
        name="Downstairs",
        conversation_engine="conversation.butler",
        conversation_language="en",
    )
    gateway.script = [turns_on("Kitchen Lights"), says("They are on.")]
    result = await conversation.async_converse(
        home,
        "turn on the kitchen lights",
        None,
        Context(user_id=hass_admin_user.id),
        language="en",
        agent_id="conversation.butler",
        device_id=satellite(home),
    )
    info = await only_trace(mlflow, shared_tracking, result.conversation_id)
    told = own_tags(info)
    assert told == {
        "agent": "Butler",
        "area": "Kitchen",
        "device": "Satellite",
        "entities": "light.kitchen_lights",
        "language": "en",
        "pipeline": "Downstairs",
        "tools": "intent__HassTurnOn",
    }
    assert info["trace_metadata"]["mlflow.trace.user"] == hass_admin_user.name
    assert info["trace_metadata"]["mlflow.trace.session"] == result.conversation_id


async def test_what_is_not_known_is_no_tag(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    assert await home.config_entries.async_setup(make_entry(shared_tracking).entry_id)
    gateway.script = [says("Hello.")]
    session = (await ask("hello")).conversation_id
    info = await only_trace(mlflow, shared_tracking, session)
    assert own_tags(info) == {"agent": "Butler", "language": "en"}
    assert "mlflow.trace.user" not in info["trace_metadata"]


async def test_an_ai_task_is_a_trace_with_its_own_tags(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
) -> None:
    assert await home.config_entries.async_setup(make_entry(shared_tracking).entry_id)
    gateway.script = [says("Many."), says('{"guests": 2}')]
    done = await home.services.async_call(
        "ai_task",
        "generate_data",
        {
            "task_name": "Count the guests",
            "entity_id": "ai_task.clerk",
            "instructions": "How many guests are there?",
            "structure": {"guests": {"selector": {"number": {}}, "required": True}},
        },
        blocking=True,
        return_response=True,
    )
    assert done is not None
    assert done["data"] == {"guests": 2}
    session = str(done["conversation_id"])
    [trace] = await eventually(lambda: traces_of(mlflow(shared_tracking), session))
    info = trace["trace_info"]
    assert (info["tags"]["agent"], info["tags"]["kind"]) == ("Clerk", "ai_task")
    assert info["tags"]["mlflow.traceName"] == "Count the guests"
    assert "How many guests are there?" in info["request_preview"]
    assert [span["name"] for span in trace["spans"]] == ["Count the guests", "small", "small"]


async def test_an_ai_task_that_fails_is_a_trace_with_the_error(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
) -> None:
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.refusal = (429, "The budget is spent.")
    with pytest.raises(HomeAssistantError, match="The budget is spent"):
        await home.services.async_call(
            "ai_task",
            "generate_data",
            {"task_name": "Fails", "entity_id": "ai_task.clerk", "instructions": "Try."},
            blocking=True,
            return_response=True,
        )
    client = mlflow(shared_tracking)

    async def failed() -> dict[str, Any] | None:
        found = await client.search_traces(None, 20)
        return next((t for t in found if t["tags"]["mlflow.traceName"] == "Fails"), None)

    info = await eventually(failed)
    assert info["state"] == "ERROR"
    assert "The budget is spent" in info["tags"]["error"]
