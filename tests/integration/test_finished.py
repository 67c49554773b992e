"""Each finished conversation is an event for automations, and private unless content is recorded."""

import json
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_capture_events,
)

from .conftest import Ask, MakeEntry
from .standins import StandInGateway, calls, says

EVENT = "mlflow_conversation_finished"
LIGHT_ON = ("intent__HassTurnOn", {"name": "Kitchen Lights"})


async def test_a_finished_conversation_is_told_with_its_figures(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    events = async_capture_events(home, EVENT)
    gateway.script = [calls(LIGHT_ON), says("The kitchen is lit.")]
    result = await ask("light in the kitchen, please")
    await home.async_block_till_done()

    [event] = events
    told: dict[str, Any] = event.data
    assert told["agent_id"] == "conversation.butler"
    assert told["conversation_id"] == result.conversation_id
    assert told["trace_id"].startswith("tr-")
    assert told["tools"] == ["intent__HassTurnOn"]
    assert (told["input_tokens"], told["output_tokens"]) == (200, 14)
    assert told["failed"] is False
    assert 0 < told["duration"] < 60
    assert told["question"] == "light in the kitchen, please"
    assert told["answer"] == "The kitchen is lit."

    entity = home.states.get("event.butler_conversation_finished")
    assert entity is not None
    assert entity.attributes["event_type"] == "answered"
    assert entity.attributes["trace_id"] == told["trace_id"]
    assert "kitchen is lit" not in str(entity.attributes)
    assert "please" not in str(entity.attributes)


@pytest.mark.parametrize("record", ["no_content", "off"])
async def test_without_content_no_word_of_it_is_told(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask, record: str
) -> None:
    entry = make_entry(options={"record": record})
    assert await home.config_entries.async_setup(entry.entry_id)
    events = async_capture_events(home, EVENT)
    gateway.script = [says("The safe is behind the clock.")]
    await ask("where is the safe")
    gateway.refusal = (500, "do not repeat: where is the safe")
    await ask("where is the safe")
    await home.async_block_till_done()

    assert [event.data["failed"] for event in events] == [False, True]
    assert "safe" not in json.dumps([dict(event.data) for event in events])
    assert not {"question", "answer", "error"} & set(events[0].data)


async def test_a_failed_conversation_says_so(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    events = async_capture_events(home, EVENT)
    await gateway.stop()
    await ask("hello")
    await home.async_block_till_done()
    assert events[0].data["failed"] is True
    assert "MLflow Gateway cannot be reached" in events[0].data["error"]
    entity = home.states.get("event.butler_conversation_finished")
    assert entity is not None
    assert entity.attributes["event_type"] == "failed"


async def test_a_long_text_is_cut_and_an_ai_task_is_no_conversation(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    events = async_capture_events(home, EVENT)
    gateway.script = [says("word " * 10_000), says("a haiku")]
    await ask("tell me everything")
    await home.services.async_call(
        "ai_task",
        "generate_data",
        {"task_name": "t", "instructions": "write", "entity_id": "ai_task.clerk"},
        blocking=True,
        return_response=True,
    )
    await home.async_block_till_done()
    [event] = events
    assert len(event.data["answer"]) == 1000
