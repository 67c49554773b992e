"""What one who talks to an agent notices."""

import asyncio
from typing import Any

import pytest
from homeassistant.components import conversation
from homeassistant.components.conversation import chat_log as chat_logs
from homeassistant.components.conversation import trace as core_traces
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import chat_session, intent

from .conftest import Ask, MakeEntry, speech
from .standins import Reply, StandInGateway, calls, says


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
            chat_session.async_get_chat_session(home) as session,
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

    told = [message["content"] for message in gateway.requests[-1]["messages"][1:]]
    assert told == ["question 1", "answer 1", "question 2"]


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
