"""Tokens and private texts stay where they belong."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from custom_components.mlflow.diagnostics import async_get_config_entry_diagnostics
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_get_persistent_notifications,
)

from .conftest import Ask, MakeEntry, Tracking, eventually
from .standins import StandInGateway, says


async def test_no_token_is_in_the_log_or_in_the_diagnostics(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    ask: Ask,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    entry = make_entry(shared_tracking, prompt="You keep a secret: the safe is behind the clock.")
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [says("Hello.")]
    await ask("hello")
    await eventually(lambda: entry.runtime_data.traces.sent)
    await gateway.stop()
    await ask("hello")

    tokens = (gateway.token, shared_tracking.token)
    assert not [token for token in tokens if token in caplog.text]
    diagnostics = json.dumps(await async_get_config_entry_diagnostics(home, entry))
    assert "**REDACTED**" in diagnostics
    for private in (*tokens, "behind the clock", gateway.host):
        assert private not in diagnostics
    assert not async_get_persistent_notifications(home)


async def test_a_blocking_call_of_ours_would_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    """The detector that is on in every test, shown something to detect."""
    package = Path(__file__).parents[2] / "custom_components" / "mlflow"
    source = "def read(path):\n    open(path).close()\n"
    room: dict[str, Any] = {}
    exec(compile(source, str(package / "blocking.py"), "exec"), room)
    room["read"](str(package / "manifest.json"))
    assert "integration 'mlflow'" in caplog.text
    caplog.clear()
