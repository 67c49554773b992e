"""Settings -> Apps -> Gateway -> Configuration: a key is changed where all keys are kept."""

import hashlib
import json
import urllib.request

from playwright.sync_api import expect
from tests.house.stage import Demo, Watched, app_state, eventually

NEW_KEY = "demo-key-changed-in-the-form-5f1c"


def test_a_key_changed_in_the_form_is_the_key_the_provider_sees(home: Watched, demo: Demo) -> None:
    page, gateway = home.page, demo.app("mlflow-gateway")
    page.locator("ha-sidebar").get_by_text("Settings", exact=True).click()
    settings = page.locator("ha-panel-config")
    settings.get_by_text("Apps", exact=True).first.click()
    settings.get_by_text("MLflow Gateway", exact=True).first.click()
    settings.get_by_text("Configuration", exact=True).first.click()
    options = page.locator("supervisor-app-config")
    options.get_by_role("button", name="Edit").first.click()
    page.locator("input[name=api_key]").fill(NEW_KEY)
    home.shot("credentials")
    page.get_by_role("button", name="Save").last.click()
    page.locator("input[name=api_key]").wait_for(state="detached")

    started = _log(demo).count("Ready")
    options.get_by_role("button", name="Save").last.click()
    page.get_by_role("button", name="Restart").click()
    eventually(lambda: _log(demo).count("Ready") > started, 30, "the Gateway has restarted")
    eventually(
        lambda: app_state(home, gateway["slug"]) == "started", 30, "the Gateway is healthy again"
    )
    expect(page.get_by_text(NEW_KEY)).to_have_count(0)

    answer = home.call(
        {
            "type": "conversation/process",
            "text": "hello",
            "agent_id": demo.note["agent"],
            "language": "en",
        }
    )
    assert answer["response"]["response_type"] != "error"
    with urllib.request.urlopen(demo.note["model"].removesuffix("/v1") + "/calls") as response:
        last = json.load(response)[-1]
    assert last["key_sha256"] == hashlib.sha256(NEW_KEY.encode()).hexdigest()

    for name, text in demo.logs().items():
        assert NEW_KEY not in text, f"the key stands in {name}"
    assert home.failed == []


def _log(demo: Demo) -> str:
    return next(text for name, text in demo.logs().items() if "mlflow-gateway" in name)
