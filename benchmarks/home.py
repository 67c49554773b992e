"""A real Home Assistant for a benchmark, in a folder of its own, and the form of the figures."""

import asyncio
import contextlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.contenders import ROOT, free_port
from homeassistant import bootstrap, runner
from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigEntryState
from homeassistant.const import MAJOR_VERSION, MINOR_VERSION
from homeassistant.core import HomeAssistant


def _lay(folder: Path, configuration: str) -> None:
    storage = folder / ".storage"
    storage.mkdir()
    # an `http:` of YAML is only a trial of five minutes
    (storage / "http").write_text(json.dumps(_http(free_port())))
    (folder / "configuration.yaml").write_text(configuration)
    (folder / "custom_components").mkdir()
    (folder / "custom_components" / "mlflow").symlink_to(ROOT / "custom_components" / "mlflow")


def _http(port: int) -> dict[str, Any]:
    """Return the stored settings of Home Assistant's web server."""
    is_newest = (MAJOR_VERSION, MINOR_VERSION) >= (2026, 11)
    http = {
        "server_host": ["127.0.0.1"],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": True,
        "ssl_profile": "intermediate_v6" if is_newest else "intermediate",
        "use_x_frame_options": True,
        "created_at": "2026-01-01T00:00:00+00:00",
        "error": None,
        "error_message": None,
    }
    data = {"pending": None, "yaml_migration_done": True, "stable": http}
    return {"version": 3 if is_newest else 2, "minor_version": 1, "key": "http", "data": data}


@contextlib.asynccontextmanager
async def home(configuration: str) -> AsyncIterator[HomeAssistant]:
    """A Home Assistant of its own with a configuration.yaml and the integration in its folder."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
    try:
        await asyncio.to_thread(_lay, folder, configuration)
        config = runner.RuntimeConfig(config_dir=str(folder), skip_pip=True, log_no_color=True)
        hass = await bootstrap.async_setup_hass(config)
        assert hass is not None
        logging.getLogger().setLevel(logging.WARNING)
        await hass.async_start()
        await hass.async_block_till_done()
        try:
            yield hass
        finally:
            await hass.async_stop(force=True)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


def entry_of(
    domain: str, data: dict[str, Any], subentries: list[dict[str, Any]], **more: Any
) -> ConfigEntry:
    """Make a config entry; `subentries` have `subentry_type`, `title` and `data`."""
    return ConfigEntry(
        domain=domain,
        title=domain,
        data=data,
        options=more.get("options", {}),
        source=SOURCE_USER,
        unique_id=more.get("unique_id"),
        version=1,
        minor_version=more.get("minor_version", 1),
        discovery_keys=MappingProxyType({}),
        subentries_data=[{"unique_id": None, **subentry} for subentry in subentries],  # type: ignore[typeddict-item]
    )


async def set_up(hass: HomeAssistant, entry: ConfigEntry) -> float:
    """Return the milliseconds that an entry takes, its imports included."""
    began = time.perf_counter()
    await hass.config_entries.async_add(entry)
    await hass.async_block_till_done()
    taken = (time.perf_counter() - began) * 1000
    assert entry.state is ConfigEntryState.LOADED, f"{entry.domain}: {entry.state} {entry.reason}"
    return taken


def resident_mb() -> float:
    """Proportional set size of this process, in MB."""
    fields = Path("/proc/self/smaps_rollup").read_text().split()
    return int(fields[fields.index("Pss:") + 1]) / 1024


def figure(
    unit: str, ours: float, goal: float, peers: dict[str, float] | None = None, **more: Any
) -> dict[str, Any]:
    """Give a figure the form that latest.json has."""
    rounded = {name: round(value, 3) for name, value in (peers or {}).items()}
    return {
        "unit": unit,
        "ours": round(ours, 3),
        "peers": rounded,
        "goal": round(goal, 3),
        "higher_is_better": more.get("higher_is_better", False),
    }
