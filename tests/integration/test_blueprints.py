"""The blueprints of this repository, loaded by Home Assistant's automations and doing what they say."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.blueprint.importer import _get_github_import_url
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import parse_yaml
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_fire_time_changed,
    async_mock_service,
)

FOLDER = Path(__file__).parents[2] / "blueprints" / "automation" / "mlflow"
STATE = "binary_sensor.asleep"


@pytest.fixture
async def said(home: HomeAssistant) -> AsyncGenerator[list[ServiceCall]]:
    """What is done at the end of an automation, which is stopped after the test."""
    yield async_mock_service(home, "notify", "phone")
    await home.services.async_call(
        "automation", "turn_off", {"entity_id": "all", "stop_actions": True}, blocking=True
    )


async def use(home: HomeAssistant, name: str, **inputs: Any) -> None:
    """Make an automation of a blueprint, as the user interface does."""
    folder = Path(home.config.path("blueprints/automation/mlflow"))
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    blueprint = {"path": f"mlflow/{name}.yaml", "input": inputs}
    automation = {"alias": name, "use_blueprint": blueprint}
    show(home, "off")
    assert await async_setup_component(home, "automation", {"automation": [automation]})
    await home.async_block_till_done()
    state = home.states.get(f"automation.{name}")
    assert state is not None
    assert state.state == "on", "it was loaded without a fault"


def show(home: HomeAssistant, value: str, **attributes: Any) -> None:
    home.states.async_set(STATE, value, {"friendly_name": "AK asleep", **attributes})


async def pass_time(home: HomeAssistant, freezer: FrozenDateTimeFactory, **length: float) -> None:
    freezer.tick(timedelta(**length))
    async_fire_time_changed(home)
    await settle()


async def settle() -> None:
    """Let everything run that can; an automation that waits for a time is not waited for."""
    for _ in range(100):
        await asyncio.sleep(0)


def notify(message: str) -> list[dict[str, Any]]:
    return [{"action": "notify.phone", "data": {"message": message}}]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_it_can_be_imported_from_where_it_says_it_is(file: Path) -> None:
    content: Any = parse_yaml(file.read_text())
    address = content["blueprint"]["source_url"]
    assert address.endswith(f"/blob/main/blueprints/automation/mlflow/{file.name}")
    assert "raw.githubusercontent.com" in _get_github_import_url(address)
    guide = (FOLDER.parents[2] / "docs" / "reasoned-states.md").read_text()
    assert address.replace(":", "%3A").replace("/", "%2F") in guide, "the guide has its button"


async def test_asleep_and_awake(
    home: HomeAssistant, said: list[ServiceCall], freezer: FrozenDateTimeFactory
) -> None:
    await use(home, "asleep", asleep=STATE, on_asleep=notify("asleep"), on_awake=notify("awake"))
    show(home, "on", confidence=90)
    await pass_time(home, freezer, minutes=9)
    assert said == [], "not before it has lasted"
    await pass_time(home, freezer, minutes=2)
    assert [call.data["message"] for call in said] == ["asleep"]
    show(home, "off", confidence=60)
    await pass_time(home, freezer, minutes=3)
    assert len(said) == 1, "not sure enough"
    show(home, "on", confidence=None)
    await pass_time(home, freezer, minutes=1)
    show(home, "off", confidence=None)
    await pass_time(home, freezer, minutes=3)
    assert said[-1].data["message"] == "awake", "a correction counts"


async def test_tell_and_remind(
    home: HomeAssistant, said: list[ServiceCall], freezer: FrozenDateTimeFactory
) -> None:
    tell = notify("{{ name }} {{ answer }}: {{ reason }} {{ confidence }}")
    await use(home, "tell", state=STATE, tell=tell, reminders=5)
    show(home, "on", reason="It is dark.", confidence=81)
    await settle()
    assert [call.data["message"] for call in said] == ["AK asleep on: It is dark. 81"]
    show(home, "on", reason="It is still dark.", confidence=83)
    await pass_time(home, freezer, minutes=31)
    assert len(said) == 2, "reminded once, and not told of another reason"
    show(home, "off")
    await pass_time(home, freezer, minutes=31)
    await pass_time(home, freezer, minutes=31)
    assert len(said) == 2


@pytest.mark.parametrize("answer", ["right", "wrong"])
async def test_ask_whether_it_is_right(
    home: HomeAssistant, said: list[ServiceCall], freezer: FrozenDateTimeFactory, answer: str
) -> None:
    presses = async_mock_service(home, "button", "press")
    buttons = {"right": "button.asleep_right", "wrong": "button.asleep_wrong"}
    await use(home, "ask", state=STATE, phone="notify.phone", **buttons)
    show(home, "on", reason="It is dark.", confidence=95)
    await settle()
    assert said == [], "the model is sure"
    show(home, "off", reason="The light is on.", confidence=72)
    await settle()
    [question] = said
    assert question.data["title"] == "AK asleep: off?"
    assert question.data["message"] == "The light is on. (72 %)"
    actions = question.data["data"]["actions"]
    chosen = next(each["action"] for each in actions if each["title"].casefold() == answer)
    home.bus.async_fire("mobile_app_notification_action", {"action": chosen})
    await settle()
    assert [press.data["entity_id"] for press in presses] == [[buttons[answer]]]

    show(home, "on", confidence=71)
    await pass_time(home, freezer, hours=3)
    assert len(said) == 1, "not so soon again"
    await pass_time(home, freezer, hours=2)
    show(home, "off", confidence=71)
    await settle()
    assert len(said) == 2
