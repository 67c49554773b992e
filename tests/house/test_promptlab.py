"""The sidebar opens MLflow, and PromptLab works there."""

import re

from playwright.sync_api import expect
from tests.house.mlflow_page import experiment_id, fetch, go, open_mlflow
from tests.house.stage import Demo, Watched


def test_a_user_logs_in_and_makes_a_promptlab_run_by_clicking(
    anonymous: Watched, demo: Demo
) -> None:
    page = anonymous.page
    page.goto(demo.base)
    page.locator("input[name=username]").fill(demo.note["user"])
    page.locator("input[name=password]").fill(demo.note["password"])
    page.locator("input[name=password]").press("Enter")
    page.locator("hui-view").first.wait_for(timeout=60_000)
    anonymous.shot("overview")

    open_mlflow(anonymous)
    anonymous.frame.get_by_text("New run").first.wait_for()
    anonymous.shot("mlflow")
    experiment = experiment_id(anonymous, "Home Assistant")

    frame = anonymous.frame
    go(anonymous, f"#/experiments/{experiment}/runs")
    frame.get_by_text("New run").first.click()
    frame.get_by_text("using Prompt Engineering").click()
    frame.get_by_text("Select LLM model endpoint").click()
    frame.get_by_role("option", name=re.compile("home")).first.click()
    frame.get_by_role("button", name="Evaluate").click()
    expect(frame.get_by_text(re.compile("I am the demo's scripted model")).first).to_be_visible()
    anonymous.shot("promptlab")
    frame.get_by_role("button", name="Create run").click()

    expect(frame.get_by_role("button", name="Create run")).to_be_hidden()
    page.wait_for_load_state("networkidle")
    anonymous.shot("promptlab-run")
    search = {"experiment_ids": [experiment], "max_results": 10}
    run = fetch(anonymous, "ajax-api/2.0/mlflow/runs/search", search)["runs"][0]
    params = {item["key"]: item["value"] for item in run["data"]["params"]}
    tags = {item["key"]: item["value"] for item in run["data"]["tags"]}
    assert params["model_route"] == "home"
    assert "{{" in params["prompt_template"]
    assert tags["mlflow.runSourceType"] == "PROMPT_ENGINEERING"
    table = fetch(
        anonymous, f"get-artifact?path=eval_results_table.json&run_uuid={run['info']['run_id']}"
    )
    output = dict(zip(table["columns"], table["data"][0], strict=True))["output"]
    assert output.startswith("I am the demo's scripted model")

    assert anonymous.failed == []
    assert anonymous.outside == []


def test_the_pages_of_mlflow_open_in_the_frame(home: Watched) -> None:
    open_mlflow(home)
    experiment = experiment_id(home, "Home Assistant")
    pages = {
        "experiments": "#/experiments",
        "runs": f"#/experiments/{experiment}/runs",
        "traces": f"#/experiments/{experiment}/traces",
        "prompts": "#/prompts",
        "playground": f"#/experiments/{experiment}/playground",
        "ai-gateway": "#/gateway",
        "settings": "#/settings",
    }
    for name, route in pages.items():
        go(home, route)
        home.page.wait_for_load_state("networkidle")
        expect(home.frame.locator("body")).not_to_be_empty()
        home.shot(f"mlflow-{name}")
    assert home.page.url.startswith(home.base)
    assert home.failed == []
    assert home.outside == []
