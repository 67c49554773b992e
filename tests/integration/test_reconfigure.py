"""The entry follows its apps: to other addresses and tokens, and from addresses to installed apps."""

from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
)

from .conftest import Ask, MakeEntry, Tracking, eventually, speech
from .standins import StandInGateway, StandInSupervisor, running, says

GATEWAY, TRACKING = "a1b2c3d4_mlflow_gateway", "a1b2c3d4_mlflow_tracking"


def suggestions(form: Any) -> dict[str, Any]:
    return {
        str(key): (key.description or {}).get("suggested_value")
        for key in form["data_schema"].schema
    }


async def test_addresses_change_and_a_token_left_empty_stays(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    ask: Ask,
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    async with running(StandInGateway()) as other:
        other.token = gateway.token
        form = await entry.start_reconfigure_flow(home)
        assert form["step_id"] == "reconfigure_urls"
        assert suggestions(form)["gateway_url"] == gateway.url
        assert suggestions(form)["gateway_token"] is None, "a token is never shown"

        wrong = {"gateway_url": "http://127.0.0.1:9"}
        form = await home.config_entries.flow.async_configure(form["flow_id"], wrong)
        assert form["errors"] == {"gateway_url": "app_unreachable"}
        changed = {
            "gateway_url": other.url,
            "tracking_url": shared_tracking.url,
            "tracking_token": shared_tracking.token,
        }
        done = await home.config_entries.flow.async_configure(form["flow_id"], changed)
        assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
        await home.async_block_till_done()

        assert entry.state == ConfigEntryState.LOADED
        assert entry.data["gateway"] == {"url": other.url, "token": gateway.token}
        assert entry.data["default_agent_made"], "notes to ourselves stay"
        await eventually(lambda: entry.runtime_data.prompts.versions)
        other.script = [says("From the other one.")]
        assert speech(await ask("hello")) == "From the other one."
        assert await home.config_entries.async_unload(entry.entry_id)


async def test_from_addresses_to_the_installed_apps_and_back(
    home: HomeAssistant,
    gateway: StandInGateway,
    supervisor: StandInSupervisor,
    make_entry: MakeEntry,
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    supervisor.install(GATEWAY, gateway.url)
    supervisor.install(TRACKING, "http://127.0.0.1:9")
    menu = await entry.start_reconfigure_flow(home)
    assert menu["menu_options"] == ["reconfigure_apps", "reconfigure_urls"]
    flow = home.config_entries.flow
    form = await flow.async_configure(menu["flow_id"], {"next_step_id": "reconfigure_apps"})
    assert form["description_placeholders"] == {"apps": "MLflow Gateway + MLflow Tracking"}
    done = await flow.async_configure(form["flow_id"], {})
    assert done["reason"] == "reconfigure_successful"
    await home.async_block_till_done()
    assert entry.data["gateway"] == {"slug": GATEWAY}
    assert entry.data["tracking"] == {"slug": TRACKING}
    assert entry.state == ConfigEntryState.LOADED

    menu = await entry.start_reconfigure_flow(home)
    form = await flow.async_configure(menu["flow_id"], {"next_step_id": "reconfigure_urls"})
    assert suggestions(form)["gateway_url"] is None
    addresses = {"gateway_url": gateway.url, "gateway_token": gateway.token}
    await flow.async_configure(form["flow_id"], addresses)
    await home.async_block_till_done()
    assert entry.data["gateway"] == {"url": gateway.url, "token": gateway.token}
    assert "tracking" not in entry.data


async def test_an_entry_that_is_not_loaded_is_loaded_by_its_new_address(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    home.config_entries.async_update_entry(
        entry, data={**entry.data, "gateway": {"url": "http://127.0.0.1:9", "token": "t"}}
    )
    assert not await home.config_entries.async_setup(entry.entry_id)
    form = await entry.start_reconfigure_flow(home)
    addresses = {"gateway_url": gateway.url, "gateway_token": gateway.token}
    await home.config_entries.flow.async_configure(form["flow_id"], addresses)
    await home.async_block_till_done()
    assert entry.state == ConfigEntryState.LOADED


async def test_an_entry_whose_token_was_refused_at_start_is_loaded_by_the_new_one(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    gateway.token = "changed"
    assert not await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    [flow] = home.config_entries.flow.async_progress()
    await home.config_entries.flow.async_configure(flow["flow_id"], {"gateway_token": "changed"})
    await home.async_block_till_done()
    assert entry.state == ConfigEntryState.LOADED


async def test_installed_apps_in_a_home_without_a_supervisor(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    entry: MockConfigEntry = make_entry()
    home.config_entries.async_update_entry(entry, data={**entry.data, "gateway": {"slug": GATEWAY}})
    assert not await home.config_entries.async_setup(entry.entry_id)
    assert entry.state == ConfigEntryState.SETUP_ERROR
    assert "this Home Assistant has none" in str(entry.reason)
    form = await entry.start_reconfigure_flow(home)
    addresses = {"gateway_url": gateway.url, "gateway_token": gateway.token}
    await home.config_entries.flow.async_configure(form["flow_id"], addresses)
    await home.async_block_till_done()
    assert entry.state == ConfigEntryState.LOADED


@pytest.mark.parametrize(
    ("wrong", "errors"),
    [
        ({"gateway_url": " "}, {"gateway_url": "address_invalid"}),
        ({"gateway_url": "http://[half"}, {"gateway_url": "address_invalid"}),
        ({"tracking_url": "ftp://127.0.0.1"}, {"tracking_url": "address_invalid"}),
        ({"gateway_token": "two words"}, {"gateway_token": "token_invalid"}),
        ({"gateway_token": "first\nsecond"}, {"gateway_token": "token_invalid"}),
        ({"tracking_token": "schlüssel"}, {"tracking_token": "token_invalid"}),
    ],
)
async def test_what_cannot_be_an_address_or_a_token_is_said_in_the_form(
    home: HomeAssistant, gateway: StandInGateway, wrong: dict[str, str], errors: dict[str, str]
) -> None:
    form = await home.config_entries.flow.async_init("mlflow", context={"source": SOURCE_USER})
    addresses = {
        "gateway_url": gateway.url,
        "gateway_token": gateway.token,
        "tracking_url": "http://127.0.0.1:9",
    }
    form = await home.config_entries.flow.async_configure(form["flow_id"], addresses | wrong)
    assert form["errors"] == errors


async def test_an_address_needs_no_scheme_and_a_token_no_trimming(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    form = await home.config_entries.flow.async_init("mlflow", context={"source": SOURCE_USER})
    addresses = {"gateway_url": f" {gateway.host}/ ", "gateway_token": f"{gateway.token}\n"}
    done = await home.config_entries.flow.async_configure(form["flow_id"], addresses)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert done["result"].data["gateway"] == {"url": gateway.url, "token": gateway.token}


async def test_only_the_app_that_refuses_is_asked_for_and_silence_is_no_success(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
) -> None:
    entry = make_entry(shared_tracking)
    gateway.token = "changed"
    assert not await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    [flow] = home.config_entries.flow.async_progress()
    form = await home.config_entries.flow.async_configure(flow["flow_id"], None)
    assert list(suggestions(form)) == ["gateway_token"]
    await gateway.stop()
    form = await home.config_entries.flow.async_configure(
        flow["flow_id"], {"gateway_token": "changed"}
    )
    assert form["errors"] == {"gateway_token": "app_unreachable"}
    await gateway.start()
    done = await home.config_entries.flow.async_configure(
        flow["flow_id"], {"gateway_token": "changed"}
    )
    assert done["reason"] == "reauth_successful"
    await home.async_block_till_done()
    assert entry.state == ConfigEntryState.LOADED
    assert entry.data["tracking"]["token"] == shared_tracking.token
