"""The entry outlives its apps and the Supervisor, and leaves nothing behind when it goes."""

import asyncio
import gc
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    get_system_health_info,
)

from .conftest import Ask, MakeEntry, Tracking, eventually, speech
from .standins import StandInGateway, StandInSupervisor, says
from .test_usage import row, usage

GATEWAY, TRACKING = "a1b2c3d4_mlflow_gateway", "a1b2c3d4_mlflow_tracking"


def through_supervisor(home: HomeAssistant, entry: MockConfigEntry, **slugs: str) -> None:
    places = {app: {"slug": slug} for app, slug in slugs.items()}
    home.config_entries.async_update_entry(entry, data={**entry.data, **places})


async def test_agents_answer_through_everything_that_happens_to_the_apps(
    home: HomeAssistant,
    gateway: StandInGateway,
    supervisor: StandInSupervisor,
    shared_tracking: Tracking,
    make_entry: MakeEntry,
    ask: Ask,
) -> None:
    supervisor.install(GATEWAY, gateway.url)
    supervisor.install(TRACKING, shared_tracking.ingress_url)
    entry = make_entry()
    through_supervisor(home, entry, gateway=GATEWAY, tracking=TRACKING)
    assert await home.config_entries.async_setup(entry.entry_id)
    runtime = entry.runtime_data
    gateway.script = [says(f"Answer {number}.") for number in range(9)]
    await eventually(lambda: runtime.prompts.versions)

    async def answers(number: int) -> None:
        assert speech(await ask("hello")) == f"Answer {number}."

    async def all_stored() -> bool:
        runtime.traces.retry_now()
        return bool(runtime.traces.waiting == 0)

    await answers(0)
    # Tracking stops, and is uninstalled, and comes back anew
    supervisor.stopped.add(TRACKING)
    await answers(1)
    supervisor.uninstall(TRACKING)
    await answers(2)
    supervisor.stopped.clear()
    supervisor.install(TRACKING, shared_tracking.ingress_url)
    await answers(3)
    await eventually(all_stored)
    # the Supervisor restarts: it forgets sessions, and is away for a while
    await supervisor.stop()
    assert "cannot be reached" in speech(await ask("hello"))
    supervisor.sessions.clear()
    await supervisor.start()
    await answers(4)
    # the Gateway is installed anew: another token in the path
    supervisor.install(GATEWAY, gateway.url)
    await answers(5)
    # and it stops, with a sentence that says so
    supervisor.stopped.add(GATEWAY)
    assert "MLflow Gateway does not run" in speech(await ask("hello"))
    supervisor.stopped.clear()
    await answers(6)
    await eventually(all_stored)
    assert (runtime.traces.sent, runtime.traces.dropped) == (9, 0)
    assert entry.state == ConfigEntryState.LOADED


async def test_a_home_that_starts_before_its_supervisor_answers_is_set_up_later(
    home: HomeAssistant,
    gateway: StandInGateway,
    supervisor: StandInSupervisor,
    make_entry: MakeEntry,
) -> None:
    supervisor.install(GATEWAY, gateway.url)
    entry = make_entry()
    through_supervisor(home, entry, gateway=GATEWAY)
    await supervisor.stop()
    assert not await home.config_entries.async_setup(entry.entry_id)
    assert entry.state == ConfigEntryState.SETUP_RETRY
    assert not ir.async_get(home).issues
    await supervisor.start()
    assert await home.config_entries.async_reload(entry.entry_id)
    assert entry.state == ConfigEntryState.LOADED


def census(home: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    """Count what an entry may leave behind."""
    gc.collect()
    storage = Path(home.config.path(".storage"))
    ours = [task for task in asyncio.all_tasks() if "mlflow" in f"{task.get_name()}{task}".lower()]
    timers = [h for h in home.loop._scheduled if not h.cancelled() and "mlflow" in repr(h)]  # type: ignore[attr-defined]
    listeners = home.bus.async_listeners() | {
        # Home Assistant's registries listen as long as they have something to save
        EVENT_HOMEASSISTANT_FINAL_WRITE: len(
            [
                listener
                for listener in home.bus._listeners.get(EVENT_HOMEASSISTANT_FINAL_WRITE, [])
                if "mlflow" in repr(listener)
            ]
        )
    }
    return {
        "listeners": listeners,
        "tasks": len([task for task in ours if task is not asyncio.current_task()]),
        "timers": len(timers),
        "states": sorted(
            state.entity_id
            for state in home.states.async_all()
            if not state.attributes.get("restored")
        ),
        "update listeners": len(entry.update_listeners),
        "issues": len(ir.async_get(home).issues),
        "flows": len(home.config_entries.flow.async_progress()),
        "files": sorted(p.name for p in storage.rglob("*mlflow*")) if storage.exists() else [],
    }


async def test_reloading_grows_nothing_and_removing_leaves_nothing(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    ask: Ask,
    hass_storage: dict[str, Any],
) -> None:
    gateway.usage = usage(row("home"))
    entry = make_entry(shared_tracking)
    before = census(home, entry)

    async def load_and_use() -> None:
        assert await home.config_entries.async_setup(entry.entry_id)
        gateway.script = [says("Hello.")]
        await ask("hello")
        await eventually(lambda: entry.runtime_data.prompts.versions)
        await eventually(lambda: entry.runtime_data.traces.sent == 1)
        await eventually(lambda: home.states.get("sensor.endpoint_home_calls_today"))

    await load_and_use()
    first = census(home, entry)
    assert first["tasks"] > 0, "the census sees what it counts"
    assert first["listeners"][EVENT_HOMEASSISTANT_FINAL_WRITE] == 1
    assert await home.config_entries.async_unload(entry.entry_id)
    await home.async_block_till_done()
    unloaded = census(home, entry)
    assert unloaded["tasks"] == unloaded["timers"] == unloaded["update listeners"] == 0
    assert not set(unloaded["states"]) - set(before["states"])

    for _ in range(3):
        await load_and_use()
        assert census(home, entry)["listeners"] == first["listeners"]
        assert census(home, entry)["states"] == first["states"]
        assert await home.config_entries.async_unload(entry.entry_id)
        await home.async_block_till_done()
        assert census(home, entry) == unloaded

    await home.config_entries.async_remove(entry.entry_id)
    await home.async_block_till_done()
    assert not er.async_entries_for_config_entry(er.async_get(home), entry.entry_id)
    assert not dr.async_entries_for_config_entry(dr.async_get(home), entry.entry_id)
    after = census(home, entry)
    assert after["files"] == before["files"]
    assert after["states"] == before["states"]
    assert not [key for key in hass_storage if "mlflow" in key]


async def test_system_information_says_which_app_answers(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, shared_tracking: Tracking
) -> None:
    assert await async_setup_component(home, "system_health", {})
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    info = await get_system_health_info(home, "mlflow")
    assert await info["gateway"] == "ok"
    assert await info["tracking"] == "ok"
    assert (info["endpoints"], info["traces_waiting"]) == (3, 0)

    await gateway.stop()
    info = await get_system_health_info(home, "mlflow")
    failure = await info["gateway"]
    assert failure["type"] == "failed"
    assert failure["error"].startswith("MLflow Gateway cannot be reached")
    assert await info["tracking"] == "ok"

    assert await home.config_entries.async_unload(entry.entry_id)
    assert await get_system_health_info(home, "mlflow") == {"set_up": False}
