"""What one who talks to an agent notices."""

import asyncio
import json
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from homeassistant.components import conversation
from homeassistant.components.conversation import chat_log as chat_logs
from homeassistant.components.conversation import trace as core_traces
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import chat_session, intent
from homeassistant.helpers import device_registry as dr
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
)

from .conftest import Ask, MakeEntry, speech
from .standins import Reply, StandInGateway, calls, says

# 2026.11 wants to know on whose behalf a session is; 2026.10 does not ask.
WITH_CONTEXT: dict[str, Any] = (
    {"context": Context()}
    if "context" in signature(chat_session.async_get_chat_session).parameters
    else {}
)


def words(message: dict[str, Any]) -> str:
    """What was said, without the note of when and where."""
    return str(message["content"]).partition("\n\n[")[0]


def turns_on(name: str) -> Reply:
    """The model calls whatever tool turns something on."""

    def reply(request: dict[str, Any]) -> list[dict[str, Any]]:
        names = [tool["function"]["name"] for tool in request["tools"]]
        tool = next(n for n in names if n.endswith("HassTurnOn"))
        return calls((tool, {"name": name, "domain": ["light"]}))(request)

    return reply


async def test_an_answer_is_streamed(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    """The first words are there while the model still thinks of the others."""
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [says("Good ", "morning.")]
    gateway.pause = asyncio.Event()
    heard: list[str] = []
    first_word = asyncio.Event()

    def listen(log: chat_logs.ChatLog, delta: dict[str, Any]) -> None:
        if text := delta.get("content"):
            heard.append(text)
            first_word.set()

    async def talk() -> conversation.ConversationResult:
        with (
            chat_session.async_get_chat_session(home, **WITH_CONTEXT) as session,
            chat_logs.async_get_chat_log(home, session, chat_log_delta_listener=listen),
        ):
            return await conversation.async_converse(
                home,
                "hello",
                session.conversation_id,
                Context(),
                agent_id="conversation.butler",
            )

    talking = asyncio.create_task(talk())
    await asyncio.wait_for(first_word.wait(), 5)
    assert heard == ["Good "]
    assert not talking.done()
    gateway.pause.set()
    assert speech(await talking) == "Good morning."
    assert heard == ["Good ", "morning."]


async def test_the_model_switches_a_light(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [turns_on("Kitchen Lights"), says("The kitchen lights are on.")]

    result = await ask("turn on the kitchen lights")

    light = home.states.get("light.kitchen_lights")
    assert light is not None
    assert light.state == "on"
    assert speech(result) == "The kitchen lights are on."
    assert result.response.response_type is intent.IntentResponseType.ACTION_DONE
    roles = [message["role"] for message in gateway.requests[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]


async def test_a_tool_that_fails_tells_the_model_why(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [turns_on("No such lamp"), says("There is no such lamp.")]

    assert speech(await ask("turn on the lamp")) == "There is no such lamp."

    answer = gateway.requests[-1]["messages"][-1]
    assert answer["role"] == "tool"
    assert '"error":"MatchFailedError"' in answer["content"]
    assert '"error_text"' in answer["content"]


async def test_arguments_that_are_no_json_are_given_back_to_the_model(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [calls(("intent__HassTurnOn", '{"name": "Kit')), says("Once more, please.")]

    assert speech(await ask("turn on the kitchen lights")) == "Once more, please."
    assert "InvalidArguments" in gateway.requests[-1]["messages"][-1]["content"]


async def test_tools_are_called_in_parallel(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    time_and_lights = calls(
        ("llm__GetDateTime", {}), ("intent__HassTurnOn", {"name": "Kitchen Lights"})
    )
    gateway.script = [time_and_lights, says("Done.")]

    assert speech(await ask("what time is it, and light please")) == "Done."

    call, *results = gateway.requests[-1]["messages"][-3:]
    assert [c["id"] for c in call["tool_calls"]] == [r["tool_call_id"] for r in results]


async def test_a_model_that_calls_tools_without_end_is_stopped(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [calls(("llm__GetDateTime", {})) for _ in range(20)]

    result = await ask("what time is it")

    assert len(gateway.requests) == 10
    assert "stopped after 10 rounds" in speech(result)
    assert result.response.response_type is intent.IntentResponseType.ERROR


async def test_a_turn_that_ends_with_a_tool_is_not_an_error(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [turns_on("Kitchen Lights"), says()]

    result = await ask("light")

    assert result.response.response_type is not intent.IntentResponseType.ERROR
    assert speech(result) == ""


async def test_an_empty_answer_is_said_to_be_one(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [says()]
    assert "empty answer" in speech(await ask("hello"))


async def test_without_an_api_the_agent_only_talks(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    entry = make_entry(llm_hass_api=["gone", "away"])
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [calls(("intent__HassTurnOn", {})), says("I can only talk.")]

    assert speech(await ask("turn on the lights")) == "I can only talk."

    assert "tools" not in gateway.requests[0]
    assert "NoTools" in gateway.requests[1]["messages"][-1]["content"]


async def test_settings_of_the_agent_reach_the_model(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    entry = make_entry(
        endpoint="small", temperature=0.3, max_tokens=50, prompt="You are {{ ha_name }}'s cat."
    )
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [says("Meow.")]

    await ask("hello")

    request = gateway.requests[0]
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("small", 0.3, 50)
    assert request["messages"][0]["content"].startswith("You are Test Home's cat.")


async def test_only_so_many_earlier_turns_are_told_again(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry(history_turns=1).entry_id)
    gateway.script = [says(f"answer {n}") for n in range(3)]
    conversation_id = None
    for number in range(3):
        result = await ask(f"question {number}", conversation_id=conversation_id)
        conversation_id = result.conversation_id

    told = [words(message) for message in gateway.requests[-1]["messages"][1:]]
    assert told == ["question 1", "answer 1", "question 2"]


async def test_only_so_many_tokens_of_earlier_turns_are_told_again(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry(history_tokens=300).entry_id)
    gateway.script = [says("x" * 1000), says("short"), says("end")]
    conversation_id = None
    for number in range(3):
        result = await ask(f"question {number}", conversation_id=conversation_id)
        conversation_id = result.conversation_id

    told = [words(message) for message in gateway.requests[-1]["messages"][1:]]
    assert told == ["question 1", "short", "question 2"]


@pytest.mark.parametrize("apis", [["assist"], None])
async def test_a_conversation_grows_only_at_its_end(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    ask: Ask,
    apis: list[str] | None,
) -> None:
    """So a provider's prefix cache holds: what was sent is sent again, byte for byte."""
    assert await home.config_entries.async_setup(make_entry(llm_hass_api=apis).entry_id)
    gateway.script = [says("one"), says("two"), says("three")]
    conversation_id = None
    for number in range(3):
        with freeze_time(f"2026-11-20 21:0{number}:00+00:00", real_asyncio=True):
            result = await ask(f"question {number}", conversation_id=conversation_id)
        conversation_id = result.conversation_id

    first, second, third = (json.dumps(r["messages"])[:-1] for r in gateway.requests)
    assert second.startswith(first)
    assert third.startswith(second)
    assert gateway.requests[0].get("tools") == gateway.requests[2].get("tools")
    system = gateway.requests[0]["messages"][0]["content"]
    assert "Current time is" not in system


async def test_the_model_is_told_when_and_where(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
) -> None:
    await home.config.async_set_time_zone("Europe/Amsterdam")
    satellites = MockConfigEntry(domain="test")
    satellites.add_to_hass(home)
    area = ar.async_get(home).async_create("Kitchen")
    device = dr.async_get(home).async_get_or_create(
        config_entry_id=satellites.entry_id, identifiers={("test", "1")}, name="Satellite"
    )
    dr.async_get(home).async_update_device(device.id, area_id=area.id)
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [says("Hello.")]

    with freeze_time("2026-11-20 21:05:00+00:00", real_asyncio=True):
        await conversation.async_converse(
            home, "hello", None, Context(), agent_id="conversation.butler", device_id=device.id
        )

    said = gateway.requests[0]["messages"][-1]["content"]
    assert said == "hello\n\n[Friday 2026-11-20 22:05; device: Satellite; area: Kitchen]"


async def test_a_picture_goes_to_the_model(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask, tmp_path: Path
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    picture = tmp_path / "door.png"
    picture.write_bytes(b"not really a picture")
    attachment = conversation.Attachment("media-source://door", "image/png", picture)
    gateway.script = [says("A door.")]

    async def show() -> conversation.ConversationResult:
        with (
            chat_session.async_get_chat_session(home, **WITH_CONTEXT) as session,
            chat_logs.async_get_chat_log(home, session) as log,
        ):
            log.async_add_user_content(
                conversation.UserContent("what is this", attachments=[attachment])
            )
            return await ask("what is this", conversation_id=session.conversation_id)

    assert speech(await show()) == "A door."
    text, image = gateway.requests[0]["messages"][-1]["content"]
    assert text["text"].startswith("what is this")
    assert image["image_url"]["url"].startswith("data:image/png;base64,bm90IHJlYWxs")

    picture.unlink()
    assert "door.png cannot be read" in speech(await show())


async def test_a_question_keeps_the_conversation_open(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [says("Which light?"), says("All right.")]
    assert (await ask("light")).continue_conversation
    assert not (await ask("never mind")).continue_conversation


async def test_tokens_are_in_cores_own_trace(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [says("Hello.")]
    await ask("hello")
    events = core_traces.async_get_traces()[-1].as_dict()["events"]
    stats = [event["data"]["stats"] for event in events if "stats" in (event["data"] or {})]
    assert stats == [{"input_tokens": 100, "cached_input_tokens": 64, "output_tokens": 7}]


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        ((429, "The budget of today is spent."), "The budget of today is spent"),
        ((502, "The provider does not answer."), "The provider does not answer"),
    ],
)
async def test_the_gateways_own_sentence_is_spoken(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    ask: Ask,
    refusal: tuple[int, str],
    sentence: str,
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.refusal = refusal
    assert sentence in speech(await ask("hello"))


async def test_a_stream_that_breaks_is_said_to_be_broken(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [says("Good ", "morning.")]
    gateway.breaks_after = 1
    assert "The provider hung up" in speech(await ask("hello"))


async def test_without_the_gateway_the_agent_says_so_and_recovers(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    await gateway.stop()
    result = await ask("hello")
    assert "MLflow Gateway cannot be reached" in speech(result)
    assert result.response.response_type is intent.IntentResponseType.ERROR

    await gateway.start()
    gateway.script = [says("Here I am.")]
    assert speech(await ask("hello", conversation_id=result.conversation_id)) == "Here I am."
