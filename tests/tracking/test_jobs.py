"""Background jobs: a judge on a Gateway endpoint, in a process that exists only while it works."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from tests.tracking.process import PYTHON, App, free_port
from tests.tracking.standin import StandInGateway
from tests.tracking.test_record import otlp_trace

import mlflow_tracking

ABSENT = Path(mlflow_tracking.__file__).parent / "absent"

MAKE_JUDGE = """
from mlflow.genai.judges import make_judge
judge = make_judge(
    name="polite",
    instructions="Is the answer polite? Question: {{ inputs }} Answer: {{ outputs }}",
    model="gateway:/chat",
    feedback_value_type=str,
)
import json
print(json.dumps(judge.model_dump()))
"""


def serialized_judge() -> str:
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", "-c", MAKE_JUDGE],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ABSENT), "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def eventually(condition: Callable[[], Awaitable[bool]], app: App, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, app.log
        await asyncio.sleep(0.3)


async def test_a_judge_runs_on_a_trace_and_its_process_goes_away(own_app: App) -> None:
    own_app.options = {"background_jobs": True}
    own_app.environment = {"MLFLOW_TRACKING_MIRROR_SECONDS": "0.2"}
    reply = json.dumps({"result": "yes", "rationale": "it says please"})
    standin = StandInGateway(free_port(), reply=reply)
    own_app.gateway = standin.url
    process = own_app.start()
    try:
        await asyncio.to_thread(own_app.wait_until_ready, process)
        async with standin.running(), own_app.ingress_client() as browser:
            await judge(own_app, browser, process.pid)
            assert own_app.token not in own_app.log

            async def gone() -> bool:
                return not children(process.pid)

            await eventually(gone, own_app, 60)
    finally:
        process.terminate()
        assert process.wait(30) == 0


async def write_trace(browser: aiohttp.ClientSession, days_ago: float = 0) -> str:
    trace = secrets.token_hex(16)
    headers = {"x-mlflow-experiment-id": "0"}
    async with browser.post(
        "/v1/traces", json=otlp_trace(trace, days_ago=days_ago), headers=headers
    ) as answer:
        assert answer.status == 200
    return f"tr-{trace}"


async def mirrored(app: App, browser: aiohttp.ClientSession) -> None:
    """Wait for the Gateway's endpoints."""

    async def there() -> bool:
        async with browser.get("/ajax-api/3.0/mlflow/gateway/endpoints/list") as answer:
            return bool((await answer.json()).get("endpoints"))

    await eventually(there, app, 30)


async def judged(app: App, browser: aiohttp.ClientSession, trace: str) -> dict[str, Any]:
    """Wait for the one assessment of a trace."""

    async def assessments() -> list[dict[str, Any]]:
        async with browser.get(f"/api/3.0/mlflow/traces/{trace}") as answer:
            info = (await answer.json())["trace"]["trace_info"]
            found: list[dict[str, Any]] = info.get("assessments", [])
            return found

    async def there() -> bool:
        return bool(await assessments())

    await eventually(there, app, 120)
    (assessment,) = await assessments()
    return assessment


async def judge(app: App, browser: aiohttp.ClientSession, pid: int) -> None:
    trace = await write_trace(browser)
    await mirrored(app, browser)
    assert children(pid) == []
    body = {
        "experiment_id": "0",
        "serialized_scorer": await asyncio.to_thread(serialized_judge),
        "trace_ids": [trace],
        "log_assessments": True,
    }
    async with browser.post("/ajax-api/3.0/mlflow/scorer/invoke", json=body) as answer:
        assert answer.status == 200, await answer.text()
    assessment = await judged(app, browser, trace)
    assert assessment["feedback"]["value"] == "yes"
    assert assessment["rationale"] == "it says please"


async def test_a_judge_runs_by_itself_on_new_traces(own_app: App) -> None:
    own_app.options = {"background_jobs": True}
    own_app.environment = {"MLFLOW_TRACKING_MIRROR_SECONDS": "0.2"}
    reply = json.dumps({"result": "yes", "rationale": "it says please"})
    standin = StandInGateway(free_port(), reply=reply)
    own_app.gateway = standin.url
    process = own_app.start()
    try:
        await asyncio.to_thread(own_app.wait_until_ready, process)
        async with standin.running(), own_app.ingress_client() as browser:
            await mirrored(own_app, browser)
            # MLflow gives a trace some minutes to be complete before it is judged.
            trace = await write_trace(browser, days_ago=10 / 1440)
            named = {"experiment_id": "0", "name": "polite"}
            scorer = await asyncio.to_thread(serialized_judge)
            scorers = "/ajax-api/3.0/mlflow/scorers"
            made = {**named, "serialized_scorer": scorer}
            async with browser.post(f"{scorers}/register", json=made) as answer:
                assert answer.status == 200, await answer.text()
            when = {**named, "sample_rate": 1.0}
            async with browser.put(f"{scorers}/online-config", json=when) as answer:
                assert answer.status == 200, await answer.text()
            assessment = await judged(own_app, browser, trace)
            assert assessment["assessment_name"] == "polite"
            assert assessment["feedback"]["value"] == "yes"
    finally:
        process.terminate()
        assert process.wait(30) == 0


async def test_without_the_option_a_judge_is_refused_with_words(app: App) -> None:
    body = {"experiment_id": "0", "serialized_scorer": "{}", "trace_ids": ["tr-1"]}
    async with (
        app.ingress_client() as browser,
        browser.post("/ajax-api/3.0/mlflow/scorer/invoke", json=body) as answer,
    ):
        assert 400 <= answer.status < 600
        assert (await answer.json())["message"]
