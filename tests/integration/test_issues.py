"""What is wrong is in Repairs, says what to do, and goes away by itself."""

import resource
from datetime import timedelta
from typing import Any

import pytest
from custom_components.mlflow.issues import IssueWatch
from homeassistant.components.repairs import DOMAIN as REPAIRS
from homeassistant.components.repairs import RepairsFlowManager, repairs_flow_manager
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    async_fire_time_changed,
)

from .conftest import Ask, MakeEntry, Tracking, eventually
from .standins import StandInGateway, StandInSupervisor, says

GATEWAY, TRACKING = "a1b2c3d4_mlflow_gateway", "a1b2c3d4_mlflow_tracking"


def issues(home: HomeAssistant) -> set[str]:
    return {key[1] for key, issue in ir.async_get(home).issues.items() if issue.active}


def issue(home: HomeAssistant, issue_id: str) -> ir.IssueEntry:
    found = ir.async_get(home).async_get_issue("mlflow", issue_id)
    assert found is not None, issues(home)
    return found


async def look(entry: ConfigEntry[Any]) -> None:
    """Let half a minute pass: both coordinators ask, and the watch looks."""
    await entry.runtime_data.gateway.async_refresh()
    if entry.runtime_data.tracking is not None:
        await entry.runtime_data.tracking.async_refresh()
    await IssueWatch(entry.runtime_data.gateway.hass, entry).look()


async def until(home: HomeAssistant, entry: ConfigEntry[Any], expected: set[str]) -> None:
    async def as_expected() -> bool:
        await look(entry)
        return issues(home) == expected

    try:
        await eventually(as_expected)
    except TimeoutError:
        assert issues(home) == expected


async def fixing(home: HomeAssistant, issue_id: str) -> tuple[RepairsFlowManager, Any]:
    """Press the button of an issue in Repairs."""
    assert await async_setup_component(home, REPAIRS, {})
    await home.async_block_till_done()
    manager = repairs_flow_manager(home)
    assert manager is not None
    return manager, await manager.async_init("mlflow", data={"issue_id": issue_id})


@pytest.fixture
def installed(
    home: HomeAssistant,
    gateway: StandInGateway,
    supervisor: StandInSupervisor,
    make_entry: MakeEntry,
) -> MockConfigEntry:
    """An entry whose apps are installed; MLflow itself does not run."""
    supervisor.install(GATEWAY, gateway.url)
    supervisor.install(TRACKING, "http://127.0.0.1:9")
    entry = make_entry()
    places = {"gateway": {"slug": GATEWAY}, "tracking": {"slug": TRACKING}}
    home.config_entries.async_update_entry(entry, data={**entry.data, **places})
    return entry


async def test_a_stopped_app_is_started_from_repairs(
    home: HomeAssistant, installed: MockConfigEntry, supervisor: StandInSupervisor
) -> None:
    assert await home.config_entries.async_setup(installed.entry_id)
    supervisor.stopped |= {GATEWAY}
    await until(home, installed, {"app_stopped_gateway"})
    found = issue(home, "app_stopped_gateway")
    assert found.is_fixable
    assert found.learn_more_url == f"homeassistant://app/{GATEWAY}"

    manager, form = await fixing(home, "app_stopped_gateway")
    assert form["step_id"] == "start"
    assert form["description_placeholders"] == {"app": "MLflow Gateway"}
    supervisor.broken = {GATEWAY}
    form = await manager.async_configure(form["flow_id"], {})
    assert form["errors"] == {"base": "not_started"}
    assert "it has no endpoint" in str(form["description_placeholders"])
    supervisor.broken = set()
    done = await manager.async_configure(form["flow_id"], {})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert GATEWAY not in supervisor.stopped
    await until(home, installed, set())


async def test_a_stopped_app_that_somebody_else_starts_is_no_issue_any_more(
    home: HomeAssistant, installed: MockConfigEntry, supervisor: StandInSupervisor
) -> None:
    assert await home.config_entries.async_setup(installed.entry_id)
    supervisor.stopped |= {GATEWAY, TRACKING}
    await until(home, installed, {"app_stopped_gateway", "app_stopped_tracking"})
    assert issue(home, "app_stopped_tracking").severity is ir.IssueSeverity.WARNING
    supervisor.stopped.clear()
    await until(home, installed, set())


async def test_an_app_that_is_only_starting_is_no_issue(
    home: HomeAssistant, installed: MockConfigEntry
) -> None:
    assert await home.config_entries.async_setup(installed.entry_id)
    await look(installed)
    assert not installed.runtime_data.tracking.last_update_success
    assert issues(home) == set()


async def test_an_app_that_is_gone_is_missed_until_it_is_back(
    home: HomeAssistant,
    gateway: StandInGateway,
    installed: MockConfigEntry,
    supervisor: StandInSupervisor,
) -> None:
    assert await home.config_entries.async_setup(installed.entry_id)
    supervisor.uninstall(GATEWAY)
    supervisor.uninstall(TRACKING)
    await until(home, installed, {"app_missing_gateway", "app_missing_tracking"})
    assert not issue(home, "app_missing_gateway").is_fixable
    supervisor.install(GATEWAY, gateway.url)
    supervisor.install(TRACKING, "http://127.0.0.1:9")
    await until(home, installed, set())


@pytest.mark.parametrize("end", ["works again", "disabled", "removed"])
async def test_an_entry_that_cannot_be_set_up_says_why_in_repairs(
    home: HomeAssistant, installed: MockConfigEntry, supervisor: StandInSupervisor, end: str
) -> None:
    supervisor.stopped = {GATEWAY}
    assert not await home.config_entries.async_setup(installed.entry_id)
    assert installed.state is ConfigEntryState.SETUP_RETRY
    assert issues(home) == {"app_stopped_gateway"}

    supervisor.stopped = set()
    if end == "works again":
        assert await home.config_entries.async_reload(installed.entry_id)
        await until(home, installed, set())
    elif end == "disabled":
        await home.config_entries.async_unload(installed.entry_id)
    else:
        await home.config_entries.async_remove(installed.entry_id)
    assert issues(home) == set()


async def test_another_endpoint_is_chosen_in_repairs(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.endpoints = [("small", "chat"), ("large", "chat"), ("vectors", "embeddings")]
    await until(home, entry, {"endpoint_gone_agent"})
    assert issue(home, "endpoint_gone_agent").translation_placeholders == {
        "agent": "Butler",
        "endpoint": "home",
    }
    manager, form = await fixing(home, "endpoint_gone_agent")
    [selector] = form["data_schema"].schema.values()
    assert selector.config["options"] == ["small", "large"]
    await manager.async_configure(form["flow_id"], {"endpoint": "large"})
    await home.async_block_till_done()
    assert entry.subentries["agent"].data["endpoint"] == "large"
    assert entry.subentries["agent"].data["prompt_reference"] == "home@production"
    await until(home, entry, set())


async def test_an_endpoint_that_comes_back_is_no_issue_any_more(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    endpoints, gateway.endpoints = gateway.endpoints, []
    await until(home, entry, {"endpoint_gone_agent", "endpoint_gone_task"})
    _, form = await fixing(home, "endpoint_gone_agent")
    assert (form["type"], form["reason"]) == (FlowResultType.ABORT, "nothing_to_choose")
    assert form["description_placeholders"] == {"agent": "Butler", "endpoint": "home"}
    await gateway.stop()
    _, form = await fixing(home, "endpoint_gone_agent")
    assert (form["type"], form["reason"]) == (FlowResultType.ABORT, "app_unreachable")
    await gateway.start()
    gateway.endpoints = endpoints
    await until(home, entry, set())


async def test_another_prompt_is_chosen_in_repairs(
    home: HomeAssistant, make_entry: MakeEntry, shared_tracking: Tracking
) -> None:
    entry = make_entry(shared_tracking, prompt_reference="cellar@production")
    assert await home.config_entries.async_setup(entry.entry_id)
    await until(home, entry, {"prompt_missing_agent"})
    manager, form = await fixing(home, "prompt_missing_agent")
    [selector] = form["data_schema"].schema.values()
    assert "home@production" in selector.config["options"]
    await manager.async_configure(form["flow_id"], {"prompt_reference": "home@production"})
    await home.async_block_till_done()
    await until(home, entry, set())
    assert entry.subentries["agent"].data["prompt_reference"] == "home@production"


async def test_instructions_in_the_form_need_no_prompt_in_mlflow(
    home: HomeAssistant, make_entry: MakeEntry, shared_tracking: Tracking
) -> None:
    entry = make_entry(shared_tracking, prompt_reference="attic@production", prompt="Be kind.")
    assert await home.config_entries.async_setup(entry.entry_id)
    await look(entry)
    assert issues(home) == set()


async def test_a_full_disk_is_told_until_the_traces_are_stored(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    own_tracking: Tracking,
    ask: Ask,
) -> None:
    await home.async_add_executor_job(own_tracking.start)
    entry = make_entry(own_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: entry.runtime_data.prompts.versions)
    gateway.script = [says("x" * 30_000)] * 20

    own_tracking.limit_files(1)
    for _ in range(5):
        await ask("hello")
    await until(home, entry, {"database_full_tracking"})
    assert issue(home, "database_full_tracking").severity is ir.IssueSeverity.ERROR

    own_tracking.limit_files(resource.RLIM_INFINITY)
    await until(home, entry, set())
    await eventually(lambda: entry.runtime_data.traces.waiting == 0)


async def test_half_a_minute_is_enough_to_notice(
    home: HomeAssistant, make_entry: MakeEntry, shared_tracking: Tracking
) -> None:
    entry = make_entry(shared_tracking, prompt_reference="roof@production")
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: entry.runtime_data.prompts.missing)
    async_fire_time_changed(home, dt_util.utcnow() + timedelta(seconds=31))
    await eventually(lambda: issues(home) == {"prompt_missing_agent"}, within=5)


async def test_unloading_takes_every_issue_back(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.endpoints = []
    await until(home, entry, {"endpoint_gone_agent", "endpoint_gone_task"})
    assert await home.config_entries.async_unload(entry.entry_id)
    assert issues(home) == set()
