"""Where an agent's instructions come from, and that they are there when MLflow is not."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from custom_components.mlflow.const import STARTER_TEXT
from custom_components.mlflow.tracking import PromptReference, TrackingClient
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_fire_time_changed,
)

from .conftest import Ask, MakeEntry, Tracking, eventually
from .standins import StandInGateway, says

HOME = PromptReference("home", alias="production")


def system_message(gateway: StandInGateway) -> str:
    return str(gateway.requests[-1]["messages"][0]["content"])


async def test_a_new_home_gets_an_experiment_and_a_starter_prompt(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    own_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
    ask: Ask,
) -> None:
    await home.async_add_executor_job(own_tracking.start)
    assert await home.config_entries.async_setup(make_entry(own_tracking).entry_id)
    client = mlflow(own_tracking)

    version = await eventually(lambda: client.prompt(HOME))

    assert version.version == 1
    gateway.script = [says("Hello.")]
    await ask("hello")
    assert system_message(gateway).startswith("You are the voice assistant of Test Home.")


@pytest.mark.parametrize("text", [None, STARTER_TEXT], ids=["no version", "no alias"])
async def test_a_starter_prompt_that_was_cut_off_half_way_is_finished(
    home: HomeAssistant,
    make_entry: MakeEntry,
    own_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
    text: str | None,
) -> None:
    await home.async_add_executor_job(own_tracking.start)
    client = mlflow(own_tracking)
    await client.create_prompt("home", await client.experiment_id("Home Assistant"))
    if text:
        await client.create_prompt_version("home", text, "")

    assert await home.config_entries.async_setup(make_entry(own_tracking).entry_id)

    assert (await eventually(lambda: client.prompt(HOME))).version == 1


async def test_a_prompt_of_the_users_own_that_is_called_as_the_starter_is_left_alone(
    home: HomeAssistant,
    make_entry: MakeEntry,
    own_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
) -> None:
    await home.async_add_executor_job(own_tracking.start)
    client = mlflow(own_tracking)
    await client.create_prompt("home", await client.experiment_id("Home Assistant"))
    await client.create_prompt_version("home", "My own words.", "")
    entry = make_entry(own_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)

    await eventually(lambda: HOME in entry.runtime_data.prompts.missing)

    assert await client.prompt(HOME) is None
    assert await client.prompt(PromptReference("home", version=2)) is None


async def test_a_new_version_behind_the_alias_is_live_within_a_minute(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
    ask: Ask,
) -> None:
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    client = mlflow(shared_tracking)
    await eventually(lambda: entry.runtime_data.prompts.get(HOME))
    number = await client.create_prompt_version("home", "You are a pirate.", "a test")
    await client.set_alias("home", "production", number)

    async_fire_time_changed(home, dt_util.utcnow() + timedelta(seconds=60))

    await eventually(lambda: entry.runtime_data.prompts.get(HOME).version == number)
    gateway.script = [says("Arr.")]
    await ask("hello")
    assert system_message(gateway).startswith("You are a pirate.")


async def test_the_last_known_prompt_outlives_mlflow_and_a_restart(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    own_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
    ask: Ask,
) -> None:
    await home.async_add_executor_job(own_tracking.start)
    entry = make_entry(own_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    client = mlflow(own_tracking)
    await eventually(lambda: entry.runtime_data.prompts.get(HOME))
    number = await client.create_prompt_version("home", "You are a robot.", "a test")
    await client.set_alias("home", "production", number)
    await entry.runtime_data.tracking.async_refresh()

    own_tracking.stop()
    assert await home.config_entries.async_reload(entry.entry_id)

    gateway.script = [says("Beep.")]
    await ask("hello")
    assert system_message(gateway).startswith("You are a robot.")


async def test_a_prompt_that_never_was_is_replaced_by_the_built_in_one(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    ask: Ask,
) -> None:
    entry = make_entry(shared_tracking, prompt_reference="nothing@here")
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [says("Hello.")]
    await ask("hello")
    assert system_message(gateway).startswith("You are the voice assistant of Test Home.")


async def test_a_chat_prompt_brings_its_examples_and_its_settings(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
    ask: Ask,
) -> None:
    client = mlflow(shared_tracking)
    await client.create_prompt("chat", await client.experiment_id("Home Assistant"))
    chat = [
        {"role": "system", "content": "You answer {{ user_name or 'nobody' }}."},
        {"role": "user", "content": "2 and 2"},
        {"role": "assistant", "content": "{{ 2 + 2 }}"},
    ]
    settings = {"temperature": 0.1, "max_tokens": 77, "stop_sequences": ["."], "top_k": None}
    tags = {
        "mlflow.prompt.is_prompt": "true",
        "mlflow.prompt.text": json.dumps(chat),
        "_mlflow_prompt_type": "chat",
        "_mlflow_prompt_model_config": json.dumps(settings),
    }
    await client._call(
        "POST",
        "model-versions/create",
        {
            "name": "chat",
            "source": "dummy-source",
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        },
    )
    entry = make_entry(shared_tracking, prompt_reference="chat/1", llm_hass_api=None, max_tokens=5)
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [says("6")]
    await ask("3 and 3")

    request = gateway.requests[-1]
    system, example, answer, question = request["messages"]
    assert system["content"].strip() == "You answer nobody."
    assert (example["content"], answer["content"]) == ("2 and 2", "4")
    assert question["content"].startswith("3 and 3")
    assert (request["temperature"], request["stop"]) == (0.1, ["."])
    assert request["max_tokens"] == 5  # the agent's own setting stands above the prompt's


async def test_a_broken_version_is_reported_and_the_last_good_one_used(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
    ask: Ask,
) -> None:
    client = mlflow(shared_tracking)
    await client.create_prompt("broken", await client.experiment_id("Home Assistant"))
    number = await client.create_prompt_version("broken", "You are fine.", "a test")
    await client.set_alias("broken", "live", number)
    entry = make_entry(shared_tracking, prompt_reference="broken@live")
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [says("ok")] * 4
    await ask("hello")
    issues = ir.async_get(home).issues

    for text, line in (("You are\nhappy {{ now( }}.", "2"), ("Hello\n\n{{ question }}", "3")):
        number = await client.create_prompt_version("broken", text, "a test")
        await client.set_alias("broken", "live", number)
        await entry.runtime_data.tracking.async_refresh()
        await ask("hello")
        assert system_message(gateway).startswith("You are fine.")
        placeholders = issues[("mlflow", "prompt_broken_agent")].translation_placeholders
        assert placeholders is not None
        assert placeholders["prompt"] == f"broken/{number}"
        assert placeholders["line"] == line

    number = await client.create_prompt_version("broken", "You are mended.", "a test")
    await client.set_alias("broken", "live", number)
    await entry.runtime_data.tracking.async_refresh()
    await ask("hello")
    assert system_message(gateway).startswith("You are mended.")
    assert ("mlflow", "prompt_broken_agent") not in issues


async def test_what_a_template_gave_is_not_rendered_again(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    home.states.async_set("sensor.note", "{{ 1 + 1 }} 'é' \\ 😀\nend")
    entry = make_entry(prompt="The note says: {{ states('sensor.note') }}")
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [says("ok")]
    await ask("hello")
    assert "The note says: {{ 1 + 1 }} 'é' \\ 😀\nend" in system_message(gateway)


async def test_the_first_turn_of_a_new_home_waits_a_moment_for_its_prompt(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Callable[[Tracking], TrackingClient],
    ask: Ask,
) -> None:
    client = mlflow(shared_tracking)
    await client.create_prompt("new", await client.experiment_id("Home Assistant"))
    await client.create_prompt_version("new", "You are new here.", "a test")
    assert await home.config_entries.async_setup(
        make_entry(shared_tracking, prompt_reference="new/1").entry_id
    )
    gateway.script = [says("Hello.")]
    await ask("hello")
    assert system_message(gateway).startswith("You are new here.")
