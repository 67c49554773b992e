"""What a turn cost is on its trace and in its event, by the prices that the Gateway counts with."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from custom_components.mlflow.tracking import TrackingClient
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    async_capture_events,
)

from .conftest import Ask, MakeEntry, Tracking, eventually
from .standins import StandInGateway, StandInSupervisor, calls, says
from .test_traces import attributes_of, traces_of

PRICES = {
    "home": {"input": 2.0, "cached": 0.5, "output": 8.0},
    "small": {"input": 0.1, "cached": 0.1, "output": 0.4},
}
# a call of the stand-in: 100 tokens in, 64 of them from a cache, 7 out
COST_IN, COST_OUT = (36 * 2.0 + 64 * 0.5) / 1e6, 7 * 8.0 / 1e6


async def finished(home: HomeAssistant, entry: MockConfigEntry, ask: Ask) -> dict[str, Any]:
    """Say hello and return the event of the finished conversation."""
    assert await home.config_entries.async_setup(entry.entry_id)
    events = async_capture_events(home, "mlflow_conversation_finished")
    await ask("hello")
    await home.async_block_till_done()
    [event] = events
    return dict(event.data)


async def test_each_call_of_the_model_and_the_trace_have_their_cost(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
    ask: Ask,
) -> None:
    gateway.prices = PRICES
    gateway.script = [calls(("llm__GetDateTime", {})), says("It is late.")]
    event = await finished(home, make_entry(shared_tracking), ask)
    assert event["cost"] == pytest.approx(2 * (COST_IN + COST_OUT))

    client = mlflow(shared_tracking)
    [trace] = await eventually(lambda: traces_of(client, event["conversation_id"]))
    model_calls = [attributes_of(trace["spans"][number]) for number in (1, 3)]
    for call in model_calls:
        assert float(call["mlflow.llm.cost"]["total_cost"]) == pytest.approx(COST_IN + COST_OUT)
        assert float(call["mlflow.llm.cost"]["input_cost"]) == pytest.approx(COST_IN)
    # MLflow adds them up: it shows this beside the trace and in its charts
    total = json.loads(trace["trace_info"]["trace_metadata"]["mlflow.trace.cost"])
    assert total["total_cost"] == pytest.approx(2 * (COST_IN + COST_OUT))


async def test_the_endpoint_that_answered_is_the_one_that_costs(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
    ask: Ask,
) -> None:
    """The Gateway falls back to another endpoint, and says so."""
    gateway.prices = PRICES
    gateway.falls_back_to = "small"
    gateway.script = [says("Hello.")]
    event = await finished(home, make_entry(shared_tracking), ask)
    assert event["cost"] == pytest.approx((100 * 0.1 + 7 * 0.4) / 1e6)
    client = mlflow(shared_tracking)
    [trace] = await eventually(lambda: traces_of(client, event["conversation_id"]))
    assert trace["spans"][1]["name"] == "home", "the one that was asked"
    assert attributes_of(trace["spans"][1])["endpoint"] == "small"


async def test_the_cost_is_known_through_the_supervisor_too(
    home: HomeAssistant,
    gateway: StandInGateway,
    supervisor: StandInSupervisor,
    make_entry: MakeEntry,
    ask: Ask,
) -> None:
    supervisor.install("a1b2c3d4_mlflow_gateway", gateway.url)
    entry = make_entry()
    place = {"gateway": {"slug": "a1b2c3d4_mlflow_gateway"}}
    home.config_entries.async_update_entry(entry, data={**entry.data, **place})
    gateway.prices, gateway.falls_back_to = PRICES, "small"
    gateway.script = [says("Hello.")]
    assert (await finished(home, entry, ask))["cost"] == pytest.approx(12.8e-6)


@pytest.mark.parametrize(
    ("prices", "cost"),
    [({}, None), ({"home": {"input": 0, "cached": 0, "output": 0}}, 0.0)],
    ids=["no price is known", "a model at home is free"],
)
async def test_nothing_is_made_up(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    ask: Ask,
    prices: dict[str, dict[str, float]],
    cost: float | None,
) -> None:
    gateway.prices = prices
    gateway.script = [says("Hello.")]
    assert (await finished(home, make_entry(), ask))["cost"] == cost


async def test_an_action_says_what_it_cost(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    gateway.prices = PRICES
    assert await home.config_entries.async_setup(make_entry().entry_id)
    gateway.script = [says("A haiku.")]
    answer = await home.services.async_call(
        "mlflow",
        "generate",
        {"endpoint": "home", "text": "Write a haiku."},
        blocking=True,
        return_response=True,
    )
    assert answer is not None
    assert answer["cost"] == pytest.approx((100 * 2.0 + 7 * 8.0) / 1e6)
    assert answer["text"] == "A haiku."
