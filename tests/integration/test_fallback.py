"""When no answer comes, a sentence in the user's language says why, and soon."""

import asyncio
import time
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp import ClientTimeout
from custom_components.mlflow import gateway as clients
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import intent, llm

from .conftest import Ask, MakeEntry, speech
from .standins import StandInGateway, calls, says


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "MLflow Gateway cannot be reached"),
        ("de", "MLflow Gateway ist nicht erreichbar"),
        ("nl", "MLflow Gateway is niet bereikbaar"),
        ("fr", "MLflow Gateway est injoignable "),
        ("es", "No se puede alcanzar MLflow Gateway"),
        ("it", "MLflow Gateway non è raggiungibile"),
        ("tlh", "MLflow Gateway cannot be reached"),
    ],
)
async def test_an_unreachable_gateway_is_told_in_the_users_language(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    ask: Ask,
    language: str,
    sentence: str,
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    await gateway.stop()
    result = await ask("hallo", language=language)
    assert speech(result) == f"{sentence}: Connection refused"
    assert result.response.language == language
    assert result.response.response_type is intent.IntentResponseType.ERROR


async def test_the_limit_of_tool_calls_is_told_in_the_users_language(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [calls(("llm__GetDateTime", {})) for _ in range(10)]
    assert "10" in speech(await ask("hoe laat is het", language="nl"))
    assert "rounds" not in speech(await ask("hoe laat is het", language="nl"))


async def test_an_api_that_cannot_be_had_is_told_in_its_own_words(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    """Another integration's LLM API may fail, with a sentence that has no translation."""
    assert await home.config_entries.async_setup(make_entry().entry_id)
    with patch.object(llm, "async_get_api", side_effect=HomeAssistantError("The clock stopped.")):
        assert "Error preparing LLM API" in speech(await ask("hello"))
    assert gateway.requests == []


class _Silent:
    """A model that takes a request and says nothing, before or in the middle of its answer."""

    def __init__(self, gateway: StandInGateway) -> None:
        gateway.pause = asyncio.Event()
        self.release = gateway.pause.set


async def test_a_model_that_falls_silent_is_not_waited_for_long(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    silence = _Silent(gateway)
    gateway.script = [says("Well, ", "never mind.")]
    began = time.monotonic()
    short = ClientTimeout(total=20, sock_connect=5, sock_read=0.2)
    try:
        with patch.object(clients, "CHAT_TIMEOUT", short):
            said = speech(await ask("hello"))
    finally:
        silence.release()
    assert "did not answer in time" in said
    assert time.monotonic() - began < 5


def test_nobody_waits_longer_than_a_voice_assistant_is_worth() -> None:
    """A client of OpenAI's waits 600 s and tries twice more."""
    timeout: Any = clients.CHAT_TIMEOUT
    assert timeout.sock_connect <= 5
    assert timeout.sock_read <= 90
    assert timeout.total <= 180


@pytest.mark.parametrize("body", [b"{}", b'{"choices": []}', b'{"choices": [{}]}', b"[]"])
async def test_an_answer_without_an_answer_is_an_error_with_a_sentence(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, body: bytes
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.raw_answer = body
    with pytest.raises(HomeAssistantError, match="cannot be read"):
        await home.services.async_call(
            "mlflow",
            "generate",
            {"endpoint": "home", "text": "Write a haiku."},
            blocking=True,
            return_response=True,
        )
