"""What is deleted at night, what never is, and that the file gets smaller."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import aiohttp
import pytest
from tests.tracking.process import App
from tests.tracking.test_record import call, otlp_trace

# Every second is a night for these tests.
NIGHTS = {"MLFLOW_TRACKING_RETENTION_SECONDS": "1"}


async def add(client: aiohttp.ClientSession, days_ago: float, text: str = "hello") -> str:
    trace = secrets.token_hex(16)
    body = otlp_trace(trace, text=text, days_ago=days_ago)
    headers = {"x-mlflow-experiment-id": "0"}
    async with client.post("/v1/traces", json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
    return f"tr-{trace}"


async def post(client: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> Any:
    async with client.post(f"/api/3.0/mlflow/{path}", json=body) as answer:
        decoded = await answer.json()
        assert answer.status == 200, decoded
        return decoded


async def assess(client: aiohttp.ClientSession, trace: str) -> None:
    assessment = {
        "assessment_name": "right",
        "trace_id": trace,
        "source": {"source_type": "HUMAN", "source_id": "resident"},
        "create_time": "2026-11-20T10:00:00Z",
        "last_update_time": "2026-11-20T10:00:00Z",
        "feedback": {"value": True},
    }
    await post(client, f"traces/{trace}/assessments", {"assessment": assessment})


async def make_case_of_a_dataset(client: aiohttp.ClientSession, trace: str) -> None:
    made = await post(client, "datasets/create", {"name": "cases", "experiment_ids": ["0"]})
    source = {"source_type": "TRACE", "source_data": {"trace_id": trace}}
    records = json.dumps([{"inputs": {"question": "hello"}, "source": source}])
    dataset = made["dataset"]["dataset_id"]
    await post(client, f"datasets/{dataset}/records", {"records": records})


async def make_part_of_an_evaluation(client: aiohttp.ClientSession, trace: str) -> None:
    body = {"experiment_id": "0", "start_time": int(time.time() * 1000)}
    run = await call(client, "POST", "runs/create", json=body)
    linked = {"run_id": run["run"]["info"]["run_id"], "trace_ids": [trace]}
    await call(client, "POST", "traces/link-to-run", json=linked)


def kept(app: App) -> set[str]:
    with closing(sqlite3.connect(app.data / "mlflow.db")) as connection:
        return {trace for (trace,) in connection.execute("SELECT request_id FROM trace_info")}


async def eventually(condition: Callable[[], bool], app: App) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, app.log
        await asyncio.sleep(0.2)


async def test_old_traces_go_and_those_that_matter_stay(own_app: App) -> None:
    with own_app.running() as app:
        async with app.api_client() as client:
            gone = {await add(client, 31) for _ in range(60)}
            judged, case, part = [await add(client, 40) for _ in range(3)]
            recent = await add(client, 29)
            await assess(client, judged)
            await make_case_of_a_dataset(client, case)
            await make_part_of_an_evaluation(client, part)
        assert kept(app) == gone | {judged, case, part, recent}
    own_app.options = {"keep_traces_days": 30}
    own_app.environment = NIGHTS
    with own_app.running() as app:
        await eventually(lambda: not kept(app) & gone, app)
        await eventually(lambda: "0 of them go" in app.log, app)
        assert kept(app) == {judged, case, part, recent}
        assert "63 traces are older than 30 days; 60 of them go, and 3 stay" in app.log


async def test_a_database_that_is_too_large_loses_its_oldest_traces_and_shrinks(
    own_app: App,
) -> None:
    database = own_app.data / "mlflow.db"
    with own_app.running() as app:
        async with app.api_client() as client:
            oldest = [await add(client, 9, text="x" * 60_000) for _ in range(30)]
            newest = [await add(client, 8, text="x" * 60_000) for _ in range(5)]
    large = database.stat().st_size
    assert large > 4 * 2**20
    own_app.options = {"max_database_mb": 4, "keep_deleted_days": 0}
    own_app.environment = NIGHTS
    with own_app.running() as app:
        await eventually(lambda: database.stat().st_size <= 4 * 2**20, app)
        assert set(newest) <= kept(app)
        assert oldest[0] not in kept(app)


async def test_nothing_goes_by_default(own_app: App) -> None:
    own_app.environment = NIGHTS
    with own_app.running() as app:
        async with app.api_client() as client:
            old = await add(client, 4000)
            await asyncio.sleep(2.5)  # two nights
            assert kept(app) == {old}


async def test_deleted_runs_are_removed_for_good_after_their_time(own_app: App) -> None:
    own_app.options = {"keep_deleted_days": 7}
    own_app.environment = NIGHTS
    with own_app.running() as app:
        async with app.api_client() as client:
            runs = []
            for _ in range(2):
                body = {"experiment_id": "0", "start_time": int(time.time() * 1000)}
                made = await call(client, "POST", "runs/create", json=body)
                runs.append(made["run"]["info"]["run_id"])
                await call(client, "POST", "runs/delete", json={"run_id": runs[-1]})
        long_ago = int((time.time() - 8 * 86400) * 1000)
        with closing(sqlite3.connect(app.data / "mlflow.db", timeout=30)) as connection, connection:
            connection.execute(
                "UPDATE runs SET deleted_time = ? WHERE run_uuid = ?", (long_ago, runs[0])
            )

        def left() -> set[str]:
            with closing(sqlite3.connect(app.data / "mlflow.db")) as connection:
                return {run for (run,) in connection.execute("SELECT run_uuid FROM runs")}

        await eventually(lambda: left() == {runs[1]}, app)


@pytest.mark.parametrize("name", ["keep_traces_days", "keep_deleted_days", "max_database_mb"])
def test_a_number_below_zero_is_refused(own_app: App, name: str) -> None:
    own_app.options = {name: -1}
    prepared = own_app.prepare()
    assert prepared.returncode == 1
    assert f"Option {name} is -1" in prepared.stderr
