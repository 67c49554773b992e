"""MLflow's user interface as a browser gets it through ingress."""

from __future__ import annotations

import re

import aiohttp
import pytest
from tests.tracking.process import App


async def page(browser: aiohttp.ClientSession) -> str:
    async with browser.get("/") as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-cache"
        return await answer.text()


async def test_hashed_files_are_cached_for_good(app: App) -> None:
    async with app.ingress_client() as browser:
        files = re.findall(
            r'(?:src|href)="(?:\./)?(static-files/static/[^"]+)"', await page(browser)
        )
        assert len(files) == 2, files
        for file in files:
            async with browser.get(f"/{file}") as answer:
                assert answer.status == 200
                assert "immutable" in answer.headers["Cache-Control"]
                assert "max-age=31536000" in answer.headers["Cache-Control"]
                assert len(await answer.read()) > 100_000


async def test_a_file_without_a_hash_is_asked_for_again_but_not_sent_again(app: App) -> None:
    async with app.ingress_client() as browser:
        async with browser.get("/static-files/favicon.ico") as answer:
            assert answer.headers["Cache-Control"] == "no-cache"
            known = {"If-None-Match": answer.headers["ETag"]}
        async with browser.get("/static-files/favicon.ico", headers=known) as answer:
            assert answer.status == 304


async def test_no_path_leads_out_of_the_interfaces_folder(app: App) -> None:
    async with app.ingress_client() as browser:
        for path in ("/static-files/../../handlers.py", "/static-files/%2e%2e/%2e%2e/handlers.py"):
            async with browser.get(path) as answer:
                assert answer.status == 404


@pytest.mark.parametrize(
    ("path", "answered"),
    [
        ("2.0/mlflow/users/current", {}),
        ("2.0/mlflow/users/list", {"users": []}),
    ],
)
async def test_a_question_about_logins_is_no_failed_request(
    app: App, path: str, answered: dict[str, object]
) -> None:
    async with app.ingress_client() as browser, browser.get(f"/ajax-api/{path}") as answer:
        assert answer.status == 200
        assert await answer.json() == answered


async def test_mlflows_assistant_has_nothing_to_offer(app: App) -> None:
    assistant = "/ajax-api/3.0/mlflow/assistant"
    async with app.ingress_client() as browser:
        async with browser.get(f"{assistant}/providers") as answer:
            assert (await answer.json())["providers"] == []
        async with browser.get(f"{assistant}/config") as answer:
            assert (await answer.json())["remote_access_allowed"] is False
        async with browser.put(f"{assistant}/config", json={"providers": {}}) as answer:
            assert answer.status >= 400
        async with browser.post(f"{assistant}/message", json={"message": "ls"}) as answer:
            assert answer.status == 403


async def test_the_page_may_load_nothing_from_outside(app: App) -> None:
    async with app.ingress_client() as browser, browser.get("/") as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "*" not in policy


async def test_the_sidebar_opens_at_the_homes_experiment(own_app: App) -> None:
    with own_app.running() as app:
        async with app.ingress_client() as browser:
            assert 'const START = "";' in await page(browser)
            body = {"name": "Home Assistant"}
            create = "/ajax-api/2.0/mlflow/experiments/create"
            async with browser.post(create, json=body) as answer:
                experiment = (await answer.json())["experiment_id"]
            assert f'const START = "#/experiments/{experiment}/runs";' in await page(browser)
            delete = "/ajax-api/2.0/mlflow/experiments/delete"
            async with browser.post(delete, json={"experiment_id": experiment}) as answer:
                assert answer.status == 200
            assert 'const START = "";' in await page(browser)
