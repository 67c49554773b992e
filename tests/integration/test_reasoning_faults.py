"""What can go wrong on the way to a verdict: said in one sentence, logged once, and over by itself."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from aiohttp import ClientTimeout
from custom_components.mlflow import gateway as gateway_room
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from .conftest import eventually
from .reasoned import FaultyGateway, always, load, pass_time, says, shows
from .standins import Reply, running
from .standins import says as says_text


@pytest.fixture
async def gateway(home: HomeAssistant) -> AsyncGenerator[FaultyGateway]:
    home.states.async_set("binary_sensor.bed", "on", {"device_class": "occupancy"})
    home.states.async_set("sensor.power", "41.3", {"unit_of_measurement": "W"})
    async with running(FaultyGateway()) as gateway:
        gateway.script = always(says("yes"))
        yield gateway


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log has of reasoned states, from warnings on."""
    return [
        record.getMessage()
        for record in caplog.records
        if "reasoned" in record.getMessage() and record.levelno >= logging.WARNING
    ]


NONSENSE: Reply = says_text("I feel that AK is asleep.")


class TestGatewayAway:
    async def test_it_says_why_keeps_what_it_shows_and_recovers_by_itself(
        self,
        home: HomeAssistant,
        gateway: FaultyGateway,
        freezer: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        [state] = await load(home, gateway, {"at_most_every": {}})
        await pass_time(home, freezer, seconds=31)
        assert state.value is True

        await gateway.stop()
        home.states.async_set("binary_sensor.bed", "off")
        await pass_time(home, freezer, seconds=31)
        assert state.problem is not None
        assert "MLflow Gateway cannot be reached" in state.problem
        assert state.value is True
        assert state.next_thought_not_before is not None
        for _ in range(8):
            await pass_time(home, freezer, minutes=5)
        assert state.problem is not None
        assert len(warnings(caplog)) == 1

        gateway.script = always(says("no"))
        await gateway.start()
        # the coordinator looks every minute, and a Gateway that is back is asked at once
        [entry] = home.config_entries.async_entries("mlflow")
        await entry.runtime_data.gateway.async_refresh()
        await pass_time(home, freezer, seconds=2)
        assert shows(state) == (False, None)
        assert len(warnings(caplog)) == 1

    async def test_what_many_states_suffer_from_is_logged_once(
        self,
        home: HomeAssistant,
        gateway: FaultyGateway,
        freezer: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        states = await load(home, gateway, *[{}] * 5)
        await gateway.stop()
        for _ in range(5):
            await pass_time(home, freezer, minutes=5)
        assert all(state.problem for state in states)
        assert len(warnings(caplog)) == 1

    async def test_who_asks_by_hand_hears_why(
        self, home: HomeAssistant, gateway: FaultyGateway
    ) -> None:
        [state] = await load(home, gateway, {})
        await gateway.stop()
        with pytest.raises(HomeAssistantError, match="MLflow Gateway cannot be reached"):
            await state.think_now()

    async def test_an_unloaded_entry_leaves_nobody_waiting(
        self, home: HomeAssistant, gateway: FaultyGateway
    ) -> None:
        gateway.held = asyncio.Event()
        [state] = await load(home, gateway, {})
        asked = asyncio.ensure_future(state.think_now())
        await eventually(lambda: gateway.arrived)
        [entry] = home.config_entries.async_entries("mlflow")
        assert await home.config_entries.async_unload(entry.entry_id)
        with pytest.raises(HomeAssistantError, match="MLflow is not loaded"):
            await asked
        gateway.held.set()


async def test_a_model_that_takes_too_long_is_given_up_and_counted(
    home: HomeAssistant, gateway: FaultyGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_room, "CHAT_TIMEOUT", ClientTimeout(total=0.2))
    gateway.held = asyncio.Event()
    [state] = await load(home, gateway, {})
    with pytest.raises(HomeAssistantError, match="did not answer in time"):
        await state.think_now()
    assert state.problem is not None
    assert "did not answer in time" in state.problem
    assert state.calls_today == 1

    gateway.held.set()
    assert (await state.think_now()).answer is True
    assert state.problem is None


class TestNonsense:
    async def test_it_is_asked_once_again_with_the_fault(
        self, home: HomeAssistant, gateway: FaultyGateway
    ) -> None:
        gateway.script = [NONSENSE, says("yes")]
        [state] = await load(home, gateway, {})
        verdict = await state.think_now()
        assert (state.value, state.problem, state.calls_today) == (True, None, 2)
        assert verdict.tokens == 214
        *_, said, fault = gateway.requests[1]["messages"]
        assert said == {"role": "assistant", "content": "I feel that AK is asleep."}
        assert "it is not a JSON object" in fault["content"]

    async def test_nonsense_twice_is_a_problem_and_tried_again_later(
        self,
        home: HomeAssistant,
        gateway: FaultyGateway,
        freezer: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        gateway.script = always(*[NONSENSE] * 4, says("yes"))
        [state] = await load(home, gateway, {"at_most_every": {}})
        await pass_time(home, freezer, seconds=31)
        assert state.problem is not None
        assert "did not answer in the form" in state.problem
        assert len(gateway.requests) == 2
        await pass_time(home, freezer, seconds=31)
        assert len(gateway.requests) == 4
        await pass_time(home, freezer, seconds=61)
        assert shows(state) == (True, None)
        assert len(warnings(caplog)) == 1

    @pytest.mark.parametrize(
        "raw", [b"{}", b'{"choices": []}', b'{"choices": [{"message": {}}]}', b"[]", b"<html>"]
    )
    async def test_an_answer_that_is_no_completion_is_a_problem_and_no_crash(
        self, home: HomeAssistant, gateway: FaultyGateway, raw: bytes
    ) -> None:
        gateway.raw = raw
        [state] = await load(home, gateway, {})
        with pytest.raises(HomeAssistantError):
            await state.think_now()
        assert state.problem is not None


class TestLimit:
    async def test_a_limit_that_says_when_to_come_again_is_obeyed(
        self, home: HomeAssistant, gateway: FaultyGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.refusal = (429, "The endpoint's limit is reached.")
        gateway.retry_after = 600
        [state] = await load(home, gateway, {"at_most_every": {}})
        await pass_time(home, freezer, seconds=31)
        assert state.problem is not None
        assert "The endpoint's limit is reached." in state.problem
        waits = state.next_thought_not_before
        assert waits is not None
        assert 590 < (waits - dt_util.utcnow()).total_seconds() <= 600

        gateway.refusal = None
        await pass_time(home, freezer, seconds=500)
        assert state.value is None
        await pass_time(home, freezer, seconds=101)
        assert shows(state) == (True, None)


class TestRefusals:
    @pytest.mark.parametrize(
        ("refuses", "left", "form"),
        [
            ({"logprobs": "logprobs are not supported"}, "temperature", "json_schema"),
            ({"temperature": "Unsupported value: temperature"}, "logprobs", "json_schema"),
            ({"json_schema": "response_format json_schema is unknown"}, "logprobs", "json_object"),
            ({"json_schema": "bad request"}, None, "json_object"),
            ({"response_format": "takes no response_format"}, "logprobs", None),
            ({"response_format": "no", "logprobs": "no", "temperature": "no"}, None, None),
        ],
    )
    async def test_what_an_endpoint_refuses_is_left_out_and_remembered(
        self,
        home: HomeAssistant,
        gateway: FaultyGateway,
        refuses: dict[str, str],
        left: str | None,
        form: str | None,
    ) -> None:
        gateway.refuses = refuses
        [state] = await load(home, gateway, {})
        verdict = await state.think_now()
        assert verdict.answer is True
        # refused calls cost nothing, and are not counted
        assert state.calls_today == 1
        last = gateway.requests[-1]
        assert left is None or left in last
        assert last.get("response_format", {}).get("type") == form
        assert not refuses.keys() & {*last, form}

        before = len(gateway.requests)
        await state.think_now()
        assert len(gateway.requests) == before + 1

    async def test_a_refusal_for_another_reason_is_said_and_nothing_is_left_out_for_good(
        self, home: HomeAssistant, gateway: FaultyGateway
    ) -> None:
        gateway.refusal = (400, "The evidence is too long for this model.")
        [state] = await load(home, gateway, {})
        with pytest.raises(HomeAssistantError, match="too long for this model"):
            await state.think_now()
        gateway.refusal = None
        await state.think_now()
        assert gateway.requests[-1]["logprobs"] is True
        assert gateway.requests[-1]["response_format"]["type"] == "json_schema"

    @pytest.mark.parametrize("status", [401, 404, 500, 502])
    async def test_other_errors_are_said_as_they_are(
        self, home: HomeAssistant, gateway: FaultyGateway, status: int
    ) -> None:
        gateway.refusal = (status, "So it is.")
        [state] = await load(home, gateway, {})
        with pytest.raises(HomeAssistantError):
            await state.think_now()
        assert len(gateway.requests) == 1
        assert state.problem is not None


async def test_a_prompt_that_was_never_seen_is_said(
    home: HomeAssistant, gateway: FaultyGateway, freezer: FrozenDateTimeFactory
) -> None:
    prompt: dict[str, Any] = {"question": "", "prompt_reference": "asleep@production"}
    [state] = await load(home, gateway, prompt)
    await pass_time(home, freezer, seconds=31)
    assert state.problem is not None
    assert "asleep@production" in state.problem
    assert gateway.requests == []
