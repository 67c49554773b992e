"""Assist: a sentence switches a real light, and the turn can be looked up in MLflow."""

import json
import re
from itertools import pairwise

from playwright.sync_api import expect
from tests.house.mlflow_page import experiment_id, fetch, go, open_mlflow, traces
from tests.house.stage import Watched, eventually

LIGHT = "light.kitchen_lights"


def test_turn_on_the_kitchen_lights(home: Watched) -> None:
    home.call(
        {
            "type": "call_service",
            "domain": "light",
            "service": "turn_off",
            "service_data": {"entity_id": LIGHT},
        }
    )
    eventually(lambda: state(home, LIGHT) == "off", 5, "the light is off")

    home.page.keyboard.press("a")
    chat = home.page.locator("ha-assist-chat")
    chat.wait_for()
    sentence = chat.locator("input").first
    sentence.fill("turn on the kitchen lights")
    sentence.press("Enter")
    expect(
        chat.get_by_text(re.compile("Turned on the kitchen lights", re.IGNORECASE))
    ).to_be_visible()
    home.shot("assist")
    assert state(home, LIGHT) == "on"

    home.page.keyboard.press("Escape")
    home.page.goto(f"{home.base}/home/overview")
    open_mlflow(home)
    experiment = experiment_id(home, "Home Assistant")
    trace = eventually(
        lambda: next(
            (
                found
                for found in traces(home, experiment)
                if "turn on the kitchen lights" in found.get("request_preview", "").lower()
                and "mlflow.linkedPrompts" in found.get("tags", {})
            ),
            None,
        ),
        15,
        "the trace is in MLflow",
    )
    assert trace["state"] == "OK"
    whole = fetch(home, f"ajax-api/3.0/mlflow/traces/get?trace_id={trace['trace_id']}")
    kinds = [kind(span) for span in whole["trace"]["spans"]]
    assert kinds.count("AGENT") == 1
    assert kinds.count("CHAT_MODEL") == 2
    assert kinds.count("TOOL") == 1
    assert json.loads(trace["tags"]["mlflow.linkedPrompts"])[0]["name"] == "home"

    go(home, f"#/experiments/{experiment}/traces")
    home.frame.get_by_text(re.compile("turn on the kitchen lights", re.IGNORECASE)).first.wait_for()
    expect(home.frame.get_by_text("Got it")).to_be_hidden()  # no hint lies over a first visit
    home.page.wait_for_load_state("networkidle")
    home.shot("traces")
    go(home, f"#/experiments/{experiment}/traces?selectedEvaluationId={trace['trace_id']}")
    home.page.wait_for_load_state("networkidle")
    home.shot("trace")
    assert home.failed == []


# Notes every text that the newest bubble of the Assist dialog has shown, frame by frame.
NOTE_TEXTS = """chat => {
    const text = node => node.nodeType === Node.TEXT_NODE ? node.data
        : [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes].map(text).join("");
    window.shown = [];
    const look = () => {
        const newest = [...chat.shadowRoot.querySelectorAll(".message.hass")].at(-1);
        const now = newest ? text(newest).replace("\u2026", "").trim() : "";
        if (now && now !== window.shown.at(-1)) window.shown.push(now);
        requestAnimationFrame(look);
    };
    look();
}"""


def test_an_answer_grows_word_by_word_while_the_model_speaks(home: Watched) -> None:
    home.page.keyboard.press("a")
    chat = home.page.locator("ha-assist-chat")
    chat.wait_for()
    chat.evaluate(NOTE_TEXTS)
    sentence = chat.locator("input").first
    sentence.fill("tell me of " + "the cat and " * 20 + "the end")
    sentence.press("Enter")
    expect(chat.get_by_text(re.compile(r"You said: tell me of .* the end$"))).to_be_visible()

    shown = [text for text in home.page.evaluate("shown") if text.startswith("I am")]
    whole = shown[-1]
    assert whole.endswith("the end")
    assert len(shown) >= 10, "the model says it in 60 words, and the dialog shows them as they come"
    assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
    assert len(shown[0]) < len(whole) / 2


def state(home: Watched, entity_id: str) -> str:
    return str(
        home.page.evaluate(
            "id => document.querySelector('home-assistant').hass.states[id].state", entity_id
        )
    )


def kind(span: dict[str, object]) -> str:
    attributes = {item["key"]: item["value"] for item in span["attributes"]}  # type: ignore[attr-defined]
    return str(attributes["mlflow.spanType"].get("string_value")).strip('"')
