"""How a home gets its entry: in two clicks, or by hand."""

from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_HASSIO, SOURCE_USER, ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResult, FlowResultType
from homeassistant.helpers.service_info.hassio import HassioServiceInfo

from .conftest import Ask, MakeEntry, Tracking, eventually, speech
from .standins import StandInGateway, StandInSupervisor, says

GATEWAY, TRACKING = "a1b2c3d4_mlflow_gateway", "a1b2c3d4_mlflow_tracking"


def install(
    supervisor: StandInSupervisor, gateway: StandInGateway, repository: str = "a1b2c3d4"
) -> None:
    """Install both apps (MLflow itself does not run)."""
    supervisor.install(f"{repository}_mlflow_gateway", gateway.url)
    supervisor.install(f"{repository}_mlflow_tracking", "http://127.0.0.1:9")


async def discover(home: HomeAssistant, slug: str) -> FlowResult[Any, Any]:
    """Let an app start: it sends its message to the Supervisor, which tells Home Assistant."""
    app = "gateway" if slug.endswith("gateway") else "tracking"
    message = HassioServiceInfo(
        config={"app": app, "version": "0.1.0", "addon": slug}, name=slug, slug=slug, uuid=slug
    )
    return await home.config_entries.flow.async_init(
        "mlflow", context={"source": SOURCE_HASSIO}, data=message
    )


def only_entry(home: HomeAssistant) -> ConfigEntry[Any]:
    [entry] = home.config_entries.async_entries("mlflow")
    return entry


async def test_two_clicks_give_an_agent_that_answers(
    home: HomeAssistant, gateway: StandInGateway, supervisor: StandInSupervisor, ask: Ask
) -> None:
    install(supervisor, gateway)
    form = await discover(home, GATEWAY)
    assert form["type"] is FlowResultType.FORM
    assert form["description_placeholders"] == {"apps": "MLflow Gateway + MLflow Tracking"}

    done = await home.config_entries.flow.async_configure(form["flow_id"], {})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await home.async_block_till_done()

    entry = only_entry(home)
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data["gateway"] == {"slug": GATEWAY}
    assert entry.data["tracking"] == {"slug": TRACKING}
    agent, task = entry.subentries.values()
    assert (agent.title, agent.data["endpoint"]) == ("MLflow", "home")
    assert (task.title, task.data["endpoint"]) == ("MLflow AI Task", "home")
    gateway.script = [says("Hello from the Gateway.")]
    result = await home.services.async_call(
        "conversation",
        "process",
        {"text": "hello", "agent_id": "conversation.mlflow"},
        blocking=True,
        return_response=True,
    )
    assert result is not None
    assert "Hello from the Gateway." in str(result)


async def test_the_second_apps_message_asks_nothing(
    home: HomeAssistant, gateway: StandInGateway, supervisor: StandInSupervisor
) -> None:
    install(supervisor, gateway)
    form = await discover(home, TRACKING)
    second = await discover(home, GATEWAY)
    assert (second["type"], second["reason"]) == (FlowResultType.ABORT, "already_in_progress")

    await home.config_entries.flow.async_configure(form["flow_id"], {})
    third = await discover(home, GATEWAY)
    assert (third["type"], third["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_an_app_that_comes_later_is_added(
    home: HomeAssistant, gateway: StandInGateway, supervisor: StandInSupervisor
) -> None:
    supervisor.install(GATEWAY, gateway.url)
    form = await discover(home, GATEWAY)
    await home.config_entries.flow.async_configure(form["flow_id"], {})
    assert "tracking" not in only_entry(home).data

    supervisor.install(TRACKING, "http://127.0.0.1:9")
    await discover(home, TRACKING)
    await home.async_block_till_done()

    assert only_entry(home).data["tracking"] == {"slug": TRACKING}
    assert only_entry(home).state is ConfigEntryState.LOADED
    assert only_entry(home).runtime_data.tracking is not None


async def test_an_app_that_comes_back_from_another_repository_is_followed(
    home: HomeAssistant, gateway: StandInGateway, supervisor: StandInSupervisor
) -> None:
    install(supervisor, gateway)
    form = await discover(home, GATEWAY)
    await home.config_entries.flow.async_configure(form["flow_id"], {})
    supervisor.apps.clear()
    install(supervisor, gateway, "ffff0000")

    await discover(home, "ffff0000_mlflow_gateway")
    await home.async_block_till_done()

    assert only_entry(home).data["gateway"] == {"slug": "ffff0000_mlflow_gateway"}
    assert only_entry(home).data["tracking"] == {"slug": "ffff0000_mlflow_tracking"}
    assert only_entry(home).state is ConfigEntryState.LOADED


async def test_a_second_copy_of_an_app_does_not_take_over(
    home: HomeAssistant, gateway: StandInGateway, supervisor: StandInSupervisor
) -> None:
    install(supervisor, gateway)
    form = await discover(home, GATEWAY)
    await home.config_entries.flow.async_configure(form["flow_id"], {})
    install(supervisor, gateway, "local")
    await discover(home, "local_mlflow_gateway")
    assert only_entry(home).data["gateway"] == {"slug": GATEWAY}


async def test_what_keeps_the_apps_from_working_is_said_in_the_form(
    home: HomeAssistant, gateway: StandInGateway, supervisor: StandInSupervisor
) -> None:
    supervisor.install(TRACKING, "http://127.0.0.1:9")
    form = await discover(home, TRACKING)
    flow_id = form["flow_id"]
    form = await home.config_entries.flow.async_configure(flow_id, {})
    assert form["errors"] == {"base": "gateway_missing"}

    supervisor.install(GATEWAY, "http://127.0.0.1:9")
    form = await home.config_entries.flow.async_configure(flow_id, {})
    assert form["errors"] == {"base": "app_stopped"}

    supervisor.install(GATEWAY, gateway.url)
    done = await home.config_entries.flow.async_configure(flow_id, {})
    assert done["type"] is FlowResultType.CREATE_ENTRY


async def test_a_strangers_message_is_left_alone(
    home: HomeAssistant, supervisor: StandInSupervisor
) -> None:
    result = await discover(home, "a1b2c3d4_something_else")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "not_our_app")


async def test_ingress_sessions_and_tokens_are_renewed(
    home: HomeAssistant, gateway: StandInGateway, supervisor: StandInSupervisor
) -> None:
    install(supervisor, gateway)
    form = await discover(home, GATEWAY)
    await home.config_entries.flow.async_configure(form["flow_id"], {})
    client = only_entry(home).runtime_data.gateway.client

    supervisor.sessions.clear()
    assert await client.endpoints()

    supervisor.install(GATEWAY, gateway.url)
    assert await client.endpoints()


async def test_the_first_agent_waits_for_the_first_endpoint(
    home: HomeAssistant, gateway: StandInGateway, supervisor: StandInSupervisor
) -> None:
    endpoints, gateway.endpoints = gateway.endpoints, []
    install(supervisor, gateway)
    form = await discover(home, GATEWAY)
    await home.config_entries.flow.async_configure(form["flow_id"], {})
    assert not only_entry(home).subentries

    gateway.endpoints = endpoints
    await only_entry(home).runtime_data.gateway.async_refresh()
    await home.async_block_till_done()
    assert home.states.get("conversation.mlflow") is not None

    for subentry_id in list(only_entry(home).subentries):
        home.config_entries.async_remove_subentry(only_entry(home), subentry_id)
    await home.async_block_till_done()
    assert await home.config_entries.async_reload(only_entry(home).entry_id)
    assert not only_entry(home).subentries


async def test_by_hand_with_addresses_and_tokens(
    home: HomeAssistant, gateway: StandInGateway, shared_tracking: Tracking
) -> None:
    form = await home.config_entries.flow.async_init("mlflow", context={"source": SOURCE_USER})
    assert form["step_id"] == "urls"
    addresses = {
        "gateway_url": gateway.url + "/",
        "gateway_token": gateway.token,
        "tracking_url": shared_tracking.url,
        "tracking_token": shared_tracking.token,
    }
    done = await home.config_entries.flow.async_configure(form["flow_id"], addresses)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await home.async_block_till_done()
    entry = only_entry(home)
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data["gateway"] == {"url": gateway.url, "token": gateway.token}
    await eventually(lambda: entry.runtime_data.prompts.versions)


@pytest.mark.parametrize(
    ("wrong", "errors"),
    [
        ({"gateway_token": "guess"}, {"gateway_token": "app_token_refused"}),
        ({"gateway_url": "http://127.0.0.1:9"}, {"gateway_url": "app_unreachable"}),
        ({"gateway_url": "http://"}, {"gateway_url": "address_invalid"}),
        ({"tracking_token": "guess"}, {"tracking_token": "app_token_refused"}),
        ({"tracking_url": "http://127.0.0.1:9"}, {"tracking_url": "app_unreachable"}),
    ],
)
async def test_each_wrong_field_is_named(
    home: HomeAssistant,
    gateway: StandInGateway,
    shared_tracking: Tracking,
    wrong: dict[str, str],
    errors: dict[str, str],
) -> None:
    form = await home.config_entries.flow.async_init("mlflow", context={"source": SOURCE_USER})
    addresses = {
        "gateway_url": gateway.url,
        "gateway_token": gateway.token,
        "tracking_url": shared_tracking.url,
        "tracking_token": shared_tracking.token,
    }
    form = await home.config_entries.flow.async_configure(form["flow_id"], addresses | wrong)
    assert form["errors"] == errors
    done = await home.config_entries.flow.async_configure(form["flow_id"], addresses)
    assert done["type"] is FlowResultType.CREATE_ENTRY


async def test_the_wrong_app_at_an_address_is_noticed(
    home: HomeAssistant, gateway: StandInGateway, supervisor: StandInSupervisor
) -> None:
    form = await home.config_entries.flow.async_init("mlflow", context={"source": SOURCE_USER})
    addresses = {"gateway_url": f"{supervisor.url}/addons?", "gateway_token": "t"}
    form = await home.config_entries.flow.async_configure(form["flow_id"], addresses)
    assert form["errors"] == {"gateway_url": "not_this_app"}


async def test_by_hand_offers_the_installed_apps(
    home: HomeAssistant, gateway: StandInGateway, supervisor: StandInSupervisor
) -> None:
    install(supervisor, gateway)
    menu = await home.config_entries.flow.async_init("mlflow", context={"source": SOURCE_USER})
    assert menu["menu_options"] == ["apps", "urls"]
    form = await home.config_entries.flow.async_configure(menu["flow_id"], {"next_step_id": "apps"})
    done = await home.config_entries.flow.async_configure(form["flow_id"], {})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    again = await home.config_entries.flow.async_init("mlflow", context={"source": SOURCE_USER})
    assert again["reason"] == "already_configured"


async def test_without_the_gateway_set_up_is_tried_again_and_says_why(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    await gateway.stop()
    assert not await home.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert "MLflow Gateway cannot be reached" in str(entry.reason)


async def test_a_refused_token_is_asked_for_again(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.token = "changed"
    await entry.runtime_data.gateway.async_refresh()
    await home.async_block_till_done()
    [flow] = home.config_entries.flow.async_progress()
    assert flow["step_id"] == "reauth_confirm"

    form = await home.config_entries.flow.async_configure(
        flow["flow_id"], {"gateway_token": "guess"}
    )
    assert form["errors"] == {"gateway_token": "app_token_refused"}
    await home.config_entries.flow.async_configure(flow["flow_id"], {"gateway_token": "changed"})
    await home.async_block_till_done()
    gateway.script = [says("Back again.")]
    assert speech(await ask("hello")) == "Back again."


async def test_unloading_and_removing_leave_nothing(
    home: HomeAssistant, make_entry: MakeEntry, shared_tracking: Tracking, hass_storage: Any
) -> None:
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: entry.runtime_data.prompts.versions)
    assert await home.config_entries.async_reload(entry.entry_id)
    assert await home.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert any("mlflow" in key for key in hass_storage)
    await home.config_entries.async_remove(entry.entry_id)
    assert not any("mlflow" in key for key in hass_storage)
    assert home.states.get("conversation.butler") is None
