"""AI tasks: data in the form that was asked for, and how sure a model is of an answer."""

import json
import math
from typing import Any

import probatio
import pytest
from custom_components.mlflow.evaluation import Measure, Question
from custom_components.mlflow.gateway import GatewayClient
from custom_components.mlflow.tracing import Span, SpanType, Trace
from custom_components.mlflow.transport import UrlTransport
from homeassistant.components import ai_task
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import selector
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .conftest import MakeEntry
from .standins import Reply, StandInGateway, says

STRUCTURE = probatio.Schema(
    {
        probatio.Required("guests"): selector.NumberSelector({"min": 0, "max": 9}),
        probatio.Optional("names"): selector.TextSelector({"multiple": True}),
    }
)


async def generate(home: HomeAssistant, **arguments: Any) -> Any:
    result = await ai_task.async_generate_data(
        home,
        task_name="Count the guests",
        entity_id="ai_task.clerk",
        instructions="How many guests are there?",
        **arguments,
    )
    return result.data


async def test_text(home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [says("Two, ", "I think.")]
    assert await generate(home) == "Two, I think."
    assert gateway.requests[0]["model"] == "small"


async def test_data_in_a_form(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [says(json.dumps({"guests": 2, "names": None}))]

    assert await generate(home, structure=STRUCTURE) == {"guests": 2}

    asked = gateway.requests[0]["response_format"]["json_schema"]
    assert asked["strict"] is True
    schema = asked["schema"]
    assert schema["required"] == ["guests", "names"]
    assert schema["additionalProperties"] is False
    assert {"type": "null"} in schema["properties"]["names"]["anyOf"]


async def test_a_model_that_strays_gets_a_second_try(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [says('{"guests": "many"}'), says('```json\n{"guests": 3}\n```')]
    assert await generate(home, structure=STRUCTURE) == {"guests": 3}
    assert "guests" in gateway.requests[1]["messages"][-1]["content"]

    gateway.script = [says("Many."), says("Very many.")]
    with pytest.raises(HomeAssistantError, match="form that was asked for"):
        await generate(home, structure=STRUCTURE)


def measure(home: HomeAssistant, gateway: StandInGateway) -> Measure:
    transport = UrlTransport(async_get_clientsession(home), "gateway", gateway.url, gateway.token)
    return Measure(
        client=GatewayClient(transport),
        endpoint="home",
        evidence="No motion since 23:00.",
        trace=Trace(Span("test", SpanType.AGENT, None)),
    )


def likely(**shares: float) -> Reply:
    tokens = [{"token": token, "logprob": math.log(share)} for token, share in shares.items()]
    content = [{"token": "A", "logprob": 0.0, "top_logprobs": tokens}]
    return lambda request: [{"content": "A", "logprobs": {"content": content}}]


ASLEEP = Question("Is anyone asleep?", (("yes", "it is so"), ("no", "it is not so")))


async def test_probabilities_are_measured_where_the_endpoint_gives_them(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    gateway.script = [likely(A=0.6, a=0.1, B=0.1)]
    shares = await measure(home, gateway).probabilities(ASLEEP)
    assert shares == pytest.approx({"yes": 0.875, "no": 0.125})
    assert gateway.requests[0]["logprobs"] is True


async def test_probabilities_are_asked_for_where_it_does_not(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    gateway.script = [says("Yes"), says('{"yes": 0.6, "no": 0.2}')]
    shares = await measure(home, gateway).probabilities(ASLEEP)
    assert shares == pytest.approx({"yes": 0.75, "no": 0.25})
    assert gateway.requests[1]["response_format"]["json_schema"]["schema"]["required"] == [
        "yes",
        "no",
    ]


async def test_nonsense_is_no_opinion(home: HomeAssistant, gateway: StandInGateway) -> None:
    gateway.script = [says("Yes"), says("no idea")]
    with pytest.raises(HomeAssistantError):
        await measure(home, gateway).probabilities(ASLEEP)
