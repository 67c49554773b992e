"""Who may call which listener, and what a browser's requests through Home Assistant meet."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import aiohttp
import pytest
from tests.tracking.process import PYTHON, SUPERVISOR, THROUGH_HOME_ASSISTANT, App

SEARCH = "/ajax-api/2.0/mlflow/experiments/search"


async def search(client: aiohttp.ClientSession, path: str = SEARCH) -> int:
    async with client.post(path, json={"max_results": 5}) as answer:
        return answer.status


async def test_a_browser_through_home_assistant_may_read_and_write(app: App) -> None:
    async with app.ingress_client() as browser:
        assert await search(browser) == 200
        body = {"name": "written through ingress"}
        async with browser.post("/ajax-api/2.0/mlflow/experiments/create", json=body) as answer:
            assert answer.status == 200
            experiment = (await answer.json())["experiment_id"]
        asked = {"experiment_id": experiment}
        async with browser.get("/ajax-api/2.0/mlflow/experiments/get", params=asked) as answer:
            assert (await answer.json())["experiment"]["name"] == "written through ingress"


@pytest.mark.parametrize("path", ["/", SEARCH, "/static-files/favicon.ico", "/version"])
async def test_nobody_but_the_supervisor_may_use_ingress(app: App, path: str) -> None:
    async with app.ingress_client(source="127.0.0.9") as stranger:
        async with stranger.get(path) as answer:
            assert answer.status == 403
            assert "sidebar" in await answer.text()
        assert await search(stranger) == 403


async def test_a_forwarded_address_does_not_make_a_stranger_the_supervisor(app: App) -> None:
    forged = {"X-Forwarded-For": SUPERVISOR}
    async with (
        app.ingress_client(source="127.0.0.9") as stranger,
        stranger.get("/", headers=forged) as answer,
    ):
        assert answer.status == 403


async def test_health_needs_no_token_and_is_no_way_around_ingress(app: App) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"{app.api}/health") as answer:
        assert answer.status == 200
        assert await answer.json() == {"status": "ok"}
    async with app.ingress_client() as supervisor, supervisor.get("/health") as answer:
        assert answer.status == 200
    async with (
        app.ingress_client(source="127.0.0.9") as stranger,
        stranger.get("/health") as answer,
    ):
        assert answer.status == 403


@pytest.mark.parametrize("token", [None, "wrong", "wrong-ünicode"])
async def test_the_api_asks_for_the_token(app: App, token: str | None) -> None:
    async with (
        app.api_client(token) as client,
        client.post(SEARCH, json={"max_results": 5}) as answer,
    ):
        assert answer.status == 401
        assert "MLFLOW_TRACKING_TOKEN" in (await answer.json())["message"]


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Basic", "basic"])
async def test_the_token_may_come_in_another_form(app: App, scheme: str) -> None:
    given = app.token
    if scheme.lower() == "basic":
        given = base64.b64encode(f"anyone:{given}".encode()).decode()
    header = {"Authorization": f"{scheme} {given}"}
    async with aiohttp.ClientSession(app.api, headers=header) as client:
        assert await search(client) == 200
    wrong = {"Authorization": f"{scheme} {given[:-4]}"}
    async with aiohttp.ClientSession(app.api, headers=wrong) as client:
        assert await search(client) == 401


async def test_the_api_lets_the_token_in(app: App) -> None:
    async with app.api_client() as client:
        assert await search(client, "/api/2.0/mlflow/experiments/search") == 200


@pytest.mark.parametrize("host", ["homeassistant.local:5000", "192.168.1.10:5000", "localhost"])
async def test_the_api_answers_to_the_names_it_has(app: App, host: str) -> None:
    async with (
        app.api_client() as client,
        client.post(SEARCH, json={"max_results": 5}, headers={"Host": host}) as answer,
    ):
        assert answer.status == 200


async def test_mlflows_own_host_protection_holds_on_the_api(app: App) -> None:
    async with app.api_client() as client:
        forged = {"Host": "rebound.example.com"}
        async with client.post(SEARCH, json={"max_results": 5}, headers=forged) as answer:
            assert answer.status == 403


async def test_mlflows_own_origin_protection_holds_on_the_api(app: App) -> None:
    async with app.api_client() as client:
        foreign = {"Origin": "http://evil.example.com"}
        body = {"name": "from a foreign page"}
        address = "/api/2.0/mlflow/experiments/create"
        async with client.post(address, json=body, headers=foreign) as answer:
            assert answer.status == 403


async def test_the_option_allowed_hosts_adds_a_name(own_app: App) -> None:
    own_app.options = {"allowed_hosts": ["MLflow.example.org"]}
    with own_app.running() as app:
        async with app.api_client() as client:
            named = {"Host": "mlflow.example.org:5000"}
            async with client.post(SEARCH, json={"max_results": 5}, headers=named) as answer:
                assert answer.status == 200


async def test_mlflows_assistant_is_out_of_reach(app: App) -> None:
    """It runs commands on the server for callers that it takes for local ones."""
    install = "/ajax-api/3.0/mlflow/assistant/skills/install"
    async with app.api_client() as local, local.post(install, json={"type": "global"}) as answer:
        assert answer.status == 403
    without = {k: v for k, v in THROUGH_HOME_ASSISTANT.items() if not k.startswith("X-Forwarded")}
    connector = aiohttp.TCPConnector(local_addr=(SUPERVISOR, 0))
    async with (
        aiohttp.ClientSession(app.ingress, headers=without, connector=connector) as bare,
        bare.post(install, json={"type": "global"}) as answer,
    ):
        assert answer.status == 403


CLIENT = """
import types, sys, os, pathlib, tempfile
databricks = types.ModuleType("databricks"); databricks.__path__ = []
sys.modules["databricks"] = databricks
import mlflow
mlflow.set_experiment("from outside")
with mlflow.start_run() as run:
    mlflow.log_param("model", "scripted")
    mlflow.log_metric("score", 0.5)
    mlflow.log_text("hello from outside", "note.txt")
@mlflow.trace
def answer(question):
    return question.upper()
answer("is anyone asleep?")
mlflow.flush_trace_async_logging()
client = mlflow.MlflowClient()
kept = client.get_run(run.info.run_id)
assert kept.data.params == {"model": "scripted"} and kept.data.metrics == {"score": 0.5}
assert mlflow.artifacts.load_text(run.info.artifact_uri + "/note.txt") == "hello from outside"
traces = client.search_traces(locations=[run.info.experiment_id])
assert [t.data.spans[0].outputs for t in traces] == ["IS ANYONE ASLEEP?"], traces
print("all there")
"""


def test_the_standard_client_logs_a_run_a_trace_and_an_artifact(app: App, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": app.api,
        "MLFLOW_TRACKING_TOKEN": app.token,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", "-c", CLIENT],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "all there" in done.stdout, done.stderr
    assert app.token not in done.stderr


async def test_a_token_of_the_options_is_let_in_and_stays_secret(own_app: App) -> None:
    token = "a-token-that-the-user-made-up"
    own_app.options = {"log_level": "debug", "api_tokens": [{"name": "laptop", "token": token}]}
    with own_app.running():
        async with own_app.api_client(token) as client:
            assert await search(client, "/api/2.0/mlflow/experiments/search") == 200
        async with own_app.api_client() as client:
            assert await search(client, "/api/2.0/mlflow/experiments/search") == 200
    assert token not in own_app.log


@pytest.mark.parametrize("token", ["short", "with a space in the middle", "", None])
def test_a_token_that_cannot_be_used_stops_the_start(own_app: App, token: str | None) -> None:
    own_app.options = {"api_tokens": [{"name": "laptop", "token": token}]}
    done = own_app.prepare()
    assert done.returncode == 1
    assert "api_tokens[0]" in done.stdout + done.stderr
    assert not token or token not in done.stdout + done.stderr


def test_no_secret_is_in_the_log_or_on_the_command_line(own_app: App) -> None:
    own_app.options = {"log_level": "debug"}
    prepared = own_app.prepare()
    process = own_app.start()
    try:
        own_app.wait_until_ready(process)
        for header in (f"Bearer {own_app.token}", "Bearer wrong"):
            request = ["curl", "-s", "-H", f"Authorization: {header}", own_app.api + "/version"]
            subprocess.run(request, check=True, capture_output=True)
        through = [f"-H{name}: {value}" for name, value in THROUGH_HOME_ASSISTANT.items()]
        source = ["--interface", SUPERVISOR]
        subprocess.run(
            ["curl", "-s", *source, *through, own_app.ingress + "/"],
            check=True,
            capture_output=True,
        )
        command_line = Path(f"/proc/{process.pid}/cmdline").read_text()
        environment = Path(f"/proc/{process.pid}/environ").read_text()
    finally:
        process.terminate()
        process.wait(30)
    passphrase = (own_app.data / "passphrase").read_text().strip()
    seen = own_app.log + prepared.stdout + prepared.stderr + command_line + environment
    for secret in (own_app.token, passphrase, "an-ingress-session-that-is-secret"):
        assert secret not in seen
