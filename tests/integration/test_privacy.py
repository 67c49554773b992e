"""Tokens and private texts stay where they belong."""

import json
import logging

import pytest
from custom_components.mlflow.diagnostics import async_get_config_entry_diagnostics
from homeassistant import block_async_io
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_get_persistent_notifications,
)

from .conftest import Ask, MakeEntry, Tracking, eventually
from .standins import StandInGateway, calls, says


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


async def test_no_call_blocks_the_event_loop(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    ask: Ask,
    caplog: pytest.LogCaptureFixture,
    disable_block_async_io: None,
) -> None:
    """With Home Assistant's own detector on, from set-up to unloading."""
    block_async_io.enable()
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [calls(("llm__GetDateTime", {})), says("It is late.")]
    await ask("what time is it")
    await eventually(lambda: entry.runtime_data.traces.sent)
    await async_get_config_entry_diagnostics(home, entry)
    assert await home.config_entries.async_unload(entry.entry_id)
    assert "Detected blocking call" not in caplog.text
