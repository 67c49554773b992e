"""What each endpoint did today, as sensors that come and go with the endpoints."""

from datetime import date
from typing import Any

import pytest
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from .conftest import MakeEntry, eventually
from .standins import StandInGateway

TODAY = "2026-11-20"


def row(endpoint: str, *, day: str = TODAY, **figures: Any) -> dict[str, Any]:
    """A row of the Gateway's `/usage`, as its DOCS.md has it."""
    return {
        "day": day,
        "endpoint": endpoint,
        "calls": 40,
        "errors": 1,
        "retries": 2,
        "fallbacks": 0,
        "input_tokens": 12_000,
        "cached_tokens": 8_000,
        "output_tokens": 900,
        "money": 0.0123,
        "latency_ms": {"p50": 812.5, "p95": 1900.0, "p99": 2400.0},
        "first_token_ms": {"p50": 310.0, "p95": None, "p99": None},
    } | figures


def usage(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"today": TODAY, "currency": "USD", "rows": list(rows)}


def seen(home: HomeAssistant, name: str) -> State:
    state = home.states.get(f"sensor.{name}")
    assert state is not None, sorted(home.states.async_entity_ids("sensor"))
    return state


async def test_an_endpoint_shows_its_day_in_units_that_statistics_take(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    gateway.usage = usage(row("home"))
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: home.states.get("sensor.endpoint_home_calls_today"))

    calls = seen(home, "endpoint_home_calls_today")
    assert (calls.state, calls.attributes["unit_of_measurement"]) == ("40", "calls")
    assert calls.attributes["state_class"] == "total"
    midnight = dt_util.start_of_local_day(date.fromisoformat(TODAY))
    assert calls.attributes["last_reset"] == midnight.isoformat()

    cost = seen(home, "endpoint_home_cost_today")
    assert (cost.state, cost.attributes["unit_of_measurement"]) == ("0.0123", "USD")
    assert cost.attributes["device_class"] == "monetary"
    assert seen(home, "endpoint_home_input_tokens_today").state == "12000"
    assert seen(home, "endpoint_home_output_tokens_today").state == "900"
    assert seen(home, "endpoint_home_error_rate_today").state == "2.5"
    answered = seen(home, "endpoint_home_response_time_today")
    assert (float(answered.state), answered.attributes["unit_of_measurement"]) == (0.8125, "s")
    assert answered.attributes["device_class"] == "duration"
    assert float(seen(home, "endpoint_home_time_to_first_word_today").state) == 0.31

    # not called today, and so nothing spent, nothing failed
    assert seen(home, "endpoint_small_calls_today").state == "0"
    assert seen(home, "endpoint_small_cost_today").state == "0.0"
    assert seen(home, "endpoint_small_error_rate_today").state == "unknown"


async def test_the_gateway_shows_all_endpoints_together(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    gateway.usage = usage(
        row("home"),
        row("small", money=None, calls=10, errors=4),
        row("gone", money=0.5, calls=0, errors=0),
        row("home", day="2026-11-19", money=9.0),
    )
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: home.states.get("sensor.mlflow_gateway_cost_today"))
    assert float(seen(home, "mlflow_gateway_cost_today").state) == pytest.approx(0.0123)
    assert seen(home, "mlflow_gateway_calls_today").state == "50"
    assert seen(home, "mlflow_gateway_error_rate_today").state == "10.0"
    assert seen(home, "endpoint_small_cost_today").state == "unknown", "no price is known"


async def test_each_endpoint_is_a_device_behind_the_gateway(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    gateway.usage = usage()
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: home.states.get("sensor.endpoint_vectors_calls_today"))
    devices = {d.name: d for d in dr.async_get(home).devices}
    assert {"MLflow Gateway", "Endpoint home", "Endpoint small", "Endpoint vectors"} <= set(devices)
    assert devices["Endpoint home"].via_device_id == devices["MLflow Gateway"].id
    assert devices["Endpoint home"].model == "openai scripted-home"

    registered = er.async_get(home).async_get("sensor.endpoint_home_retries_today")
    assert registered is not None
    assert registered.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert registered.entity_category == "diagnostic"


async def test_sensors_come_and_go_with_the_endpoints(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    gateway.usage = usage(row("home"))
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: home.states.get("sensor.endpoint_small_calls_today"))

    gateway.endpoints = [("home", "chat"), ("new", "chat")]
    await entry.runtime_data.gateway.async_refresh()
    await home.async_block_till_done()
    assert home.states.get("sensor.endpoint_small_calls_today") is None
    assert er.async_get(home).async_get("sensor.endpoint_small_calls_today") is None
    assert seen(home, "endpoint_new_calls_today").state == "0"
    assert seen(home, "endpoint_home_calls_today").state == "40"

    # an endpoint that went while Home Assistant was off
    assert await home.config_entries.async_unload(entry.entry_id)
    gateway.endpoints = [("new", "chat")]
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(
        lambda: er.async_get(home).async_get("sensor.endpoint_home_cost_today") is None
    )
    names = {device.name for device in dr.async_get(home).devices}
    assert "Endpoint home" not in names
    assert {"Butler", "Clerk"} <= names, "agents stay"


async def test_an_older_gateway_has_no_sensors_until_it_is_updated(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    await entry.runtime_data.usage.async_refresh()
    await home.async_block_till_done()
    assert not home.states.async_entity_ids("sensor")

    gateway.usage = usage(row("home"))
    await entry.runtime_data.usage.async_refresh()
    await home.async_block_till_done()
    assert seen(home, "endpoint_home_calls_today").state == "40"


async def test_an_unreachable_gateway_makes_sensors_unavailable_and_keeps_them(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway.usage = usage(row("home"))
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: home.states.get("sensor.endpoint_home_calls_today"))
    await gateway.stop()
    for _ in range(3):
        await entry.runtime_data.usage.async_refresh()
    assert seen(home, "endpoint_home_calls_today").state == "unavailable"
    assert caplog.text.count("Error fetching MLflow Gateway's usage data") == 1
    await gateway.start()
    await entry.runtime_data.usage.async_refresh()
    assert seen(home, "endpoint_home_calls_today").state == "40"


@pytest.mark.parametrize("nonsense", [[], {"today": "yesterday"}, {"today": TODAY, "rows": [{}]}])
async def test_nonsense_instead_of_counters_is_an_error_not_a_crash(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, nonsense: Any
) -> None:
    gateway.usage = nonsense
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    await entry.runtime_data.usage.async_refresh()
    assert not entry.runtime_data.usage.last_update_success
    assert not home.states.async_entity_ids("sensor")
