"""Settings -> Devices & services -> MLflow: a second agent is added through the integration's own form."""

import re

from playwright.sync_api import expect
from tests.house.stage import Watched, eventually


def test_an_agent_is_added_through_the_form_and_answers(home: Watched) -> None:
    page = home.page
    page.goto(f"{home.base}/config/integrations/integration/mlflow")
    page.get_by_role(
        "button", name=re.compile("Add conversation agent", re.IGNORECASE)
    ).first.click()
    name = page.locator("input[name=name]")
    name.wait_for()
    page.wait_for_timeout(500)  # the dialog slides in; a picture of it halfway is of no use
    home.shot("agent-form")
    name.fill("Night agent")
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("button", name="Finish").click()

    agent = eventually(lambda: _agent(home, "Night agent"), 15, "the agent is there")
    answer = home.call(
        {"type": "conversation/process", "text": "good night", "agent_id": agent, "language": "en"}
    )
    assert "good night" in answer["response"]["speech"]["plain"]["speech"]
    page.goto(f"{home.base}/config/integrations/integration/mlflow")
    expect(page.get_by_text("Night agent").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    home.shot("integration")
    assert home.failed == []


def _agent(home: Watched, name: str) -> str | None:
    listed = home.call({"type": "conversation/agent/list"})
    return next((agent["id"] for agent in listed["agents"] if name in agent["name"]), None)
