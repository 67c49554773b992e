"""MLflow's pages clicked through in Home Assistant's frame: what a user does with traces, prompts, judges and data."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, expect
from tests.house.mlflow_page import experiment_id, fetch, go, open_mlflow, traces
from tests.house.stage import Demo, Watched, eventually

ASKED = "which lights are on?"


@pytest.fixture
def mlflow(home: Watched) -> Iterator[Watched]:
    """MLflow opened from the sidebar; afterwards nothing has failed and nothing has left the frame."""
    open_mlflow(home)
    yield home
    assert home.failed == []
    assert home.outside == []
    assert "mlflow_tracking" in home.page.url
    assert len(home.page.context.pages) == 1


@pytest.fixture
def experiment(mlflow: Watched) -> str:
    return experiment_id(mlflow, "Home Assistant")


@pytest.fixture
def trace(mlflow: Watched, experiment: str, demo: Demo) -> str:
    """The id of a trace of a conversation."""
    process = {"type": "conversation/process", "text": ASKED, "language": "en"}
    mlflow.call({**process, "agent_id": demo.note["agent"]})
    found = eventually(
        lambda: [t for t in traces(mlflow, experiment) if ASKED in t.get("request_preview", "")],
        30,
        "the trace is in MLflow",
    )
    return str(found[0]["trace_id"])


def dialog(mlflow: Watched) -> Locator:
    return mlflow.frame.get_by_role("dialog").last


def test_a_user_judges_a_trace_and_sees_its_session(
    mlflow: Watched, experiment: str, trace: str
) -> None:
    frame = mlflow.frame
    go(mlflow, f"#/experiments/{experiment}/traces?selectedEvaluationId={trace}")
    frame.get_by_text("Assess", exact=True).first.click()
    frame.get_by_text("Add feedback", exact=True).click()
    frame.get_by_text("Human feedback").click()
    frame.get_by_placeholder("Enter a feedback name").fill("helpful")
    frame.get_by_placeholder("Enter a feedback name").press("Enter")
    frame.get_by_role("button", name="Create", exact=True).click()
    mlflow.shot("assessment")

    def assessed() -> list[dict[str, Any]]:
        whole = fetch(mlflow, f"ajax-api/3.0/mlflow/traces/get?trace_id={trace}")
        return list(whole["trace"]["trace_info"].get("assessments", []))

    (assessment,) = eventually(assessed, 10, "the assessment is kept")
    assert assessment["assessment_name"] == "helpful"
    assert assessment["source"]["source_type"] == "HUMAN"

    go(mlflow, f"#/experiments/{experiment}/chat-sessions")
    frame.get_by_text("View Sessions in Traces tab").click()
    expect(frame.get_by_text(ASKED).first).to_be_visible()
    mlflow.shot("sessions")


def test_a_prompt_gets_a_version_is_compared_and_takes_over_the_alias(mlflow: Watched) -> None:
    frame = mlflow.frame
    name = {"name": "beside"}
    is_prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    text = {"key": "mlflow.prompt.text", "value": "You look after {{ ha_name }}."}
    kind = {"key": "_mlflow_prompt_type", "value": "text"}
    api = "ajax-api/2.0/mlflow"
    fetch(mlflow, f"{api}/registered-models/create", {**name, "tags": [is_prompt]})
    version = {**name, "source": "dummy-source", "tags": [is_prompt, text, kind]}
    fetch(mlflow, f"{api}/model-versions/create", version)

    go(mlflow, "#/prompts/beside")
    frame.get_by_text("Create prompt version").first.click()
    dialog(mlflow).get_by_role("textbox").first.fill("You look after {{ ha_name }}. Be brief.")
    dialog(mlflow).get_by_role("button", name="Create", exact=True).click()
    expect(frame.get_by_text("Viewing version 2")).to_be_visible()

    frame.get_by_text("Aliases:").locator("xpath=following::button[1]").click()
    alias = dialog(mlflow).get_by_role("combobox")
    alias.fill("production")
    alias.press("Enter")
    dialog(mlflow).get_by_role("button", name="Save aliases").click()
    expect(frame.get_by_text("@ production").first).to_be_visible()
    found = fetch(mlflow, f"{api}/registered-models/alias?name=beside&alias=production")
    assert found["model_version"]["version"] == "2"

    frame.get_by_text("Compare", exact=True).first.click()
    expect(frame.get_by_text(re.compile("Comparing version"))).to_be_visible()
    mlflow.shot("prompt-compare")


def test_a_judge_is_made_from_the_form_on_an_endpoint_of_the_gateway(
    mlflow: Watched, experiment: str
) -> None:
    frame = mlflow.frame
    go(mlflow, f"#/experiments/{experiment}/judges")
    frame.get_by_role("button", name=re.compile("judge", re.IGNORECASE)).first.click()
    frame.locator("input[name=name]").fill("polite")
    frame.get_by_text("Evaluation criteria").click()
    instructions = frame.locator("textarea[name=instructions]")
    instructions.fill("Is the answer in {{ outputs }} to {{ inputs }} polite?")
    dialog(mlflow).get_by_text("Select an endpoint", exact=True).click()
    frame.get_by_role("option", name="home").click()
    mlflow.shot("judge")
    frame.get_by_role("button", name="Create judge").click()
    expect(frame.get_by_text("polite").first).to_be_visible()
    listed = fetch(mlflow, f"ajax-api/3.0/mlflow/scorers/list?experiment_id={experiment}")
    (made,) = listed["scorers"]
    assert made["scorer_name"] == "polite"
    assert "gateway:/home" in made["serialized_scorer"]


def test_the_playground_answers_through_the_gateway(mlflow: Watched, experiment: str) -> None:
    frame = mlflow.frame
    go(mlflow, f"#/experiments/{experiment}/playground")
    frame.get_by_text("Select an endpoint").click()
    frame.get_by_role("option", name=re.compile("home")).first.click()
    frame.get_by_placeholder("Type a message").first.fill("hello")
    frame.get_by_role("button", name="Submit").click()
    expect(frame.get_by_text(re.compile("I am the demo's scripted model")).first).to_be_visible()
    mlflow.shot("playground-answer")


def test_a_dataset_is_made_and_the_other_pages_open(mlflow: Watched, experiment: str) -> None:
    frame = mlflow.frame
    go(mlflow, f"#/experiments/{experiment}/datasets")
    frame.get_by_role("button", name="Create dataset").first.click()
    dialog(mlflow).get_by_role("textbox").fill("evenings")
    dialog(mlflow).get_by_role("button", name="Create", exact=True).click()
    expect(frame.get_by_text("evenings").first).to_be_visible()
    pages = {
        f"#/experiments/{experiment}/evaluation-runs": "Evaluation runs",
        "#/gateway": "home",
        "#/gateway/usage": "Usage",
        "#/gateway/budgets": "Budgets",
        "#/settings": "Settings",
    }
    for route, text in pages.items():
        go(mlflow, route)
        expect(frame.get_by_text(text).last).to_be_visible()
        mlflow.page.wait_for_load_state("networkidle")


def test_an_artifact_goes_up_and_down_and_a_too_large_one_ends_in_words(
    mlflow: Watched, experiment: str
) -> None:
    run = fetch(mlflow, "ajax-api/2.0/mlflow/runs/create", {"experiment_id": experiment})
    run_id = run["run"]["info"]["run_id"]
    frame = next(f for f in mlflow.page.frames if "hassio_ingress" in f.url)
    upload = """async ([run, name, size]) => {
        const body = JSON.stringify({text: "a".repeat(size)});
        const path = `ajax-api/2.0/mlflow/upload-artifact?run_uuid=${run}&path=${name}`;
        const answer = await fetch(path, {method: "POST", body});
        return [answer.status, await answer.text()];
    }"""
    assert frame.evaluate(upload, [run_id, "fits.json", 9 * 2**20])[0] == 200
    status, said = frame.evaluate(upload, [run_id, "large.json", 16 * 2**20])
    assert status == 413
    assert "16 MiB" in json.loads(said)["message"]
    expect(mlflow.frame.get_by_role("alert").get_by_text("16 MiB")).to_be_visible()
    mlflow.shot("too-large")

    go(mlflow, f"#/experiments/{experiment}/runs/{run_id}/artifacts")
    mlflow.frame.get_by_text("fits.json").first.click()
    with mlflow.page.expect_download() as download:
        # The button after the size has no name.
        mlflow.frame.get_by_text("9MB").locator("xpath=following::button[1]").click()
    assert download.value.path().stat().st_size == 9 * 2**20 + len('{"text":""}')


def test_on_a_phone_the_sidebar_leaves_the_page_its_room(mlflow: Watched) -> None:
    mlflow.page.set_viewport_size({"width": 390, "height": 844})
    mlflow.page.reload()
    mlflow.frame.get_by_text("New run").first.wait_for(timeout=60_000)
    sidebar = mlflow.frame.locator("aside").first
    expect(sidebar).to_have_css("width", re.compile(r"^(3|4)\dpx$"))
    mlflow.page.wait_for_load_state("networkidle")
    mlflow.shot("phone")
    sidebar.get_by_role("button", name="Toggle sidebar").click()
    expect(sidebar).to_have_css("width", "190px")
