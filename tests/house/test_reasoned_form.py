"""Settings -> Devices & services -> MLflow: a reasoned state is made from a preset, and one on a phone."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect
from tests.house.stage import ROOT, Demo, Watched, eventually

PHONE = {"width": 390, "height": 844}
BLUEPRINTS = ROOT / "blueprints" / "automation" / "mlflow"


class Form:
    """The form of a reasoned state, by what a user reads and clicks."""

    def __init__(self, home: Watched) -> None:
        self._home = home
        self._page = home.page

    def open(self) -> None:
        self._page.goto(f"{self._home.base}/config/integrations/integration/mlflow")
        self.click("Add reasoned state")
        self.step("Reasoned state")

    def step(self, title: str) -> None:
        """Wait for the step of this title."""
        heading = self._page.locator("dialog-data-entry-flow").get_by_text(title, exact=True)
        expect(heading.first).to_be_visible()

    def click(self, name: str) -> None:
        self._page.get_by_role("button", name=name, exact=True).first.click()

    def next(self, title: str) -> None:
        self.click("Next")
        self.step(title)

    def choose(self, name: str) -> None:
        """Choose from a menu."""
        self._page.locator("ha-list-item", has_text=name).click()

    def field(self, name: str) -> Locator:
        return self._page.locator(f"input[name={name}], textarea[name={name}]")

    def number(self, label: str) -> Locator:
        return self._page.locator("ha-selector-number", has_text=label).locator("input")

    def shot(self, name: str) -> None:
        self._page.wait_for_timeout(500)  # a picture of a dialog that slides in is of no use
        self._home.shot(f"reasoned-{name}")


def entity_of(home: Watched, title: str) -> dict[str, Any]:
    """The entity that shows a state, as the registry has it."""

    def find() -> dict[str, Any] | None:
        entities = home.call({"type": "config/entity_registry/list"})
        devices = {
            device["id"]: device["name"]
            for device in home.call({"type": "config/device_registry/list"})
        }
        return next(
            (
                entity
                for entity in entities
                if entity["platform"] == "mlflow"
                and devices.get(entity["device_id"]) == title
                and entity["translation_key"] == "reasoned_state"
            ),
            None,
        )

    return dict(eventually(find, 20, f"the entity of {title}"))


def state_of(home: Watched, entity_id: str) -> dict[str, Any]:
    states = home.call({"type": "get_states"})
    return next((dict(state) for state in states if state["entity_id"] == entity_id), {})


def act(home: Watched, domain: str, service: str, entity_id: str) -> None:
    home.call(
        {
            "type": "call_service",
            "domain": domain,
            "service": service,
            "target": {"entity_id": entity_id},
        }
    )


def test_a_state_is_made_from_a_preset_and_seen_before_it_is_saved(home: Watched) -> None:
    act(home, "light", "turn_on", "light.bedroom_lights")
    act(home, "media_player", "turn_on", "media_player.living_room_tv")
    form = Form(home)
    form.open()
    form.shot("presets")
    form.choose("Someone asleep")
    form.step("The question")
    expect(form.field("name")).to_have_value("Someone asleep")
    form.field("name").fill("AK sleeps")
    form.field("question").fill(
        "Is AK asleep? AK sleeps in the bedroom. Lying there in the dark without motion for a while"
        " counts as asleep. Watching television does not."
    )
    form.shot("question")
    form.next("Yes or no")
    form.next("The evidence")
    for found in ("Bedroom motion · 2 hours", "Bedroom lights · 2 hours", "Living room TV"):
        expect(home.page.get_by_text(found).first).to_be_visible()
    form.shot("evidence")
    form.next("When to think, and how sure")
    form.shot("thinking")
    form.number("Least confidence").fill("50")
    form.number("Agreeing answers before it flips").fill("1")

    form.next("What the model says now")
    told = home.page.locator("ha-markdown").first
    expect(told).to_contain_text(re.compile(r"(Yes|No)\s+\d+% sure, measured"))
    expect(told).to_contain_text(re.compile(r"Decided by: \w+"))
    expect(told).to_contain_text(re.compile(r"\d{3,} tokens"))
    home.page.get_by_text("The evidence as the model saw it").click()
    expect(told).to_contain_text("light.bedroom_lights")
    expect(told).to_contain_text("It is now")
    form.shot("preview")
    form.choose("Save")
    form.click("Finish")

    entity = entity_of(home, "AK sleeps")
    assert entity["entity_id"] == "binary_sensor.ak_sleeps"
    act(home, "button", "press", "button.ak_sleeps_think_now")
    shown = eventually(
        lambda: (
            state_of(home, entity["entity_id"])
            if state_of(home, entity["entity_id"])["state"] in ("on", "off")
            else None
        ),
        20,
        "an answer",
    )
    assert shown["attributes"]["reason"]
    assert shown["attributes"]["confidence"] >= 50
    # the dialog that closes takes the browser one page back, now and then after this
    expect(home.page.get_by_text("Finish")).to_have_count(0)
    home.page.wait_for_load_state("networkidle")
    home.page.goto(f"{home.base}/config/devices/device/{entity['device_id']}")
    home.page.wait_for_timeout(500)
    if entity["device_id"] not in home.page.url:
        home.page.goto(f"{home.base}/config/devices/device/{entity['device_id']}")
    expect(home.page.get_by_text("Think now").first).to_be_visible()
    home.page.wait_for_load_state("networkidle")
    home.shot("reasoned-device")
    assert home.failed == []


def test_the_form_can_be_used_on_a_phone(home: Watched) -> None:
    page = home.page
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    form = Form(home)
    form.open()
    form.choose("Something else")
    form.step("The question")
    form.field("name").fill("Light in the bedroom")
    page.get_by_text("One of several choices").click()
    form.click("Next")
    expect(page.get_by_text("Write a question, or choose a prompt below.")).to_be_visible()
    form.field("question").fill("How is the bedroom lit?")
    form.next("The choices")
    for choice in ("Off", "On"):
        form.click("Add")
        dialog = page.locator("dialog-form")
        dialog.locator("input[name=choice]").fill(choice)
        dialog.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("ha-selector-object").get_by_text(choice, exact=True)).to_be_visible()
    form.next("The evidence")

    form.click("Next")
    expect(page.get_by_text("Add at least one piece of evidence")).to_be_visible()
    form.click("Add")
    page.locator("dialog-form").get_by_text("Everything in areas").click()
    page.get_by_text("Bedroom", exact=True).last.click()
    form.shot("phone-evidence")
    page.locator("dialog-form").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("ha-selector-object").get_by_text("Bedroom")).to_be_visible()
    form.next("When to think, and how sure")
    form.next("What the model says now")
    form.shot("phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], (
        "nothing is wider than the phone"
    )

    form.choose("Change the evidence")
    form.step("The evidence")
    form.next("What the model says now")
    form.choose("Save")
    form.click("Finish")
    entity = entity_of(home, "Light in the bedroom")
    assert entity["entity_id"] == "sensor.light_in_the_bedroom"
    assert state_of(home, entity["entity_id"])["attributes"]["options"] == ["Off", "On"]
    assert home.failed == []


@pytest.mark.parametrize("name", sorted(file.stem for file in BLUEPRINTS.glob("*.yaml")))
def test_a_blueprint_makes_an_automation(home: Watched, demo: Demo, name: str) -> None:
    folder = Path(demo.note["home_directory"]) / "blueprints" / "automation" / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    text = (BLUEPRINTS / f"{name}.yaml").read_text()
    (folder / f"{name}.yaml").write_text(text)
    known = home.call({"type": "blueprint/list", "domain": "automation"})
    blueprint = known[f"mlflow/{name}.yaml"]
    assert "error" not in blueprint

    needed = [
        field
        for field, settings in blueprint["metadata"]["input"].items()
        if "default" not in (settings or {})
    ]
    values = {"phone": "notify.phone", "right": "button.a_right", "wrong": "button.a_wrong"}
    automation = {
        "alias": f"Blueprint {name}",
        "use_blueprint": {
            "path": f"mlflow/{name}.yaml",
            "input": {field: values.get(field, "binary_sensor.ak_sleeps") for field in needed},
        },
    }
    home.page.evaluate(
        "([id, automation]) => document.querySelector('home-assistant').hass"
        ".callApi('POST', `config/automation/config/${id}`, automation)",
        [f"{name}_{time.time_ns()}", automation],
    )
    eventually(
        lambda: state_of(home, f"automation.blueprint_{name}").get("state") == "on",
        20,
        "the automation is loaded",
    )
